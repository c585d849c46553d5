"""Whatever a body says, the answer is Asana's: done or refused, never a stumble of the sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Organisation

ODD: tuple[Any, ...] = (None, True, 7, "x", "17", [], [None], ["17"], [{}], {}, {"gid": None})

# Every write with the keys it knows.
WRITES: list[tuple[str, str, str]] = [
    (
        "POST",
        "/tasks",
        "name projects memberships parent workspace followers assignee custom_fields external",
    ),
    ("POST", "/tasks", "due_on due_at start_on completed notes html_notes resource_subtype approval_status"),
    ("PUT", "/tasks/{task}", "name notes html_notes completed due_on due_at assignee custom_fields external"),
    ("POST", "/tasks/{task}/subtasks", "name projects"),
    ("POST", "/tasks/{task}/setParent", "parent insert_after insert_before"),
    ("POST", "/tasks/{task}/addProject", "project section insert_after"),
    ("POST", "/tasks/{task}/removeProject", "project"),
    ("POST", "/tasks/{task}/addFollowers", "followers"),
    ("POST", "/tasks/{task}/addDependencies", "dependencies"),
    ("POST", "/tasks/{task}/stories", "text html_text is_pinned"),
    ("POST", "/projects", "name workspace team notes due_on default_view privacy_setting owner color"),
    ("POST", "/projects/{project}/sections", "name insert_after insert_before"),
    ("POST", "/projects/{project}/sections/insert", "section before_section after_section"),
    ("PUT", "/sections/{section}", "name"),
    ("POST", "/sections/{section}/addTask", "task insert_before"),
    ("POST", "/custom_fields", "workspace name resource_subtype precision format currency_code enum_options"),
    ("PUT", "/custom_fields/{field}", "name description precision format currency_code"),
    ("POST", "/custom_fields/{field}/enum_options", "name color enabled insert_after"),
    ("POST", "/projects/{project}/addCustomFieldSetting", "custom_field is_important insert_after"),
    ("POST", "/project_templates/{template}/instantiateProject", "name team requested_dates requested_roles"),
    ("POST", "/memberships", "parent member access_level"),
    ("POST", "/batch", "actions"),
    ("POST", "/webhooks", "resource target filters"),
]


@pytest.fixture
def good(org: Organisation) -> dict[str, Any]:
    """A right value for each key, so that one odd value at a time is what is refused."""
    org.switches["calls_per_minute"] = 0
    field = org.field("Status", "enum", enum_options=[{"name": "Open"}])
    (section,) = org.get(f"/projects/{org.orders}/sections", limit=1)
    return {
        "task": org.task(),
        "field": field,
        "project": org.orders,
        "section": section["gid"],
        "template": org.world.members["template"],
        "name": "x",
        "workspace": org.workspace,
        "team": org.team,
        "resource_subtype": "text",
        "custom_field": field,
        "parent": None,
        "text": "x",
        "member": "me",
        "resource": org.orders,
        "target": "http://127.0.0.1:1/",
    }


@pytest.mark.parametrize(("method", "path", "keys"), WRITES)
def test_an_odd_value_is_taken_or_refused(
    org: Organisation, good: dict[str, Any], method: str, path: str, keys: str
) -> None:
    names = keys.split()
    for name in names:
        for odd in ODD:
            rest = {key: good[key] for key in names if key in good and key != name}
            if path == "/tasks":
                rest = {"projects": [org.orders]} if name != "projects" else {}
            reply = org.call(method, path.format(**good), rest | {name: odd})
            assert reply.status_code < 500, f"{name} = {odd!r}: {reply.text}"
            assert reply.headers["Content-Type"].startswith("application/json")
