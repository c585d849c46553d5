"""The pages of a sweep: their rows wait in the lake's spool, and a light index of them stays in memory.

What a sweep must know to trust its pages is little: keys, stamps, line numbers, states. The rows themselves
are read again, in pieces, when their days are written. A sweep that was cut off finds its pages here.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from threading import Lock
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.lake import PageGone, Spool
from mlc_dagster.visma.client import Page, Told
from mlc_dagster.visma.entity import LINE, STATUS, Entity
from mlc_dagster.visma.merge import conform, joined, several
from mlc_dagster.visma.records import BadRecord, Rows

# Rows are loaded in pieces of about this size, two at a time: each looks at every page that holds any of it.
PIECE_BYTES = 2 * 2**20
# A table of a few rows and a hundred nested columns is mostly objects about them: so many become one.
MANY_TABLES = 8
# In an ordered index: the key of a record that came in several parts, else null.
SPLIT = "_split"


@dataclass(frozen=True)
class Kept:
    """What stays in memory of a page: the index of its rows, the records that are none, what it told."""

    index: pa.Table
    bad: tuple[BadRecord, ...]
    told: Told


class Pages:
    """The pages of one sweep over one entity.

    `begun` is when the sweep began and `since` from when on it asks for changes; for one that was cut off and
    is `resumed`, both are as they were at first.
    """

    def __init__(self, entity: Entity, spool: Spool, since: str | None, now: datetime) -> None:
        self._entity, self._spool = entity, spool
        self._token = uuid4().hex[:8]
        self._lock = Lock()
        self._places: list[str | pa.Table] = []
        self._rows = self._bytes = 0
        self._held: dict[int, dict[int, tuple[Kept, Told]]] = defaultdict(dict)
        self._passes: dict[int, datetime] = {}
        self.begun, self.since, self.resumed = now, since, False
        self._take_up()

    def held(self, number: int) -> dict[int, tuple[Kept, Told]]:
        """Return the pages of a pass that were received before the sweep was cut off."""
        return self._held[number]

    def pass_begun(self, number: int, now: datetime) -> datetime:
        """Return when a pass began; the one of now begins now."""
        return self._passes.setdefault(number, now)

    def keep(self, number: int, page: Page, rows: Rows) -> Kept:
        """Put a page of a pass aside, durably, unless it is the only one. Thread-safe."""
        name = f"{number:02}-{page.number:06}-{self._token}"
        kept = self._placed(rows.table if page.alone else name, rows.table, rows.bad, page.told)
        if not page.alone:
            self._spool.put(name, rows.table, self._note(number, page.number, kept))
        _release()
        return kept

    def tables(self, index: pa.Table) -> Iterator[pa.Table]:
        """Return the rows of an index in pieces, by its column `_part` if it has one, then as they came.

        Parts of one record are joined; they stand in one piece.
        """
        rows = max(1, PIECE_BYTES * self._rows // max(1, self._bytes))
        index = self._in_order(index)
        splits = index.column(SPLIT).to_pylist() if self._entity.lines else None
        first = 0
        while first < len(index):
            end = min(first + rows, len(index))
            while splits and end < len(index) and splits[end] and splits[end] == splits[end - 1]:
                end += 1
            _release()
            yield self._load(index.slice(first, end - first))
            first = end

    def _in_order(self, index: pa.Table) -> pa.Table:
        order = ["_place", "_row"]
        if self._entity.lines:
            keys = index.column("_key")
            split = pc.if_else(pc.is_in(keys, several(keys)), keys, pa.scalar(None, keys.type))
            index, order = index.append_column(SPLIT, split), [SPLIT, *order]
        if "_part" in index.column_names:
            order = ["_part", *order]
        return index.select(order).sort_by([(name, "ascending") for name in order])

    def _load(self, piece: pa.Table) -> pa.Table:
        """Return the rows of a piece in its order. One page is open at a time, and each only once."""
        places = piece.column("_place").to_numpy()
        by_place = np.argsort(places, kind="stable")
        ordered, rows = places[by_place], piece.column("_row").to_numpy()[by_place]
        found: list[pa.Table] = []
        for own in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(ordered)) + 1):
            kept = self._places[ordered[own[0]]]
            table = kept if isinstance(kept, pa.Table) else self._spool.load(kept)
            found.append(table.take(pa.array(rows[own])))
            if len(found) == MANY_TABLES:
                found = [_united(found)]
        if np.any(np.diff(by_place) < 0):
            # One table first: to take from several Arrow would copy them all once more.
            found = [_united(found)]
            found = [found.pop().take(pa.array(np.argsort(by_place)))]
        table = conform(_united(found), self._entity.schema)
        return joined(self._entity, table) if self._entity.lines else table

    def _index(self, table: pa.Table, place: int) -> pa.Table:
        columns = {
            "_key": table.column("_key"),
            "_stamp": table.column("_stamp"),
            "_place": pa.repeat(pa.scalar(place, pa.int32()), len(table)),
            "_row": pa.array(np.arange(len(table), dtype=np.int32)),
        }
        if self._entity.unreleased:
            columns[STATUS] = table.column(STATUS)
        if self._entity.lines:
            lists = table.column(self._entity.lines).combine_chunks()
            numbers = pc.struct_field(lists.values, LINE)
            columns["_lines"] = pa.ListArray.from_arrays(lists.offsets, numbers, mask=lists.is_null())
        # Copied: a slice would keep the whole page in memory.
        return pa.table(columns).combine_chunks()

    def _placed(self, place: str | pa.Table, table: pa.Table, bad: tuple[BadRecord, ...], told: Told) -> Kept:
        """Note where a page's rows are to be found, and return what stays in memory of them."""
        with self._lock:
            number = len(self._places)
            self._places.append(place)
            self._rows += len(table)
            self._bytes += table.nbytes
        return Kept(self._index(table, number), bad, told)

    def _note(self, number: int, page: int, kept: Kept) -> dict[str, Any]:
        return {
            "sweep": self.begun.isoformat(),
            "since": self.since,
            "pass": number,
            "begun": self._passes[number].isoformat(),
            "page": page,
            "told": [kept.told.length, kept.told.total, kept.told.cap],
            "bad": [asdict(bad) for bad in kept.bad],
        }

    def _take_up(self) -> None:
        """Take up the sweep that left most pages; two at once may have left some each.

        One that is still going on may end meanwhile, and its pages with it: they are asked for again.
        """
        notes = self._spool.notes()
        if not notes:
            return
        [(sweep, _)] = Counter(note["sweep"] for note in notes.values()).most_common(1)
        self.begun, self.resumed = datetime.fromisoformat(sweep), True
        for name, note in notes.items():
            if note["sweep"] == sweep and note["page"] not in self._held[note["pass"]]:
                with suppress(PageGone):
                    self._hold(name, self._spool.load(name), note)

    def _hold(self, name: str, table: pa.Table, note: dict[str, Any]) -> None:
        bad = tuple(BadRecord(**record) for record in note["bad"])
        kept = self._placed(name, table, bad, Told(*note["told"]))
        self._held[note["pass"]][note["page"]] = kept, kept.told
        self.since = note["since"]
        self._passes[note["pass"]] = datetime.fromisoformat(note["begun"])


def _united(tables: list[pa.Table]) -> pa.Table:
    """Return the rows of all in one piece; each may lack columns the others have."""
    return pa.concat_tables(tables, promote_options="permissive").combine_chunks()


def _release() -> None:
    """Give memory back: Arrow keeps what a page or a piece needed for the next one, and that would grow."""
    pa.default_memory_pool().release_unused()
