"""Numbers by account, cost centre, month and version: Time in imports, cells, views and exports."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import pytest

from mlc_sandbox.anaplan.periods import PERIOD_FORMATS, calendar, find_period

from .conftest import Tenant, values

TIME, VERSIONS = "20000000003", "20000000020"
MODULE, IMPORT = "ACT01 GL Actuals", "GL Actuals data"
HEADER = "account,cost_centre,month,debit,credit,amount,balance\n"
KEY = ("account", "cost_centre", "month")
ACTUAL = [{"entityType": "Version", "entityName": "Actual"}]


@pytest.fixture
def hub(tenant: Tenant) -> Tenant:
    """Two accounts and two cost centres, no numbers yet."""
    tenant.accounts("4000", "5000")
    tenant.run("Cost Centres list", "code,name\n100,Sales\n200,Stores\n")
    return tenant


def month(tenant: Tenant, number: int) -> str:
    """The name of a month in the middle of the model calendar."""
    return list(tenant.world.model.periods.values())[number].name


def load(tenant: Tenant, *rows: tuple[str, str, str, str], version: Any = ACTUAL) -> dict[str, Any]:
    """Rows are account, cost centre, month and amount."""
    lines = [f"{account},{centre},{period},,,{amount},\n" for account, centre, period, amount in rows]
    return tenant.run(IMPORT, HEADER + "".join(lines), mappingParameters=version)


def amounts(tenant: Tenant) -> dict[str, Decimal]:
    return {place: row["amount"] for place, row in tenant.world.module_rows(MODULE).items() if row}


def test_the_model_calendar_holds_the_months_as_anaplan_names_them(tenant: Tenant) -> None:
    items = tenant.model("GET", f"/dimensions/{TIME}/items").json()["items"]
    assert [item["name"] for item in items[:3]] == [month(tenant, n) for n in range(3)]
    this_year = tenant.clock.now().year
    assert items[0]["name"] == f"Jan {(this_year - 2) % 100:02d}"
    assert items[-1]["name"] == f"Dec {(this_year + 1) % 100:02d}"
    found = tenant.model("POST", f"/dimensions/{TIME}/items", json={"names": [month(tenant, 5), "Jan 99"]})
    assert [item["id"] for item in found.json()["items"]] == [items[5]["id"]]


@pytest.mark.parametrize(
    ("form", "text"), [("Mmm yy", "Feb 26"), ("yyyy-mm-dd", "2026-02-28"), ("yyyymm", "202602")]
)
def test_a_column_names_periods_in_the_format_it_is_mapped_with(form: str, text: str) -> None:
    periods = calendar(2026, 1)
    february = list(periods)[1]
    assert find_period(periods, text, form) == february
    for other in set(PERIOD_FORMATS) - {form}:
        assert find_period(periods, text, other) is None


@pytest.mark.parametrize("text", ["", "Feb 27", "feb 26", "2026-02-30", "202613"])
def test_what_is_no_period_of_the_calendar_is_not_found(text: str) -> None:
    assert {find_period(calendar(2026, 1), text, form) for form in PERIOD_FORMATS} == {None}


def test_actuals_load_by_account_cost_centre_month_and_the_version_that_was_asked_for(hub: Tenant) -> None:
    jan, feb = month(hub, 24), month(hub, 25)
    task = load(hub, ("4000", "100", jan, "10.50"), ("4000", "200", feb, "-3"))
    assert (values(task)["successRowCount"], task["result"]["failureDumpAvailable"]) == ("2", False)
    assert amounts(hub) == {
        f"4000 / 100 / {jan} / Actual": Decimal("10.50"),
        f"4000 / 200 / {feb} / Actual": Decimal(-3),
    }


@pytest.mark.parametrize("parameters", [[], [{"entityType": "Version", "entityName": "Actuals"}]])
def test_without_a_version_of_the_model_nothing_is_loaded(hub: Tenant, parameters: Any) -> None:
    task = load(hub, ("4000", "100", month(hub, 24), "10"), version=parameters)
    assert task["result"]["details"][0]["type"] in ("missingFields", "failedToLocateEntity")
    assert hub.world.module_rows(MODULE) == {}


def test_a_month_outside_the_calendar_is_rejected_with_its_own_type(hub: Tenant) -> None:
    task = load(hub, ("4000", "100", "Jan 99", "1"), ("4000", "100", month(hub, 24), "2"))
    kinds = [entry["type"] for entry in task["result"]["details"]]
    assert kinds == ["lineItemRowsProcessedWithFailures", "moduleImportInvalidTimeEntityIdentifier"]
    assert "Time period not located: Jan 99" in hub.dump(IMPORT, task).text
    assert list(amounts(hub).values()) == [2]


def test_a_builder_may_map_the_month_by_date(hub: Tenant) -> None:
    changed = hub.http.patch(
        f"{hub.root}/control/imports/{IMPORT}", json={"period_format": "yyyy-mm-dd"}, timeout=30
    )
    assert changed.status_code == 200
    first = list(hub.world.model.periods.values())[24].first
    load(hub, ("4000", "100", first.isoformat(), "1"))
    assert list(amounts(hub)) == [f"4000 / 100 / {month(hub, 24)} / Actual"]


@pytest.fixture
def loaded(hub: Tenant) -> Tenant:
    """A number in each combination of two accounts, two cost centres and two months; and a budget."""
    cells = [
        (account, centre, month(hub, number), "1")
        for account in ("4000", "5000")
        for centre in ("100", "200")
        for number in (24, 25)
    ]
    load(hub, *cells)
    load(hub, *cells, version=[{"entityType": "Version", "entityName": "Budget"}])
    return hub


def delta(tenant: Tenant) -> set[str]:
    """Load two changed cells; the places of the actuals that are still there."""
    load(tenant, ("4000", "100", month(tenant, 24), "7"), ("5000", "200", month(tenant, 25), "7"))
    return {place for place in amounts(tenant) if place.endswith("Actual")}


def test_a_delta_leaves_the_other_cells_alone_when_only_imported_cells_are_updated(loaded: Tenant) -> None:
    assert loaded.world.import_named(IMPORT).clear == "none"
    assert len(delta(loaded)) == 8
    assert sorted(amounts(loaded).values()) == [1] * 14 + [7] * 2


def test_clearing_the_mapped_items_of_a_delta_wipes_every_combination_of_them(loaded: Tenant) -> None:
    """Two accounts, two cost centres and two months stand in the file: all eight cells go, two come back."""
    loaded.world.import_named(IMPORT).clear = "items"
    first, second = month(loaded, 24), month(loaded, 25)
    assert delta(loaded) == {f"4000 / 100 / {first} / Actual", f"5000 / 200 / {second} / Actual"}
    assert sum(place.endswith("Budget") for place in amounts(loaded)) == 8


def test_the_wipe_is_an_assumption_with_a_switch(loaded: Tenant) -> None:
    loaded.world.import_named(IMPORT).clear = "items"
    loaded.world.switches["clear_items"] = "rows"
    assert len(delta(loaded)) == 8


def cell(tenant: Tenant, name: str, value: Any) -> dict[str, Any]:
    where = [
        ("GL Accounts", "itemCode", "4000"),
        ("Cost Centres", "itemCode", "100"),
        ("Time", "itemName", name),
    ]
    dimensions = [{"dimensionName": dimension, by: item} for dimension, by, item in where]
    version = {"dimensionId": VERSIONS, "itemName": "Actual"}
    return {"lineItemName": "amount", "dimensions": [*dimensions, version], "value": value}


def test_cells_are_written_by_period_name_or_id(hub: Tenant) -> None:
    module, period = hub.id_of("modules", MODULE), list(hub.world.model.periods.values())[30]
    by_id = cell(hub, "", 2)
    by_id["dimensions"][2] = {"dimensionId": TIME, "itemId": period.id}
    cells = [cell(hub, month(hub, 24), "1.25"), by_id, cell(hub, "Jan 99", 3)]
    reply = hub.model("POST", f"/modules/{module}/data", json=cells).json()
    assert (reply["numberOfCellsChanged"], reply["failures"][0]["requestIndex"]) == (2, 2)
    assert list(amounts(hub).values()) == [Decimal("1.25"), 2]


def test_a_saved_view_shows_the_rows_in_which_something_stands(hub: Tenant) -> None:
    jan, feb = month(hub, 24), month(hub, 25)
    load(hub, ("5000", "100", feb, "2"), ("4000", "200", jan, "1"), ("4000", "100", jan, "0"))
    views = hub.model("GET", "/views").json()["views"]
    view = next(row["id"] for row in views if row["name"] == f"{MODULE}.Filled")
    text = hub.model("GET", f"/views/{view}/readRequests", headers={"Accept": "text/csv"})
    assert text.status_code == 405
    asked = hub.model("POST", f"/views/{view}/readRequests", json={"exportType": "TABULAR_MULTI_COLUMN"})
    base = f"/views/{view}/readRequests/{asked.json()['viewReadRequest']['requestId']}"
    for _ in range(2):
        hub.model("GET", base)
    rows = list(csv.DictReader(io.StringIO(hub.model("GET", f"{base}/pages/0").text)))
    assert [
        (row["GL Accounts"], row["Cost Centres"], row["Time"], row["Versions"], row["amount"]) for row in rows
    ] == [
        ("Account 4000", "Stores", jan, "Actual", "1"),
        ("Account 5000", "Sales", feb, "Actual", "2"),
    ]


def test_the_export_has_time_and_versions_as_columns_and_no_empty_rows(hub: Tenant) -> None:
    load(hub, ("4000", "100", month(hub, 24), "1"))
    export = hub.id_of("exports", "GL Actuals export")
    metadata = hub.model("GET", f"/exports/{export}").json()["exportMetadata"]
    names = ["GL Accounts", "Cost Centres", "Time", "Versions", *KEY, "debit", "credit", "amount", "balance"]
    assert (metadata["headerNames"], metadata["rowCount"]) == (names, 1)
    hub.run("GL Actuals export", kind="exports")
    lines = hub.model("GET", f"/files/{export}").text.splitlines()
    assert lines == [
        ",".join(names),
        f"Account 4000,Sales,{month(hub, 24)},Actual,4000,100,{month(hub, 24)},,,1,",
    ]


def test_a_views_pages_choose_the_month_and_the_version(hub: Tenant) -> None:
    load(hub, ("4000", "100", month(hub, 24), "1"))
    view = hub.id_of("modules", MODULE)
    shown = hub.model("GET", f"/views/{view}").json()
    assert [page["name"] for page in shown["pages"]] == ["Cost Centres", "Time", "Versions"]
    period = list(hub.world.model.periods)[24]
    data = hub.model(
        "GET", f"/views/{view}/data", params={"format": "v1", "pages": f"{TIME}:{period}"}
    ).json()
    assert data["pages"] == ["Sales", month(hub, 24), "Actual"]
    assert [row["cells"][5] for row in data["rows"]] == ["1", ""]


def test_in_a_process_a_version_is_chosen_for_the_import_that_asks(hub: Tenant) -> None:
    text = f"{HEADER}4000,100,{month(hub, 24)},,,1,\n"
    hub.upload(IMPORT, text)
    unnamed = hub.run("GL Actuals load", kind="processes", mappingParameters=ACTUAL)
    assert not unnamed["result"]["successful"]
    chosen = [{**ACTUAL[0], "importId": hub.id_of("imports", IMPORT)}]
    task = hub.run("GL Actuals load", kind="processes", mappingParameters=chosen)
    assert task["result"]["nestedResults"][0]["successful"]
    assert list(amounts(hub).values()) == [1]


def test_an_item_that_is_deleted_takes_its_numbers_along(loaded: Tenant) -> None:
    path = f"/lists/{loaded.id_of('lists', 'Cost Centres')}/items?action=delete"
    loaded.model("POST", path, json={"items": [{"code": "100"}]})
    assert {place.split(" / ")[1] for place in amounts(loaded)} == {"200"}
