"""Tasks: their timeline, the single writer, cancel, recovery by listing, dumps and their life."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from mlc_sandbox.anaplan.world import BUILDER, BUILDER_PASSWORD

from .conftest import Tenant, table


@pytest.fixture
def ready(tenant: Tenant) -> Tenant:
    tenant.upload("Suppliers list", "code,name\nA,first\n")
    return tenant


def state(tenant: Tenant, task: str, name: str = "Suppliers list") -> str:
    return tenant.watch("imports", name, task)["taskState"]


def test_a_start_needs_a_locale_and_answers_in_the_envelope(ready: Tenant) -> None:
    path = f"/imports/{ready.id_of('imports', 'Suppliers list')}/tasks"
    assert ready.model("POST", path, json={}).status_code == 400
    assert ready.model("POST", path).status_code == 400
    reply = ready.model("POST", path, json={"localeName": "en_US"}).json()
    assert reply["task"]["taskState"] == "NOT_STARTED"
    assert abs(reply["task"]["creationTime"] / 1000 - time.time()) < 60


def test_a_task_runs_and_is_complete_at_the_second_look(ready: Tenant) -> None:
    task = ready.start("imports", "Suppliers list")
    first = ready.watch("imports", "Suppliers list", task)
    assert (first["taskState"], "result" in first) == ("IN_PROGRESS", False)
    assert state(ready, task) == "COMPLETE"


def test_the_data_has_changed_as_soon_as_the_task_runs_even_if_nobody_looks(ready: Tenant) -> None:
    ready.start("imports", "Suppliers list")
    assert "A" in ready.world.list_items("Suppliers")


def test_a_task_can_take_its_time_on_the_sandbox_clock(ready: Tenant) -> None:
    ready.world.switches.update(task_polls=0, task_seconds=30, task_start_seconds=5)
    task = ready.start("imports", "Suppliers list")
    assert state(ready, task) == "NOT_STARTED"
    assert ready.world.list_items("Suppliers") == {}
    ready.clock.advance(timedelta(seconds=6))
    assert state(ready, task) == "IN_PROGRESS"
    ready.clock.advance(timedelta(seconds=31))
    assert state(ready, task) == "COMPLETE"


def test_a_task_resolves_only_under_the_object_and_the_user_that_started_it(sandbox, ready: Tenant) -> None:
    task = ready.start("imports", "Suppliers list")
    other = ready.id_of("imports", "Suppliers data")
    own = ready.id_of("imports", "Suppliers list")
    assert ready.model("GET", f"/imports/{other}/tasks/{task}").status_code == 404
    assert (
        Tenant(sandbox, BUILDER, BUILDER_PASSWORD).model("GET", f"/imports/{own}/tasks/{task}").status_code
        == 404
    )


def test_one_writer_at_a_time_the_second_task_waits(ready: Tenant) -> None:
    ready.upload("Dimensions list", "code,name\nD,dimension\n")
    first = ready.start("imports", "Suppliers list")
    second = ready.start("imports", "Dimensions list")
    assert state(ready, second, "Dimensions list") == "NOT_STARTED"
    assert ready.world.list_items("Dimensions") == {}
    assert state(ready, first) == "COMPLETE"
    assert "D" in ready.world.list_items("Dimensions")
    assert state(ready, second, "Dimensions list") == "IN_PROGRESS"


def test_a_task_left_by_a_dead_client_does_not_hold_the_model_for_ever(sandbox, ready: Tenant) -> None:
    ready.start("imports", "Suppliers list")
    ready.clock.advance(timedelta(hours=2))
    late = Tenant(sandbox)
    late.upload("Dimensions list", "code,name\nD,dimension\n")
    late.start("imports", "Dimensions list")
    assert "D" in late.world.list_items("Dimensions")


def test_after_a_lost_answer_the_started_task_is_found_in_the_list(ready: Tenant) -> None:
    older = ready.start("imports", "Suppliers list")
    newer = ready.start("imports", "Suppliers list")
    path = f"/imports/{ready.id_of('imports', 'Suppliers list')}/tasks"
    rows = ready.model("GET", path).json()["tasks"]
    assert [row["taskId"] for row in rows] == [newer, older]
    assert rows[0]["creationTime"] >= rows[1]["creationTime"]


def test_tasks_under_an_unknown_parent_are_an_empty_answer(tenant: Tenant) -> None:
    reply = tenant.model("GET", "/imports/112999999999/tasks")
    assert (reply.status_code, "tasks" in reply.json()) == (200, False)


def test_a_running_task_can_be_cancelled_and_is_rolled_back(ready: Tenant) -> None:
    task = ready.start("imports", "Suppliers list")
    path = f"/imports/{ready.id_of('imports', 'Suppliers list')}/tasks/{task}"
    assert ready.model("DELETE", path).json()["task"]["taskState"] == "CANCELLING"
    assert [state(ready, task), state(ready, task)] == ["CANCELLING", "CANCELLED"]
    assert ready.world.list_items("Suppliers") == {}
    assert "result" not in ready.watch("imports", "Suppliers list", task)


def test_cancel_is_only_best_effort(ready: Tenant) -> None:
    ready.world.switches["cancel_rolls_back"] = False
    task = ready.start("imports", "Suppliers list")
    ready.model("DELETE", f"/imports/{ready.id_of('imports', 'Suppliers list')}/tasks/{task}")
    assert [state(ready, task), state(ready, task)] == ["IN_PROGRESS", "COMPLETE"]


def test_a_process_stops_at_a_failed_step_unless_told_otherwise(tenant: Tenant) -> None:
    tenant.upload("Dimensions data", table("dimensions", {"code": "D"}))
    task = tenant.run("Dimensions load", kind="processes")
    assert (task["result"]["successful"], len(task["result"]["nestedResults"])) == (False, 1)
    tenant.world.switches["process_stops_at_failure"] = False
    task = tenant.run("Dimensions load", kind="processes")
    assert [step["successful"] for step in task["result"]["nestedResults"]] == [False, True]


def test_process_details_add_times(tenant: Tenant) -> None:
    task = tenant.run("Dimensions load", kind="processes")
    path = f"/processes/{tenant.id_of('processes', 'Dimensions load')}/tasks/{task['taskId']}"
    shown = tenant.model("GET", path, params={"includeProcessDetails": "true"}).json()["task"]["result"]
    assert {"startTime", "duration"} <= set(shown["nestedResults"][0])
    assert "duration" not in task["result"]


def test_a_processs_dump_is_found_under_its_step(tenant: Tenant) -> None:
    tenant.upload("Dimensions list", "code,name\nD,dimension\n")
    tenant.upload("Dimensions data", table("dimensions", {"code": "D"}, {"code": "nowhere"}))
    task = tenant.run("Dimensions load", kind="processes")
    step = next(step for step in task["result"]["nestedResults"] if step["failureDumpAvailable"])
    process = f"/processes/{tenant.id_of('processes', 'Dimensions load')}/tasks/{task['taskId']}"
    path = f"{process}/dumps/{step['objectId']}"
    assert tenant.model("GET", f"{path}/chunks").json()["chunks"] == [{"id": "0"}]
    assert "nowhere" in tenant.model("GET", f"{path}/chunks/0").text


BAD = "code,name\nA,first\nA,second\n"


def test_a_dump_comes_in_chunks(tenant: Tenant) -> None:
    tenant.world.switches["dump_chunk_bytes"] = 30
    task = tenant.run("Suppliers list", BAD)
    base = f"/imports/{tenant.id_of('imports', 'Suppliers list')}/tasks/{task['taskId']}/dump"
    chunks = tenant.model("GET", f"{base}/chunks").json()["chunks"]
    parts = [tenant.model("GET", f"{base}/chunks/{chunk['id']}").text for chunk in chunks]
    assert len(parts) > 1
    assert "".join(parts) == tenant.model("GET", base).text


def test_the_next_failing_run_takes_the_older_dump_away(tenant: Tenant) -> None:
    older, newer = tenant.run("Suppliers list", BAD), tenant.run("Suppliers list", BAD)
    assert tenant.dump("Suppliers list", older).status_code == 404
    assert tenant.dump("Suppliers list", newer).status_code == 200
    shown = tenant.watch("imports", "Suppliers list", older["taskId"])
    assert shown["result"]["failureDumpAvailable"] is True


def test_a_clean_run_or_48_hours_take_the_dump_away(sandbox, tenant: Tenant) -> None:
    failed = tenant.run("Suppliers list", BAD)
    tenant.run("Suppliers list", "code,name\nA,first\n")
    assert tenant.dump("Suppliers list", failed).status_code == 404
    failed = tenant.run("Suppliers list", BAD)
    tenant.clock.advance(timedelta(hours=49))
    assert Tenant(sandbox).dump("Suppliers list", failed).status_code == 404


def test_a_delete_action_removes_the_selected_items_and_their_cells(tenant: Tenant) -> None:
    tenant.suppliers("A", "B")
    tenant.run("Suppliers data", table("suppliers", {"code": "A", "name": "x"}, {"code": "B", "name": "y"}))
    module = tenant.world.model.named("modules", "DAT01 Suppliers")
    cell = {
        "lineItemName": "Delete?",
        "dimensions": [{"dimensionName": "Suppliers", "itemCode": "A"}],
        "value": True,
    }
    tenant.call("POST", f"/models/{tenant.world.model.id}/modules/{module.id}/data", json=[cell])
    task = tenant.run("Delete from Suppliers", kind="actions")
    assert task["result"]["details"][0]["type"] == "deleteFromSelectionSucceeded"
    assert (
        list(tenant.world.list_items("Suppliers"))
        == list(tenant.world.module_rows("DAT01 Suppliers"))
        == ["B"]
    )


def test_the_whole_state_survives_a_snapshot(sandbox, ready: Tenant) -> None:
    task = ready.run("Suppliers list")
    saved = sandbox.anaplan.dump()
    ready.run("Suppliers list", "code,name\nB,second\n")
    sandbox.anaplan.load(saved)
    assert list(ready.world.list_items("Suppliers")) == ["A"]
    assert state(ready, task["taskId"]) == "COMPLETE"


def test_a_data_import_can_mark_the_items_to_delete(tenant: Tenant) -> None:
    changed = tenant.http.patch(
        f"{tenant.root}/control/imports/Suppliers data", json={"mapping": {"deleted": "Delete?"}}, timeout=30
    )
    assert changed.json()["mapping"]["deleted"] == "Delete?"
    tenant.suppliers("A", "B")
    text = table("suppliers", {"code": "A"}, {"code": "B"})
    header, first, second = text.splitlines()
    marked = tenant.run("Suppliers data", f"{header},deleted\n{first},true\n{second},false\n")
    assert not marked["result"]["failureDumpAvailable"]
    tenant.run("Delete from Suppliers", kind="actions")
    assert list(tenant.world.list_items("Suppliers")) == ["B"]


def test_a_column_is_mapped_to_a_line_item_that_the_module_has(tenant: Tenant) -> None:
    url = f"{tenant.root}/control/imports/Suppliers data"
    reply = tenant.http.patch(url, json={"mapping": {"deleted": "Remove?"}}, timeout=30)
    assert (reply.status_code, reply.json()["error"]) == (400, "DAT01 Suppliers has no line item 'Remove?'")
