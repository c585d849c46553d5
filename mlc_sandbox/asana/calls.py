"""One API call and its answer: what a handler is given and what it gives back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn

from mlc_sandbox.asana.errors import bad, missing
from mlc_sandbox.asana.login import Actor
from mlc_sandbox.asana.paging import Pages
from mlc_sandbox.asana.render import View
from mlc_sandbox.asana.selection import Tree, parse
from mlc_sandbox.asana.shapes import SHAPES
from mlc_sandbox.asana.store import Entity
from mlc_sandbox.asana.world import World

API = "/api/1.0"


@dataclass
class Reply:
    """What a handler answers."""

    body: dict[str, Any]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


# A handler answers under the world's lock, or returns a function that goes on without it.
Answer = Reply | Callable[[], Reply]


@dataclass
class ApiCall:
    """`path` is below the API's root, without the query; `ids` are its parameters; `data` the body's."""

    world: World
    method: str
    path: str
    query: dict[str, str]
    data: dict[str, Any]
    options: dict[str, Any]
    actor: Actor
    root: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.view = View(self.world, self.actor.scope, SHAPES)

    @property
    def line(self) -> str:
        """What faults are matched with."""
        return f"{self.method} /asana{API}{self.path}"

    @property
    def selection(self) -> Tree | None:
        """opt_fields of the query, or `fields` of the options."""
        return parse(self.query.get("opt_fields") or self.options.get("fields"))

    def need(self, name: str) -> Any:
        """A field of the body. Raises ApiError 400 without it."""
        if name not in self.data:
            raise missing(name)
        return self.data[name]

    def ask(self, name: str) -> str:
        """A query parameter. Raises ApiError 400 without it."""
        if not self.query.get(name):
            raise missing(name)
        return self.query[name]

    def only(self, *names: str) -> None:
        """Raises ApiError 400 for a field that cannot be written here."""
        for name in self.data:
            if name not in names:
                raise bad(f"{name}: Cannot write this property")

    def record(self, entity: Entity) -> dict[str, Any]:
        """In full, or as selected."""
        tree = self.selection
        return self.view.full(entity) if tree is None else self.view.selected(entity, tree)

    def one(self, entity: Entity) -> Reply:
        """200 with the record."""
        return Reply({"data": self.record(entity)})

    def created(self, entity: Entity, path: str) -> Reply:
        """201 with the record, and where it is."""
        return Reply({"data": self.record(entity)}, 201, {"Location": f"/{path}/{entity.gid}"})

    def listing(self, items: Sequence[Entity], *, paged: bool = True) -> Reply:
        """Compact records or as selected; a page of them when the endpoint has pages."""
        more: dict[str, Any] = {}
        if paged:
            query = self.query | {name: str(self.options[name]) for name in _PAGING if name in self.options}
            pages = Pages(self.path, query, self.world.clock.wire(), self.world.switches)
            items, more = pages.cut(items, self.root)
        tree = self.selection
        rows = [self.view.compact(item) if tree is None else self.view.selected(item, tree) for item in items]
        return Reply({"data": rows, **more})


_PAGING = ("limit", "offset")


def nothing() -> Reply:
    """What deletes and most actions answer."""
    return Reply({"data": {}})


def read_body(raw: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """`data` and `options`; numbers with a point are Decimals. Raises ApiError 400."""
    if not raw:
        return {}, {}
    try:
        body = json.loads(raw, parse_float=Decimal, parse_constant=_no_number)
    except ValueError:
        raise bad("Could not parse request data, invalid JSON") from None
    if not isinstance(body, dict):
        raise bad("Could not parse request data, invalid JSON")
    for name in body:
        if name not in ("data", "options"):
            raise bad(f'Unrecognized top-level key "{name}"; allowed are "data" and "options"')
    data, options = body.get("data", {}), body.get("options", {})
    if not isinstance(data, dict) or not isinstance(options, dict):
        raise bad("data: Value is not a JSON object")
    return data, options


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")
