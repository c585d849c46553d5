"""The JSON schema of mlc.yaml: editors complete and check the file by it while it is written."""

import re
from inspect import cleandoc
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from mlc_dagster.settings.section import VARIABLE, Section
from mlc_dagster.settings.whole import Settings

DIALECT = "http://json-schema.org/draft-07/schema#"
VARIABLE_NAME = {"type": "string", "pattern": VARIABLE.pattern, "description": "An environment variable."}
FROM_ENVIRONMENT = {"$ref": "#/definitions/Variable"}
# Our notes on the vendors' documents, which who writes mlc.yaml does not have.
NOTES = re.compile(r"\s*\(vendors/[^)]*\)")
# What the name of a variable does not meet, though its value may.
NARROW = ("enum", "format", "maxLength", "minLength", "pattern")


def json_schema() -> dict[str, Any]:
    """The schema, of draft 7, which is the one that editors know.

    What joins several settings, such as either `rest` or `sftp`, it does not say: `mlc check` does.
    """
    _, whole = models_json_schema([(Settings, "validation")], ref_template="#/definitions/{model}")
    sections = whole.pop("$defs")
    for kind in _sections(Settings):
        section = sections[kind.__name__]
        if "description" in section:
            section["description"] = NOTES.sub("", section["description"])
        for field, schema in section.get("properties", {}).items():
            section["properties"][field] = _lenient(schema) | _told(kind, field)
    top = sections.pop("Settings")
    return {
        "$schema": DIALECT,
        **top,
        "title": "mlc.yaml",
        "definitions": {**sections, "Variable": VARIABLE_NAME},
    }


def _sections(kind: Any) -> set[type[BaseModel]]:
    """The sections at and below one, or in an annotation."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {section for part in get_args(kind) for section in _sections(part)}
    return {kind}.union(*(_sections(field.annotation) for field in kind.model_fields.values()))


def _lenient(schema: Any) -> Any:
    """The same, where a value that cannot be any text may also be `${NAME}`, a variable's."""
    if isinstance(schema, list):
        return [_lenient(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {
        key: _lenient(value) if key in ("items", "anyOf", "additionalProperties") else value
        for key, value in schema.items()
        if key != "title"  # the field's own name once more
    }
    if "patternProperties" in schema:
        schema["additionalProperties"] = False
    narrow = schema.get("type") in ("integer", "boolean") or any(key in schema for key in NARROW)
    if not narrow or schema.get("pattern") == VARIABLE.pattern:
        return schema
    default = {"default": schema.pop("default")} if "default" in schema else {}
    return {"anyOf": [schema, FROM_ENVIRONMENT], **default}


def _told(kind: type[BaseModel], field: str) -> dict[str, str]:
    """What the docstrings of a section say of a field: each sentence that names it."""
    texts = [
        NOTES.sub("", cleandoc(each.__doc__ or "")) for each in kind.__mro__ if issubclass(each, Section)
    ]
    sentences = re.split(r"(?<=\.)\s+", "\n\n".join(texts))
    said = [" ".join(each.split()) for each in sentences if re.search(rf"`{field}\b|\b{field}:", each)]
    return {"description": " ".join(said)} if said else {}
