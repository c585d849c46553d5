"""What imports do to the model: create, update, aggregate, reject, clear."""

from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal

import pytest

from .conftest import Tenant, table, values

INVOICES = "DAT01 Supplier Invoices"


def invoices(tenant: Tenant, *rows: dict[str, object]) -> dict:
    return tenant.run("Supplier Invoices data", table("supplier_invoices", *rows))


@pytest.fixture
def hub(tenant: Tenant) -> Tenant:
    """Two suppliers and three invoice codes, no invoice data yet."""
    tenant.suppliers("NO01|50000", "SE01|50000")
    tenant.run(
        "Supplier Invoices list", "code,name\n" + "".join(f"NO01|Invoice|{n},{n}\n" for n in (1, 2, 3))
    )
    return tenant


def test_a_list_import_creates_then_updates_and_never_deletes(tenant: Tenant) -> None:
    first = tenant.run("Suppliers list", "code,name\nNO01|1,Fjord AS\nNO01|2,Ås Kjøl AS\n")
    assert (values(first)["createdCount"], values(first)["totalRowCount"]) == ("2", "2")
    second = tenant.run("Suppliers list", "code,name\nNO01|2,Ås Kjøl og Frys AS\n")
    assert (values(second)["createdCount"], values(second)["updatedCount"]) == ("0", "1")
    texts = {code: item.text for code, item in tenant.world.list_items("Suppliers").items()}
    assert texts == {"NO01|1": "Fjord AS", "NO01|2": "Ås Kjøl og Frys AS"}


def test_an_import_that_changes_nothing_says_so(tenant: Tenant) -> None:
    tenant.suppliers("NO01|1")
    again = tenant.run("Suppliers list", "code,name\nNO01|1,Supplier NO01|1\n")
    assert again["result"]["details"][0]["type"] == "hierarchyNoChanges"


def test_equal_names_of_two_companies_fit_into_one_list(tenant: Tenant) -> None:
    task = tenant.run("Suppliers list", "code,name\nNO01|1,Nordlys AS\nSE01|1,Nordlys AS\n")
    assert not task["result"]["failureDumpAvailable"]
    assert sorted(tenant.world.list_items("Suppliers")) == ["NO01|1", "SE01|1"]


def test_of_a_repeated_code_the_first_row_wins_and_the_rest_is_dumped(tenant: Tenant) -> None:
    task = tenant.run("Suppliers list", "code,name\nA,first\nA,second\nB,other\n")
    assert (task["result"]["successful"], task["result"]["failureDumpAvailable"]) == (True, True)
    assert tenant.world.list_items("Suppliers")["A"].text == "first"
    rows = list(csv.DictReader(io.StringIO(tenant.dump("Suppliers list", task).text)))
    assert [(row["_Status_"], row["_Line_"], row["code"], row["name"]) for row in rows] == [
        ("E", "3", "A", "second")
    ]
    assert "Duplicate" in rows[0]["_Error_1_"]


def test_a_repeated_code_can_reject_the_whole_import(tenant: Tenant) -> None:
    tenant.world.import_named("Suppliers list").duplicates = "reject_all"
    task = tenant.run("Suppliers list", "code,name\nB,other\nA,first\nA,second\n")
    assert task["currentStep"] == "Failed."
    assert task["result"]["details"][0]["type"] == "hierarchyImportDuplicateSourceKey"
    assert tenant.world.list_items("Suppliers") == {}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("x" * 61, "hierarchyImportInvalidCode"),
        ("#7", "hierarchyImportInvalidCode"),
        ("", "hierarchyImportEmptyKey"),
    ],
)
def test_a_code_that_cannot_be_is_rejected(tenant: Tenant, code: str, kind: str) -> None:
    task = tenant.run("Suppliers list", f"code,name\n{code},Some name\nok,Fine\n")
    assert kind in [detail["type"] for detail in task["result"]["details"]]
    assert list(tenant.world.list_items("Suppliers")) == ["ok"]


def test_a_list_without_numbers_has_parents_properties_and_unique_names(tenant: Tenant) -> None:
    tenant.run("Company Groups list", "code,name\nNRD,Nordics\n")
    header = "code,name,group,currency,opened,share\n"
    task = tenant.run(
        "Companies list",
        header
        + "NO01,Nordfjell AS,NRD,NOK,2020-01-31,0.125\n"
        + "NO02,Nordfjell AS,NRD,NOK,,\n"
        + "SE01,Nordberg AB,EU,SEK,,\n"
        + "DK01,Norddal A/S,NRD,DKK,31.01.2020,\n",
    )
    kinds = [detail["type"] for detail in task["result"]["details"]]
    assert {"hierarchyImportNameOrCodeExists", "hierarchyImportInvalidParent"} <= set(kinds)
    companies = tenant.world.list_items("Companies")
    assert list(companies) == ["NO01"]
    assert companies["NO01"].properties == {
        "Currency": "NOK",
        "Opened": date(2020, 1, 31),
        "Share": Decimal("0.125"),
    }


def test_a_numbered_list_refuses_a_mapping_that_involves_the_name(tenant: Tenant) -> None:
    tenant.world.import_named("Suppliers list").mapping["name"] = "name"
    task = tenant.run("Suppliers list", "code,name\nA,first\n")
    assert not task["result"]["successful"]
    assert "numbered list" in task["result"]["details"][0]["localMessageText"]


def test_a_module_import_loads_exact_numbers_dates_booleans_and_list_items_by_code(hub: Tenant) -> None:
    row = {
        "code": "NO01|Invoice|1",
        "company": "NO01",
        "supplier": "NO01|50000",
        "date": "2026-11-20",
        "amount": "12345678901234567.0123456789",
    }
    assert values(invoices(hub, row))["successRowCount"] == "1"
    assert hub.world.module_rows(INVOICES)["NO01|Invoice|1"] == {
        "company": "NO01",
        "supplier": "NO01|50000",
        "date": date(2026, 11, 20),
        "amount": Decimal("12345678901234567.0123456789"),
    }


def test_rows_that_hit_one_cell_in_one_file_are_summed_but_a_later_run_overwrites(hub: Tenant) -> None:
    row = {"code": "NO01|Invoice|1", "amount": "10.10", "company": "NO01"}
    invoices(hub, row, row | {"company": "SE01"})
    assert hub.world.module_rows(INVOICES)["NO01|Invoice|1"] == {
        "company": "SE01",
        "amount": Decimal("20.20"),
    }
    invoices(hub, row)
    assert hub.world.module_rows(INVOICES)["NO01|Invoice|1"]["amount"] == Decimal("10.10")


def test_rejected_rows_are_dumped_with_their_line_and_the_rest_loads(hub: Tenant) -> None:
    task = invoices(
        hub,
        {"code": "NO01|Invoice|9", "amount": "1"},
        {"code": "NO01|Invoice|1", "amount": "ten"},
        {"code": "NO01|Invoice|2", "date": "20.11.2026", "supplier": "NO01|nobody"},
        {"code": "NO01|Invoice|3", "amount": "3"},
    )
    assert list(hub.world.module_rows(INVOICES)) == ["NO01|Invoice|3"]
    kinds = {detail["type"]: detail["occurrences"] for detail in task["result"]["details"]}
    assert kinds["moduleImportInvalidListIdentifier"] == 2
    assert kinds["moduleImportNumberFormat"] == kinds["moduleImportDateFormat"] == 1
    rows = list(csv.DictReader(io.StringIO(hub.dump("Supplier Invoices data", task).text)))
    assert [(row["_Line_"], row["code"]) for row in rows] == [
        ("2", "NO01|Invoice|9"),
        ("3", "NO01|Invoice|1"),
        ("4", "NO01|Invoice|2"),
    ]
    assert rows[2]["_Error_2_"]
    assert not rows[0]["_Error_2_"]


def test_a_bad_cell_can_be_a_warning_that_lets_the_other_cells_load(hub: Tenant) -> None:
    hub.world.switches["bad_cell"] = "warn"
    task = invoices(hub, {"code": "NO01|Invoice|1", "amount": "ten", "company": "NO01"})
    assert (values(task)["warningsRowCount"], values(task)["failedCount"]) == ("1", "0")
    assert hub.dump("Supplier Invoices data", task).text.splitlines()[1].startswith('"W"')
    assert hub.world.module_rows(INVOICES) == {"NO01|Invoice|1": {"company": "NO01"}}


def test_booleans_are_words(tenant: Tenant) -> None:
    tenant.accounts("NO01|4000", "NO01|4001", "NO01|4002")
    rows = [{"code": f"NO01|400{n}", "active": text} for n, text in enumerate(["true", "No", "1"])]
    task = tenant.run("GL Accounts data", table("gl_accounts", *rows))
    held = {code: row["active"] for code, row in tenant.world.module_rows("DAT01 GL Accounts").items()}
    assert held == {"NO01|4000": True, "NO01|4001": False}
    assert values(task)["failedCount"] == "1"


def test_an_empty_cell_keeps_what_is_there_unless_it_is_told_to_clear(hub: Tenant) -> None:
    hub.world.import_named("Supplier Invoices data").clear = "none"
    invoices(hub, {"code": "NO01|Invoice|1", "amount": "5", "company": "NO01"})
    invoices(hub, {"code": "NO01|Invoice|1", "company": "NO02"})
    assert hub.world.module_rows(INVOICES)["NO01|Invoice|1"]["amount"] == 5
    hub.world.switches["empty_cells"] = "clear"
    invoices(hub, {"code": "NO01|Invoice|1", "company": "NO02"})
    assert hub.world.module_rows(INVOICES)["NO01|Invoice|1"] == {"company": "NO02"}


@pytest.mark.parametrize(("clear", "left"), [("none", {1, 2}), ("items", {1, 2}), ("all", {2})])
def test_clear_target_wipes_what_a_delta_does_not_carry(hub: Tenant, clear: str, left: set[int]) -> None:
    invoices(hub, {"code": "NO01|Invoice|1", "amount": "1"}, {"code": "NO01|Invoice|2", "company": "x"})
    hub.world.import_named("Supplier Invoices data").clear = clear
    invoices(hub, {"code": "NO01|Invoice|2", "amount": "2"})
    rows = hub.world.module_rows(INVOICES)
    assert set(rows) == {f"NO01|Invoice|{n}" for n in left}
    assert rows["NO01|Invoice|2"].get("company") == ("x" if clear == "none" else None)


def test_blank_rows_are_ignored_without_a_dump(tenant: Tenant) -> None:
    task = tenant.run("Suppliers list", "code,name\nA,first\n,\n")
    assert (values(task)["ignoredCount"], task["result"]["failureDumpAvailable"]) == ("1", False)


@pytest.mark.parametrize(
    ("check", "header", "works"),
    [
        ("exact", "name,code", False),
        ("exact", "code,name,extra", False),
        ("exact", "code", False),
        ("name", "name,code", True),
        ("name", "code", False),
        ("position", "Kode,Navn", True),
    ],
)
def test_the_header_is_checked_as_the_switch_says(
    tenant: Tenant, check: str, header: str, works: bool
) -> None:
    tenant.world.switches["header_check"] = check
    cells = {"code": "A", "name": "first", "Kode": "A", "Navn": "first", "extra": "x"}
    row = ",".join(cells[name] for name in header.split(","))
    task = tenant.run("Suppliers list", f"{header}\n{row}\n")
    assert task["result"]["successful"] is works
    assert ("A" in tenant.world.list_items("Suppliers")) is works
    if not works:
        assert task["result"]["details"][0]["type"] == "missingFields"


def test_codes_match_exactly_unless_folding_is_on(hub: Tenant) -> None:
    row = {"code": " no01|INVOICE|1", "amount": "1"}
    assert values(invoices(hub, row))["failedCount"] == "1"
    hub.world.switches["code_matching"] = "folded"
    assert values(invoices(hub, row))["failedCount"] == "0"


def test_lines_are_counted_in_the_file_or_in_records(tenant: Tenant) -> None:
    text = 'code,name\nA,"two\nlines"\nA,again\n'
    assert '"4"' in tenant.dump("Suppliers list", tenant.run("Suppliers list", text)).text
    tenant.world.switches["dump_line"] = "record"
    assert '"3"' in tenant.dump("Suppliers list", tenant.run("Suppliers list", text)).text


def test_a_version_asked_for_at_run_time_comes_from_mapping_parameters(tenant: Tenant) -> None:
    tenant.accounts("NO01|4000")
    budget = "code,amount\nNO01|4000,100.50\n"
    assert not tenant.run("GL Budget data", budget)["result"]["successful"]
    chosen = [{"entityType": "Version", "entityName": "Budget"}]
    assert tenant.run("GL Budget data", budget, mappingParameters=chosen)["result"]["successful"]
    rows = tenant.world.module_rows("BUD01 GL Budget")
    assert rows == {"NO01|4000 / Budget": {"amount": Decimal("100.50")}}


def test_the_history_tells_what_ran_for_whom_with_how_many_rows(hub: Tenant) -> None:
    ran = hub.world.history[-1]
    assert (ran.import_name, ran.rows, ran.successful, ran.counts["created"]) == (
        "Supplier Invoices list",
        3,
        True,
        3,
    )
    assert ran.user.startswith("planning.integration@")
