"""Definitions as the API shows them: paths, paging and the false next, dropped keys, sort, model states."""

from __future__ import annotations

import pytest

from mlc_sandbox.anaplan import hub
from mlc_sandbox.anaplan.world import BUILDER, BUILDER_PASSWORD

from .conftest import Tenant


def test_both_path_forms_answer_the_same(tenant: Tenant) -> None:
    long, short = tenant.model("GET", "/modules"), tenant.call("GET", f"/models/{hub.MODEL_ID}/modules")
    assert long.json()["modules"] == short.json()["modules"]


def test_one_path_form_does_not_exist_for_the_model_itself(tenant: Tenant) -> None:
    assert tenant.model("GET", "").status_code == 405
    assert tenant.call("GET", f"/models/{hub.MODEL_ID}").json()["model"]["activeState"] == "UNLOCKED"


def test_ids_are_case_sensitive(tenant: Tenant) -> None:
    assert tenant.call("GET", f"/models/{hub.MODEL_ID.lower()}/modules").status_code == 404


def test_without_a_limit_all_rows_come_and_next_is_false(tenant: Tenant) -> None:
    paging = tenant.call("GET", f"/models/{hub.MODEL_ID}/lineItems").json()["meta"]["paging"]
    assert paging["currentPageSize"] == paging["totalSize"] > 20
    assert paging["next"].endswith("/lineItems?limit=20&offset=20")


def test_with_a_limit_pages_follow_each_other_and_end(tenant: Tenant) -> None:
    seen, offset = [], 0
    while True:
        reply = tenant.model("GET", "/lineItems", params={"limit": 40, "offset": offset}).json()
        paging = reply["meta"]["paging"]
        seen += [row["id"] for row in reply["items"]]
        offset += paging["currentPageSize"]
        if offset >= paging["totalSize"]:
            break
    assert len(seen) == len(set(seen)) == paging["totalSize"]
    assert "next" not in paging


def test_an_empty_collection_drops_its_key(tenant: Tenant) -> None:
    list_id = tenant.id_of("lists", "Suppliers")
    assert "listItems" not in tenant.model("GET", f"/lists/{list_id}/items").json()


def test_sort_is_strict_for_the_tenant_and_lax_in_a_model(tenant: Tenant) -> None:
    assert tenant.call("GET", "/models", params={"sort": "name"}).status_code == 400
    assert tenant.call("GET", "/models", params={"sort": "+name"}).status_code == 200
    names = [
        row["name"] for row in tenant.model("GET", "/modules", params={"sort": "-name"}).json()["modules"]
    ]
    assert names == sorted(names, reverse=True)
    assert tenant.model("GET", "/modules", params={"sort": "nonsense"}).status_code == 200


def test_every_feed_has_its_two_imports_with_the_agreed_headers(tenant: Tenant) -> None:
    imports = {row["name"]: row for row in tenant.model("GET", "/imports/").json()["imports"]}
    for feed in hub.FEEDS:
        for name, headers in (
            (f"{feed.title} list", ["code", "name"]),
            (f"{feed.title} data", list(feed.headers)),
        ):
            assert imports[name]["importDataSourceId"].startswith("113")
            metadata = tenant.model("GET", f"/imports/{imports[name]['id']}").json()["importMetadata"]
            assert (metadata["source"]["headerNames"], metadata["source"]["columnCount"]) == (
                headers,
                len(headers),
            )


def test_an_unknown_import_is_a_500_and_other_unknown_things_are_404(tenant: Tenant) -> None:
    assert tenant.model("GET", "/imports/112999999999").status_code == 500
    assert tenant.model("GET", "/exports/116999999999").status_code == 404
    assert tenant.model("GET", "/nonsense").status_code == 404


def test_a_process_shows_its_steps_in_run_order_with_their_files(tenant: Tenant) -> None:
    path = f"/processes/{tenant.id_of('processes', 'Suppliers load')}"
    metadata = tenant.model("GET", path, params={"showImportDataSource": "true"}).json()["processMetadata"]
    assert [step["name"] for step in metadata["actions"]] == ["Suppliers list", "Suppliers data"]
    assert {step["importDataSource"]["type"] for step in metadata["actions"]} == {"FILE"}


def test_line_items_show_formats_on_demand(tenant: Tenant) -> None:
    module = tenant.id_of("modules", "DAT01 Supplier Invoices")
    plain = tenant.model("GET", f"/modules/{module}/lineItems").json()["items"]
    full = tenant.model("GET", f"/modules/{module}/lineItems", params={"includeAll": "true"}).json()["items"]
    assert "format" not in plain[0]
    formats = {item["name"]: item["format"] for item in full}
    assert (formats["amount"], formats["date"], formats["supplier"]) == ("NUMBER", "DATE", "ENTITY")


def test_a_view_names_its_axes_and_leaves_out_the_unused_one(tenant: Tenant) -> None:
    view = tenant.model("GET", f"/views/{tenant.id_of('modules', 'DAT01 Suppliers')}").json()
    assert [axis["name"] for axis in view["rows"]] == ["Suppliers"]
    assert "pages" not in view
    budget = tenant.model("GET", f"/views/{tenant.id_of('modules', 'BUD01 GL Budget')}").json()
    assert [axis["name"] for axis in budget["pages"]] == ["Versions"]


def test_dimension_items_are_found_by_code_or_name(tenant: Tenant) -> None:
    tenant.suppliers("A", "B", "C")
    path = f"/dimensions/{tenant.id_of('lists', 'Suppliers')}/items"
    assert len(tenant.model("GET", path).json()["items"]) == 3
    found = tenant.model("POST", path, json={"codes": ["B"], "names": ["#3"]}).json()["items"]
    assert [row["code"] for row in found] == ["B", "C"]


def test_a_workspace_by_id_is_for_administrators(sandbox, tenant: Tenant) -> None:
    path = f"/workspaces/{hub.WORKSPACE_ID}"
    assert tenant.call("GET", path).status_code == 404
    assert Tenant(sandbox, BUILDER, BUILDER_PASSWORD).call("GET", path).status_code == 200


def test_the_status_has_no_envelope_and_shows_what_runs(tenant: Tenant) -> None:
    idle = tenant.model("GET", "/status").json()
    assert (set(idle), idle["requestStatus"]["progress"]) == ({"requestStatus"}, -1)
    tenant.upload("Suppliers list", "code,name\nA,first\n")
    task = tenant.start("imports", "Suppliers list")
    busy = tenant.model("GET", "/status").json()["requestStatus"]
    assert (busy["taskId"], busy["currentStep"]) == (task, "Processing Suppliers list")
    assert tenant.call("GET", f"/models/{hub.MODEL_ID}").json()["model"]["modelTransactionRunning"] is True


@pytest.mark.parametrize(
    ("state", "read", "start"),
    [
        ("UNLOCKED", 200, 200),
        ("PRODUCTION", 200, 200),
        ("LOCKED", 200, 423),
        ("ARCHIVED", 422, 422),
        ("MAINTENANCE", 424, 424),
        ("PRODUCTION_MAINTENANCE", 424, 424),
    ],
)
def test_the_active_state_decides_what_answers(tenant: Tenant, state: str, read: int, start: int) -> None:
    task = f"/imports/{tenant.id_of('imports', 'Suppliers list')}/tasks"
    tenant.world.model.active_state = state
    assert tenant.model("GET", "/modules").status_code == read
    assert tenant.model("POST", task, json={"localeName": "en_US"}).status_code == start
    assert tenant.call("GET", f"/models/{hub.MODEL_ID}").json()["model"]["activeState"] == state


def test_a_deployed_model_takes_no_new_items_in_a_structural_list(tenant: Tenant) -> None:
    tenant.world.model.active_state = "PRODUCTION"
    path = f"/lists/{tenant.id_of('lists', 'Companies')}/items?action=add"
    assert tenant.model("POST", path, json={"items": [{"name": "x"}]}).status_code == 425


def test_the_mlc_section_names_imports_that_exist(sandbox) -> None:
    section = sandbox.anaplan.config_section("http://127.0.0.1:1")["anaplan"]
    assert section["api_url"] == "http://127.0.0.1:1/anaplan/2/0"
    names = {action.name for action in sandbox.anaplan.world.model.imports.values()}
    entries = section["destinations"].values()
    named = {entry[name] for entry in entries for name in ("list_import", "data_import") if name in entry}
    assert named < names
    assert section["destinations"]["gl_actuals"]["parameters"] == {"Version": "Actual"}
    assert "journal_lines" not in section["destinations"]
    assert section["destinations"]["gl_accounts"]["item_name"] == "description"
    assert "item_name" not in section["destinations"]["supplier_invoices"]
    assert set(sandbox.anaplan.secrets()) == {"ANAPLAN_USER", "ANAPLAN_PASSWORD"}
