"""Projects, sections, templates with their jobs, people and access."""

from __future__ import annotations

import pytest

from .conftest import Organisation, message


def project(org: Organisation, **values: object) -> str:
    body = {"name": "Bridge", "workspace": org.workspace, "team": org.team} | values
    return str(org.post("/projects", body)["gid"])


def sections(org: Organisation, gid: str) -> list[str]:
    return [section["name"] for section in org.get(f"/projects/{gid}/sections", limit=100)]


def test_an_organisation_wants_a_team_and_announces_its_end(org: Organisation) -> None:
    body = {"name": "Bridge", "workspace": org.workspace}
    assert message(org.call("POST", "/projects", body)) == (400, "Missing required team field")
    reply = org.call("POST", "/projects", body | {"team": org.team})
    assert (reply.status_code, "affected=true" in reply.headers["Asana-Change"]) == (201, True)
    org.switches["team_required"] = False
    assert "Asana-Change" not in org.call("POST", "/projects", body).headers


def test_a_new_project_has_one_untitled_section(org: Organisation) -> None:
    assert sections(org, project(org)) == ["Untitled section"]


def test_a_refused_project_is_not_there(org: Organisation) -> None:
    body = {"name": "Bridge", "workspace": org.workspace, "team": org.team, "due_on": "soon"}
    assert org.call("POST", "/projects", body).status_code == 400
    assert "Bridge" not in [row["name"] for row in org.get("/projects", limit=100)]


def test_sections_are_inserted_moved_and_deleted_only_when_empty(org: Organisation) -> None:
    gid = project(org)
    path = f"/projects/{gid}/sections"
    first = org.get(path, limit=1)[0]["gid"]
    ordered = org.post(path, {"name": "Ordered", "insert_after": first})["gid"]
    org.post(path, {"name": "Received"})
    assert org.post(f"{path}/insert", {"section": ordered, "before_section": first}) == {}
    assert sections(org, gid) == ["Ordered", "Untitled section", "Received"]
    task = org.task(projects=[gid], memberships=[{"project": gid, "section": ordered}])
    assert org.call("DELETE", f"/sections/{ordered}").status_code == 400
    org.call("DELETE", f"/tasks/{task}")
    assert org.call("DELETE", f"/sections/{ordered}").status_code == 200
    org.people.restore(task)
    assert org.names(gid) == ["PO-1"]


def test_the_last_section_stays(org: Organisation) -> None:
    (only,) = org.get(f"/projects/{org.orders}/sections", limit=10)
    assert org.call("DELETE", f"/sections/{only['gid']}").status_code == 400


def test_add_task_of_a_section_puts_it_on_top(org: Organisation) -> None:
    (only,) = org.get(f"/projects/{org.orders}/sections", limit=10)
    org.task("a")
    last = org.task("b")
    org.post(f"/sections/{only['gid']}/addTask", {"task": last})
    assert org.names() == ["b", "a"]


def test_task_counts_are_empty_without_opt_fields(org: Organisation) -> None:
    org.put(f"/tasks/{org.task()}", {"completed": True})
    path = f"/projects/{org.orders}/task_counts"
    assert org.get(path) == {}
    fields = "num_tasks,num_completed_tasks"
    assert org.get(path, opt_fields=fields) == {"num_tasks": 1, "num_completed_tasks": 1}


def test_a_deleted_project_leaves_its_tasks(org: Organisation) -> None:
    gid = project(org)
    task = org.task(projects=[gid, org.orders])
    org.call("DELETE", f"/projects/{gid}")
    assert [place["gid"] for place in org.get(f"/tasks/{task}")["projects"]] == [org.orders]


def test_a_field_outlives_the_project_it_was_attached_to(org: Organisation) -> None:
    gid = project(org)
    field = org.field("Key", "text", gid)
    assert org.call("DELETE", f"/projects/{gid}").status_code == 200
    assert org.call("DELETE", f"/custom_fields/{field}").status_code == 200


# Templates


def instantiate(org: Organisation, **values: object) -> dict[str, str]:
    template = org.world.members["template"]
    dates = {"requested_dates": [{"gid": "1", "value": "2026-12-01"}]}
    body = {"name": "Quay 7", "team": org.team} | dates | values
    return org.post(f"/project_templates/{template}/instantiateProject", body)


def test_a_job_passes_its_states_and_the_project_is_whole_at_the_end(org: Organisation) -> None:
    roles = [{"gid": "1", "value": "buyer-nordics@nordfjell.example"}]
    job = instantiate(org, requested_roles=roles)
    gid = job["new_project"]["gid"]  # type: ignore[index]
    statuses = [job["status"]]
    assert sections(org, gid) == ["Untitled section"]
    while statuses[-1] != "succeeded":
        statuses.append(org.get(f"/jobs/{job['gid']}")["status"])
    assert (
        statuses == ["not_started", "not_started", "in_progress", "in_progress", "succeeded"][: len(statuses)]
    )
    assert sections(org, gid) == ["Requested", "Ordered", "Received"]
    fields = "name,assignee.name"
    tasks = org.get("/tasks", project=gid, limit=10, opt_fields=fields)
    assert [(task["name"], task["assignee"]["name"]) for task in tasks] == [
        ("Agree on the budget", "Buyer Nordics"),
        ("Close the project", "Buyer Nordics"),
    ]


def test_a_strict_instantiation_wants_every_date(org: Organisation) -> None:
    template = org.world.members["template"]
    path = f"/project_templates/{template}/instantiateProject"
    assert org.call("POST", path, {"name": "x", "is_strict": True}).status_code == 422
    assert org.call("POST", path, {"name": "x"}).status_code == 201


def test_at_most_five_jobs_run_at_once(org: Organisation) -> None:
    for _ in range(5):
        instantiate(org)
    path = f"/project_templates/{org.world.members['template']}/instantiateProject"
    assert org.call("POST", path, {"name": "x"}).status_code == 429


# People


def test_users_are_compact_without_mail_until_it_is_asked_for(org: Organisation) -> None:
    rows = org.get("/users", workspace=org.workspace, limit=100)
    assert set(rows[0]) == {"gid", "resource_type", "name"}
    by_name = org.get(f"/workspaces/{org.workspace}/users", opt_fields="name,email")
    assert [row["name"] for row in by_name] == sorted(row["name"] for row in by_name)
    assert "ap-clerk@nordfjell.example" in [row["email"] for row in by_name]


@pytest.mark.parametrize("name", ["me", "erp-integration@nordfjell.example"])
def test_a_user_is_found_by_me_mail_and_gid(org: Organisation, name: str) -> None:
    gid = org.get(f"/users/{name}")["gid"]
    assert org.get(f"/users/{gid}")["name"] == "ERP Integration"


def test_teams_and_their_members(org: Organisation) -> None:
    assert [row["gid"] for row in org.get(f"/workspaces/{org.workspace}/teams", limit=10)] == [org.team]
    members = org.get(f"/teams/{org.team}/team_memberships", limit=100)
    assert {row["user"]["name"] for row in members} >= {"AP Clerk", "Buyer Nordics"}
    assert len(org.get("/users/me/teams", organization=org.workspace, limit=10)) == 1


def test_access_to_a_project_is_given_and_taken(org: Organisation) -> None:
    gid = project(org, privacy_setting="private")
    clerk = org.world.members["clerk"]
    given = {"parent": gid, "member": clerk, "access_level": "commenter"}
    made = org.post("/memberships", given)
    assert (made["member"]["name"], made["access_level"]) == ("AP Clerk", "commenter")
    assert len(org.get("/memberships", parent=gid, member=clerk, limit=10)) == 1
    assert org.put(f"/memberships/{made['gid']}", {"access_level": "editor"})["access_level"] == "editor"
    org.call("DELETE", f"/memberships/{made['gid']}")
    assert org.get("/memberships", parent=gid, member=clerk, limit=10) == []
