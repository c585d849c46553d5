"""Answers against Asana's own description, closed to undeclared fields."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests
import yaml
from openapi_schema_validator import OAS30Validator

from tests.support.specs import SPECS, needs_specs

from .conftest import Organisation

pytestmark = needs_specs("asana")


def closed(schema: Any, components: dict[str, Any]) -> Any:
    """References resolved, `allOf` merged, objects with properties closed to others."""
    if isinstance(schema, list):
        return [closed(item, components) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        kind, _, name = schema["$ref"].removeprefix("#/components/").partition("/")
        return closed(components[kind][name], components)
    if "allOf" in schema:
        return _merged(schema, components)
    result = {
        name: {key: closed(value, components) for key, value in content.items()}
        if name == "properties"
        else closed(content, components)
        for name, content in schema.items()
        if name not in ("description", "example", "readOnly", "externalDocs") and not name.startswith("x-")
    }
    if "properties" in result:
        result["additionalProperties"] = False
    return result


def _merged(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {"type": "object", "properties": {}}
    for part in (*schema["allOf"], {name: schema[name] for name in schema if name != "allOf"}):
        found = closed(part, components)
        merged["properties"] |= found.get("properties", {})
        merged["nullable"] = merged.get("nullable", False) or found.get("nullable", False)
    return merged | {"additionalProperties": False}


def mended(spec: dict[str, Any]) -> dict[str, Any]:
    """Where the description is narrower than the sheet (vendors/asana.md) or than its own prose."""
    schemas = spec["components"]["schemas"]
    # `null` is what a cleared value is.
    for name in ("date_value", "enum_value", "number_value", "text_value"):
        schemas["CustomFieldCompact"]["properties"][name]["nullable"] = True
    day = schemas["CustomFieldCompact"]["properties"]["date_value"]["properties"]
    day["date_time"]["nullable"] = True
    # An event about an object that did not move has no parent.
    schemas["EventResponse"]["properties"]["parent"]["nullable"] = True
    # A reference to any kind of object, in events and webhooks.
    schemas["AsanaNamedResource"]["properties"]["resource_subtype"] = {"type": "string"}
    # Nothing has failed or succeeded yet.
    for name in ("last_failure_at", "last_success_at", "next_attempt_after", "failure_deletion_timestamp"):
        schemas["WebhookResponse"]["allOf"][1]["properties"][name]["nullable"] = True
    return spec


class Contract:
    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = mended(copy.deepcopy(spec))

    def check(self, reply: requests.Response, method: str, template: str) -> None:
        responses = self.spec["paths"][template][method]["responses"]
        declared = responses.get(str(reply.status_code))
        assert declared is not None, f"{method} {template}: {reply.status_code}: {reply.text}"
        content = closed(declared, self.spec["components"])["content"]["application/json"]["schema"]
        errors = [
            f"{'.'.join(map(str, error.path))}: {error.message}"
            for error in OAS30Validator(content).iter_errors(reply.json())
        ]
        assert errors == [], f"{method} {template}"


@pytest.fixture(scope="module")
def contract() -> Contract:
    text = (SPECS / "asana" / "openapi.yaml").read_text("utf-8")
    return Contract(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


@pytest.fixture
def ids(org: Organisation) -> dict[str, str]:
    """One of everything, with every kind of value filled in."""
    fields = {
        "number": org.field("Total", "number", precision=2, format="currency", currency_code="EUR"),
        "text": org.field("Key", "text", description="the ERP's own key"),
        "date": org.field("Ordered", "date"),
        "people": org.field("Buyer", "people"),
        "enum": org.field("Status", "enum", enum_options=[{"name": "Open", "color": "green"}]),
        "multi_enum": org.field("Tags", "multi_enum", enum_options=[{"name": "a"}]),
    }
    options = {kind: org.get(f"/custom_fields/{fields[kind]}")["enum_options"][0]["gid"] for kind in _ENUMS}
    values = {
        fields["number"]: 10.25,
        fields["text"]: "PO-1",
        fields["date"]: {"date": "2026-12-01"},
        fields["people"]: ["me"],
        fields["enum"]: options["enum"],
        fields["multi_enum"]: [options["multi_enum"]],
    }
    task = org.task(custom_fields=values, assignee="me", due_on="2026-12-01", notes="x")
    line = org.post(f"/tasks/{task}/subtasks", {"name": "line 1"})["gid"]
    other = org.task("PO-2")
    org.post(f"/tasks/{task}/addDependencies", {"dependencies": [other]})
    story = org.post(f"/tasks/{task}/stories", {"text": "received"})["gid"]
    org.put(f"/tasks/{other}", {"completed": True})
    (section, *_) = org.get(f"/projects/{org.orders}/sections", limit=10)
    member = {"parent": org.orders, "member": org.world.members["clerk"], "access_level": "editor"}
    return {
        "task_gid": task,
        "line": line,
        "project_gid": org.orders,
        "section_gid": section["gid"],
        "workspace_gid": org.workspace,
        "team_gid": org.team,
        "user_gid": "me",
        "custom_field_gid": fields["enum"],
        "enum_option_gid": options["enum"],
        "story_gid": story,
        "project_template_gid": org.world.members["template"],
        "membership_gid": org.post("/memberships", member)["gid"],
        "team_membership_gid": org.get("/team_memberships", team=org.team, limit=1)[0]["gid"],
    }


_ENUMS = ("enum", "multi_enum")

READS: list[tuple[str, dict[str, str]]] = [
    ("/tasks", {"project": "{project_gid}", "limit": "1"}),
    ("/tasks/{task_gid}", {}),
    ("/projects/{project_gid}/tasks", {}),
    ("/sections/{section_gid}/tasks", {}),
    ("/tasks/{task_gid}/subtasks", {}),
    ("/tasks/{task_gid}/dependencies", {}),
    ("/tasks/{task_gid}/dependents", {}),
    ("/tasks/{task_gid}/projects", {}),
    ("/tasks/{task_gid}/stories", {}),
    ("/stories/{story_gid}", {}),
    ("/workspaces/{workspace_gid}/tasks/search", {}),
    ("/projects", {}),
    ("/projects/{project_gid}", {}),
    ("/projects/{project_gid}/task_counts", {"opt_fields": "num_tasks"}),
    ("/projects/{project_gid}/custom_field_settings", {}),
    ("/workspaces/{workspace_gid}/projects", {}),
    ("/teams/{team_gid}/projects", {}),
    ("/sections/{section_gid}", {}),
    ("/projects/{project_gid}/sections", {}),
    ("/custom_fields/{custom_field_gid}", {}),
    ("/workspaces/{workspace_gid}/custom_fields", {}),
    ("/project_templates", {}),
    ("/project_templates/{project_template_gid}", {}),
    ("/teams/{team_gid}/project_templates", {}),
    ("/users", {}),
    ("/users/{user_gid}", {}),
    ("/workspaces/{workspace_gid}/users", {}),
    ("/workspaces/{workspace_gid}/users/{user_gid}", {}),
    ("/teams/{team_gid}/users", {}),
    ("/workspaces", {}),
    ("/workspaces/{workspace_gid}", {}),
    ("/workspaces/{workspace_gid}/typeahead", {"resource_type": "user", "query": "a"}),
    ("/workspaces/{workspace_gid}/teams", {}),
    ("/teams/{team_gid}", {}),
    ("/users/{user_gid}/teams", {"organization": "{workspace_gid}"}),
    ("/team_memberships", {"team": "{team_gid}"}),
    ("/team_memberships/{team_membership_gid}", {}),
    ("/teams/{team_gid}/team_memberships", {}),
    ("/memberships", {"parent": "{project_gid}"}),
    ("/memberships/{membership_gid}", {}),
    ("/webhooks", {"workspace": "{workspace_gid}"}),
]

WRITES: list[tuple[str, str, dict[str, Any]]] = [
    ("post", "/tasks", {"name": "x", "projects": ["{project_gid}"]}),
    ("put", "/tasks/{task_gid}", {"name": "y"}),
    ("delete", "/tasks/{task_gid}", {}),
    ("post", "/tasks/{task_gid}/subtasks", {"name": "line 2"}),
    ("post", "/tasks/{task_gid}/setParent", {"parent": None}),
    ("post", "/tasks/{task_gid}/addProject", {"project": "{project_gid}"}),
    ("post", "/tasks/{task_gid}/removeProject", {"project": "{project_gid}"}),
    ("post", "/tasks/{task_gid}/addFollowers", {"followers": ["me"]}),
    ("post", "/tasks/{task_gid}/removeFollowers", {"followers": ["me"]}),
    ("post", "/tasks/{task_gid}/addDependents", {"dependents": ["{line}"]}),
    ("post", "/tasks/{task_gid}/removeDependencies", {"dependencies": ["{line}"]}),
    ("post", "/tasks/{task_gid}/stories", {"text": "x"}),
    ("put", "/stories/{story_gid}", {"text": "y"}),
    ("delete", "/stories/{story_gid}", {}),
    ("post", "/projects", {"name": "x", "workspace": "{workspace_gid}", "team": "{team_gid}"}),
    ("put", "/projects/{project_gid}", {"notes": "x", "due_on": "2026-12-31"}),
    ("delete", "/projects/{project_gid}", {}),
    ("post", "/workspaces/{workspace_gid}/projects", {"name": "x", "team": "{team_gid}"}),
    ("post", "/teams/{team_gid}/projects", {"name": "x"}),
    ("post", "/projects/{project_gid}/sections", {"name": "x"}),
    ("put", "/sections/{section_gid}", {"name": "x"}),
    ("post", "/sections/{section_gid}/addTask", {"task": "{task_gid}"}),
    (
        "post",
        "/custom_fields",
        {"workspace": "{workspace_gid}", "name": "New", "resource_subtype": "number", "precision": 2},
    ),
    ("put", "/custom_fields/{custom_field_gid}", {"name": "State"}),
    ("delete", "/custom_fields/{custom_field_gid}", {}),
    ("post", "/custom_fields/{custom_field_gid}/enum_options", {"name": "x", "color": "red"}),
    ("put", "/enum_options/{enum_option_gid}", {"name": "x"}),
    ("post", "/projects/{project_gid}/removeCustomFieldSetting", {"custom_field": "{custom_field_gid}"}),
    (
        "post",
        "/projects/{project_gid}/addCustomFieldSetting",
        {"custom_field": {"name": "Local", "resource_subtype": "text"}},
    ),
    ("post", "/project_templates/{project_template_gid}/instantiateProject", {"name": "x"}),
    ("post", "/memberships", {"parent": "{project_gid}", "member": "{team_gid}", "access_level": "editor"}),
    ("put", "/memberships/{membership_gid}", {"access_level": "commenter"}),
    ("delete", "/memberships/{membership_gid}", {}),
    ("post", "/batch", {"actions": [{"method": "get", "relative_path": "/users/me"}]}),
]


def filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, str):
        return value.format(**ids)
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    return {name: filled(item, ids) for name, item in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize(
    ("template", "query"), READS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_reads_are_as_declared(
    org: Organisation, ids: dict[str, str], contract: Contract, template: str, query: dict[str, str]
) -> None:
    org.pass_time(60)
    reply = org.call("GET", template.format(**ids), params=filled(query, ids))
    contract.check(reply, "get", template)


@pytest.mark.parametrize("write", WRITES, ids=lambda write: f"{write[0]} {write[1]}")
def test_writes_are_as_declared(
    org: Organisation, ids: dict[str, str], contract: Contract, write: tuple[str, str, dict[str, Any]]
) -> None:
    method, template, data = write
    reply = org.call(method.upper(), template.format(**ids), filled(data, ids) or None)
    contract.check(reply, method, template)


def test_opt_in_fields_are_as_declared(org: Organisation, ids: dict[str, str], contract: Contract) -> None:
    fields = "created_by,dependencies,dependents,html_notes,num_subtasks,external,memberships.section"
    reply = org.call("GET", f"/tasks/{ids['task_gid']}", params={"opt_fields": fields})
    contract.check(reply, "get", "/tasks/{task_gid}")


def test_refusals_are_as_declared(org: Organisation, ids: dict[str, str], contract: Contract) -> None:
    contract.check(org.call("GET", "/tasks/17"), "get", "/tasks/{task_gid}")
    contract.check(org.call("POST", "/tasks", {"name": 7}), "post", "/tasks")
    contract.check(org.call("GET", "/events", params={"resource": org.orders}), "get", "/events")


def test_events_and_jobs_are_as_declared(org: Organisation, ids: dict[str, str], contract: Contract) -> None:
    sync = org.call("GET", "/events", params={"resource": org.orders}).json()["sync"]
    org.put(f"/tasks/{ids['task_gid']}", {"name": "z"})
    reply = org.call("GET", "/events", params={"resource": org.orders, "sync": sync})
    assert reply.json()["data"]
    contract.check(reply, "get", "/events")
    template = ids["project_template_gid"]
    job = org.post(f"/project_templates/{template}/instantiateProject", {"name": "x"})["gid"]
    contract.check(org.call("GET", f"/jobs/{job}"), "get", "/jobs/{job_gid}")


@pytest.fixture
def target() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(204)
            self.send_header("X-Hook-Secret", self.headers.get("X-Hook-Secret", ""))
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_webhooks_are_as_declared(org: Organisation, contract: Contract, target: str) -> None:
    filters = [{"resource_type": "task", "action": "added"}]
    made = org.call("POST", "/webhooks", {"resource": org.orders, "target": target, "filters": filters})
    contract.check(made, "post", "/webhooks")
    gid = made.json()["data"]["gid"]
    contract.check(org.call("GET", f"/webhooks/{gid}"), "get", "/webhooks/{webhook_gid}")
    contract.check(org.call("PUT", f"/webhooks/{gid}", {"filters": []}), "put", "/webhooks/{webhook_gid}")
    contract.check(org.call("DELETE", f"/webhooks/{gid}"), "delete", "/webhooks/{webhook_gid}")
