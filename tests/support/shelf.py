"""A destination for tests: a shelf of items in an SQLite file of its own, as careless as a real vendor.

Creating twice makes two items: the shelf does not know keys. It keeps a note per token, so that it can be
asked what it took. Faults are given one per call; the file survives the sender.
"""

import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from mlc_dagster.delivery import Batch, Change, Op, Outcome, Row
from mlc_dagster.delivery.errors import Closed, InDoubtError, NotLanded, Stop
from mlc_dagster.delivery.rows import decode, encode
from tests.support.manual_clock import START

TABLES = """
CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, key TEXT, payload TEXT);
CREATE TABLE IF NOT EXISTS notes (token TEXT, key TEXT, target_id TEXT);
CREATE TABLE IF NOT EXISTS stubs (key TEXT, id INTEGER);
CREATE TABLE IF NOT EXISTS inbox
    (position INTEGER PRIMARY KEY, token TEXT, op TEXT, key TEXT, target_id TEXT, payload TEXT);
CREATE TABLE IF NOT EXISTS calls (id INTEGER PRIMARY KEY, call TEXT, token TEXT, rows INTEGER);
"""


class Lost(Exception):
    """A defect in the destination's own code; its text holds a password."""


# Made anew for every raise: an exception carries the report of the delivery it ended.
ERRORS: Mapping[str, Callable[[], Exception]] = {
    "nothing happened": lambda: NotLanded("the shelf is out of order"),
    "closed": lambda: Closed("the shelf is closed", START + timedelta(hours=1)),
    "stop": lambda: Stop("the shelf has no such board; add it"),
    "lose request": lambda: InDoubtError("the connection broke while sending"),
    "defect": lambda: Lost("password=hunter2"),
}


class Shelf:
    """faults: for each coming send one of ERRORS, "lose answer", "late", None; met: how many came to one.

    piecemeal: a commit a row.
    leaves: a refused new row leaves an item with nothing but its code, as a list import does.
    """

    def __init__(
        self,
        file: Path,
        *,
        name: str = "shelf/items",
        max_rows: int = 1_000,
        max_bytes: int = 1_000_000,
        faults: Iterable[str | None] = (),
        refuse: Mapping[str, str] | None = None,
        unfit: Mapping[str, str] | None = None,
        tombstone: Mapping[str, Any] | None = None,
        exclusive: tuple[str, ...] = (),
        piecemeal: bool = False,
        leaves: bool = False,
        preflight_error: Exception | None = None,
        target: str = "shelf",
    ) -> None:
        self.name, self.max_rows, self.max_bytes = name, max_rows, max_bytes
        self.tombstone, self.exclusive, self.piecemeal, self.leaves = tombstone, exclusive, piecemeal, leaves
        self.faults, self.refuse, self.unfit = deque(faults), dict(refuse or {}), dict(unfit or {})
        self.preflight_error, self.target = preflight_error, target
        self.met: Counter[str] = Counter()
        self._file = file
        self._run(TABLES)

    # what a destination must do

    def preflight(self, changes: Sequence[Change]) -> Mapping[str, str]:
        if self.preflight_error is not None:
            raise self.preflight_error
        return {
            change.row.key: self.unfit[change.row.key] for change in changes if change.row.key in self.unfit
        }

    def send(self, batch: Batch) -> Outcome:
        self._called("send", batch)
        fault = self.faults.popleft() if self.faults else None
        self.met.update([fault] if fault else [])
        if fault in ERRORS:
            raise ERRORS[fault]()
        if fault == "late":
            self._put_in_inbox(batch)
            raise InDoubtError("no answer within two minutes")
        batch.save(started=True)
        outcome = self._take(batch)
        if fault == "lose answer":
            raise InDoubtError("the connection broke while waiting")
        return outcome

    def resolve(self, batch: Batch) -> Outcome | None:
        self._called("resolve", batch)
        if self._rows("SELECT 1 FROM inbox WHERE token = ?", batch.token):
            return None
        noted = dict(self._rows("SELECT key, target_id FROM notes WHERE token = ?", batch.token))
        if not noted and not self._stubs(batch):
            raise NotLanded("the shelf took nothing of it")
        return self._take(batch, done=noted)

    def calls(self, changes: Sequence[Change]) -> int:
        return -(-len(changes) // self.max_rows)

    # what the test sees

    def content(self) -> list[tuple[str, dict[str, Any]]]:
        """All items, duplicates included."""
        return [
            (key, decode(text)) for key, text in self._rows("SELECT key, payload FROM items ORDER BY key, id")
        ]

    def count(self, call: str) -> int:
        return len(self._rows("SELECT 1 FROM calls WHERE call = ?", call))

    def batch_sizes(self) -> list[int]:
        return [size for (size,) in self._rows("SELECT rows FROM calls WHERE call = 'send' ORDER BY id")]

    def lay(self, key: str, payload: Mapping[str, Any]) -> str:
        """Somebody else puts an item there; its id."""
        with closing(self._open()) as connection, connection:
            made = connection.execute(
                "INSERT INTO items (key, payload) VALUES (?, ?)", (key, encode(payload))
            )
        return str(made.lastrowid)

    def arrive(self) -> None:
        """What was late lands now."""
        waiting = self._rows("SELECT token, op, key, target_id, payload FROM inbox ORDER BY position")
        with closing(self._open()) as connection, connection:
            for token, op, key, target_id, payload in waiting:
                _apply(connection, token, key, op=Op(op), target_id=target_id, payload=payload)
            connection.execute("DELETE FROM inbox")

    # how it keeps its items

    def _take(self, batch: Batch, done: Mapping[str, str] | None = None) -> Outcome:
        ids = dict(done or {})
        new = [change for change in batch.changes if change.row.key not in ids]
        refused = {c.row.key: self.refuse[c.row.key] for c in new if c.row.key in self.refuse}
        left = [change for change in new if change.row.key not in refused]
        for part in [[change] for change in left] if self.piecemeal else [left]:
            ids |= self._commit(batch.token, part)
        taken = {key: target_id for key, target_id in ids.items() if target_id}
        if self.leaves:
            self._leave_stubs([c for c in new if c.row.key in refused and c.op is Op.CREATE])
        partial = {key: {"code": key} for key in self._stubs(batch)}
        return Outcome(target_ids=taken, refused=refused, partial=partial, detail={"taken": len(ids)})

    def _stubs(self, batch: Batch) -> set[str]:
        return {key for (key,) in self._rows("SELECT key FROM stubs")} & {c.row.key for c in batch.changes}

    def _leave_stubs(self, changes: Sequence[Change]) -> None:
        with closing(self._open()) as connection, connection:
            for change in changes:
                if _stub(connection, change.row.key) is None:
                    payload = encode({"code": change.row.key})
                    made = connection.execute(
                        "INSERT INTO items (key, payload) VALUES (?, ?)", (change.row.key, payload)
                    )
                    connection.execute("INSERT INTO stubs VALUES (?, ?)", (change.row.key, made.lastrowid))

    def _commit(self, token: str, changes: Sequence[Change]) -> dict[str, str]:
        with closing(self._open()) as connection, connection:
            return {
                change.row.key: _apply(
                    connection,
                    token,
                    change.row.key,
                    op=change.op,
                    target_id=change.target_id,
                    payload=encode(change.row.payload),
                )
                for change in changes
            }

    def _put_in_inbox(self, batch: Batch) -> None:
        with closing(self._open()) as connection, connection:
            connection.executemany(
                "INSERT INTO inbox (token, op, key, target_id, payload) VALUES (?, ?, ?, ?, ?)",
                [
                    (batch.token, str(c.op), c.row.key, c.target_id, encode(c.row.payload))
                    for c in batch.changes
                ],
            )

    def _called(self, call: str, batch: Batch) -> None:
        with closing(self._open()) as connection, connection:
            values = (call, batch.token, len(batch.changes))
            connection.execute("INSERT INTO calls (call, token, rows) VALUES (?, ?, ?)", values)

    def _rows(self, query: str, *values: object) -> list[Any]:
        with closing(self._open()) as connection:
            return connection.execute(query, values).fetchall()

    def _run(self, script: str) -> None:
        with closing(self._open()) as connection, connection:
            connection.executescript(script)

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._file, timeout=30)


def wanted(rows: Iterable[Row]) -> list[tuple[str, dict[str, Any]]]:
    """What the shelf must hold when it is equal to the rows."""
    return sorted((row.key, dict(row.payload)) for row in rows)


def _stub(connection: sqlite3.Connection, key: str) -> str | None:
    found = connection.execute("SELECT id FROM stubs WHERE key = ?", (key,)).fetchone()
    return str(found[0]) if found else None


def _apply(
    connection: sqlite3.Connection, token: str, key: str, *, op: Op, target_id: str | None, payload: str
) -> str:
    stub = _stub(connection, key)
    connection.execute("DELETE FROM stubs WHERE key = ?", (key,))
    if op is Op.CREATE and stub is None:
        cursor = connection.execute("INSERT INTO items (key, payload) VALUES (?, ?)", (key, payload))
        target_id = str(cursor.lastrowid)
    elif op is Op.CREATE:
        connection.execute("UPDATE items SET payload = ? WHERE id = ?", (payload, stub))
        target_id = stub
    elif op is Op.UPDATE:
        changed = connection.execute("UPDATE items SET payload = ? WHERE id = ?", (payload, target_id))
        assert changed.rowcount == 1, f"there is no item {target_id} to update"
    else:
        connection.execute("DELETE FROM items WHERE id = ?", (target_id or stub,))
    note = (token, key, "" if op is Op.DELETE else target_id)
    connection.execute("INSERT INTO notes (token, key, target_id) VALUES (?, ?, ?)", note)
    return note[2] or ""
