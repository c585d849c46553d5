"""The shipped models over the real catalogue of entities."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster.lake import Lake
from mlc_dagster.mappings import Mapped, Mappings
from mlc_dagster.suite import mappings_in
from mlc_dagster.visma.entities import CATALOG
from tests.mappings.examples import COMPANY, DAY, record, write

FOLDER = Path(__file__).parents[2] / "dbt_like_mappings"
COLUMNS = {
    "suppliers": "code company supplier_number name status supplier_class currency country "
    "vat_registration_id",
    "gl_accounts": "code company account description type active",
    "dimensions": "code company dimension description",
    "segment_values": "code company dimension segment_id segment value_id description active",
    "cost_centres": "code company cost_centre description active",
    "gl_actuals": "account cost_centre month debit credit amount balance",
    "supplier_invoices": "code company document_type reference_number status supplier supplier_name "
    "supplier_reference date due_date financial_period currency amount vat_amount "
    "balance description",
    "supplier_invoice_lines": "code invoice company line_number description account subaccount quantity "
    "unit_cost amount vat_code po_number po_line",
    "purchase_orders": "code company order_type order_number status supplier supplier_name date "
    "promised_on currency order_total tax_total description",
    "purchase_order_lines": "code purchase_order company line_number inventory description account "
    "subaccount uom quantity received_quantity unit_cost amount completed canceled",
    "journal_lines": "code company module batch_number line_number status ledger date financial_period "
    "account cost_centre subaccount currency debit credit amount reference_number description",
}
LONG = "Tannhjul, 12 mm - " + 'ærlig stål & "hardt" ; ' * 40


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return mappings_in(FOLDER)


def put(lake: Lake, entity: str, *records: dict[str, Any]) -> None:
    fields = set(CATALOG.schema(entity).names)
    for found in records:
        found.pop("number", None) if "number" not in fields else None
        assert set(found) <= fields, f"{set(found) - fields} are no fields of {entity}"
    write(lake, entity, *records, catalog=CATALOG)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    country = {"country": {"id": "NO", "name": "Norge"}}
    put(
        lake,
        "suppliers",
        record(
            "50000",
            name="Blåbær & Sønn AS",
            status="Active",
            supplierClass={"id": "NOR"},
            currencyId="NOK",
            mainAddress=country,
            vatRegistrationId="NO999888777MVA",
        ),
    )
    put(
        lake,
        "gl_accounts",
        record("4000", accountCD="4000", description="Varekjøp", type="Expense", active=True),
    )
    value = {"valueId": "100", "description": "Avdeling Øst", "active": True}
    segment = {
        "segmentId": 1,
        "description": "Avdeling",
        "segmentValues": [value, {**value, "valueId": "2|0 Ø"}],
    }
    project = {"segmentId": 2, "description": "Prosjekt", "segmentValues": [{**value, "valueId": "07"}]}
    put(
        lake,
        "dimensions",
        record("SUBACCOUNT", id="SUBACCOUNT", description="Underkonto", segments=[segment, project]),
    )
    line = {
        "lineNumber": 1,
        "transactionDescription": LONG,
        "account": {"number": "4000"},
        "subaccount": {"subaccountNumber": "100"},
        "quantity": Decimal("2.5"),
        "unitCostInCurrency": Decimal("0.1234"),
        "costInCurrency": Decimal("0.3085"),
        "unitCost": Decimal("1"),
        "cost": Decimal("3"),
        "vatCode": {"id": "3"},
        "poNumber": "500254",
        "poLineNr": 7,
    }
    put(
        lake,
        "supplier_invoices",
        record(
            "Invoice|10023",
            documentType="Invoice",
            referenceNumber="10023",
            status="Open",
            supplier={"number": "50000", "name": "Name when posted"},
            supplierReference="F-1",
            date=date(2026, 11, 20),
            dueDate=date(2026, 12, 20),
            financialPeriod="202611",
            currencyId="EUR",
            amount=Decimal("0.3856"),
            vatAmount=Decimal("0.0771"),
            balance=Decimal("4"),
            balanceInCurrency=Decimal("0.3856"),
            description=LONG,
            detailTotalInCurrency=Decimal("0.3085"),
            invoiceLines=[line],
        ),
        record(
            "CreditAdj|10024",
            documentType="CreditAdj",
            referenceNumber="10024",
            status="Open",
            supplier={"number": "99999", "name": "Gone AB"},
            amount=Decimal("1"),
            currencyId="NOK",
            invoiceLines=[{**line, "account": {"number": "4999"}}],
            detailTotalInCurrency=Decimal("5"),
        ),
    )
    order_line = {
        "lineNbr": 1,
        "inventory": {"number": "A-1/Ø"},
        "lineDescription": LONG,
        "account": {"number": "4000"},
        "sub": {"subaccountNumber": "100"},
        "uom": "STK",
        "orderQty": Decimal("10"),
        "qtyOnReceipts": Decimal("4"),
        "unitCost": Decimal("1.2345"),
        "unitCostInBaseCurrency": Decimal("9"),
        "amount": Decimal("12.345"),
        "completed": False,
        "canceled": False,
    }
    put(
        lake,
        "purchase_orders",
        record(
            "RegularOrder|500254",
            orderType="RegularOrder",
            orderNbr="500254",
            status="Open",
            supplier={"number": "50000", "name": "Name when ordered"},
            date=date(2026, 11, 20),
            promisedOn=date(2026, 11, 30),
            currency="SEK",
            orderTotal=Decimal("15.43"),
            taxTotal=Decimal("3.085"),
            orderTotalInBaseCurrency=Decimal("99"),
            description="Bestilling",
            lines=[order_line],
        ),
    )
    return lake


def run(mappings: Mappings, lake: Lake, name: str) -> Mapped:
    return mappings.run(f"anaplan/{name}", lake, COMPANY, [DAY])


def payload(mapped: Mapped, key: str) -> dict[str, Any]:
    return next(row.payload for row in mapped.rows() if row.key == key)


@pytest.mark.parametrize("name", COLUMNS)
def test_the_columns_are_those_of_the_anaplan_model_in_its_order(mappings: Mappings, name: str) -> None:
    assert [column.name for column in mappings.columns(f"anaplan/{name}")] == COLUMNS[name].split()
    assert all(column.description for column in mappings.columns(f"anaplan/{name}"))


@pytest.mark.parametrize("name", COLUMNS)
def test_deleted_rows_can_be_marked(mappings: Mappings, name: str) -> None:
    assert mappings.models[f"anaplan/{name}"].tombstone


def test_lists_are_delivered_before_what_refers_to_them(mappings: Mappings) -> None:
    order = mappings.in_order("anaplan")
    for first, then in [
        ("suppliers", "supplier_invoices"),
        ("supplier_invoices", "supplier_invoice_lines"),
        ("gl_accounts", "supplier_invoice_lines"),
        ("purchase_orders", "purchase_order_lines"),
        ("dimensions", "segment_values"),
        ("gl_accounts", "gl_actuals"),
        ("cost_centres", "gl_actuals"),
        ("cost_centres", "journal_lines"),
    ]:
        assert order.index(f"anaplan/{first}") < order.index(f"anaplan/{then}")


def test_suppliers(mappings: Mappings, lake: Lake) -> None:
    assert payload(run(mappings, lake, "suppliers"), "NO01|50000") == {
        "code": "NO01|50000",
        "company": "NO01",
        "supplier_number": "50000",
        "name": "Blåbær & Sønn AS",
        "status": "Active",
        "supplier_class": "NOR",
        "currency": "NOK",
        "country": "NO",
        "vat_registration_id": "NO999888777MVA",
    }


def test_accounts_dimensions_and_segment_values(mappings: Mappings, lake: Lake) -> None:
    assert payload(run(mappings, lake, "gl_accounts"), "NO01|4000")["active"] is True
    assert payload(run(mappings, lake, "dimensions"), "NO01|SUBACCOUNT")["description"] == "Underkonto"
    values = run(mappings, lake, "segment_values")
    assert payload(values, "NO01|SUBACCOUNT|1|100") == {
        "code": "NO01|SUBACCOUNT|1|100",
        "company": "NO01",
        "dimension": "NO01|SUBACCOUNT",
        "segment_id": 1,
        "segment": "Avdeling",
        "value_id": "100",
        "description": "Avdeling Øst",
        "active": True,
    }
    assert {(row.source_key, row.number) for row in values.rows()} == {("SUBACCOUNT", "SUBACCOUNT")}
    assert "NO01|SUBACCOUNT|1|2|0 Ø" in {row.key for row in values.rows()}


def test_cost_centres_are_the_values_of_one_segment_and_one_for_what_has_none(
    mappings: Mappings, lake: Lake
) -> None:
    mapped = run(mappings, lake, "cost_centres")
    assert [row.key for row in mapped.rows()] == ["NO01|100", "NO01|2|0 Ø", "NO01|none"]
    assert payload(mapped, "NO01|100") == {
        "code": "NO01|100",
        "company": "NO01",
        "cost_centre": "100",
        "description": "Avdeling Øst",
        "active": True,
    }


def test_invoices_are_in_the_documents_currency_and_name_their_supplier_as_it_is_now(
    mappings: Mappings, lake: Lake
) -> None:
    mapped = run(mappings, lake, "supplier_invoices")
    found = payload(mapped, "NO01|Invoice|10023")
    assert (found["amount"], found["vat_amount"], found["balance"]) == (
        Decimal("0.3856"),
        Decimal("0.0771"),
        Decimal("0.3856"),
    )
    assert (found["supplier"], found["supplier_name"]) == ("NO01|50000", "Blåbær & Sønn AS")
    assert (found["date"], found["description"]) == (date(2026, 11, 20), LONG)
    credit = payload(mapped, "NO01|CreditAdj|10024")
    assert (credit["document_type"], credit["supplier_name"]) == ("Credit adjustment", "Gone AB")
    warned = {check.name for check in mapped.checks if not check.passed}
    assert warned == {"supplier_in_suppliers_code"}


def test_invoice_lines_keep_four_decimals_and_long_texts(mappings: Mappings, lake: Lake) -> None:
    mapped = run(mappings, lake, "supplier_invoice_lines")
    assert payload(mapped, "NO01|Invoice|10023|1") == {
        "code": "NO01|Invoice|10023|1",
        "invoice": "NO01|Invoice|10023",
        "company": "NO01",
        "line_number": 1,
        "description": LONG,
        "account": "NO01|4000",
        "subaccount": "100",
        "quantity": Decimal("2.5000"),
        "unit_cost": Decimal("0.1234"),
        "amount": Decimal("0.3085"),
        "vat_code": "3",
        "po_number": "500254",
        "po_line": 7,
    }
    assert [(row.source_key, row.number) for row in mapped.rows()] == [("Invoice|10023", "10023")]


def test_a_line_on_an_unknown_account_goes_to_quarantine(mappings: Mappings, lake: Lake) -> None:
    (refused,) = run(mappings, lake, "supplier_invoice_lines").refused
    assert (refused.key, refused.number) == ("NO01|CreditAdj|10024|1", "10024")
    assert refused.reason == "account NO01|4999 is not in gl_accounts.code"


def test_orders_and_their_lines(mappings: Mappings, lake: Lake) -> None:
    order = payload(run(mappings, lake, "purchase_orders"), "NO01|RegularOrder|500254")
    assert (order["order_total"], order["currency"]) == (Decimal("15.4300"), "SEK")
    line = payload(run(mappings, lake, "purchase_order_lines"), "NO01|RegularOrder|500254|1")
    assert (line["quantity"], line["received_quantity"]) == (Decimal(10), Decimal(4))
    assert (line["unit_cost"], line["amount"]) == (Decimal("1.2345"), Decimal("12.3450"))
    assert (line["inventory"], line["purchase_order"]) == ("A-1/Ø", "NO01|RegularOrder|500254")
    assert (line["completed"], line["canceled"]) == (False, False)


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_but_the_company_comes_from_a_field_of_the_erp(mappings: Mappings, name: str) -> None:
    lineage = mappings.column_lineage(f"anaplan/{name}")
    made_up = ["company"] if "company" in COLUMNS[name].split() else []
    assert [column for column, origins in lineage.items() if not origins] == made_up
    for origins in lineage.values():
        for entity, field in origins:
            assert field in CATALOG.schema(entity).names
