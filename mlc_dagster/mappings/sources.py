"""What a model's rows depend on besides the records that changed, and the fingerprint of it."""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from mlc_dagster.lake import Lake
from mlc_dagster.mappings.contract import Check
from mlc_dagster.mappings.loading import Loaded
from mlc_dagster.mappings.model import Model


def related(model: Model, checks: Collection[Check], loaded: Loaded) -> list[Model]:
    """The models that some checks look into."""
    names = [check.spec.relationships.model for check in checks if check.spec.relationships]
    return [loaded.models[f"{model.target}/{name}"] for name in names if name]


def latest_entities(model: Model, loaded: Loaded) -> list[str]:
    """The entities read as latest() by the model, by its tests, and by the models they look into."""
    found = [*model.joined]
    for template in model.test_templates.values():
        found += template.names("latest")
    for other in related(model, model.checks, loaded):
        found += other.entities
    return list(dict.fromkeys(found))


def fingerprint(model: Model, loaded: Loaded, lake: Lake, company: str) -> str:
    """Changes when a row could come out, or be shown, differently though its own record did not change.

    That is: the model, its contract, what that says to its target, its lookups and variables, and what its
    refusing tests look into; of all of these the entities joined with latest(). Tests that only warn change
    no row, so they do not count.
    """
    refusing = [check for check in model.checks if check.row_level and check.severity == "error"]
    others = related(model, refusing, loaded)
    templates = [model.template, *(other.template for other in others)]
    templates += [model.test_templates[check.name] for check in refusing if check.spec.sql]
    relations = [check.spec.relationships for check in refusing if check.spec.relationships]
    entities = {name for template in templates for name in template.names("latest")}
    entities |= {other.source for other in others}
    lookups = {name for template in templates for name in template.names("lookup")}
    lookups |= {relation.lookup for relation in relations if relation.lookup}
    variables = {name for template in templates for name in template.names("var")}
    parts = {
        "contract": model.contract.model_dump_json(),
        "sql": [template.text for template in templates],
        "lookups": {name: loaded.lookups[name].digest for name in lookups},
        "variables": {name: loaded.variables[name] for name in variables},
        "lake": {entity: lake.fingerprint(entity, company) for entity in entities},
    }
    if model.section is not None:
        parts["section"] = model.section.model_dump_json()
    return _digest(parts)


def everything(loaded: Loaded) -> str:
    """Changes with any file that a test may look into, also of those tests that change no row."""
    parts = {
        "sql": {name: template.text for name, template in loaded.templates.items()},
        "lookups": {name: lookup.digest for name, lookup in loaded.lookups.items()},
        "variables": loaded.variables,
    }
    return _digest(parts)


def _digest(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
