"""What an Anaplan model is made of: lists, modules, files, actions; and a journal to roll a change back."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from mlc_sandbox.anaplan.periods import Period

TIME_ID, VERSIONS_ID, USERS_ID = "20000000003", "20000000020", "101999999999"

Value = str | bool | Decimal | date | None
Coordinates = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Format:
    """NUMBER, TEXT, DATE, BOOLEAN or LIST; a LIST format names the list whose item ids its values are."""

    kind: str
    list_id: str | None = None


@dataclass(slots=True)
class ListItem:
    """An item of a list; `name` of a numbered list's item is `#<index>`, its text is a property."""

    id: str
    name: str
    code: str | None = None
    parent: str | None = None  # item id in the parent list
    properties: dict[str, Value] = field(default_factory=dict)
    subsets: tuple[str, ...] = ()


@dataclass(slots=True)
class AnaplanList:
    """A list with its items by id; codes and names are unique (a numbered list only knows codes)."""

    id: str
    name: str
    numbered: bool = False
    parent_id: str | None = None
    properties: dict[str, Format] = field(default_factory=dict)
    display_property: str | None = None
    production_data: bool = True
    subsets: tuple[str, ...] = ()
    next_index: int = 1
    items: dict[str, ListItem] = field(default_factory=dict)
    by_code: dict[str, str] = field(default_factory=dict)
    by_name: dict[str, str] = field(default_factory=dict)

    @property
    def item_prefix(self) -> str:
        """First digits of the ids of this list's items."""
        return f"3{self.id[-3:]}"

    def label(self, item: ListItem) -> str:
        """What a grid shows for the item."""
        text = item.properties.get(self.display_property) if self.display_property else None
        return str(text) if text else item.name


@dataclass(slots=True)
class LineItem:
    """A line item; a calculated one has a formula and takes no value from outside."""

    id: str
    name: str
    format: Format
    formula: str | None = None


@dataclass(frozen=True, slots=True)
class SavedView:
    """A view a builder saved; `filled` shows only rows in which something stands."""

    name: str
    filled: bool = False


@dataclass(slots=True)
class Module:
    """A module: line items by a tuple of dimensions (list ids, TIME_ID, VERSIONS_ID); cells by item ids."""

    id: str
    name: str
    dimensions: tuple[str, ...]
    line_items: dict[str, LineItem] = field(default_factory=dict)
    saved_views: dict[str, SavedView] = field(default_factory=dict)  # by view id
    cells: dict[Coordinates, dict[str, Value]] = field(default_factory=dict)


@dataclass(slots=True)
class DataSource:
    """A file definition: how an uploaded file is read. `headers` are those of the builder's first upload."""

    id: str
    name: str
    headers: tuple[str, ...] = ()
    encoding: str = "UTF-8"
    separator: str = ","
    delimiter: str = '"'
    header_row: int = 1
    first_data_row: int = 2
    decimal_separator: str = "."
    chunk_count: int = 0


@dataclass(slots=True)
class ImportAction:
    """An import: `mapping` is column -> target; `clear` and `duplicates` are what the builder chose.

    List targets: `code`, `name`, `parent`, `property:<name>`, `subset:<name>`.
    Module targets: `dimension:<id>` or a line item's name. `prompts` are dimensions asked for at run time.
    """

    id: str
    name: str
    kind: str  # HIERARCHY_DATA | MODULE_DATA
    source_id: str
    target_id: str
    mapping: dict[str, str]
    key: str = "code"  # code | name: how list items are matched
    duplicates: str = "first"  # first | reject_all
    clear: str = "none"  # none ("only update imported cells") | items (mapped items in source) | all
    date_format: str = "yyyy-mm-dd"  # or yyyymmdd
    period_format: str = "Mmm yy"  # one of PERIOD_FORMATS: how a column names months
    prompts: tuple[str, ...] = ()


@dataclass(slots=True)
class ExportAction:
    """An export of a view to CSV; the output file has the same id."""

    id: str
    name: str
    view_id: str


@dataclass(slots=True)
class DeleteAction:
    """DELETE_BY_SELECTION: removes the list items for which a Boolean line item is true."""

    id: str
    name: str
    list_id: str
    module_id: str
    line_item: str


@dataclass(slots=True)
class Process:
    """Actions in run order, by id."""

    id: str
    name: str
    steps: tuple[str, ...]


@dataclass(slots=True)
class Model:
    """One model: definitions plus data."""

    id: str
    name: str
    workspace_id: str
    active_state: str = "UNLOCKED"
    lists: dict[str, AnaplanList] = field(default_factory=dict)
    modules: dict[str, Module] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)  # id -> name
    periods: dict[str, Period] = field(default_factory=dict)  # the model calendar
    files: dict[str, DataSource] = field(default_factory=dict)
    imports: dict[str, ImportAction] = field(default_factory=dict)
    exports: dict[str, ExportAction] = field(default_factory=dict)
    actions: dict[str, DeleteAction] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)

    def named(self, kind: str, name: str) -> Any:
        """The list, module, import ... of this name; KeyError names what was looked for."""
        for thing in getattr(self, kind).values():
            if thing.name == name:
                return thing
        raise KeyError(f"the model has no {name!r} under {kind}")

    def line_items(self) -> Iterator[tuple[Module, LineItem]]:
        """All line items with their modules."""
        for module in self.modules.values():
            for item in module.line_items.values():
                yield module, item


class _Missing:
    """Stands for "there was no such key"; a class keeps its identity through copies of the state."""


class Journal:
    """Remembers what a running task overwrote, so that it can be cancelled or read again."""

    def __init__(self) -> None:
        self._undo: list[tuple[MutableMapping[Any, Any], Any, Any]] = []

    def put(self, mapping: MutableMapping[Any, Any], key: Any, value: Any) -> None:
        """Set a value."""
        self._undo.append((mapping, key, mapping.get(key, _Missing)))
        mapping[key] = value

    def drop(self, mapping: MutableMapping[Any, Any], key: Any) -> None:
        """Remove a key if it is there."""
        if key in mapping:
            self._undo.append((mapping, key, mapping.pop(key)))

    def extend(self, later: Journal) -> None:
        """Take over the changes of a later journal."""
        self._undo.extend(later._undo)

    def roll_back(self) -> None:
        """Restore every value, newest change first."""
        while self._undo:
            mapping, key, old = self._undo.pop()
            if old is _Missing:
                mapping.pop(key, None)
            else:
                mapping[key] = old
