"""Search and typeahead: late, without pages, and blind to what they do not know."""

from __future__ import annotations

from typing import Any

from .conftest import Organisation


def search(org: Organisation, **query: Any) -> list[str]:
    return sorted(row["name"] for row in org.get(f"/workspaces/{org.workspace}/tasks/search", **query))


def test_a_new_task_is_found_a_minute_later_and_listed_at_once(org: Organisation) -> None:
    org.task()
    assert org.names() == ["PO-1"]
    assert search(org) == []
    org.pass_time(60)
    assert search(org) == ["PO-1"]


def test_a_deleted_task_is_found_for_a_while(org: Organisation) -> None:
    gid = org.task()
    org.pass_time(60)
    org.call("DELETE", f"/tasks/{gid}")
    assert search(org) == ["PO-1"]
    org.pass_time(60)
    assert search(org) == []


def test_values_of_fields_are_searched_by_operator(org: Organisation) -> None:
    text, number = org.field("Key", "text"), org.field("Amount", "number", precision=2)
    for name, amount in (("PO-1", 10), ("PO-2", 20)):
        org.task(name, custom_fields={text: name, number: amount})
    org.task("mine")
    org.pass_time(60)
    assert search(org, **{f"custom_fields.{text}.value": "PO-1"}) == ["PO-1"]
    assert search(org, **{f"custom_fields.{text}.starts_with": "PO"}) == ["PO-1", "PO-2"]
    assert search(org, **{f"custom_fields.{number}.greater_than": "10"}) == ["PO-2"]
    assert search(org, **{f"custom_fields.{text}.is_set": "false"}) == ["mine"]


def test_a_parameter_it_does_not_know_is_ignored(org: Organisation) -> None:
    org.task()
    org.pass_time(60)
    assert search(org, **{"custom_field.17.value": "PO-9"}) == ["PO-1"]


def test_tasks_are_found_by_what_they_are_where_they_belong_and_whose_they_are(org: Organisation) -> None:
    parent = org.task("parent", assignee="me")
    org.post(f"/tasks/{parent}/subtasks", {"name": "line"})
    org.put(f"/tasks/{org.task('done', projects=[org.invoices])}", {"completed": True})
    org.pass_time(60)
    assert search(org, is_subtask="true") == ["line"]
    assert search(org, completed="true") == ["done"]
    assert search(org, **{"projects.any": org.orders}) == ["parent"]
    assert search(org, **{"assignee.any": "me"}) == ["parent"]
    assert search(org, text="LIN") == ["line"]
    assert search(org, resource_subtype="milestone") == []
    assert search(org, **{"created_at.after": "2100-01-01T00:00:00Z"}) == []


def test_pages_are_made_by_hand(org: Organisation) -> None:
    for name in ("a", "b", "c"):
        org.task(name)
        org.pass_time(60)
    path = f"/workspaces/{org.workspace}/tasks/search"
    query = {"sort_by": "created_at", "limit": 2, "opt_fields": "name,created_at"}
    first = org.get(path, **query)
    assert [row["name"] for row in first] == ["c", "b"]
    second = org.get(path, **query, **{"created_at.before": first[-1]["created_at"]})
    assert [row["name"] for row in second] == ["a"]


def test_it_has_a_quota_of_its_own(org: Organisation) -> None:
    org.switches["searches_per_minute"] = 1
    path = f"/workspaces/{org.workspace}/tasks/search"
    assert [org.call("GET", path).status_code for _ in range(2)] == [200, 429]
    assert org.call("GET", "/users/me").status_code == 200


def test_typeahead_is_as_late(org: Organisation) -> None:
    org.task("PO-4711 ACME")
    query = {"resource_type": "task", "query": "acme"}
    assert org.get(f"/workspaces/{org.workspace}/typeahead", **query) == []
    org.pass_time(60)
    assert len(org.get(f"/workspaces/{org.workspace}/typeahead", **query)) == 1
    users = org.get(f"/workspaces/{org.workspace}/typeahead", resource_type="user", query="buyer", count=1)
    assert len(users) == 1
