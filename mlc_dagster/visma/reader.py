"""Reads what changed in the ERP into the lake, by company and modified day: one sweep for many days."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import chain, groupby

import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.lake import DayNote, Lake, Spool
from mlc_dagster.transport import Clock, SystemClock
from mlc_dagster.visma import deletes
from mlc_dagster.visma.client import VismaClient
from mlc_dagster.visma.entity import Entity
from mlc_dagster.visma.merge import changed, conform, in_second_pass, newer, without
from mlc_dagster.visma.records import BadRecord
from mlc_dagster.visma.sweep import MOST_PASSES, NeverSettled, Swept, sweep
from mlc_dagster.visma.wall import ZONE, day_begin, days_of, has_ended, overlap, wall_text


@dataclass
class ReadReport:
    """What a read did.

    ``read`` counts the records received for the days asked, ``changed`` those the lake did not hold so,
    ``rows`` what each day's file holds now. ``keys`` are those of the records that came in good order.
    """

    entity: str
    company: str
    read: int = 0
    changed: int = 0
    rows: dict[date, int] = field(default_factory=dict)
    written: list[date] = field(default_factory=list)
    quarantined: tuple[BadRecord, ...] = ()
    keys: pa.ChunkedArray = field(default_factory=lambda: pa.chunked_array([], pa.string()), repr=False)
    deleted: tuple[str, ...] = ()
    calls: int = 0
    passes: int = 0

    def counts(self) -> dict[str, int]:
        """Return the numbers for logs and metadata."""
        return {
            "read": self.read,
            "changed": self.changed,
            "deleted": len(self.deleted),
            "quarantined": len(self.quarantined),
            "days_written": len(self.written),
            "passes": self.passes,
        }

    def add(self, later: "ReadReport") -> None:
        """Take in what a later look at the same days brought."""
        self.read += later.read
        self.changed += later.changed
        self.passes += later.passes
        self.rows |= later.rows
        self.written += [day for day in later.written if day not in self.written]
        mended = set(later.keys.to_pylist())
        stay = [bad for bad in self.quarantined if bad.key is None or bad.key not in mended]
        self.quarantined = tuple({bad.key or bad.raw: bad for bad in (*stay, *later.quarantined)}.values())
        self.keys = pa.chunked_array([*self.keys.chunks, *later.keys.chunks], pa.string())
        self.deleted += later.deleted

    def __str__(self) -> str:
        return ", ".join(f"{name} {count}" for name, count in self.counts().items())


def read_days(
    client: VismaClient,
    lake: Lake,
    entity: Entity,
    company: str,
    days: Sequence[date],
    *,
    first_day: date,
    clock: Clock | None = None,
    zone: str = ZONE,
    whole: bool = False,
    allow_deletes: bool = False,
    on_day: Callable[[date, int], None] = lambda *_: None,
    settle: Callable[[ReadReport], None] = lambda _: None,
) -> ReadReport:
    """Bring contiguous days of one entity up to date in the lake, in one sweep.

    The first day of the axis also holds everything older. A day that is read again is merged by key; a day
    without news is not written. Days are written in order, each as soon as it is known; ``on_day`` is told
    the rows of its file. ``whole`` reads every record and compares, so that deleted and renumbered records
    are noticed for any entity; entities without a change filter are always read so.

    ``settle`` is told before a day is written which records came in good order and which did not parse. At
    the end closed months are compacted.

    Pages wait in a spool of the lake until then. A read of the same days that was cut off, by a crash or a
    lockout, is gone on with, and then what changed since it began is looked for.

    Raises what the transport raises (Closed when the budget is used up), NeverSettled, ReadGuard and
    LakeWriteFailed; days written before stay.
    """
    asked = sorted(set(days))
    if not asked or asked[-1] - asked[0] != timedelta(days=len(asked) - 1):
        raise ValueError(
            f"{entity.name} of {company}: {', '.join(map(str, days))} is no contiguous range of days."
        )
    calls_before = client.http.counter.calls
    axis = _Axis(asked, first_day, zone)
    reading = _Reading(client, lake, entity, company, axis, clock or SystemClock(), allow_deletes)
    whole = whole or not entity.has_filter
    report, resumed = _read(reading, whole=whole, on_day=on_day, settle=settle)
    if resumed and not whole:
        notes = lake.notes(entity.name, company)
        rest = [day for day in asked if day not in notes or not notes[day].complete]
        since = replace(reading, axis=replace(axis, asked=rest or asked[-1:]))
        report.add(_read(since, whole=False, on_day=on_day, settle=settle)[0])
    report.calls = client.http.counter.calls - calls_before
    return report


def _read(
    reading: "_Reading",
    *,
    whole: bool,
    on_day: Callable[[date, int], None],
    settle: Callable[[ReadReport], None],
) -> tuple[ReadReport, bool]:
    """Read once, and say whether that went on with a reading that was cut off."""
    spool = reading.spool(whole=whole)
    try:
        found = reading.whole(spool) if whole else reading.delta(spool)
    except (NeverSettled, deletes.ReadGuard):
        # What was received is not believed: the next read begins anew.
        spool.clear()
        raise
    swept, lake, axis = found.swept, reading.lake, reading.axis
    report = ReadReport(reading.entity.name, reading.company, passes=swept.passes)
    report.quarantined, report.keys = swept.bad, swept.index.column("_key")
    report.deleted = tuple(found.tombstones.column("_key").to_pylist())
    report.read = len(swept.bad) + found.fresh.count
    # Before a day is written: a day that ended is read no more, and what did not parse of it were forgotten.
    settle(report)
    groups = groupby(found.fresh.by_day(), key=lambda part: part[0])
    group = next(groups, None)
    for day in axis.asked:
        fresh: Iterator[pa.Table] = iter(())
        if group is not None and group[0] == day:
            fresh = (table for _, table in group[1])
        if day == axis.asked[-1] and len(found.tombstones):
            fresh = chain(fresh, [found.tombstones])
        _Day(lake, reading.entity, reading.company, day, axis.zone).write(fresh, found, report)
        on_day(day, report.rows[day])
        if group is not None and group[0] == day:
            group = next(groups, None)
    # Last of all: until here the same read would go on with these pages.
    lake.compact(reading.entity.name, reading.company, before=axis.asked[-1].replace(day=1))
    spool.clear()
    return report, swept.resumed


@dataclass(frozen=True)
class _Axis:
    """The days asked, and the first day of all, which also holds everything older."""

    asked: Sequence[date]
    first_day: date
    zone: str

    def days(self, stamps: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return the ERP's day of each stamp; unstamped ones are on the newest day."""
        newest = pa.scalar(self.asked[-1], pa.date32())
        days = pc.fill_null(days_of(stamps, self.zone), newest)
        return pc.max_element_wise(days, pa.scalar(self.first_day, pa.date32()))


class _Fresh:
    """The rows of a sweep that belong to the days asked; `index` is the light one of the sweep."""

    def __init__(self, swept: Swept, index: pa.Table, axis: _Axis) -> None:
        self._swept, self._axis = swept, axis
        index = index.append_column("_day", axis.days(index.column("_stamp")))
        index = index.filter(pc.is_in(index.column("_day"), pa.array(axis.asked, pa.date32())))
        self._by_key = "_lines" in index.column_names
        # Parts of one record must stand together; all others are read page by page.
        order = ["_day", *(["_key"] if self._by_key else []), "_place", "_row"]
        self._index = index.sort_by([(name, "ascending") for name in order])

    @property
    def count(self) -> int:
        """How many records they are."""
        return int(pc.count_distinct(self._index.column("_key")).as_py())

    def by_day(self) -> Iterator[tuple[date, pa.Table]]:
        """Return the rows in pieces, in the order of their days."""
        for table in self._swept.tables(self._index):
            days = self._axis.days(table.column("_stamp")).combine_chunks()
            counts = sorted((run["values"], run["counts"]) for run in days.value_counts().to_pylist())
            # One copy for all days: each is then a slice of it.
            ordered = table.take(pc.array_sort_indices(days)) if len(counts) > 1 else table
            first = 0
            for day, count in counts:
                yield day, ordered.slice(first, count)
                first += count


@dataclass(frozen=True)
class _Found:
    """What a read brought: fresh rows and tombstones to write, and the sweep.

    ``revived`` are keys that the lake holds as deleted and the ERP has again.
    """

    fresh: _Fresh
    tombstones: pa.Table
    swept: Swept
    revived: frozenset[str]


@dataclass(frozen=True)
class _Reading:
    client: VismaClient
    lake: Lake
    entity: Entity
    company: str
    axis: _Axis
    clock: Clock
    allow_deletes: bool

    def spool(self, *, whole: bool) -> Spool:
        """Return where the pages wait; what is named here makes two readings the same."""
        reading = {
            "days": [str(self.axis.asked[0]), str(self.axis.asked[-1])],
            "whole": whole,
            "page_size": self.client.page_size,
            "path": self.entity.path,
            "query": self.entity.query,
            "columns": str(self.entity.schema),
            "company": self.client.company.tenant_id,
        }
        return self.lake.spool(self.entity.name, self.company, reading, self.clock.now())

    def delta(self, spool: Spool) -> _Found:
        """Read what changed since the first day asked, or since its last reading ended."""
        since = self._since()
        for _ in range(MOST_PASSES):
            swept = self._sweep(since, spool)
            held = deletes.held(self.lake, self.entity, self.company)
            gone = self._gone(swept, held)
            left = without(swept.index, gone)
            # A document deleted while several pages were read has shifted the pages after it: once more.
            if swept.pages == 1 or len(left) == len(swept.index):
                tombstones = deletes.tombstones(self.lake, self.entity, self.company, gone, self.clock.now())
                fresh = _Fresh(swept, left, self.axis)
                return _Found(fresh, tombstones, swept, held.deleted)
            spool.clear()
        raise NeverSettled(self.entity.name, self.company, MOST_PASSES, "documents were deleted each time")

    def whole(self, spool: Spool) -> _Found:
        """Read everything and keep what differs from the lake; what vanished becomes tombstones."""
        swept = self._sweep(None, spool)
        nothing = self.entity.schema.empty_table()
        latest = self.lake.latest(self.entity.name, self.company)
        if latest is None:
            return _Found(_Fresh(swept, swept.index, self.axis), nothing, swept, frozenset())
        latest = conform(latest, self.entity.schema)
        alive = latest.filter(pc.invert(latest.column("_deleted")))
        dead = latest.filter(latest.column("_deleted"))
        unreadable = {bad.key for bad in swept.bad}
        # A record without a readable key may be any of the missing ones, so none is judged then.
        vanished = alive if None not in unreadable else nothing
        vanished = without(vanished, swept.keys | {key for key in unreadable if key})
        if not self.allow_deletes:
            deletes.guard_whole(self.entity, self.company, held=len(alive), missing=len(vanished))
        news = [table.column("_key").filter(changed(table, latest)) for table in swept.tables(swept.index)]
        keys = pa.chunked_array([chunk for keys in news for chunk in keys.chunks], pa.string())
        index = swept.index.filter(pc.is_in(swept.index.column("_key"), keys))
        tombstones = deletes.marked_deleted(vanished, self.clock.now())
        revived = frozenset(dead.column("_key").to_pylist())
        return _Found(_Fresh(swept, index, self.axis), tombstones, swept, revived)

    def _since(self) -> str | None:
        """Return where to begin: where the reading of an unfinished day ended, else with the first day."""
        first = self.axis.asked[0]
        note = self.lake.note(self.entity.name, self.company, first)
        if note is not None and not note.complete and note.next_from is not None:
            # Never later than the second day's begin: that day is read whole.
            return min(note.next_from, day_begin(first + timedelta(days=1)))
        return None if first == self.axis.first_day else day_begin(first)

    def _sweep(self, since: str | None, spool: Spool) -> Swept:
        return sweep(
            self.client, self.entity, since=since, clock=self.clock, zone=self.axis.zone, spool=spool
        )

    def _gone(self, swept: Swept, held: deletes.Held) -> list[str]:
        """Return the keys of documents that were deleted: known or received as unreleased, and gone now."""
        suspects = held.unreleased - swept.keys
        if swept.pages > 1:
            suspects |= deletes.unreleased_in(self.entity, swept.index)
        return deletes.gone(
            self.client, self.entity, suspects, witnesses=held.witnesses, allow_deletes=self.allow_deletes
        )


@dataclass(frozen=True)
class _Day:
    """One day's file in the lake."""

    lake: Lake
    entity: Entity
    company: str
    day: date
    zone: str

    def write(self, fresh: Iterator[pa.Table], found: _Found, report: ReadReport) -> None:
        """Merge the fresh rows into the file; without news, and as ended as before, leave it alone."""
        place, swept = (self.entity.name, self.company, self.day), found.swept
        known = self.lake.note(*place)
        if known is not None and swept.resumed and known.read_at == swept.started:
            # Written by this very reading before it was cut off.
            report.rows[self.day] = self.lake.count(*place)
            return
        complete = has_ended(self.day, swept.started, self.zone)
        next_from = None if complete else _next_from(swept, self.zone)
        note = DayNote(next_from, swept.started, complete, swept.total)
        counted = _Counted(fresh if known is None else self._news(fresh, found.revived))
        first = next(counted, None)
        parts: Iterator[pa.Table]
        if known is None:
            parts = chain([self.entity.schema.empty_table() if first is None else first], counted)
        elif first is not None:
            parts = chain([first], counted, self._others(counted.keys))
        elif known.complete == complete:
            report.rows[self.day] = self.lake.count(*place)
            return
        else:
            note = replace(known, complete=complete, next_from=None if complete else known.next_from)
            parts = self._others([])
        report.rows[self.day] = self.lake.write_day(*place, parts, note)
        report.changed += sum(map(len, counted.keys))
        report.written.append(self.day)

    def _news(self, fresh: Iterator[pa.Table], revived: frozenset[str]) -> Iterator[pa.Table]:
        """Return the fresh rows that are newer than what the file holds and differ from it."""
        back = pa.array(sorted(revived), pa.string())
        for came in fresh:
            old = self.lake.find(self.entity.name, self.company, self.day, came.column("_key"))
            old = conform(old, self.entity.schema)
            rows = in_second_pass(came, old, self.zone)
            # An equal row of a record that was held for deleted is news: it was read after its tombstone.
            alive = pc.and_not(pc.is_in(rows.column("_key"), back), rows.column("_deleted"))
            differs = pc.or_(changed(rows, old), alive.combine_chunks())
            news = rows.filter(pc.and_(differs, newer(rows, old)))
            if len(news):
                yield news

    def _others(self, news: list[pa.ChunkedArray]) -> Iterator[pa.Table]:
        """Return the rows of the file that no news replaced; `news` is complete by the time they are read."""
        keys = pa.chunked_array([chunk for column in news for chunk in column.chunks], pa.string())
        for part in self.lake.day_parts(self.entity.name, self.company, self.day):
            yield conform(without(part, keys), self.entity.schema)


class _Counted:
    """Tables that go by, and the keys of those that went by."""

    def __init__(self, tables: Iterator[pa.Table]) -> None:
        self._tables = tables
        self.keys: list[pa.ChunkedArray] = []

    def __iter__(self) -> "_Counted":
        return self

    def __next__(self) -> pa.Table:
        table = next(self._tables)
        self.keys.append(table.column("_key"))
        return table


def _next_from(swept: Swept, zone: str) -> str | None:
    """Return where the next sweep begins: from the stamps received, never from our clock.

    A record stamped while the sweep ran may have been missed, so the sweep's own duration is read again.
    """
    if swept.newest is None:
        return swept.since
    wall = datetime.fromisoformat(wall_text(swept.newest, zone))
    back = timedelta(seconds=swept.seconds) + overlap(wall.date(), zone)
    return (wall - back).isoformat(timespec="seconds")
