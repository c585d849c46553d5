"""Every answer of the simulated ERP is valid against the vendor's own schemas, without invented fields."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS30Validator

from mlc_sandbox.server import Sandbox
from mlc_sandbox.visma.entities import BY_NAME, ENTITIES, Entity
from tests.sandbox.conftest import Erp

SPEC = Path(__file__).resolve().parents[2].parent / "shared" / "specs" / "visma" / "openapi.json"
EVERY_FLAG = {flag: "true" for entity in ENTITIES for flag in (*entity.sections, *entity.line_sections)} | {
    "expandSegmentsValues": "true"
}
SINCE = {"lastModifiedDateTime": "2000-01-01", "lastModifiedDateTimeCondition": ">="}

pytestmark = pytest.mark.skipif(
    not SPEC.exists(), reason="the vendor's OpenAPI file is not beside this repository"
)


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    return closed(json.loads(SPEC.read_text(encoding="utf-8")))


def closed(spec: dict[str, Any]) -> dict[str, Any]:
    """The specification with every object closed: a field the vendor does not name is a mistake."""
    spec = copy.deepcopy(spec)
    for schema in spec["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return spec


def mistakes(spec: dict[str, Any], path: str, answer: Any) -> list[str]:
    operation = next(item["get"] for route, item in spec["paths"].items() if route.lower() == path.lower())
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    validator = OAS30Validator({**schema, "components": spec["components"]})
    return [
        f"{'/'.join(map(str, e.absolute_path))}: {e.message[:120]}" for e in validator.iter_errors(answer)
    ]


def listed(entity: Entity) -> bool:
    return entity.name != "dimension"


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.name)
def test_every_list_is_valid_and_complete(erp: Erp, spec: dict[str, Any], entity: Entity) -> None:
    rows = erp.get(entity.path, **EVERY_FLAG, **SINCE).json()
    assert rows
    assert mistakes(spec, f"/{entity.path}", rows) == []


@pytest.mark.parametrize(
    "entity",
    [entity for entity in ENTITIES if entity.single and listed(entity)],
    ids=lambda entity: entity.name,
)
def test_every_single_read_is_valid(erp: Erp, spec: dict[str, Any], entity: Entity) -> None:
    route = next(
        path
        for path in spec["paths"]
        if path.lower().startswith(f"/{entity.path.lower()}/{{") and path.count("/") == 3
    )
    for record in erp.records(entity.name)[:20]:
        if entity.default_type and not record.key.startswith(entity.default_type):
            continue
        answer = erp.get(f"{entity.path}/{record.key.split('|')[-1]}", **EVERY_FLAG)
        assert answer.status_code == 200
        assert mistakes(spec, route, answer.json()) == []


@pytest.mark.parametrize("name", ["SUBACCOUNT", "PROJECT", "ACCOUNT"])
def test_a_dimension_its_segments_and_values_are_valid(erp: Erp, spec: dict[str, Any], name: str) -> None:
    whole = erp.get(f"v1/dimension/{name}", **EVERY_FLAG).json()
    assert mistakes(spec, "/v1/dimension/{dimensionId}", whole) == []
    segment = erp.get(f"v1/dimension/{name}/1").json()
    assert mistakes(spec, "/v1/dimension/{dimensionId}/{segmentId}", segment) == []
    for value in segment["segmentValues"][:1]:
        one = erp.get(f"v1/dimension/{name}/1/publicid/{value['publicId']}").json()
        assert mistakes(spec, "/v1/dimension/{dimensionId}/{segmentId}/publicid/{publicId}", one) == []


def test_rows_stay_valid_after_the_world_changed_and_after_writes(
    sandbox: Sandbox, erp: Erp, spec: dict[str, Any]
) -> None:
    sandbox.pass_day()
    supplier = erp.records("supplier")[0].key
    assert (
        erp.call("PUT", f"v1/supplier/{supplier}", json={"creditTermsId": {"value": "30"}}).status_code == 204
    )
    order = next(r for r in erp.records("purchaseorder") if r.key.startswith("RegularOrder"))
    line = {
        "operation": "Insert",
        "poOrderNbr": {"value": order.key.split("|")[1]},
        "poOrderLineNbr": {"value": 1},
    }
    body = {
        "supplierId": {"value": supplier},
        "hold": {"value": True},
        "lines": [line | {"receiptQty": {"value": 2}}],
    }
    assert erp.call("POST", "v1/PurchaseReceipt", json=body).status_code == 201
    for name in ("supplier", "purchaseorder", "purchasereceipt", "supplierinvoice", "journaltransaction"):
        path = BY_NAME[name].path
        assert mistakes(spec, f"/{path}", erp.get(path, **EVERY_FLAG, **SINCE).json()) == []


def test_a_background_answer_is_valid(erp: Erp, spec: dict[str, Any]) -> None:
    accepted = erp.call("GET", "v1/supplier", headers={"erp-api-background": "subscription"})
    assert accepted.status_code == 202
    for _ in range(2):
        state = erp.get(f"v1/background/{accepted.json()['id']}").json()
        assert mistakes(spec, "/v1/background/{requestId}", state) == []
    assert state["status"] == "Finished"


def test_the_strict_schemas_do_refuse(erp: Erp, spec: dict[str, Any]) -> None:
    rows = erp.get("v1/supplierInvoice").json()
    for wrong in ({"amount": "abc"}, {"status": "Paid"}, {"inventedField": 1}):
        assert mistakes(spec, "/v1/supplierInvoice", [rows[0] | wrong])
