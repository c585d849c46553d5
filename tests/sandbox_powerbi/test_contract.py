"""Answers against the vendor's own description, closed to undeclared fields."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import requests
from openapi_schema_validator import OAS30Validator

from tests.support.specs import SPECS, needs_specs

from .conftest import ERP, ORDERS, Tenant, order

pytestmark = needs_specs("powerbi")

ROOT = "/v1.0/myorg"
GROUP = f"{ROOT}/groups/{{groupId}}"
DATASET = f"{GROUP}/datasets/{{datasetId}}"
TABLE = f"{DATASET}/tables/{{tableName}}"


def closed(schema: Any, definitions: dict[str, Any]) -> Any:
    """References resolved, `allOf` merged, objects closed to properties that are not declared."""
    if isinstance(schema, list):
        return [closed(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return closed(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "allOf" in schema:
        merged: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
        for part in [{name: schema[name] for name in schema if name != "allOf"}, *schema["allOf"]]:
            found = closed(part, definitions)
            merged["properties"] |= found.get("properties", {})
            merged["required"] += found.get("required", [])
        return {**merged, "additionalProperties": False}
    result = {
        name: {key: closed(value, definitions) for key, value in content.items()}
        if name == "properties"
        else closed(content, definitions)
        for name, content in schema.items()
        if name not in ("description", "example", "x-ms-enum")
    }
    if "properties" in result:
        result["additionalProperties"] = False
    return result


def mended(spec: dict[str, Any]) -> dict[str, Any]:
    """The description contradicts its own examples here; the examples win."""
    definitions = spec["definitions"]
    for part in ("DatasetSecurityProperties", "DatasetMiscProperties"):
        properties = definitions[part]["properties"]
        for name in list(properties):
            properties[name[0].lower() + name[1:]] = properties.pop(name)
    # The answer to a create names the retention.
    definitions["DatasetMiscProperties"]["properties"]["defaultRetentionPolicy"] = {"type": "string"}
    # Answers name tables without their columns.
    definitions["Table"]["required"] = ["name"]
    return spec


class Contract:
    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = mended(copy.deepcopy(spec))

    def check(self, reply: requests.Response, method: str, template: str) -> None:
        responses = self.spec["paths"][template][method]["responses"]
        declared = responses.get(str(reply.status_code))
        assert declared is not None, f"{method} {template}: {reply.status_code} is not declared: {reply.text}"
        if "schema" not in declared:
            assert reply.content == b""
            return
        if not reply.content:
            return
        schema = closed(declared["schema"], self.spec["definitions"])
        errors = [f"{list(e.path)}: {e.message}" for e in OAS30Validator(schema).iter_errors(reply.json())]
        assert errors == [], f"{method} {template}"


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract(json.loads((SPECS / "powerbi" / "swagger.json").read_text("utf-8")))


@pytest.fixture
def erp(tenant: Tenant) -> str:
    dataset = tenant.create()
    tenant.post(dataset, "Orders", [order(1)])
    return dataset


def ids(tenant: Tenant, dataset: str, **more: str) -> dict[str, str]:
    return {"groupId": tenant.world.workspace_id, "datasetId": dataset, "tableName": "Orders", **more}


CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("get", f"{ROOT}/groups", {}),
    ("get", f"{GROUP}/users", {}),
    ("post", f"{GROUP}/users", {"json": {"identifier": "x", "groupUserAccessRight": "Viewer"}}),
    ("post", f"{ROOT}/RefreshUserPermissions", {}),
    ("get", f"{GROUP}/datasets", {}),
    ("post", f"{GROUP}/datasets", {"json": ERP}),
    ("get", DATASET, {}),
    ("delete", DATASET, {}),
    ("get", f"{DATASET}/tables", {}),
    ("put", TABLE, {"json": ORDERS}),
    ("post", f"{TABLE}/rows", {"json": {"rows": [order(2)]}}),
    ("delete", f"{TABLE}/rows", {}),
    ("post", f"{DATASET}/executeQueries", {"json": {"queries": [{"query": "EVALUATE Orders"}]}}),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]} {call[1].removeprefix(ROOT)}")
def test_answers_are_as_declared(
    tenant: Tenant, erp: str, contract: Contract, call: tuple[str, str, dict[str, Any]]
) -> None:
    method, template, options = call
    path = template.removeprefix(ROOT).format(**ids(tenant, erp))
    contract.check(tenant.call(method.upper(), path, **options), method, template)


def test_a_cut_result_is_as_declared(tenant: Tenant, erp: str, contract: Contract) -> None:
    for place in ("table", "result", "response"):
        tenant.switches.update(query_rows=1, over_limit_error_at=place)
        tenant.post(erp, "Orders", [order(2)])
        contract.check(tenant.ask(erp, "EVALUATE Orders"), "post", f"{DATASET}/executeQueries")


def test_refreshes_are_as_declared(tenant: Tenant, contract: Contract) -> None:
    tenant.switches["dedicated_capacity"] = True
    model = tenant.world.dataset("Finance Analysis").id
    path, template = f"/datasets/{model}/refreshes", f"{DATASET}/refreshes"
    started = tenant.group("POST", path, json={"type": "Full"})
    contract.check(started, "post", template)
    one = f"{path}/{started.headers['x-ms-request-id']}"
    for _ in range(2):
        contract.check(tenant.group("GET", one), "get", f"{template}/{{refreshId}}")
    tenant.faults.arm("powerbi", "refresh_fails")
    contract.check(tenant.group("POST", path, json={"notifyOption": "NoNotification"}), "post", template)
    for _ in range(2):
        contract.check(tenant.group("GET", path), "get", template)


def test_what_we_take_as_properties_is_what_the_description_declares(contract: Contract) -> None:
    """The validator refuses unknown properties by name, so its own list must be the vendor's."""
    from mlc_sandbox.powerbi import schema

    ours = {
        "CreateDatasetRequest": schema._DATASET,
        "Table": schema._TABLE,
        "Column": schema._COLUMN,
        "Measure": schema._MEASURE,
        "Relationship": schema._RELATIONSHIP,
    }
    for name, properties in ours.items():
        declared = contract.spec["definitions"][name]
        assert {field.rstrip("*") for field in properties} == set(declared["properties"]), name
        required = {field[:-1] for field in properties if field.endswith("*")}
        if name != "Table":  # mended above
            assert required == set(declared["required"]), name
