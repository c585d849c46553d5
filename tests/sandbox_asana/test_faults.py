"""Faults: what is lost before the work, after it, and what happens when nobody waits any more."""

from __future__ import annotations

import pytest
import requests

from .conftest import Organisation


def create(org: Organisation, **options: object) -> requests.Response:
    return org.call("POST", "/tasks", {"name": "PO-1", "projects": [org.orders]}, **options)


@pytest.mark.parametrize(("when", "names"), [("before", []), ("after", ["PO-1"])])
def test_a_connection_drops_before_or_after_the_work(org: Organisation, when: str, names: list[str]) -> None:
    org.faults.arm("asana", "drop_connection", match="POST .*/tasks$", when=when)
    with pytest.raises(requests.ConnectionError):
        create(org)
    assert org.names() == names


def test_an_answer_never_comes_and_the_task_is_there(org: Organisation) -> None:
    org.faults.arm("asana", "lost_answer", match="POST .*/tasks$")
    with pytest.raises(requests.Timeout):
        create(org, timeout=1)
    assert org.names() == ["PO-1"]


def test_the_same_for_a_subtask(org: Organisation) -> None:
    gid = org.task()
    org.faults.arm("asana", "lost_answer", match="POST .*/subtasks$", seconds=0)
    with pytest.raises(requests.ConnectionError):
        org.call("POST", f"/tasks/{gid}/subtasks", {"name": "line 1"})
    assert [row["name"] for row in org.get(f"/tasks/{gid}/subtasks", limit=10)] == ["line 1"]


@pytest.mark.parametrize("status", [500, 502, 504])
@pytest.mark.parametrize("committed", [True, False])
def test_a_server_error_says_nothing_about_the_work(org: Organisation, status: int, committed: bool) -> None:
    org.faults.arm("asana", "server_error", match="POST", status=status, committed=committed)
    reply = create(org)
    assert reply.status_code == status
    assert ("phrase" in reply.text) == (status == 500)
    assert org.names() == (["PO-1"] if committed else [])


def test_a_create_may_take_effect_after_the_client_has_given_up(org: Organisation) -> None:
    org.faults.arm("asana", "late_commit", match="POST", seconds=30, answer_seconds=0)
    with pytest.raises(requests.ConnectionError):
        create(org)
    assert org.names() == []
    org.pass_time(30)
    assert org.names() == ["PO-1"]


def test_late_work_can_be_released(org: Organisation) -> None:
    org.faults.arm("asana", "late_commit", match="POST", seconds=9999, answer_seconds=0)
    with pytest.raises(requests.ConnectionError):
        create(org)
    assert org.http.post(f"{org.root}/control/release", timeout=30).json() == {"released": 1}
    assert org.names() == ["PO-1"]


def test_a_single_create_may_give_two_tasks_one_without_its_fields(org: Organisation) -> None:
    field = org.field("Key", "text")
    org.faults.arm("asana", "double_create")
    org.task(custom_fields={field: "PO-1"})
    query = {"project": org.orders, "limit": 10, "opt_fields": "custom_fields.text_value"}
    values = [row["custom_fields"][0]["text_value"] for row in org.get("/tasks", **query)]
    assert values == ["PO-1", None]


def test_only_a_create_gives_two_tasks_not_the_batch_around_it(org: Organisation) -> None:
    field = org.field("Key", "text")
    actions = [
        {
            "method": "post",
            "relative_path": "/tasks",
            "data": {"name": name, "projects": [org.orders], "custom_fields": {field: name}},
        }
        for name in ("PO-1", "PO-2")
    ]
    org.faults.arm("asana", "double_create", times=1)
    assert [each["status_code"] for each in org.post("/batch", {"actions": actions})] == [201, 201]
    query = {"project": org.orders, "limit": 10, "opt_fields": "custom_fields.text_value"}
    values = [row["custom_fields"][0]["text_value"] for row in org.get("/tasks", **query)]
    assert values == ["PO-1", None, "PO-2"]


def test_a_batch_may_be_done_in_part(org: Organisation) -> None:
    data = {"projects": [org.orders]}
    action = {"method": "post", "relative_path": "/tasks", "data": data}
    org.faults.arm("asana", "partial_batch", actions=3)
    assert org.call("POST", "/batch", {"actions": [action] * 10}).status_code == 500
    assert len(org.names()) == 3


def test_one_action_of_a_batch_may_fail(org: Organisation) -> None:
    action = {"method": "post", "relative_path": "/tasks", "data": {"projects": [org.orders]}}
    org.faults.arm("asana", "server_error", match="POST .*/tasks$", status=500)
    answers = org.post("/batch", {"actions": [action] * 3})
    assert sorted(answer["status_code"] for answer in answers) == [201, 201, 500]


@pytest.mark.parametrize(
    ("fault", "status"),
    [("rate_limit", 429), ("unauthorized", 401), ("payment_required", 402), ("no_access", 403)],
)
def test_what_is_refused_on_demand_makes_nothing(org: Organisation, fault: str, status: int) -> None:
    org.faults.arm("asana", fault, match="POST")
    assert create(org).status_code == status
    assert org.names() == []


def test_a_slow_answer_is_in_flight_meanwhile(org: Organisation) -> None:
    org.faults.arm("asana", "slow", seconds=5, match="GET .*/users/me")
    with pytest.raises(requests.Timeout):
        org.call("GET", "/users/me", timeout=1)
    assert org.world.limits.in_flight[org.token, "reads_in_flight"] == 1
