"""Every declared path, parameter and field exists in the vendor's own OpenAPI document."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster.visma.entities import ENTITIES, Entity, Filter, Paging
from mlc_dagster.visma.fields import Field

SPEC = Path(__file__).parents[3] / "shared" / "specs" / "visma" / "openapi.json"
pytestmark = pytest.mark.skipif(
    not SPEC.exists(), reason="the vendor's OpenAPI document is not beside the project"
)
FORMATS = {"date-time": "dtu", "uuid": "g", "byte": "s"}
TYPES = {"string": "s", "integer": "i", "number": "n", "boolean": "b"}


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    return json.loads(SPEC.read_text())


def resolved(spec: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema or "allOf" in schema:
        schema = (
            spec["components"]["schemas"][schema["$ref"].split("/")[-1]]
            if "$ref" in schema
            else schema["allOf"][0]
        )
    return schema


def operation(spec: dict[str, Any], path: str) -> dict[str, Any]:
    """The GET of a path; names of path parameters do not matter."""
    shape = re.sub(r"{[^}]*}", "{}", path)
    return next(
        item["get"] for known, item in spec["paths"].items() if re.sub(r"{[^}]*}", "{}", known) == shape
    )


def record(spec: dict[str, Any], entity: Entity) -> dict[str, Any]:
    path = entity.single if entity.paging is Paging.BY_ID else entity.path
    content = operation(spec, path or "")["responses"]["200"]["content"]
    schema = resolved(spec, next(iter(content.values()))["schema"])
    return resolved(spec, schema.get("items", schema))


def mismatches(
    spec: dict[str, Any], fields: tuple[Field, ...], schema: dict[str, Any], path: str
) -> list[str]:
    wrong = []
    for field in fields:
        here = f"{path}.{field.name}"
        if field.name not in schema.get("properties", {}):
            wrong.append(f"{here} is not in the vendor's schema")
            continue
        found = resolved(spec, schema["properties"][field.name])
        if field.many != (found.get("type") == "array"):
            wrong.append(f"{here}: a list on one side only")
            continue
        found = resolved(spec, found["items"]) if field.many else found
        if field.fields:
            wrong += mismatches(spec, field.fields, found, here)
        elif field.kind not in FORMATS.get(found.get("format", ""), TYPES[found["type"]]):
            wrong.append(
                f"{here} is declared {field.kind}, the vendor says {found.get('format', found['type'])}"
            )
    return wrong


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=list(ENTITIES))
def test_every_declared_field_is_in_the_vendors_schema_with_its_type(spec, entity):
    assert mismatches(spec, entity.fields, record(spec, entity), entity.name) == []


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=list(ENTITIES))
def test_every_parameter_we_send_is_declared(spec, entity):
    """A misspelt filter reads the whole table with status 200."""
    path = entity.single if entity.paging is Paging.BY_ID else entity.path
    declared = {parameter.get("name") for parameter in operation(spec, path or "")["parameters"]}
    sent = set(entity.query)
    if entity.paged:
        sent |= {"pageNumber", "pageSize"}
    if entity.filter is not Filter.NONE:
        sent.add("lastModifiedDateTime")
    if entity.filter is Filter.WITH_CONDITION:
        sent.add("lastModifiedDateTimeCondition")
    if entity.unreleased is not None:
        sent.add(entity.unreleased.parameter)
    assert sent <= declared


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=list(ENTITIES))
def test_only_lists_without_pages_in_the_contract_are_read_without(spec, entity):
    declared = {parameter.get("name") for parameter in operation(spec, entity.path)["parameters"]}
    assert ("pageNumber" in declared) == entity.paged
