"""Tasks: what a write takes, what a read shows, what is refused and how."""

from __future__ import annotations

import pytest

from .conftest import Organisation, message


def test_a_create_answers_201_with_the_record_and_its_place(org: Organisation) -> None:
    reply = org.call("POST", "/tasks", {"name": "PO-4711", "projects": [org.orders], "due_on": "2026-12-01"})
    record = reply.json()["data"]
    assert reply.status_code == 201
    assert reply.headers["Location"] == f"/tasks/{record['gid']}"
    assert reply.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert record["gid"].isdigit()
    assert (record["name"], record["due_on"], record["completed"]) == ("PO-4711", "2026-12-01", False)
    assert record["memberships"][0]["section"]["name"] == "Untitled section"
    assert "external" not in record


def test_a_list_is_compact_and_a_record_is_full(org: Organisation) -> None:
    gid = org.task()
    (row,) = org.get("/tasks", project=org.orders, limit=10)
    assert row == {"gid": gid, "resource_type": "task", "name": "PO-1", "resource_subtype": "default_task"}
    assert org.get(f"/tasks/{gid}")["workspace"]["gid"] == org.workspace


def test_opt_fields_give_exactly_those_and_the_gid(org: Organisation) -> None:
    gid = org.task(assignee="me")
    fields = "name,assignee,this.memberships.(project|section).name,nonsense"
    record = org.get(f"/tasks/{gid}", opt_fields=fields)
    assert record == {
        "gid": gid,
        "name": "PO-1",
        "assignee": {"gid": org.world.login.user, "resource_type": "user"},
        "memberships": [
            {
                "project": {"gid": org.orders, "name": "Purchase orders"},
                "section": {
                    "gid": org.world.tables[type(org.world.any(org.orders))][org.orders].sections[0],
                    "name": "Untitled section",
                },
            }
        ],
    }


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        ({"name": "x"}, "You should specify one of workspace, parent, projects"),
        ({"projects": ["1"]}, "projects: [0]: Unknown object: 1"),
        ({"projects": ["abc"]}, "projects: [0]: Not a recognized ID: abc"),
        ({"projects": [17]}, "projects: [0]: Not a valid GID type: number"),
        ({"assignee": "nobody@x.example"}, "assignee: Not a user in Organization: nobody@x.example"),
        (
            {"due_on": "1/12/2026"},
            "due_on: Date must be in ISO-8601 (yyyy-mm-dd) format, not: 1/12/2026",
        ),
        (
            {"due_on": "2026-12-01", "due_at": "2026-12-01T08:00:00Z"},
            "You may only provide one of due_on or due_at!",
        ),
        ({"custom_fields": "PO-1"}, "custom_fields: Value is not a JSON object: PO-1"),
        ({"custom_fields": {"17": "PO-1"}}, "Custom field with ID 17 is not on given object"),
        ({"gid": "17"}, "gid: Cannot write this property"),
    ],
)
def test_a_bad_create_is_refused_word_for_word_and_creates_nothing(
    org: Organisation, data: dict[str, object], refusal: str
) -> None:
    place = {} if data == {"name": "x"} else {"projects": [org.orders]}
    assert message(org.call("POST", "/tasks", place | data)) == (400, refusal)
    assert org.names() == []


def test_a_bad_field_may_leave_the_task_behind(org: Organisation) -> None:
    org.switches["create_with_bad_field"] = "created"
    body = {"name": "PO-1", "projects": [org.orders], "custom_fields": {"17": "x"}}
    assert org.call("POST", "/tasks", body).status_code == 400
    assert org.names() == ["PO-1"]


@pytest.mark.parametrize("field", ["projects", "memberships", "followers", "tags", "workspace", "parent"])
def test_what_is_set_at_the_create_cannot_be_put(org: Organisation, field: str) -> None:
    gid = org.task()
    refusal = message(org.call("PUT", f"/tasks/{gid}", {field: []}))
    assert refusal == (400, f"{field}: Cannot write this property")


def test_a_put_leaves_out_what_it_does_not_name(org: Organisation) -> None:
    gid = org.task(notes="two pallets", assignee="ap-clerk@nordfjell.example")
    record = org.put(f"/tasks/{gid}", {"name": "PO-1 ACME"})
    assert (record["name"], record["notes"]) == ("PO-1 ACME", "two pallets")
    assert record["assignee"]["name"] == "AP Clerk"


def test_a_put_of_equal_values_leaves_no_trace(org: Organisation) -> None:
    gid = org.task(notes="same")
    before = org.get(f"/tasks/{gid}", opt_fields="modified_at")
    org.put(f"/tasks/{gid}", {"notes": "same"})
    assert org.get(f"/tasks/{gid}", opt_fields="modified_at") == before


def test_completing_moves_no_section_and_is_undone_by_false(org: Organisation) -> None:
    gid = org.task()
    done = org.put(f"/tasks/{gid}", {"completed": True})
    assert (done["completed"], done["completed_by"]["name"]) == (True, "ERP Integration")
    assert done["memberships"][0]["section"]["name"] == "Untitled section"
    assert org.put(f"/tasks/{gid}", {"completed": False})["completed_at"] is None


def test_a_section_move_does_not_touch_modified_at(org: Organisation) -> None:
    gid = org.task()
    section = org.post(f"/projects/{org.orders}/sections", {"name": "Ordered"})["gid"]
    before = org.get(f"/tasks/{gid}", opt_fields="modified_at")["modified_at"]
    org.pass_time(60)
    org.post(f"/sections/{section}/addTask", {"task": gid})
    assert org.get(f"/tasks/{gid}", opt_fields="modified_at")["modified_at"] == before
    assert org.get(f"/sections/{section}/tasks", limit=10)[0]["gid"] == gid


def test_a_comment_touches_modified_at(org: Organisation) -> None:
    gid = org.task()
    before = org.get(f"/tasks/{gid}", opt_fields="modified_at")["modified_at"]
    org.pass_time(60)
    org.post(f"/tasks/{gid}/stories", {"text": "received"})
    assert org.get(f"/tasks/{gid}", opt_fields="modified_at")["modified_at"] > before


def test_memberships_name_the_section_when_they_are_honoured(org: Organisation) -> None:
    section = org.post(f"/projects/{org.orders}/sections", {"name": "Ordered"})["gid"]
    wanted = {"memberships": [{"project": org.orders, "section": section}]}
    for switch, shown in (("honoured", "Ordered"), ("ignored", "Untitled section")):
        org.switches["memberships_on_create"] = switch
        record = org.get(f"/tasks/{org.task(**wanted)}")
        assert [place["section"]["name"] for place in record["memberships"]] == [shown]


def test_a_deleted_task_is_in_the_trash(org: Organisation) -> None:
    gid = org.task()
    assert org.call("DELETE", f"/tasks/{gid}").json() == {"data": {}}
    assert org.names() == []
    assert message(org.call("GET", f"/tasks/{gid}")) == (404, f"task: Unknown object: {gid}")
    org.switches["trashed_task"] = "record"
    assert org.get(f"/tasks/{gid}")["name"] == "PO-1"
    org.people.restore(gid)
    assert org.names() == ["PO-1"]


def test_exactly_one_selector_lists_tasks(org: Organisation) -> None:
    text = "Must specify exactly one of project, tag, section, user task list, or assignee + workspace"
    for query in ({}, {"project": org.orders, "section": "1"}, {"assignee": "me"}):
        assert message(org.call("GET", "/tasks", params=query)) == (400, text)
    org.task(assignee="me")
    assert len(org.get("/tasks", assignee="me", workspace=org.workspace, limit=10)) == 1


def test_completed_since_now_means_the_open_ones(org: Organisation) -> None:
    org.put(f"/tasks/{org.task('done')}", {"completed": True})
    org.task("open")
    org.pass_time(1)
    query = {"project": org.orders, "completed_since": "now", "limit": 10}
    assert [row["name"] for row in org.get("/tasks", **query)] == ["open"]
    org.switches["completed_since_now"] = "refused"
    assert org.call("GET", "/tasks", params=query).status_code == 400


def test_a_subtask_is_in_no_project_and_has_no_fields(org: Organisation) -> None:
    field = org.field("PO number", "text")
    parent = org.task()
    line = org.post(f"/tasks/{parent}/subtasks", {"name": "line 1"})
    assert (line["memberships"], line["projects"], line["custom_fields"]) == ([], [], [])
    assert line["parent"]["gid"] == parent
    assert org.names() == ["PO-1"]
    refusal = message(org.call("PUT", f"/tasks/{line['gid']}", {"custom_fields": {field: "x"}}))
    assert refusal == (400, f"Custom field with ID {field} is not on given object")
    org.post(f"/tasks/{line['gid']}/addProject", {"project": org.orders})
    assert org.put(f"/tasks/{line['gid']}", {"custom_fields": {field: "x"}})["custom_fields"]


def test_projects_beside_a_parent_are_dropped_or_honoured(org: Organisation) -> None:
    parent = org.task()
    for switch, count in (("dropped", 0), ("honoured", 1)):
        org.switches["projects_with_parent"] = switch
        line = org.post("/tasks", {"name": "line", "parent": parent, "projects": [org.orders]})
        assert len(line["projects"]) == count
    assert org.names() == ["PO-1", "line"]
    org.switches["subtasks_in_project_lists"] = "omitted"
    assert org.names() == ["PO-1"]


def test_adding_a_project_again_only_repositions(org: Organisation) -> None:
    first, _ = org.task("a"), org.task("b")
    for _ in range(2):
        assert org.post(f"/tasks/{first}/addProject", {"project": org.orders}) == {}
    assert org.names() == ["b", "a"]
    org.post(f"/tasks/{first}/addProject", {"project": org.orders, "insert_after": None})
    assert org.names() == ["a", "b"]
    org.post(f"/tasks/{first}/removeProject", {"project": org.orders})
    assert org.names() == ["b"]


def test_a_parent_can_be_set_but_not_in_a_circle(org: Organisation) -> None:
    parent, child = org.task("parent"), org.task("child")
    moved = org.post(f"/tasks/{child}/setParent", {"parent": parent})
    assert moved["parent"]["gid"] == parent
    assert org.call("POST", f"/tasks/{parent}/setParent", {"parent": child}).status_code == 400
    assert org.get(f"/tasks/{parent}", opt_fields="num_subtasks")["num_subtasks"] == 1
    assert org.post(f"/tasks/{child}/setParent", {"parent": None})["parent"] is None


def test_dependencies_are_added_once_and_are_at_most_thirty(org: Organisation) -> None:
    first, second = org.task("a"), org.task("b")
    for _ in range(2):
        assert org.post(f"/tasks/{first}/addDependencies", {"dependencies": [second]}) == {}
    assert [row["gid"] for row in org.get(f"/tasks/{first}/dependencies", limit=10)] == [second]
    assert [row["gid"] for row in org.get(f"/tasks/{second}/dependents", limit=10)] == [first]
    more = [org.task(str(number)) for number in range(30)]
    assert org.call("POST", f"/tasks/{first}/addDependencies", {"dependencies": more}).status_code == 400


def test_a_task_cannot_be_in_more_than_twenty_projects(org: Organisation) -> None:
    gid = org.task()
    for number in range(20):
        project = org.post(f"/teams/{org.team}/projects", {"name": f"P{number}"})["gid"]
        reply = org.call("POST", f"/tasks/{gid}/addProject", {"project": project})
        assert reply.status_code == (200 if number < 19 else 400)


def test_html_notes_must_be_well_formed(org: Organisation) -> None:
    gid = org.task()
    assert org.call("PUT", f"/tasks/{gid}", {"html_notes": "<body><b>x</body>"}).status_code == 400
    record = org.put(f"/tasks/{gid}", {"html_notes": "<body>two <b>pallets</b></body>"})
    assert record["notes"] == "two pallets"


def test_texts_longer_than_the_switches_say_are_refused(org: Organisation) -> None:
    org.switches.update(name_length=5, text_length=5)
    gid = org.task("12345")
    for field in ("name", "notes"):
        assert org.call("PUT", f"/tasks/{gid}", {field: "123456"}).status_code == 400
