"""Answers: an object in its compact form, in full, or as opt_fields selects it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from mlc_sandbox.asana.selection import Tree
from mlc_sandbox.asana.store import Entity
from mlc_sandbox.asana.world import World

Getter = Callable[["View", Any], Any]

# What a getter answers when the object, by its type, has no such field.
ABSENT = object()


@dataclass(frozen=True)
class Shape:
    """The fields of one kind: `compact` in lists and references, all but `opt_in` in a full record."""

    fields: Mapping[str, Getter]
    compact: tuple[str, ...] = ("name",)
    opt_in: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Embedded:
    """An object that a full record shows in full, not as a reference."""

    entity: Any


class View:
    """Renders for one call. `scope` is whose `external` data shows; `cost` counts the objects touched."""

    def __init__(self, world: World, scope: str, shapes: Mapping[type, Shape]) -> None:
        self.world, self.scope, self._shapes = world, scope, shapes
        self.cost = 0

    def compact(self, entity: Any) -> dict[str, Any]:
        """gid, resource_type and the few fields of a list."""
        shape = self._shape(entity)
        return self._whole(entity, shape, shape.compact)

    def full(self, entity: Any) -> dict[str, Any]:
        """Everything that need not be asked for."""
        shape = self._shape(entity)
        return self._whole(entity, shape, [name for name in shape.fields if name not in shape.opt_in])

    def selected(self, entity: Any, tree: Tree) -> dict[str, Any]:
        """The gid and what the tree names; unknown names are no mistake."""
        shape, result = self._shape(entity), {"gid": entity.gid}
        for name, below in tree.items():
            if name == "resource_type":
                result[name] = entity.resource_type
            elif name in shape.fields:
                value = shape.fields[name](self, entity)
                if value is not ABSENT:
                    result[name] = self._picked(value, below)
        return result

    def _whole(self, entity: Any, shape: Shape, names: Iterable[str]) -> dict[str, Any]:
        values = {name: shape.fields[name](self, entity) for name in names}
        shown = {name: self._plain(value) for name, value in values.items() if value is not ABSENT}
        return self._head(entity) | shown

    def _shape(self, entity: Any) -> Shape:
        self.cost += 1
        return self._shapes[type(entity)]

    def _head(self, entity: Any) -> dict[str, Any]:
        return {"gid": entity.gid, "resource_type": entity.resource_type}

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Embedded):
            return self.full(value.entity)
        if isinstance(value, Entity):
            return self.compact(value)
        if isinstance(value, list):
            return [self._plain(item) for item in value]
        if isinstance(value, dict):
            return {name: self._plain(item) for name, item in value.items()}
        return stamp(value) if isinstance(value, date) else value

    def _picked(self, value: Any, tree: Tree) -> Any:
        if isinstance(value, list):
            return [self._picked(item, tree) for item in value]
        if not tree:
            bare = isinstance(value, Entity) and self.world.switches["reference_form"] == "gid"
            return self._head(value) if bare else self._plain(value)
        if isinstance(value, Embedded):
            return self.selected(value.entity, tree)
        if isinstance(value, Entity):
            return self.selected(value, tree)
        if isinstance(value, dict):
            return {name: self._picked(value[name], below) for name, below in tree.items() if name in value}
        return stamp(value) if isinstance(value, date) else value


def stamp(value: date) -> str:
    """A day as `YYYY-MM-DD`, a moment in UTC with milliseconds and `Z`."""
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
    return value.isoformat()
