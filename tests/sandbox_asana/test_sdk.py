"""Asana's own Python client, unmodified, against the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from urllib3.util.retry import Retry

from .conftest import Organisation

asana = pytest.importorskip("asana", reason="Asana's own client is a development dependency")


@pytest.fixture
def client(org: Organisation) -> Iterator[Any]:
    configuration = asana.Configuration()
    configuration.host = f"{org.root}/api/1.0"
    configuration.access_token = org.token
    # Its own kinds of retry, without its seconds of waiting.
    configuration.retry_strategy = Retry(
        total=5, backoff_factor=0, status_forcelist=[429, 500, 502, 503, 504]
    )
    found = asana.ApiClient(configuration)
    yield found
    found.rest_client.pool_manager.clear()


def test_it_creates_reads_changes_lists_and_deletes_tasks(org: Organisation, client: Any) -> None:
    tasks = asana.TasksApi(client)
    body = {"data": {"name": "PO-1", "projects": [org.orders]}}
    gid = tasks.create_task(body, {"opt_fields": "name,memberships.section.name"})["gid"]
    tasks.update_task({"data": {"due_on": "2026-12-01"}}, gid, {})
    assert tasks.get_task(gid, {"opt_fields": "due_on"})["due_on"] == "2026-12-01"
    tasks.create_subtask_for_task({"data": {"name": "line 1"}}, gid, {})
    assert [line["name"] for line in tasks.get_subtasks_for_task(gid, {})] == ["line 1"]
    assert [row["name"] for row in tasks.get_tasks({"project": org.orders})] == ["PO-1"]
    tasks.delete_task(gid)
    assert list(tasks.get_tasks_for_project(org.orders, {})) == []


def test_it_follows_pages(org: Organisation, client: Any) -> None:
    for number in range(5):
        org.task(str(number))
    rows = asana.TasksApi(client).get_tasks({"project": org.orders, "limit": 2})
    assert [row["name"] for row in rows] == ["0", "1", "2", "3", "4"]


def test_it_makes_fields_and_writes_their_values(org: Organisation, client: Any) -> None:
    fields, projects = asana.CustomFieldsApi(client), asana.CustomFieldSettingsApi(client)
    body = {"workspace": org.workspace, "name": "Total", "resource_subtype": "number", "precision": 2}
    gid = fields.create_custom_field({"data": body}, {})["gid"]
    asana.ProjectsApi(client).add_custom_field_setting_for_project(
        {"data": {"custom_field": gid, "is_important": True}}, org.orders, {}
    )
    settings = projects.get_custom_field_settings_for_project(org.orders, {"opt_fields": "custom_field.name"})
    assert [setting["custom_field"]["name"] for setting in settings] == ["Total"]
    task = org.task()
    written = {"data": {"custom_fields": {gid: 10.25}}}
    assert asana.TasksApi(client).update_task(written, task, {})["custom_fields"][0]["number_value"] == 10.25


def test_it_reads_people_sections_templates_and_stories(org: Organisation, client: Any) -> None:
    assert asana.UsersApi(client).get_user("me", {})["name"] == "ERP Integration"
    assert [row["gid"] for row in asana.WorkspacesApi(client).get_workspaces({})] == [org.workspace]
    sections = asana.SectionsApi(client)
    made = sections.create_section_for_project(org.orders, {"body": {"data": {"name": "Ordered"}}})
    task = org.task()
    sections.add_task_for_section(made["gid"], {"body": {"data": {"task": task}}})
    story = asana.StoriesApi(client).create_story_for_task({"data": {"text": "received"}}, task, {})
    assert story["text"] == "received"
    templates = list(asana.ProjectTemplatesApi(client).get_project_templates({"workspace": org.workspace}))
    start = {"data": {"name": "Quay", "requested_dates": [{"gid": "1", "value": "2026-12-01"}]}}
    job = asana.ProjectTemplatesApi(client).instantiate_project(templates[0]["gid"], {"body": start})
    assert asana.JobsApi(client).get_job(job["gid"], {})["status"] == "not_started"


def test_its_batch_is_lazy_and_works(org: Organisation, client: Any) -> None:
    action = {"method": "get", "relative_path": "/users/me"}
    answers = list(asana.BatchAPIApi(client).create_batch_request({"data": {"actions": [action]}}, {}))
    assert answers[0]["body"]["data"]["name"] == "ERP Integration"


def test_it_repeats_a_read_after_503_and_never_a_create(org: Organisation, client: Any) -> None:
    tasks = asana.TasksApi(client)
    org.faults.arm("asana", "server_error", status=503, times=2, match="GET")
    assert list(tasks.get_tasks({"project": org.orders})) == []
    org.faults.arm("asana", "server_error", status=500, match="POST")
    with pytest.raises(asana.rest.ApiException):
        tasks.create_task({"data": {"projects": [org.orders]}}, {})
    assert org.sandbox.log.count("asana", method="POST", match="/tasks$") == 1


def test_it_encodes_the_colon_of_external(org: Organisation, client: Any) -> None:
    org.switches["external_with_pat"] = "allowed"
    gid = org.task(external={"gid": "erp.po.1"})
    assert asana.TasksApi(client).get_task("external:erp.po.1", {})["gid"] == gid
