"""Datasets, their tables and rows: what the service holds. Plain data, picklable."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mlc_sandbox.powerbi.values import TYPES, Value

Row = tuple[Value, ...]


@dataclass(slots=True)
class Event:
    """Something that happened to a table. `operation` is POST, DELETE or PUT; `rows` were sent or there.

    `stored` of them are in the table now; `note` tells what a fault made of it.
    """

    at: datetime
    operation: str
    rows: int = 0
    stored: int = 0
    sequence: int | None = None
    note: str = ""


@dataclass(slots=True)
class Unseen:
    """Rows at the end of a table that queries do not show yet."""

    rows: int
    since: datetime
    queries: int = 0


@dataclass(slots=True)
class Late:
    """A POST or DELETE that nobody answered and that still has to happen.

    It happens after `deletes` further DELETEs or `posts` further POSTs of its table, or at `due`.
    """

    operation: str
    rows: list[Row] = field(default_factory=list)
    client: str = ""
    sequence: int | None = None
    deletes: int | None = None
    posts: int | None = None
    due: datetime | None = None


@dataclass(slots=True)
class TableStore:
    """One table. `definition` is the JSON as declared; rows hold a value per column, in its order."""

    definition: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    unseen: list[Unseen] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)
    sequence: dict[str, int] = field(default_factory=dict)  # client to its last number
    history: list[Event] = field(default_factory=list)
    version: int = 0  # rises with every change of rows or columns

    @property
    def name(self) -> str:
        """As declared."""
        return str(self.definition["name"])

    @property
    def columns(self) -> dict[str, str]:
        """Name to type."""
        return {column["name"]: TYPES[column["dataType"].lower()] for column in self.definition["columns"]}

    @property
    def visible(self) -> int:
        """How many of the rows, from the first, queries show."""
        return len(self.rows) - sum(batch.rows for batch in self.unseen)

    def add(self, rows: list[Row], now: datetime) -> None:
        """Store rows; they show later."""
        self.rows += rows
        self.unseen.append(Unseen(len(rows), now))
        self.version += 1

    def clear(self) -> None:
        """Remove every row, at once."""
        self.rows, self.unseen = [], []
        self.version += 1

    def drop_oldest(self, keep: int) -> None:
        """What basicFIFO does."""
        over = len(self.rows) - keep
        self.rows = self.rows[over:]
        hidden = sum(batch.rows for batch in self.unseen)
        for batch in self.unseen:
            gone = min(batch.rows, max(0, hidden - keep))
            batch.rows, hidden = batch.rows - gone, hidden - gone
        self.version += 1


@dataclass(slots=True)
class Refresh:
    """One refresh of an import model. `error` is the code it fails with; `enhanced` holds its request."""

    id: str
    started: datetime
    day: str
    enhanced: dict[str, Any] | None = None
    polls: int = 0
    ended: datetime | None = None
    status: str = "Unknown"  # while it runs
    error: str | None = None
    will_fail: str | None = None


@dataclass(slots=True)
class Dataset:
    """A semantic model of a workspace; only push datasets have tables here."""

    name: str
    workspace: str
    push: bool
    owner: str
    retention: str = "None"
    mode: str = "Push"
    tables: dict[str, TableStore] = field(default_factory=dict)
    relationships: list[dict[str, Any]] = field(default_factory=list)
    hidden_polls: int = 0  # reads until it shows
    refreshes: list[Refresh] = field(default_factory=list)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def definition(self) -> dict[str, Any]:
        """As it could be created again."""
        return {
            "name": self.name,
            "defaultMode": self.mode,
            "tables": [table.definition for table in self.tables.values()],
            "relationships": self.relationships,
        }
