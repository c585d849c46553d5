"""Small writes and reads: list items, cells, view data, read requests."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from .conftest import Tenant, table


def items_path(tenant: Tenant, name: str) -> str:
    return f"/lists/{tenant.id_of('lists', name)}/items"


def post(tenant: Tenant, name: str, action: str, *items: dict[str, Any]) -> dict[str, Any]:
    path = f"{items_path(tenant, name)}?action={action}"
    return tenant.model("POST", path, json={"items": list(items)}).json()


def test_add_is_not_an_upsert_and_the_good_items_still_land(tenant: Tenant) -> None:
    reply = post(
        tenant,
        "Companies",
        "add",
        {"name": "Nordfjell", "code": "NO01"},
        {"name": "Nordfjell"},
        {"code": "x"},
    )
    assert (reply["added"], reply["ignored"], reply["total"]) == (1, 2, 3)
    assert [(row["requestIndex"], row["failureType"]) for row in reply["failures"]] == [
        (1, "INCORRECT_FORMAT"),
        (2, "INCOMPLETE_DATA"),
    ]


def test_a_numbered_list_takes_codes_and_no_names(tenant: Tenant) -> None:
    reply = post(
        tenant, "Suppliers", "add", {"code": "A", "properties": {"Display Name": "Fjord AS"}}, {"name": "B"}
    )
    assert reply["added"] == 1
    assert tenant.world.list_items("Suppliers")["A"].text == "Fjord AS"


def test_values_of_the_wrong_format_are_named(tenant: Tenant) -> None:
    reply = post(tenant, "Companies", "add", {"name": "A", "properties": {"Share": "much"}})
    assert reply["failures"][0]["failureMessageDetails"].startswith("incorrect format -- column name:Share")


def test_an_update_needs_the_code_and_leaves_out_means_unchanged(tenant: Tenant) -> None:
    post(
        tenant,
        "Companies",
        "add",
        {"name": "A", "code": "a", "properties": {"Currency": "NOK", "Share": "0.5"}},
    )
    put = {
        "items": [{"code": "a", "name": "B", "properties": {"Share": 0.25}}, {"name": "A", "properties": {}}]
    }
    reply = tenant.model("PUT", items_path(tenant, "Companies"), json=put).json()
    assert (reply["updated"], reply["ignored"]) == (1, 1)
    rows = tenant.model("GET", items_path(tenant, "Companies"), params={"includeAll": "true"}).json()[
        "listItems"
    ]
    assert (rows[0]["name"], rows[0]["properties"]) == (
        "B",
        {"Currency": "NOK", "Opened": "", "Share": "0.25"},
    )
    assert rows[0]["subsets"] == {"Active": False}


def test_delete_takes_an_id_or_a_code_and_not_both(tenant: Tenant) -> None:
    tenant.suppliers("A", "B", "C")
    item = tenant.world.list_items("Suppliers")["B"]
    reply = post(
        tenant,
        "Suppliers",
        "delete",
        {"code": "A"},
        {"id": item.id},
        {"id": item.id, "code": "C"},
        {"code": "x"},
    )
    assert (reply["deleted"], [row["requestIndex"] for row in reply["failures"]]) == (2, [2, 3])
    assert list(tenant.world.list_items("Suppliers")) == ["C"]


def test_the_index_of_a_list_is_reset_only_when_it_is_empty(tenant: Tenant) -> None:
    tenant.suppliers("A")
    path = f"/lists/{tenant.id_of('lists', 'Suppliers')}"
    assert tenant.model("POST", f"{path}/resetIndex").status_code == 400
    post(tenant, "Suppliers", "delete", {"code": "A"})
    assert tenant.model("GET", path).json()["metadata"]["nextitemIndex"] == 2
    assert tenant.model("POST", f"{path}/resetIndex").status_code == 200
    assert tenant.model("GET", path).json()["metadata"]["nextitemIndex"] == 1


def test_a_small_write_waits_until_the_model_is_free(tenant: Tenant) -> None:
    tenant.upload("Suppliers list", "code,name\nA,first\n")
    task = tenant.start("imports", "Suppliers list")
    post(tenant, "Companies", "add", {"name": "A"})
    assert tenant.watch("imports", "Suppliers list", task)["taskState"] == "COMPLETE"


@pytest.fixture
def module(tenant: Tenant) -> str:
    tenant.suppliers("A", "B")
    tenant.run("Suppliers data", table("suppliers", {"code": "A", "currency": "NOK"}))
    return tenant.id_of("modules", "DAT01 Suppliers")


def cell(line_item: str, code: str, value: Any) -> dict[str, Any]:
    return {
        "lineItemName": line_item,
        "dimensions": [{"dimensionName": "Suppliers", "itemCode": code}],
        "value": value,
    }


def test_cells_are_written_one_by_one_and_the_bad_ones_named(tenant: Tenant, module: str) -> None:
    cells = [
        cell("currency", "B", "SEK"),
        cell("Code", "B", "x"),
        cell("currency", "nobody", "x"),
        cell("currency", "A", None),
    ]
    reply = tenant.model("POST", f"/modules/{module}/data", json=cells).json()
    assert reply["numberOfCellsChanged"] == 1
    assert [row["failureType"] for row in reply["failures"]] == [
        "cellIsCalculated",
        "dimensionItemNotFound",
        "valueIsNull",
    ]
    assert tenant.world.module_rows("DAT01 Suppliers")["B"] == {"currency": "SEK"}


def test_a_number_cell_keeps_every_digit(tenant: Tenant) -> None:
    tenant.accounts("4000")
    module = tenant.id_of("modules", "BUD01 GL Budget")
    body = (
        '[{"lineItemName":"amount","dimensions":[{"dimensionName":"GL Accounts","itemCode":"4000"},'
        '{"dimensionName":"Versions","itemName":"Actual"}],"value":0.1234567890123456789}]'
    )
    tenant.model("POST", f"/modules/{module}/data", data=body)
    rows = tenant.world.module_rows("BUD01 GL Budget")
    assert str(rows["4000 / Actual"]["amount"]) == "0.1234567890123456789"


def test_module_data_has_no_get(tenant: Tenant, module: str) -> None:
    assert tenant.model("GET", f"/modules/{module}/data").status_code == 405


def test_view_data_comes_as_json_of_texts_or_as_csv(tenant: Tenant, module: str) -> None:
    json_headers = {"Accept": "application/json"}
    data = tenant.model("GET", f"/views/{module}/data", params={"format": "v1"}, headers=json_headers).json()
    column = data["columnCoordinates"].index(["currency"])
    assert [row["cells"][column] for row in data["rows"]] == ["NOK", ""]
    lines = tenant.model("GET", f"/views/{module}/data", headers={"Accept": "text/csv"}).text.splitlines()
    assert lines[0].startswith("Suppliers,Code,company")
    assert lines[1].startswith("Supplier A,A,")


def test_pages_choose_one_item_of_a_further_dimension(tenant: Tenant) -> None:
    tenant.accounts("4000")
    for version, amount in (("Actual", "1"), ("Budget", "2")):
        chosen = [{"entityType": "Version", "entityName": version}]
        tenant.run("GL Budget data", f"code,amount\n4000,{amount}\n", mappingParameters=chosen)
    view = tenant.id_of("modules", "BUD01 GL Budget")
    versions = {row["name"]: row["id"] for row in tenant.model("GET", "/versions").json()["versionMetadata"]}
    pages = {"format": "v1", "pages": f"20000000020:{versions['Budget']}"}
    data = tenant.model("GET", f"/views/{view}/data", params=pages).json()
    assert (data["pages"], data["rows"][0]["cells"]) == (["Budget"], ["2"])


@pytest.mark.parametrize(("kind", "name"), [("views", "viewReadRequest"), ("lists", "listReadRequest")])
def test_a_large_read_is_asked_for_polled_fetched_and_ended(
    tenant: Tenant, module: str, kind: str, name: str
) -> None:
    thing = module if kind == "views" else tenant.id_of("lists", "Suppliers")
    base = f"/{kind}/{thing}/readRequests"
    asked = tenant.model("POST", base, json={"exportType": "TABULAR_MULTI_COLUMN"}).json()[name]
    one = f"{base}/{asked['requestId']}"
    states = [tenant.model("GET", one).json()[name]["requestState"] for _ in range(2)]
    assert states == ["IN_PROGRESS", "COMPLETE"]
    assert len(tenant.model("GET", f"{one}/pages/0").text.splitlines()) == 3
    assert tenant.model("GET", f"{one}/pages/1").status_code == 404
    assert tenant.model("DELETE", one).json()[name]["requestState"] == "CANCELLED"
    assert tenant.model("GET", one).status_code == 404


def test_a_read_request_ends_after_30_idle_minutes(tenant: Tenant, module: str) -> None:
    base = f"/views/{module}/readRequests"
    asked = tenant.model("POST", base, json={"exportType": "TABULAR_MULTI_COLUMN"}).json()["viewReadRequest"]
    tenant.clock.advance(timedelta(minutes=31))
    assert tenant.model("GET", f"{base}/{asked['requestId']}").status_code == 404


@pytest.mark.parametrize(("item", "value"), [("date", "2026-01-31"), ("amount", 5), ("supplier", "A")])
def test_an_empty_text_clears_a_cell_or_is_refused_as_the_switch_says(
    tenant: Tenant, item: str, value: Any
) -> None:
    tenant.suppliers("A")
    tenant.run("Supplier Invoices list", "code,name\nI,one\n")
    module, where = tenant.id_of("modules", "DAT01 Supplier Invoices"), "#Supplier Invoices"
    place = {"lineItemName": item, "dimensions": [{"dimensionName": where, "itemCode": "I"}]}
    path = f"/modules/{module}/data"
    tenant.model("POST", path, json=[place | {"value": value}])
    tenant.world.switches["blank_cell_write"] = "refuses"
    reply = tenant.model("POST", path, json=[place | {"value": ""}]).json()
    assert reply["failures"][0]["failureType"] == "incorrectFormat"
    assert list(tenant.world.module_rows("DAT01 Supplier Invoices")) == ["I"]
    tenant.world.switches["blank_cell_write"] = "clears"
    assert tenant.model("POST", path, json=[place | {"value": ""}]).json() == {"numberOfCellsChanged": 1}
    assert tenant.world.module_rows("DAT01 Supplier Invoices") == {}


def test_a_small_write_hangs_in_a_busy_model_until_the_task_is_over(tenant: Tenant) -> None:
    """Another call ends the task; the write's answer comes after it, and not by the end of its patience."""
    tenant.world.switches["busy_hangs_ms"] = 60_000
    tenant.upload("Suppliers list", "code,name\nA,first\n")
    task = tenant.start("imports", "Suppliers list")
    answers: list[dict[str, Any]] = []
    other = Tenant(tenant.sandbox)
    writer = threading.Thread(target=lambda: answers.append(post(other, "Companies", "add", {"name": "A"})))
    writer.start()
    assert tenant.watch("imports", "Suppliers list", task)["taskState"] == "IN_PROGRESS"
    assert answers == []
    assert tenant.watch("imports", "Suppliers list", task)["taskState"] == "COMPLETE"
    writer.join(timeout=30)
    assert answers[0]["added"] == 1


def test_a_small_write_hangs_no_longer_than_it_is_told(tenant: Tenant) -> None:
    tenant.world.switches["busy_hangs_ms"] = 1
    tenant.upload("Suppliers list", "code,name\nA,first\n")
    task = tenant.start("imports", "Suppliers list")
    assert post(tenant, "Companies", "add", {"name": "A"})["added"] == 1
    assert tenant.watch("imports", "Suppliers list", task)["taskState"] == "COMPLETE"
