"""Answers of the simulated tenant against the OpenAPI files, closed: an undeclared field is a failure.

The files are looked for in `../shared/specs`, beside the repository. The README beside them lists
their own faults, which REPAIRS and `mended` put right.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from openapi_schema_validator import OAS30Validator

from mlc_sandbox.anaplan import hub
from mlc_sandbox.anaplan.oauth import CODE_CLIENT, CODE_SECRET, DEVICE_CLIENT, DEVICE_GRANT
from mlc_sandbox.anaplan.world import BUILDER, BUILDER_PASSWORD
from tests.support import specs

from .conftest import Tenant, table

SPECS = specs.SPECS / "anaplan"
pytestmark = specs.needs_specs("anaplan")

STARTABLE = (
    ("imports", "importId"),
    ("exports", "exportId"),
    ("actions", "actionId"),
    ("processes", "processId"),
)
LONG, SHORT = "/workspaces/{workspaceId}/models/{modelId}", "/models/{modelId}"


def task_envelope(key: str, schema: dict[str, Any]) -> dict[str, Any]:
    parts = {name: {"$ref": f"#/components/schemas/{name.capitalize()}"} for name in ("meta", "status")}
    return {"type": "object", "properties": parts | {key: schema}}


TASK = {"$ref": "#/components/schemas/Task"}
TASKS = {"type": "array", "items": TASK}
# README faults 2 and 3: starts are wrapped in `task`, lists in `tasks`.
REPAIRS = {
    (method, f"{LONG}/{kind}/{{{name}}}/tasks"): task_envelope(*content)
    for kind, name in STARTABLE
    for method, content in (("post", ("task", TASK)), ("get", ("tasks", TASKS)))
}


def load(name: str) -> dict[str, Any]:
    return json.loads((SPECS / name).read_text())


def closed(schema: Any) -> Any:
    """The schema with every object that declares properties closed to others."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(part) for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict):
        made["properties"] = {key: closed(part) for key, part in schema["properties"].items()}
        made.setdefault("additionalProperties", False)
    return made


def mended(spec: dict[str, Any]) -> dict[str, Any]:
    """What the fact sheet says where the file is wrong or silent."""
    schemas = spec["components"]["schemas"]
    if "ValidationUrl" in schemas:
        # The address is that of the server that answered.
        schemas["ValidationUrl"] = {"type": "object", "properties": {"validationUrl": {"type": "string"}}}
    if "User" in schemas:
        # Its pattern is escaped twice and matches no address.
        schemas["User"]["properties"]["email"] = {"type": "string", "format": "email"}
        # Its own example shows the actions that the schema leaves out.
        schemas["Process"]["properties"]["actions"] = {"type": "array", "items": {"type": "object"}}
    return spec


class Contract:
    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = mended(copy.deepcopy(spec))
        self.components = closed(self.spec["components"])

    def check(self, reply: requests.Response, method: str, template: str) -> None:
        operation = self.spec["paths"][template][method]
        declared = operation["responses"].get(str(reply.status_code))
        assert declared is not None, f"{method} {template}: {reply.status_code} is not declared"
        while "$ref" in declared:
            declared = self.components["responses"][declared["$ref"].rpartition("/")[2]]
        content = declared.get("content", {}).get("application/json")
        if content is None:
            return
        schema = REPAIRS.get((method, template)) if reply.status_code == 200 else None
        schema = closed(schema or content.get("schema", {})) | {"components": self.components}
        errors = [
            f"{list(error.path)}: {error.message}"
            for error in OAS30Validator(schema).iter_errors(reply.json())
        ]
        assert errors == [], f"{method} {template}"


@pytest.fixture(scope="session")
def integration() -> Contract:
    return Contract(load("integration-openapi.json"))


@pytest.fixture
def filled(tenant: Tenant) -> Tenant:
    tenant.suppliers("NO01|1", "NO01|2")
    rows = [{"code": "NO01|1", "name": "Fjord AS"}, {"code": "nowhere"}]
    tenant.bad = tenant.run("Suppliers data", table("suppliers", *rows))
    return tenant


def tenant_ids(tenant: Tenant) -> dict[str, str]:
    return {
        "workspaceId": hub.WORKSPACE_ID,
        "modelId": hub.MODEL_ID,
        "listId": tenant.id_of("lists", "Suppliers"),
        "dimensionId": tenant.id_of("lists", "Suppliers"),
        "moduleId": tenant.id_of("modules", "DAT01 Suppliers"),
        "viewId": tenant.id_of("modules", "DAT01 Suppliers"),
        "lineItemId": tenant.world.model.named("modules", "DAT01 Suppliers").line_items["name"].id,
        "importId": tenant.id_of("imports", "Suppliers data"),
        "exportId": tenant.id_of("exports", "Suppliers export"),
        "actionId": tenant.id_of("actions", "Delete from Suppliers"),
        "processId": tenant.id_of("processes", "Suppliers load"),
        "fileId": tenant.world.import_named("Suppliers data").source_id,
        "chunkId": "0",
        "taskId": tenant.bad["taskId"],
        "userId": tenant.world.directory.users[BUILDER].id,
    }


READS = [
    "/users",
    "/users/me",
    "/users/{userId}",
    "/workspaces",
    "/workspaces/{workspaceId}/models",
    "/models",
    SHORT,
    f"{SHORT}/status",
    f"{SHORT}/modules",
    f"{SHORT}/modules/{{moduleId}}/lineItems",
    f"{SHORT}/modules/{{moduleId}}/views",
    f"{SHORT}/lineItems",
    f"{SHORT}/lineItems/{{lineItemId}}/dimensions",
    f"{SHORT}/views",
    f"{SHORT}/views/{{viewId}}",
    f"{SHORT}/lists",
    f"{SHORT}/lists/{{listId}}",
    f"{SHORT}/versions",
    f"{SHORT}/dimensions/{{dimensionId}}/items",
    f"{SHORT}/files",
    f"{SHORT}/imports",
    f"{SHORT}/imports/{{importId}}",
    f"{SHORT}/exports",
    f"{SHORT}/exports/{{exportId}}",
    f"{SHORT}/actions",
    f"{SHORT}/processes",
    f"{SHORT}/processes/{{processId}}",
    f"{LONG}/imports/",
    f"{LONG}/files/{{fileId}}/chunks",
    f"{LONG}/imports/{{importId}}/tasks",
    f"{LONG}/imports/{{importId}}/tasks/{{taskId}}",
    f"{LONG}/imports/{{importId}}/tasks/{{taskId}}/dump/chunks",
    f"{LONG}/lists/{{listId}}/items",
]


@pytest.mark.parametrize("template", READS)
def test_reads_answer_as_declared(filled: Tenant, integration: Contract, template: str) -> None:
    reply = filled.call("GET", template.format(**tenant_ids(filled)), params={"showImportDataSource": "true"})
    assert reply.status_code == 200, reply.text
    integration.check(reply, "get", template)


@pytest.mark.parametrize(
    "query", [{"includeAll": "true"}, {"modelDetails": "true"}, {"tenantDetails": "true"}]
)
def test_reads_with_all_details_answer_as_declared(
    filled: Tenant, integration: Contract, query: dict
) -> None:
    paths = {
        "includeAll": [f"{SHORT}/modules/{{moduleId}}/lineItems", f"{LONG}/lists/{{listId}}/items"],
        "modelDetails": ["/models", SHORT],
        "tenantDetails": ["/workspaces"],
    }
    for template in paths[next(iter(query))]:
        integration.check(
            filled.call("GET", template.format(**tenant_ids(filled)), params=query), "get", template
        )


def test_an_unknown_object_answers_the_declared_failure(filled: Tenant, integration: Contract) -> None:
    template = f"{SHORT}/lists/{{listId}}"
    reply = filled.call("GET", template.format(**tenant_ids(filled) | {"listId": "101999999999"}))
    integration.check(reply, "get", template)


Write = tuple[str, str, dict[str, Any]]
CELL = {
    "lineItemName": "name",
    "dimensions": [{"dimensionName": "Suppliers", "itemCode": "NO01|1"}],
    "value": "x",
}
WRITES: list[Write] = [
    ("post", f"{LONG}/files/{{fileId}}", {"json": {"chunkCount": 1}}),
    ("put", f"{LONG}/files/{{fileId}}/chunks/{{chunkId}}", {"data": b"x"}),
    ("post", f"{LONG}/files/{{fileId}}/complete", {"json": {}}),
    ("put", f"{LONG}/files/{{fileId}}", {"data": b"x"}),
    ("delete", f"{LONG}/files/{{fileId}}", {}),
    ("post", f"{SHORT}/modules/{{moduleId}}/data", {"json": [CELL, CELL | {"value": None}]}),
    ("post", f"{LONG}/lists/{{listId}}/resetIndex", {}),
    ("put", f"{LONG}/lists/{{listId}}/items", {"json": {"items": [{"code": "NO01|1"}, {"code": "x"}]}}),
    ("post", f"{LONG}/dimensions/{{dimensionId}}/items", {"json": {"codes": ["NO01|1"]}}),
    ("post", f"{LONG}/lists/{{listId}}/readRequests", {"json": {"exportType": "TABULAR_MULTI_COLUMN"}}),
    *[
        ("post", f"{LONG}/{kind}/{{{name}}}/tasks", {"json": {"localeName": "en_US"}})
        for kind, name in STARTABLE
    ],
]


@pytest.mark.parametrize(
    "write", WRITES, ids=lambda write: f"{write[0]} {write[1].rpartition('modelId}')[2]}"
)
def test_writes_answer_as_declared(filled: Tenant, integration: Contract, write: Write) -> None:
    method, template, body = write
    octets = {"Content-Type": "application/octet-stream"} if "data" in body else {}
    reply = filled.call(method, template.format(**tenant_ids(filled)), headers=octets, **body)
    integration.check(reply, method, template)


@pytest.mark.parametrize("action", ["add", "delete"])
def test_item_writes_answer_as_declared(filled: Tenant, integration: Contract, action: str) -> None:
    template = f"{LONG}/lists/{{listId}}/items"
    body = {"items": [{"code": "NO01|2" if action == "delete" else "NO01|3"}, {"code": ""}]}
    reply = filled.call("post", template.format(**tenant_ids(filled)), params={"action": action}, json=body)
    integration.check(reply, "post", template)


def test_a_view_read_request_answers_as_declared(filled: Tenant, integration: Contract) -> None:
    template = f"{LONG}/views/{{viewId}}/readRequests"
    ids = tenant_ids(filled)
    reply = filled.call("post", template.format(**ids), json={"exportType": "TABULAR_MULTI_COLUMN"})
    integration.check(reply, "post", template)
    ids["requestId"] = reply.json()["viewReadRequest"]["requestId"]
    one = f"{template}/{{requestId}}"
    for method in ("get", "get", "delete"):
        integration.check(filled.call(method, one.format(**ids)), method, one)


def test_view_data_answers_as_declared(filled: Tenant, integration: Contract) -> None:
    template = f"{SHORT}/views/{{viewId}}/data"
    reply = filled.call("get", template.format(**tenant_ids(filled)), params={"format": "v1"})
    integration.check(reply, "get", template)


@pytest.mark.parametrize(
    ("call", "method", "template"),
    [
        (lambda tenant: tenant.login(BUILDER, BUILDER_PASSWORD), "post", "/token/authenticate"),
        (lambda tenant: tenant.login(BUILDER, "wrong"), "post", "/token/authenticate"),
        (lambda tenant: service(tenant, "POST", "refresh"), "post", "/token/refresh"),
        (lambda tenant: service(tenant, "GET", "validate"), "get", "/token/validate"),
        (lambda tenant: service(tenant, "GET", "validate", "Bearer"), "get", "/token/validate"),
        (lambda tenant: service(tenant, "POST", "logout"), "post", "/token/logout"),
    ],
)
def test_the_token_service_answers_as_declared(
    tenant: Tenant, call: Callable[[Tenant], requests.Response], method: str, template: str
) -> None:
    Contract(load("authentication-openapi.json")).check(call(tenant), method, template)


def service(tenant: Tenant, method: str, what: str, scheme: str = "AnaplanAuthToken") -> requests.Response:
    headers = {"Authorization": f"{scheme} {tenant.token}"}
    return requests.request(method, f"{tenant.root}/auth/token/{what}", headers=headers, timeout=30)


def test_the_oauth_service_answers_as_declared(tenant: Tenant) -> None:
    contract = Contract(load("oauth-openapi.json"))
    asked = requests.post(f"{tenant.root}/oauth/device/code", json={"client_id": DEVICE_CLIENT}, timeout=30)
    contract.check(asked, "post", "/oauth/device/code")
    poll = {
        "grant_type": DEVICE_GRANT,
        "client_id": DEVICE_CLIENT,
        "device_code": asked.json()["device_code"],
    }
    wrong = {"grant_type": "refresh_token", "client_id": CODE_CLIENT, "client_secret": CODE_SECRET}
    for body in (poll, wrong | {"refresh_token": "x"}):
        contract.check(
            requests.post(f"{tenant.root}/oauth/token", json=body, timeout=30), "post", "/oauth/token"
        )
