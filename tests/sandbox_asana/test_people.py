"""People who edit between runs, the control routes, the view for a browser, and what a restart keeps."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mlc_sandbox.asana import AsanaVendor

from .conftest import Organisation


def control(org: Organisation, method: str, path: str, body: Any = None) -> Any:
    reply = org.http.request(method, f"{org.root}/control{path}", json=body, timeout=30)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_a_person_renames_assigns_moves_comments_and_fills_in(org: Organisation) -> None:
    org.field("Status", "enum", enum_options=[{"name": "Open"}, {"name": "Matched"}])
    org.post(f"/projects/{org.orders}/sections", {"name": "Waiting"})
    gid = org.task()
    edit = {
        "by": "buyer-nordics@nordfjell.example",
        "name": "urgent: PO-1",
        "assignee": "buyer-nordics@nordfjell.example",
        "section": "Waiting",
        "comment": "called them",
        "custom_fields": {"Status": "Matched"},
        "due_on": "2026-12-24",
    }
    shown = control(org, "POST", f"/tasks/{gid}/edit", edit)
    assert shown["places"] == {"Purchase orders": "Waiting"}
    assert (shown["custom_fields"], shown["comments"]) == ({"Status": "Matched"}, ["called them"])
    stories = org.get(f"/tasks/{gid}/stories", limit=100, opt_fields="created_by.name,source")
    assert {(story["created_by"]["name"], story["source"]) for story in stories} == {("Buyer Nordics", "web")}
    assert org.get(f"/tasks/{gid}")["name"] == "urgent: PO-1"


def test_a_person_deletes_a_task_and_takes_it_back(org: Organisation) -> None:
    gid = org.task()
    control(org, "POST", f"/tasks/{gid}/trash")
    assert org.names() == []
    control(org, "POST", f"/tasks/{gid}/restore")
    assert org.names() == ["PO-1"]


def test_a_person_renames_and_retypes_a_field(org: Organisation) -> None:
    field = org.field("Amount", "number", precision=2)
    gid = org.task(custom_fields={field: 10})
    control(org, "POST", "/custom_fields/Amount/edit", {"name": "Total", "kind": "text"})
    (entry,) = org.get(f"/tasks/{gid}")["custom_fields"]
    assert (entry["name"], entry["resource_subtype"], entry["text_value"]) == ("Total", "text", None)


def test_the_truth_of_a_project_can_be_read_by_name(org: Organisation) -> None:
    org.field("Amount", "number", precision=2)
    gid = org.task()
    org.people.edit(gid, custom_fields={"Amount": Decimal("10.25")})
    (task,) = control(org, "GET", "/projects/Purchase orders/tasks")
    assert (task["gid"], task["custom_fields"]) == (gid, {"Amount": 10.25})


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/tasks/17/edit", {"name": "x"}, 404), ("/tasks/{}/edit", {"colour": "red"}, 400)],
)
def test_a_mistake_says_what_is_wrong(org: Organisation, path: str, body: Any, status: int) -> None:
    url = f"{org.root}/control{path.format(org.task())}"
    reply = org.http.post(url, json=body, timeout=30)
    assert (reply.status_code, "error" in reply.json()) == (status, True)


def test_a_comment_is_changed_by_its_author_alone(org: Organisation) -> None:
    gid = org.task()
    ours = org.post(f"/tasks/{gid}/stories", {"text": "[erp] received"})["gid"]
    org.people.edit(gid, comment="mine")
    theirs = org.get(f"/tasks/{gid}/stories", limit=10)[-1]["gid"]
    assert org.put(f"/stories/{ours}", {"text": "[erp] paid", "is_pinned": True})["is_edited"] is True
    assert org.call("PUT", f"/stories/{theirs}", {"text": "x"}).status_code == 403
    assert org.call("DELETE", f"/stories/{theirs}").status_code == 403
    assert org.call("DELETE", f"/stories/{ours}").json() == {"data": {}}


@pytest.mark.parametrize("body", [{}, {"text": "a", "html_text": "<body>a</body>"}, {"html_text": "<b>a"}])
def test_a_comment_has_one_good_text(org: Organisation, body: dict[str, str]) -> None:
    assert org.call("POST", f"/tasks/{org.task()}/stories", body).status_code == 400


def test_the_view_shows_a_board_and_escapes_what_people_wrote(org: Organisation) -> None:
    org.field("Total", "number", precision=2, format="currency", currency_code="EUR")
    gid = org.task("<b>PO-1</b>", assignee="ap-clerk@nordfjell.example", due_on="2026-12-01")
    org.people.edit(gid, custom_fields={"Total": Decimal("1234.5")}, comment="x")
    page = org.http.get(f"{org.root}/view/projects/{org.orders}", timeout=30).text
    for text in (
        "&lt;b&gt;PO-1",
        "AP Clerk",
        "due 2026-12-01",
        "EUR 1234.50",
        "1 comment",
        "Untitled section",
    ):
        assert text in page
    assert "<b>PO-1" not in page
    index = org.http.get(f"{org.root}/view/", timeout=30).text
    assert f'href="projects/{org.orders}"' in index
    assert org.http.get(f"{org.root}/view/projects/17", timeout=30).status_code == 404


def test_a_restart_keeps_everything(org: Organisation) -> None:
    field = org.field("Key", "text")
    org.switches["job_polls"] = 7
    gid = org.task(custom_fields={field: "PO-1"})
    again = AsanaVendor(org.clock, org.faults)
    again.load(org.sandbox.asana.dump())
    assert again.people.task(gid)["custom_fields"] == {"Key": "PO-1"}
    assert again.switches["job_polls"] == 7
    assert again.secrets() == org.sandbox.asana.secrets()
    assert again.world.new_gid() not in org.world.tables[type(org.world.any(gid))]


def test_a_day_empties_the_old_trash_and_does_what_was_late(org: Organisation) -> None:
    gid = org.task()
    org.people.trash(gid)
    org.pass_time(30 * 86_400)
    assert org.sandbox.asana.pass_day(org.sandbox.rng) == {"late": 0, "emptied": 1}
    org.switches["trashed_task"] = "record"
    assert org.call("GET", f"/tasks/{gid}").status_code == 404


def test_nothing_names_a_task_that_was_purged(org: Organisation) -> None:
    parent, other = org.task("parent"), org.task("other")
    line = org.post(f"/tasks/{parent}/subtasks", {"name": "line 1"})["gid"]
    org.post(f"/tasks/{other}/addDependencies", {"dependencies": [line]})
    org.people.trash(line)
    org.pass_time(30 * 86_400)
    org.sandbox.asana.pass_day(org.sandbox.rng)
    assert org.get(f"/tasks/{parent}/subtasks", limit=10) == []
    assert org.get(f"/tasks/{other}/dependencies", limit=10) == []
    assert control(org, "GET", f"/tasks/{parent}")["subtasks"] == []


def test_the_same_seed_gives_the_same_gids(org: Organisation) -> None:
    one, two, other = (AsanaVendor(org.clock, org.faults, seed) for seed in (3, 3, 4))
    assert one.world.members == two.world.members
    assert not set(one.world.members.values()) & set(other.world.members.values())


def test_the_section_of_the_settings_names_what_is_there(org: Organisation) -> None:
    section = org.sandbox.asana.config_section("http://127.0.0.1:1")["asana"]
    assert section["api_url"] == "http://127.0.0.1:1/asana/api/1.0"
    assert section["workspace"] == org.workspace
    assert section["destinations"]["purchase_orders"] == {"project": org.orders}
    assert org.sandbox.asana.secrets()["ASANA_TOKEN"] == org.token
