"""The whole way through Dagster: each data source of Tableau's holds the ERP's own rows, row for row."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster.graph.run import run_pair
from mlc_dagster.settings import REPOSITORY
from mlc_dagster.suite import mappings_in
from tests.support.house import House, open_house, running_sandbox

COMPANY = "NO01"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder: Path = tmp_path_factory.mktemp("tableau house")
    with running_sandbox(companies=(COMPANY,), long_books=True) as sandbox:
        sandbox.tableau.switches.update({"job_polls": 0})
        section = sandbox.tableau.config_section(sandbox.url)
        with open_house(sandbox, folder, pairs=section) as house:
            assert run_pair(
                house.definitions,
                house.instance,
                pair="tableau",
                company=COMPANY,
                first=house.days[0],
                last=house.today,
            ).success
            yield house


@dataclass(frozen=True)
class Wanted:
    """What a data source shall show of an entity: a row for each record, or for each of its `lines`.

    code: without the company. columns: a decimal, a text or a truth of the ERP's record, or of its line.
    """

    entity: str
    code: str
    columns: dict[str, str]
    lines: Callable[[dict[str, Any]], list[Any]] = lambda record: [None]

    def rows(self, erp: Callable[[str], list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
        """By code. The ERP calls the module GL ModuleGL."""
        return {
            f"{COMPANY}|{self.code.format(line=line, **record).removeprefix('Module')}": {
                name: value(source, {"line": line, **record}) for name, source in self.columns.items()
            }
            for record in erp(self.entity)
            for line in self.lines(record)
        }


def value(source: str, place: Any) -> Any:
    for name in source.split("."):
        place = (place or {}).get(name)
    return place


def lines_in(name: str) -> Callable[[dict[str, Any]], list[Any]]:
    return lambda record: record[name]


def in_segments(record: dict[str, Any]) -> list[Any]:
    return [entry for segment in record["segments"] for entry in segment["segmentValues"]]


DOCUMENT, MONEY = (
    "{documentType}|{referenceNumber}",
    {"Amount": "amountInCurrency", "Balance": "balanceInCurrency"},
)
DATES = {"Date": "documentDate", "Due date": "documentDueDate", "Financial period": "financialPeriod"}
NAMES = {"Name": "name", "Status": "status", "City": "mainAddress.city"}
PAYMENT = {"Date": "applicationDate", "Financial period": "applicationPeriod", "Status": "status"}
WANTED = {
    "Supplier invoices": Wanted(
        "supplierInvoice",
        DOCUMENT,
        {"Amount": "amount", "VAT amount": "vatAmount", "Date": "date", "Supplier name": "supplier.name"},
    ),
    "Supplier invoice lines": Wanted(
        "supplierInvoice",
        DOCUMENT + "|{line[lineNumber]}",
        {"Amount": "line.costInCurrency", "Account name": "line.account.description"},
        lines_in("invoiceLines"),
    ),
    "Supplier payments": Wanted(
        "supplierPayment",
        "{type}|{refNbr}",
        {"Amount": "paymentAmount", "Unapplied": "unappliedBalance", "Currency": "currency.id", **PAYMENT},
    ),
    "Purchase orders": Wanted(
        "purchaseorder",
        "{orderType}|{orderNbr}|{line[lineNbr]}",
        {"Amount": "line.amount", "Quantity": "line.orderQty", "Status": "status"},
        lines_in("lines"),
    ),
    "Purchase receipts": Wanted(
        "purchaseReceipt",
        "{receiptNbr}|{line[lineNbr]}",
        {"Amount": "line.amount", "Quantity": "line.receiptQty", "Purchase order": "line.poOrderNbr"},
        lines_in("lines"),
    ),
    "Customer invoices": Wanted(
        "customerinvoice", DOCUMENT, {**MONEY, **DATES, "Customer name": "customer.name"}
    ),
    "Customer credit notes": Wanted("customerCreditNote", DOCUMENT, {**MONEY, **DATES}),
    "Customer payments": Wanted(
        "customerPayment",
        "{type}|{refNbr}",
        {"Amount": "paymentAmountInCurrency", "Available": "availableBalanceInCurrency", **PAYMENT},
    ),
    "GL journal lines": Wanted(
        "journaltransaction",
        "{module}|{batchNumber}|{line[lineNumber]}",
        {"Debit": "line.debitAmount", "Credit": "line.creditAmount", "Financial period": "financialPeriod"},
        lines_in("journalTransactionLines"),
    ),
    "GL balances": Wanted(
        "generalLedgerBalance",
        "{branch[number]}|{ledger[id]}|{financialPeriod}|{account[number]}|{subAccountCd}|{currencyId}",
        {"Debit": "periodToDateDebit", "Beginning balance": "beginningBalance", "Branch": "branch.number"},
    ),
    "Suppliers": Wanted("supplier", "{number}", NAMES),
    "Customers": Wanted("customer", "{number}", NAMES),
    "Accounts": Wanted(
        "account", "{accountCD}", {"Description": "description", "Type": "type", "Active": "active"}
    ),
    "Dimension values": Wanted(
        "dimension",
        "{id}|{line[segmentId]}|{line[valueId]}",
        {"Description": "line.description", "Active": "line.active", "Dimension name": "description"},
        in_segments,
    ),
}


def comparable(value: Any, like: Any) -> Any:
    """As the sandbox shows a .hyper file: decimals and dates as text."""
    if isinstance(like, bool) or like is None:
        return value
    return Decimal(value) if isinstance(like, Decimal | int) else str(value)


@pytest.mark.parametrize("title", WANTED)
def test_a_data_source_shows_what_the_erp_says(house: House, title: str) -> None:
    wanted = WANTED[title].rows(partial(house.sandbox.visma.truth, COMPANY))
    found = {row["Code"]: row for row in house.sandbox.tableau.world.rows(title)}
    assert found.keys() == wanted.keys() != set()
    for code, row in wanted.items():
        assert {name: comparable(found[code][name], like) for name, like in row.items()} == {
            name: comparable(like, like) for name, like in row.items()
        }, code


def test_entitlements_are_the_list(house: House) -> None:
    rows = house.sandbox.tableau.world.rows("Entitlements")
    assert {row["Group name"] or row["User name"] for row in rows} == {
        "controller@nordfjell.example",
        "Finance",
        "Finance NO",
        "Purchasing",
    }


def test_a_line_of_the_list_that_names_what_the_erp_has_not_is_refused_with_its_reason(
    house: House, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    shutil.copytree(REPOSITORY / "dbt_like_mappings", folder)
    header = "company,user_name,group_name,customer_number,supplier_number"
    known = house.sandbox.visma.truth(COMPANY, "customer")[0]["number"]
    lines = [
        header,
        f",,Sales,{known},",
        ",,Sales,1,",
        "NO01,,Sales,,2",
        "NO01,a,Sales,,",
        f"NO01,,sales,{known},",
    ]
    (folder / "lookups" / "tableau_entitlements.csv").write_text("\n".join(lines), "utf-8")
    mapped = mappings_in(folder).run("tableau/entitlements", house.suite().lake, COMPANY, [])
    assert [row.payload["customer"] for row in mapped.rows()] == [f"NO01|{known}"]
    assert {row.key: row.reason for row in mapped.refused} == {
        "NO01|group sales|customer 1": "customer NO01|1 is not in customers.code",
        "NO01|group sales|supplier 2": "supplier NO01|2 is not in suppliers.code",
        "NO01|user a|group sales": "user_name a fails the test user_or_group",
    }


def test_every_data_source_is_looked_at(house: House) -> None:
    published = {
        source.name for source in house.sandbox.tableau.world.site().datasources.values() if source.file
    }
    assert published == {*WANTED, "Entitlements"}
