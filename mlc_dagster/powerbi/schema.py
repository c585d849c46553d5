"""Compares what the contracts declare with what the dataset was created with."""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from mlc_dagster.powerbi.remembered import Dataset
from mlc_dagster.powerbi.star import Shape, Star, Table

_REBUILD = "Tables and types are fixed at creation: another dataset name in mlc.yaml makes a new dataset."
_KEEP = "Power BI cannot rename or drop a column: keep its caption, or name a new dataset in mlc.yaml."
_ADD = "Run `mlc powerbi setup` to add what is new."


def differences(shape: Shape, dataset: Dataset, there: Collection[str]) -> list[str]:
    """What keeps rows of one model from being sent, in words; `there` are the names Power BI lists."""
    found: list[str] = []
    for table in shape.tables():
        if table.name not in there:
            found.append(f"The dataset has no table {table.name!r}. {_REBUILD}")
            continue
        created = dataset.tables.get(table.name, {})
        found += fixed(table, created)
        if new := added(table, created):
            found.append(f"Table {table.name!r} lacks {_listed(new)}. {_ADD}")
    return found


def added(table: Table, created: Mapping[str, str]) -> list[str]:
    """The columns a table was not created with.

    They are compared with what was created: whether Power BI tells columns is not known (section 4).
    """
    return [name for name in table.types if name not in created]


def fixed(table: Table, created: Mapping[str, str]) -> list[str]:
    """Columns that are gone or of another type, in words: no call can change them."""
    gone = [name for name in created if name not in table.types]
    found = [f"The contract lacks {_listed(gone)} of table {table.name!r}. {_KEEP}"] if gone else []
    return found + [
        f"Column {name!r} of table {table.name!r} is {created[name]}, and {kind} in the contract. {_REBUILD}"
        for name, kind in table.types.items()
        if created.get(name, kind) != kind
    ]


def hashes(star: Star) -> dict[str, str]:
    """A hash of each measure's declaration."""
    return {measure.name: _hash(measure.body()) for measure in star.measures}


def links(star: Star) -> list[str]:
    """The relationships as text."""
    return sorted(
        f"{link.from_table}[{link.from_column}] -> {link.to_table}[{link.to_column}]"
        for link in star.relationships
    )


def _hash(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def _listed(names: Collection[str]) -> str:
    return f"column{'' if len(names) == 1 else 's'} {', '.join(repr(name) for name in names)}"
