"""Faults on demand: what each one does to the call and what it leaves in the model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests

from mlc_sandbox.anaplan.switches import Switches

from .conftest import Tenant, values


@pytest.mark.parametrize("form", ["seconds", "http-date", "absent"])
def test_rate_limit_says_when_to_come_back_in_each_form(tenant: Tenant, form: str) -> None:
    tenant.faults.arm("anaplan", "rate_limit", retry_after=7, form=form)
    asked = datetime.now(UTC)
    reply = tenant.call("GET", "/models")
    assert reply.status_code == 429
    after = reply.headers.get("Retry-After")
    if form == "http-date":
        took, wait = datetime.now(UTC) - asked, parsedate_to_datetime(after) - asked
        assert abs(wait - timedelta(seconds=7)) <= took + timedelta(seconds=1)
    else:
        assert after == ("7" if form == "seconds" else None)
    assert tenant.call("GET", "/models").status_code == 200


def test_the_tenant_has_a_token_bucket_that_refills(tenant: Tenant) -> None:
    tenant.world.switches.update(rate_per_minute=60, rate_clock="sandbox")
    statuses = [tenant.call("GET", "/users/me").status_code for _ in range(62)]
    assert statuses.count(200) <= 61
    assert statuses[-1] == 429


@pytest.mark.parametrize("status", [409, 410, 422, 423, 424, 425, 500, 502, 503, 504])
def test_any_status_can_be_armed_for_chosen_calls(tenant: Tenant, status: int) -> None:
    name = "server_error" if status >= 500 else "http_status"
    tenant.faults.arm("anaplan", name, status=status, match="GET .*/imports", times=1)
    assert tenant.model("GET", "/exports").status_code == 200
    reply = tenant.model("GET", "/imports")
    assert (reply.status_code, reply.json()["status"]["code"]) == (status, status)
    assert tenant.model("GET", "/imports").status_code == 200


def test_a_gateway_in_front_answers_with_a_page(tenant: Tenant) -> None:
    tenant.faults.arm("anaplan", "server_error", status=502, html=True)
    reply = tenant.model("GET", "/imports")
    assert (reply.status_code, reply.headers["Content-Type"]) == (502, "text/html; charset=utf-8")


def test_a_token_dies_in_the_middle_of_a_run(tenant: Tenant) -> None:
    tenant.faults.arm("anaplan", "token_expired", after=1)
    assert [tenant.call("GET", "/models").status_code for _ in range(3)] == [200, 401, 401]


@pytest.mark.parametrize(("when", "started"), [("before", 0), ("after", 1)])
def test_the_connection_drops_before_or_after_a_task_was_started(
    tenant: Tenant, when: str, started: int
) -> None:
    tenant.upload("Suppliers list", "code,name\nA,first\n")
    tenant.faults.arm("anaplan", "drop_connection", when=when, match="POST .*/tasks$")
    with pytest.raises(requests.ConnectionError):
        tenant.start("imports", "Suppliers list")
    path = f"/imports/{tenant.id_of('imports', 'Suppliers list')}/tasks"
    assert len(tenant.model("GET", path).json().get("tasks", [])) == started
    assert len(tenant.world.list_items("Suppliers")) == started


def test_a_task_start_may_answer_with_a_bare_id(tenant: Tenant) -> None:
    tenant.faults.arm("anaplan", "bare_task_id")
    path = f"/imports/{tenant.id_of('imports', 'Suppliers list')}/tasks"
    assert set(tenant.model("POST", path, json={"localeName": "en_US"}).json()) == {"taskId"}


def test_a_slow_model_needs_more_polls(tenant: Tenant) -> None:
    tenant.upload("Suppliers list", "code,name\nA,first\n")
    tenant.faults.arm("anaplan", "slow_model", polls=4)
    task = tenant.start("imports", "Suppliers list")
    states = [tenant.watch("imports", "Suppliers list", task)["taskState"] for _ in range(4)]
    assert states == ["IN_PROGRESS"] * 3 + ["COMPLETE"]


def test_complete_may_answer_500(tenant: Tenant) -> None:
    file_id = tenant.upload("Suppliers list", "code,name\nA,first\n")
    tenant.faults.arm("anaplan", "complete_500")
    assert tenant.model("POST", f"/files/{file_id}/complete", json={}).status_code == 500


def test_unknown_fields_may_turn_up(tenant: Tenant) -> None:
    tenant.faults.arm("anaplan", "extra_fields")
    assert "sandboxExtra" in tenant.call("GET", "/models").json()


def test_a_task_may_be_cancelled_by_somebody_else(tenant: Tenant) -> None:
    tenant.faults.arm("anaplan", "task_cancelled")
    assert tenant.run("Suppliers list", "code,name\nA,first\n")["taskState"] == "CANCELLED"
    assert tenant.world.list_items("Suppliers") == {}


def test_an_import_may_fail_as_a_whole(tenant: Tenant) -> None:
    tenant.faults.arm("anaplan", "import_fails_whole", text="Something is wrong with the hierarchy")
    result = tenant.run("Suppliers list", "code,name\nA,first\n")["result"]
    assert (result["successful"], result["details"][0]["type"]) == (False, "hierarchyImportFailed")
    assert tenant.world.list_items("Suppliers") == {}


def test_chosen_rows_may_be_rejected(tenant: Tenant) -> None:
    tenant.faults.arm("anaplan", "reject_rows", matching="^B,", text="No write access")
    task = tenant.run("Suppliers list", "code,name\nA,first\nB,second\nC,third\n")
    assert (
        tenant.dump("Suppliers list", task).text.splitlines()[1] == '"E","B","second","3","No write access"'
    )
    assert (values(task)["failedCount"], values(task)["totalRowCount"]) == ("1", "3")
    assert list(tenant.world.list_items("Suppliers")) == ["A", "C"]


def test_chosen_rows_may_be_ignored_without_a_dump(tenant: Tenant) -> None:
    tenant.faults.arm("anaplan", "ignore_rows", matching="^B,")
    task = tenant.run("Suppliers list", "code,name\nA,first\nB,second\n")
    assert (values(task)["ignoredCount"], task["result"]["failureDumpAvailable"]) == ("1", False)
    assert list(tenant.world.list_items("Suppliers")) == ["A"]


def test_a_dump_may_be_missing(tenant: Tenant) -> None:
    tenant.faults.arm("anaplan", "dump_missing")
    task = tenant.run("Suppliers list", "code,name\nA,first\nA,second\n")
    assert tenant.dump("Suppliers list", task).status_code == 404


def test_an_uploaded_file_may_be_gone_when_the_import_starts(tenant: Tenant) -> None:
    tenant.faults.arm("anaplan", "file_gone")
    result = tenant.run("Suppliers list", "code,name\nA,first\n")["result"]
    assert result["details"][0]["type"] == "uploadedFileNoLongerAvailable"


def test_a_file_may_be_overwritten_by_another_job(tenant: Tenant) -> None:
    other = "code,name\nX,x\nY,y\nZ,z\n"
    tenant.faults.arm("anaplan", "file_overwritten", content=other)
    assert tenant.run("Suppliers list", "code,name\nA,a\nB,b\nC,c\n")["result"]["successful"]
    assert sorted(tenant.world.list_items("Suppliers")) == ["B", "C", "X"]
    held = [content.joined() for (user, _), content in tenant.world.files.contents.items() if user]
    assert held == [other.encode()], "what the other job has uploaded is there afterwards"


def test_a_switch_says_what_it_takes() -> None:
    switches = Switches()
    with pytest.raises(ValueError, match="no switch 'nonsense'"):
        switches["nonsense"] = 1
    with pytest.raises(ValueError, match="one of exact, name, position"):
        switches.update(task_polls=5, header_check="loose")
    assert switches["task_polls"] == 2


def test_the_control_routes_show_and_change_what_a_builder_would(tenant: Tenant) -> None:
    tenant.suppliers("A")
    control = f"{tenant.root}/control"
    assert requests.get(f"{control}/lists/Suppliers", timeout=30).json()["A"]["text"] == "Supplier A"
    assert requests.get(f"{control}/modules/DAT01 Suppliers", timeout=30).json() == {}
    assert requests.get(f"{control}/lists/Nothing", timeout=30).status_code == 404
    changed = requests.patch(f"{control}/imports/Suppliers data", json={"clear": "all"}, timeout=30)
    assert changed.json()["clear"] == tenant.world.import_named("Suppliers data").clear == "all"
    assert (
        requests.patch(f"{control}/imports/Suppliers data", json={"clear": "x"}, timeout=30).status_code
        == 400
    )
    requests.patch(f"{control}/model", json={"active_state": "LOCKED"}, timeout=30)
    assert tenant.world.model.active_state == "LOCKED"
    assert requests.get(f"{control}/imports/history", timeout=30).json()[0]["import_name"] == "Suppliers list"
