"""Events: sync tokens, their end, and what a stream carries."""

from __future__ import annotations

from typing import Any

from .conftest import Organisation, message


def token(org: Organisation, resource: str) -> str:
    reply = org.call("GET", "/events", params={"resource": resource})
    assert reply.status_code == 412
    return str(reply.json()["sync"])


def events(org: Organisation, resource: str, sync: str, **query: Any) -> dict[str, Any]:
    reply = org.call("GET", "/events", params={"resource": resource, "sync": sync, **query})
    assert reply.status_code == 200, reply.text
    return reply.json()


def told(answer: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (event["type"], event["action"], *([event["change"]["field"]] if "change" in event else []))
        for event in answer["data"]
    ]


def test_the_first_call_is_412_with_a_token(org: Organisation) -> None:
    status, text = message(org.call("GET", "/events", params={"resource": org.orders}))
    assert (status, text.startswith("Sync token invalid or too old.")) == (412, True)


def test_a_project_tells_of_its_tasks_their_comments_and_subtasks(org: Organisation) -> None:
    sync = token(org, org.orders)
    gid = org.task()
    org.put(f"/tasks/{gid}", {"due_on": "2026-12-01"})
    org.post(f"/tasks/{gid}/stories", {"text": "received"})
    org.post(f"/tasks/{gid}/subtasks", {"name": "line 1"})
    org.call("DELETE", f"/tasks/{gid}")
    org.task("elsewhere", projects=[org.invoices])
    answer = events(org, org.orders, sync)
    assert told(answer) == [
        ("task", "added"),
        ("task", "added"),
        ("task", "changed", "due_on"),
        ("story", "added"),
        ("story", "added"),
        ("task", "added"),
        ("task", "deleted"),
        ("task", "deleted"),
    ]
    assert [event["parent"] and event["parent"]["resource_type"] for event in answer["data"][:2]] == [
        "project",
        "section",
    ]
    assert answer["has_more"] is False
    assert told(events(org, org.orders, answer["sync"])) == []


def test_our_own_writes_come_back_under_our_name(org: Organisation) -> None:
    sync = token(org, org.orders)
    gid = org.task()
    org.people.edit(gid, name="PO-1 urgent")
    users = [event["user"]["gid"] for event in events(org, org.orders, sync)["data"]]
    assert set(users) == {org.world.login.user, org.world.members["clerk"]}


def test_a_field_change_names_the_field(org: Organisation) -> None:
    field, gid = org.field("Key", "text"), org.task()
    sync = token(org, gid)
    org.put(f"/tasks/{gid}", {"custom_fields": {field: "x"}})
    (event,) = events(org, gid, sync)["data"]
    assert event["change"]["field"] == "custom_fields"
    assert event["change"]["new_value"] == {"gid": field, "resource_type": "custom_field"}


def test_a_token_may_be_read_again_and_lives_a_day(org: Organisation) -> None:
    sync = token(org, org.orders)
    org.task()
    assert told(events(org, org.orders, sync)) == told(events(org, org.orders, sync)) != []
    org.pass_time(86_400)
    assert org.call("GET", "/events", params={"resource": org.orders, "sync": sync}).status_code == 412


def test_a_token_is_for_its_own_resource(org: Organisation) -> None:
    sync = token(org, org.orders)
    assert org.call("GET", "/events", params={"resource": org.invoices, "sync": sync}).status_code == 412


def test_a_hundred_at_a_time(org: Organisation) -> None:
    gid = org.task()
    sync, counts = token(org, gid), []
    for number in range(60):  # each a change and a story
        org.put(f"/tasks/{gid}", {"name": str(number)})
    while True:
        answer = events(org, gid, sync)
        counts.append(len(answer["data"]))
        sync = answer["sync"]
        if not answer["has_more"]:
            break
    assert counts == [100, 20]


def test_opt_fields_expand_the_resource(org: Organisation) -> None:
    sync = token(org, org.orders)
    org.task()
    event = events(org, org.orders, sync, opt_fields="action,resource.name,user.name")["data"][0]
    assert (event["resource"]["name"], event["user"]["name"]) == ("PO-1", "ERP Integration")


def test_events_can_be_lost(org: Organisation) -> None:
    sync = token(org, org.orders)
    org.faults.arm("asana", "event_lost", times=None)
    org.task()
    assert told(events(org, org.orders, sync)) == []


def test_a_workspace_has_a_stream_or_wants_to_be_paid(org: Organisation) -> None:
    path = f"/workspaces/{org.workspace}/events"
    sync = org.call("GET", path).json()["sync"]
    org.task()
    assert len(org.call("GET", path, params={"sync": sync}).json()["data"]) == 2
    org.switches["workspace_events"] = "payment_required"
    assert org.call("GET", path).status_code == 402
