"""The whole way through Dagster: what is downloaded from Tableau adds up to the ERP's own rows."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster.graph.run import run_pair
from tests.support.house import House, open_house, running_sandbox

COMPANY = "NO01"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder: Path = tmp_path_factory.mktemp("tableau house")
    with running_sandbox(companies=(COMPANY,)) as sandbox:
        sandbox.tableau.switches.update({"job_polls": 0})
        section = sandbox.tableau.config_section(sandbox.url)
        with open_house(sandbox, folder, pairs=section) as house:
            yield house


def run(house: House) -> bool:
    return run_pair(
        house.definitions,
        house.instance,
        pair="tableau",
        company=COMPANY,
        first=house.days[0],
        last=house.today,
    ).success


def shown(house: House, title: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = house.sandbox.tableau.world.rows(title)
    return rows


def total(rows: list[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(row[name] or 0) for row in rows), Decimal(0))


def in_the_erp(house: House, entity: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = house.sandbox.visma.truth(COMPANY, entity)
    return rows


def test_every_data_source_shows_what_the_erp_says(house: House) -> None:
    assert run(house)
    bills, orders = in_the_erp(house, "supplierInvoice"), in_the_erp(house, "purchaseorder")
    assert len(shown(house, "Supplier invoices")) == len(bills) > 0
    assert total(shown(house, "Supplier invoices"), "Amount") == total(bills, "amount")
    lines = [line for bill in bills for line in bill["invoiceLines"]]
    assert total(shown(house, "Supplier invoice lines"), "Amount") == total(lines, "costInCurrency")
    assert total(shown(house, "Purchase orders"), "Amount") == total(
        [line for order in orders for line in order["lines"]], "amount"
    )
    received = [line for each in in_the_erp(house, "PurchaseReceipt") for line in each["lines"]]
    assert len(shown(house, "Purchase receipts")) == len(received)
    invoices = in_the_erp(house, "customerinvoice")
    assert total(shown(house, "Customer invoices"), "Amount") == total(invoices, "amountInCurrency")
    journal = [
        line for each in in_the_erp(house, "journaltransaction") for line in each["journalTransactionLines"]
    ]
    assert total(shown(house, "GL journal lines"), "Debit") == total(journal, "debitAmount")
    assert {row["Group name"] for row in shown(house, "Entitlements")} >= {"Finance", "Finance NO", None}
