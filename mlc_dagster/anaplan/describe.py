"""What a model offers for our contracts, and what it lacks: the worklist of the model builder."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlc_dagster.anaplan.answers import FileFormat, Model
from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.csvfile import render
from mlc_dagster.anaplan.feed import Feed, joined
from mlc_dagster.anaplan.preflight import (
    LIST,
    MODULE,
    Offline,
    PreflightFailed,
    check_model,
    named,
    resolve,
    resolve_process,
)
from mlc_dagster.anaplan.readback import look_for_key
from mlc_dagster.delivery.errors import Stop
from mlc_dagster.settings.anaplan import AnaplanDestination

_NAME = re.compile("[^a-z0-9]")


@dataclass(frozen=True, slots=True)
class Needed:
    """A feed as our side has it. example: a value for each column of the contract, in its order. key: the
    contract's.

    settings: its section of mlc.yaml; None where it is not switched on.
    """

    name: str
    example: Mapping[str, Any]
    key: tuple[str, ...]
    settings: AnaplanDestination | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The header of its data file."""
        return tuple(self.example)

    @property
    def list_columns(self) -> tuple[str, ...]:
        """The header of its list file."""
        return Feed(self.name, self.columns).list_columns


@dataclass(frozen=True, slots=True)
class Part:
    """One object of the model that a feed uses, or lacks. problem: what is wrong, and who must do what."""

    role: str
    name: str
    facts: str = ""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What the model has for a feed.

    settings: those of mlc.yaml, or those that would fit by the names of the imports; None where nothing does.
    besides: objects that bear the feed's name and are not in use, by kind.
    """

    feed: Needed
    settings: AnaplanDestination | None
    parts: tuple[Part, ...]
    besides: Mapping[str, tuple[str, ...]]

    @property
    def on(self) -> bool:
        """Whether the feed is switched on."""
        return self.feed.settings is not None

    @property
    def problems(self) -> list[Part]:
        """What keeps it from being delivered or read back."""
        return [part for part in self.parts if part.problem]


@dataclass(frozen=True, slots=True)
class Description:
    """A model beside our contracts. closed: why nothing can be imported now; counts: its objects by kind."""

    model: Model
    closed: str | None
    counts: Mapping[str, int]
    offers: tuple[Offer, ...]


def describe(
    client: AnaplanClient, feeds: Sequence[Needed], *, check: Callable[[str], object]
) -> Description:
    """Look at the model; changes nothing. About ten calls, and one for each import and process in use.

    `check` makes the pre-flight of a feed that is switched on, by name. Raises transport's CallFailed.
    """
    model = client.catalog.model()
    try:
        check_model(model)
        closed = None
    except (PreflightFailed, Offline) as state:
        closed = str(state)
    offers = tuple(_offer(client, feed, None if closed else check) for feed in feeds)
    return Description(model, closed, {kind: len(ask()) for kind, ask in _kinds(client)}, offers)


def upload_files(offer: Offer) -> dict[str, bytes]:
    """The files the builder uploads once, by name: header and one example row, written as a delivery does."""
    feed, settings = offer.feed, offer.settings
    carried = Feed(feed.name, feed.columns, feed.key, item_name=settings.item_name if settings else None)
    code = joined(feed.key, feed.example)
    files = [(f"{feed.name} data.csv", feed.example, carried.columns)]
    if settings is None or settings.list_import or settings.process:
        item = carried.item(code, feed.example)
        files.insert(0, (f"{feed.name} list.csv", item, carried.list_columns))
    return {
        name: render([(code, row)], columns, FileFormat(headers=tuple(columns))).content.whole()
        for name, row, columns in files
    }


def _offer(client: AnaplanClient, feed: Needed, check: Callable[[str], object] | None) -> Offer:
    settings = feed.settings or _fitting(client, feed)
    parts = list(_parts(client, feed, settings)) if settings else []
    if feed.settings and check and not any(part.problem for part in parts):
        try:
            check(feed.name)
        except Stop as stop:
            parts.append(Part("delivery", feed.name, problem=str(stop)))
    return Offer(feed, settings, tuple(parts), _besides(client, feed, settings))


def _fitting(client: AnaplanClient, feed: Needed) -> AnaplanDestination | None:
    """Settings made of the imports that bear the feed's name, where there is one data import."""
    ours = [action for action in client.catalog.imports() if _folded(feed.name) in _folded(action.name)]
    lists = [action.name for action in ours if action.type == LIST]
    data = [action.name for action in ours if action.type == MODULE]
    if len(data) != 1:
        return None
    return AnaplanDestination(list_import=lists[0] if len(lists) == 1 else None, data_import=data[0])


def _parts(client: AnaplanClient, feed: Needed, settings: AnaplanDestination) -> Iterator[Part]:
    """Everything the settings name, found or not."""
    catalog, columns, small = client.catalog, feed.columns, settings.small_changes
    looks: list[tuple[str, str | None, Callable[[str], str]]] = [
        ("process", settings.process, lambda name: _process(client, name, feed.list_columns, columns)),
        ("list import", settings.list_import, lambda name: _import(client, name, LIST, feed.list_columns)),
        ("data import", settings.data_import, lambda name: _import(client, name, MODULE, columns)),
        ("delete action", settings.delete_action, lambda name: named(catalog.actions(), name, "action").id),
        ("list", small.list if small else None, lambda name: named(catalog.lists(), name, "list").id),
        ("module", small.module if small else None, lambda name: named(catalog.modules(), name, "module").id),
        ("read back", settings.read_back, lambda name: _view(client, name, feed.key)),
    ]
    for role, name, look in looks:
        if name:
            try:
                yield Part(role, name, look(name))
            except PreflightFailed as problem:
                yield Part(role, name, problem=str(problem))


def _import(client: AnaplanClient, name: str, kind: str, columns: Sequence[str]) -> str:
    action = resolve(client, name, kind, columns)
    return f"{action.id}, reads file {action.file_id}: {len(columns)} columns as needed"


def _process(client: AnaplanClient, name: str, list_columns: Sequence[str], columns: Sequence[str]) -> str:
    found = resolve_process(client, name, list_columns, columns)
    return f"{found.id}, runs {', '.join(step.name for step in client.catalog.process_steps(found.id))}"


def _view(client: AnaplanClient, name: str, key: Sequence[str]) -> str:
    kind, found = look_for_key(client, name, key)
    return f"{kind} {found.id}, with {', '.join(key)}"


def _besides(
    client: AnaplanClient, feed: Needed, settings: AnaplanDestination | None
) -> dict[str, tuple[str, ...]]:
    used = _used(settings) if settings else set()
    found = {
        kind: tuple(
            thing.name
            for thing in ask()
            if _folded(feed.name) in _folded(thing.name) and not {thing.id, thing.name} & used
        )
        for kind, ask in _kinds(client)
    }
    # The default view of a module bears the module's name.
    found["views"] = tuple(name for name in found["views"] if name not in found["modules"])
    return {kind: names for kind, names in found.items() if names}


def _used(settings: AnaplanDestination) -> set[str | None]:
    small = settings.small_changes
    return {
        *(settings.list_import, settings.data_import, settings.process),
        *(settings.delete_action, settings.read_back),
        *((small.list, small.module) if small else ()),
    }


def _kinds(client: AnaplanClient) -> Iterator[tuple[str, Callable[[], Sequence[Any]]]]:
    """The kinds of objects, and how to ask for all of each. The catalog asks Anaplan once."""
    catalog = client.catalog
    yield "lists", catalog.lists
    yield "modules", catalog.modules
    yield "imports", catalog.imports
    yield "processes", catalog.processes
    yield "actions", catalog.actions
    yield "exports", catalog.exports
    yield "views", catalog.views


def _folded(name: str) -> str:
    """Letters and digits: `Supplier Invoices` bears the name of `supplier_invoices`."""
    return _NAME.sub("", name.casefold())
