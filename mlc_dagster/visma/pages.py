"""The pages of a sweep: their rows wait in the lake's spool, and a light index of them stays in memory.

What a sweep must know to trust its pages is little: keys, stamps, line numbers, states. The rows themselves
are read again, in pieces, when their days are written. A sweep that was cut off finds its pages here.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.lake import Spool
from mlc_dagster.visma.client import Page, Told
from mlc_dagster.visma.entity import Entity
from mlc_dagster.visma.merge import joined
from mlc_dagster.visma.records import BadRecord, Rows

# Rows are loaded in pieces of about this size.
PIECE_BYTES = 2 * 2**20


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
        """Put a page of a pass aside, durably, unless it is the only one."""
        kept = Kept(self._index(rows.table, len(self._places)), rows.bad, page.told)
        place: str | pa.Table = rows.table
        if not page.alone:
            place = f"{number:02}-{page.number:06}-{self._token}"
            self._spool.put(place, rows.table, self._note(number, page.number, kept))
        self._placed(place, rows.table)
        # Arrow keeps what it no longer needs for the next page; over a sweep that would grow.
        pa.default_memory_pool().release_unused()
        return kept

    def tables(self, index: pa.Table) -> Iterator[pa.Table]:
        """Return the rows of an index in pieces, in order of these; parts of one record are joined."""
        rows = max(1, PIECE_BYTES * self._rows // max(1, self._bytes))
        keys = index.column("_key").to_pylist() if self._entity.lines else None
        first = 0
        while first < len(index):
            end = min(first + rows, len(index))
            while keys and end < len(index) and keys[end] == keys[end - 1]:
                end += 1
            yield self._load(index.slice(first, end - first))
            first = end

    def _load(self, piece: pa.Table) -> pa.Table:
        places, rows = piece.column("_place").to_numpy(), piece.column("_row").to_numpy()
        found = []
        for place in np.unique(places):
            kept = self._places[place]
            table = kept if isinstance(kept, pa.Table) else self._spool.load(kept)
            found.append(table.take(pa.array(rows[places == place])))
        table = pa.concat_tables(found).combine_chunks()
        return joined(self._entity, table) if self._entity.lines else table

    def _index(self, table: pa.Table, place: int) -> pa.Table:
        columns = {
            "_key": table.column("_key"),
            "_stamp": table.column("_stamp"),
            "_place": pa.repeat(pa.scalar(place, pa.int32()), len(table)),
            "_row": pa.array(np.arange(len(table), dtype=np.int32)),
        }
        if self._entity.unreleased:
            columns["status"] = table.column("status")
        if self._entity.lines:
            lists = table.column(self._entity.lines).combine_chunks()
            numbers = pc.struct_field(lists.values, "lineNumber")
            columns["_lines"] = pa.ListArray.from_arrays(lists.offsets, numbers, mask=lists.is_null())
        # Copied: a slice would keep the whole page in memory.
        return pa.table(columns).combine_chunks()

    def _placed(self, place: str | pa.Table, table: pa.Table) -> None:
        self._places.append(place)
        self._rows += len(table)
        self._bytes += table.nbytes

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
        """Take up the sweep that left most pages; two at once may have left some each."""
        notes = self._spool.notes()
        if not notes:
            return
        [(sweep, _)] = Counter(note["sweep"] for note in notes.values()).most_common(1)
        self.begun, self.resumed = datetime.fromisoformat(sweep), True
        for name, note in notes.items():
            held = self._held[note["pass"]]
            if note["sweep"] == sweep and note["page"] not in held:
                table = self._spool.load(name)
                bad = tuple(BadRecord(**record) for record in note["bad"])
                kept = Kept(self._index(table, len(self._places)), bad, Told(*note["told"]))
                held[note["page"]] = kept, kept.told
                self.since = note["since"]
                self._passes[note["pass"]] = datetime.fromisoformat(note["begun"])
                self._placed(name, table)
