"""The whole way through Dagster: every measure shows, by company, what adds up in the ERP's own rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster.graph.run import PairRun, run_pair
from mlc_dagster.outlook import open_days
from mlc_sandbox.server import Sandbox
from tests.support.house import House, open_house, running_sandbox

COMPANIES = ("NO01", "SE01")
Row = dict[str, Any]
SIGNS = {"DebitAdj": -1, "CreditNote": -1}


def minutes(cards: list[Row], *, billed: bool) -> Decimal:
    lines = [line for card in cards for line in card["summary"]]
    return Decimal(sum(line["timeSpent"] for line in lines if line["invoiceable"] or not billed))


def in_the_erp(sandbox: Sandbox, company: str) -> dict[str, Decimal]:
    """The numbers by measure: plain sums over the ERP's rows, none of our code."""

    def truth(entity: str) -> list[Row]:
        rows: list[Row] = sandbox.visma.truth(company, entity)
        return rows

    def total(rows: list[Row], *names: str) -> Decimal:
        """The sum of the first of the fields a row has."""
        return sum((Decimal(next(row[name] for name in names if name in row)) for row in rows), Decimal(0))

    def owed(rows: list[Row]) -> Decimal:
        return sum((SIGNS.get(row["documentType"], 1) * Decimal(row["balance"]) for row in rows), Decimal(0))

    bills, invoices, notes = truth("supplierInvoice"), truth("customerinvoice"), truth("customerCreditNote")
    paid, received = truth("supplierPayment"), truth("customerPayment")
    balances = [row for row in truth("generalLedgerBalance") if row["balanceType"] == "Actual"]
    lines = [line for row in truth("journaltransaction") for line in row["journalTransactionLines"]]
    return {
        "Supplier documents": Decimal(len(bills)),
        "Supplier amount": total(bills, "amount"),
        "Supplier VAT": total(bills, "vatAmount"),
        "AP open": owed(bills),
        "Supplier payment count": Decimal(len(paid)),
        "Paid to suppliers": total(paid, "paymentAmount"),
        "Customer documents": Decimal(len(invoices)),
        "Customer amount": total(invoices, "amountInCurrency"),
        "AR open": owed(invoices),
        "Credit notes": Decimal(len(notes)),
        "Credit note amount": total(notes, "amountInCurrency"),
        "AR credit open": owed(notes),
        "Customer payment count": Decimal(len(received)),
        "Received from customers": total(received, "paymentAmountInCurrency"),
        "GL debit": total(balances, "periodToDateDebit"),
        "GL credit": total(balances, "periodToDateCredit"),
        "Journal line count": Decimal(len(lines)),
        "Journal debit": total(lines, "debitAmount"),
        "Journal credit": total(lines, "creditAmount"),
        "Minutes": minutes(truth("timeCard"), billed=False),
        "Invoiceable minutes": minutes(truth("timeCard"), billed=True),
    }


def in_power_bi(sandbox: Sandbox, company: str, names: list[str]) -> dict[str, Decimal]:
    only = f"'Companies'[Company] = \"{company}\""
    parts = [f'"{name}", CALCULATE ( [{name}], {only} ) + 0' for name in names]
    (row,) = sandbox.powerbi.world.query("Visma ERP", f"EVALUATE ROW ( {', '.join(parts)} )")
    return {name: Decimal(row[f"[{name}]"]) for name in names}


@dataclass
class Chapter:
    runs: list[PairRun]
    erp: dict[str, dict[str, Decimal]]
    shown: dict[str, dict[str, Decimal]]
    dimensions: dict[str, tuple[int, int]]
    writes: int


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Chapter]]:
    folder: Path = tmp_path_factory.mktemp("powerbi house")
    with running_sandbox() as sandbox:
        section = sandbox.powerbi.config_section(sandbox.url)
        with open_house(sandbox, folder, pairs=section) as house:
            setup = house.suite().powerbi.setup
            setup.apply(setup.plan())
            chapters = {"first load": _chapter(house)}
            sandbox.pass_day()
            still_open, _ = open_days(house.suite(), "powerbi", "NO01")
            chapters["a day later"] = _chapter(house, still_open)
            chapters["nothing new"] = _chapter(house, still_open)
            yield chapters


def _chapter(house: House, first: Any = None) -> Chapter:
    sandbox = house.sandbox
    sandbox.log.reset()
    runs = [
        run_pair(
            house.definitions,
            house.instance,
            pair="powerbi",
            company=company,
            first=first or house.days[0],
            last=house.today,
        )
        for company in COMPANIES
    ]
    erp = {company: in_the_erp(sandbox, company) for company in COMPANIES}
    shown = {company: in_power_bi(sandbox, company, list(erp[company])) for company in COMPANIES}
    tables = {
        "Suppliers": "supplier",
        "Customers": "customer",
        "Accounts": "account",
        "Employees": "employee",
    }
    dimensions = {
        title: (
            len(sandbox.powerbi.world.rows("Visma ERP", title)),
            sum(len(sandbox.visma.truth(company, entity)) for company in COMPANIES),
        )
        for title, entity in tables.items()
    }
    writes = sum(
        sandbox.log.count("powerbi", method=method, match=".*/rows$") for method in ("POST", "DELETE")
    )
    return Chapter(runs, erp, shown, dimensions, writes)


@pytest.mark.parametrize("chapter", ["first load", "a day later", "nothing new"])
def test_every_measure_shows_what_adds_up_in_the_erp(story, chapter):
    told = story[chapter]
    assert all(run.success for run in told.runs)
    assert told.shown == told.erp
    assert all(sum(numbers.values()) for numbers in told.erp.values())


@pytest.mark.parametrize("chapter", ["first load", "a day later"])
def test_dimensions_hold_every_record_once(story, chapter):
    assert all(held == there for held, there in story[chapter].dimensions.values())


def test_without_changes_nothing_is_written(story):
    assert story["nothing new"].writes == 0


def test_something_did_change_in_between(story):
    assert story["a day later"].erp != story["first load"].erp
