"""Reads what changed in the ERP into the lake, by company and modified day: one sweep for many days."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property, partial
from itertools import chain, groupby, pairwise
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.clock import Clock, SystemClock
from mlc_dagster.lake import DAY, SYSTEM, DayNote, Lake, LakeOvertaken, PageGone, Spool, month_of
from mlc_dagster.lake.storage import File
from mlc_dagster.visma import deletes
from mlc_dagster.visma.client import EVER, VismaClient
from mlc_dagster.visma.entity import Entity
from mlc_dagster.visma.merge import changed, conform, in_order, newer, without
from mlc_dagster.visma.parallel import one_ahead
from mlc_dagster.visma.records import BadRecord
from mlc_dagster.visma.sweep import MOST_PASSES, NeverSettled, Swept, sweep
from mlc_dagster.visma.wall import (
    ZONE,
    day_begin,
    days_of,
    from_wall,
    has_ended,
    open_since,
    overlap,
    wall_text,
)

# Two runs that write the same days take turns; a day replaced more often than this has a writer gone wild.
OVERTAKEN_AT_MOST = 5


@dataclass
class ReadReport:
    """What a read did.

    ``read`` counts the records received for the days asked, ``changed`` those the lake did not hold so,
    ``rows`` what each day's file holds now. ``keys`` are those of the records that came in good order.
    ``missing`` are records that a read of everything did not bring, and that the key sweep has to look for.
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
    missing: tuple[str, ...] = ()
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
    again: bool = False,
    gone: Collection[str] = (),
    looked: datetime | None = None,
    back: Collection[str] = (),
    elsewhere: Collection[str] = (),
    on_day: Callable[[date, int], None] = lambda *_: None,
    settle: Callable[[ReadReport], None] = lambda _: None,
) -> ReadReport:
    """Bring contiguous days of one entity up to date in the lake, in one sweep.

    The first day of the axis also holds everything older. A day that is read again is merged by key; a day
    without news is not written. Days are written in order, each as soon as it is known; ``on_day`` is told
    the rows of its file. ``whole`` reads every record and compares every field; entities without a change
    filter are always read so, and what vanished of them becomes a tombstone. Of others it is only told: where
    it went, and who names it, is to be found out first. ``again`` asks for the days from their begin, also
    where an open one was read so far: what was refused then may pass now.

    ``gone`` are records that a look at all keys found deleted: they become tombstones of the newest day,
    unless this read brings them, or another did since that look began (``looked``). ``back`` are records that
    it found again after their deletion, or in a version that looks older than the lake's. ``elsewhere`` are
    records that destinations hold, or that did not parse: what a read of everything does not bring of them
    counts as vanished too, though the lake never saw it.

    ``settle`` is told before a day is written which records came in good order and which did not parse. At
    the end closed months are compacted.

    Pages wait in a spool of the lake until then. A read of the same days that was cut off, by a crash or a
    lockout, is gone on with, and then what changed since it began is looked for.

    Raises what the transport raises (Closed when the budget is used up), NeverSettled, ReadGuard,
    LakeOvertaken, PageGone and LakeWriteFailed; days written before stay.
    """
    asked = sorted(set(days))
    if not asked or asked[-1] - asked[0] != timedelta(days=len(asked) - 1):
        raise ValueError(
            f"{entity.name} of {company}: {', '.join(map(str, days))} is no contiguous range of days."
        )
    calls_before = client.http.counter.calls
    axis = _Axis(asked, first_day, zone)
    known = (frozenset(gone), frozenset(back), frozenset(elsewhere))
    clock = clock or SystemClock()
    reading = _Reading(client, lake, entity, company, axis, clock, allow_deletes, *known, again, looked)
    whole = whole or not entity.has_filter
    report, resumed = _read_after_others(reading, whole=whole, on_day=on_day, settle=settle)
    if resumed and not whole:
        notes = lake.notes(entity.name, company)
        rest = [day for day in asked if day not in notes or not notes[day].complete]
        since = replace(reading, axis=replace(axis, asked=rest or asked[-1:]))
        report.add(_read_after_others(since, whole=False, on_day=on_day, settle=settle)[0])
    report.calls = client.http.counter.calls - calls_before
    return report


@dataclass(frozen=True, slots=True)
class Received:
    """How many pages of a pass over a list are here, and how many it has; None before the first has told."""

    here: int = 0
    pages: int | None = None


def received(
    client: VismaClient,
    lake: Lake,
    entity: Entity,
    company: str,
    days: Sequence[date],
    *,
    first_day: date,
    clock: Clock,
    zone: str = ZONE,
    whole: bool = False,
) -> Received:
    """What a read of some days that was cut off has left of its last pass; the next one goes on there."""
    reading = _Reading(
        client, lake, entity, company, _Axis(days, first_day, zone), clock, allow_deletes=False
    )
    notes = reading.spool(whole=whole or not entity.has_filter).notes().values()
    newest = max((note["pass"] for note in notes), default=0)
    told = {note["page"]: note["told"] for note in notes if note["pass"] == newest}
    totals = [total for _, total, _ in told.values() if total is not None]
    size = min([client.page_size, *(cap for *_, cap in told.values() if cap)])
    return Received(len(told), math.ceil(max(totals) / size) if totals else None)


def _read_after_others(
    reading: "_Reading",
    *,
    whole: bool,
    on_day: Callable[[date, int], None],
    settle: Callable[[ReadReport], None],
) -> tuple[ReadReport, bool]:
    """Read, and again with the pages at hand where another run was quicker. As `_read`."""
    for _ in range(OVERTAKEN_AT_MOST):
        with suppress(LakeOvertaken, PageGone):
            return _read(reading, whole=whole, on_day=on_day, settle=settle)
    return _read(reading, whole=whole, on_day=on_day, settle=settle)


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
    report.quarantined, report.keys = swept.bad, swept.keys
    report.deleted = tuple(found.tombstones.column("_key").to_pylist())
    report.missing = found.missing
    report.read = len(swept.bad) + found.fresh.count
    # Before a day is written: a day that ended is read no more, and what did not parse of it were forgotten.
    settle(report)
    files = _Files(lake, reading.entity, reading.company, axis, found, report)
    parts = files.parts()
    pieces = groupby(found.fresh.by_part(parts), key=itemgetter(0))
    coming = next(pieces, None)
    for number, days in enumerate(parts):
        fresh: Iterator[pa.Table] = iter(())
        if coming is not None and coming[0] == number:
            fresh = map(itemgetter(1), coming[1])
        if days[-1] == axis.asked[-1] and len(found.tombstones):
            fresh = chain(fresh, [found.tombstones])
        files.write(days, fresh)
        for day in days:
            on_day(day, report.rows[day])
        if coming is not None and coming[0] == number:
            coming = next(pieces, None)
    # Last of all: until here the same read would go on with these pages.
    lake.compact(reading.entity.name, reading.company, before=axis.open_month)
    spool.clear()
    return report, swept.resumed


@dataclass(frozen=True)
class _Axis:
    """The days asked, and the first day of all, which also holds everything older."""

    asked: Sequence[date]
    first_day: date
    zone: str

    @property
    def open_month(self) -> date:
        """The first day of the newest month; those before it are closed."""
        return self.asked[-1].replace(day=1)

    def days(self, stamps: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return the ERP's day of each stamp; unstamped ones are on the newest day."""
        newest = pa.scalar(self.asked[-1], pa.date32())
        days = pc.fill_null(days_of(stamps, self.zone), newest)
        return pc.max_element_wise(days, pa.scalar(self.first_day, pa.date32()))


class _Fresh:
    """The rows of a sweep that belong to the days asked; `index` is the light one of the sweep."""

    def __init__(self, swept: Swept, index: pa.Table, axis: _Axis) -> None:
        self._swept, self._axis = swept, axis
        days = axis.days(index.column("_stamp"))
        index = index.select(["_key", "_place", "_row"]).append_column("_day", days)
        index = index.filter(pc.is_in(days, pa.array(axis.asked, pa.date32())))
        self._index = index

    @property
    def count(self) -> int:
        """How many records they are."""
        return int(pc.count_distinct(self._index.column("_key")).as_py())

    def by_part(self, parts: Sequence[Sequence[date]]) -> Iterator[tuple[int, pa.Table]]:
        """Return the rows in pieces, in the order of some contiguous ranges of days, each with its number."""
        firsts = np.array([days[0] for days in parts], "datetime64[D]")

        def part(days: pa.ChunkedArray) -> Any:
            return np.searchsorted(firsts, days.to_numpy(), side="right").astype(np.int32) - 1

        index = self._index.append_column("_part", pa.array(part(self._index.column("_day"))))
        for piece in one_ahead(self._swept.tables(index)):
            numbers = part(self._axis.days(piece.column("_stamp")))
            order = np.argsort(numbers, kind="stable")
            # Joined records stand at the end.
            table = piece.take(pa.array(order)) if np.any(np.diff(order) < 0) else piece
            borders = [0, *(np.flatnonzero(np.diff(numbers[order])) + 1), len(numbers)]
            for first, end in pairwise(borders):
                yield int(numbers[order[first]]), table.slice(first, end - first)


@dataclass(frozen=True)
class _Found:
    """What a read brought: fresh rows and tombstones to write, and the sweep.

    ``overtaken`` are the lake's newest versions, system columns only, of records that the ERP has again after
    their deletion or shows in a version that looks older. ``missing`` are keys nobody has looked for yet.
    """

    fresh: _Fresh
    tombstones: pa.Table
    swept: Swept
    overtaken: pa.Table
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Reading:
    client: VismaClient
    lake: Lake
    entity: Entity
    company: str
    axis: _Axis
    clock: Clock
    allow_deletes: bool
    known_gone: frozenset[str] = frozenset()
    known_back: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()
    again: bool = False
    looked: datetime | None = None

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
                gone += self._known_gone(swept, gone)
                tombstones = deletes.tombstones(self.lake, self.entity, self.company, gone, self.clock.now())
                fresh = _Fresh(swept, left, self.axis)
                overtaken = self._held_of(swept, held.deleted | self.known_back)
                return _Found(fresh, tombstones, swept, overtaken)
            spool.clear()
        raise NeverSettled(self.entity.name, self.company, MOST_PASSES, "documents were deleted each time")

    def whole(self, spool: Spool) -> _Found:
        """Read everything and keep what differs from the lake."""
        swept = self._sweep(None, spool)
        nothing = self.entity.schema.empty_table()
        held = self.lake.latest(self.entity.name, self.company)
        latest = nothing if held is None else conform(held, self.entity.schema)
        vanished = tuple(self._vanished(swept, latest))
        # One of the others may have another number, and documents that name it: the key sweep knows.
        gone, missing = ((), vanished) if self.entity.has_filter else (vanished, ())
        tombstones = deletes.tombstones(self.lake, self.entity, self.company, gone, self.clock.now())
        if held is None:
            return _Found(_Fresh(swept, swept.index, self.axis), tombstones, swept, nothing, missing)
        news, older = [], [latest.column("_key").filter(latest.column("_deleted"))]
        for table in swept.tables(swept.index):
            ordered = in_order(table, latest)
            news.append(table.column("_key").filter(changed(ordered, latest)))
            lifted = pc.not_equal(table.column("_stamp"), ordered.column("_stamp"))
            older.append(table.column("_key").filter(lifted))
        index = swept.index.filter(pc.is_in(swept.index.column("_key"), _joined(news)))
        overtaken = latest.filter(pc.is_in(latest.column("_key"), _joined(older))).select(SYSTEM.names)
        return _Found(_Fresh(swept, index, self.axis), tombstones, swept, overtaken, missing)

    def _vanished(self, swept: Swept, latest: pa.Table) -> list[str]:
        """Return what was known, to the lake or elsewhere, and a read of everything did not bring.

        Of what was read since it began its pages say nothing: they may have waited in the spool for days.
        Raises ReadGuard when that is too much.
        """
        alive = latest.filter(pc.invert(latest.column("_deleted")))
        begun = pa.scalar(swept.started, alive.schema.field("_read_at").type)
        before = alive.filter(pc.less(alive.column("_read_at"), begun)).select(["_key"])
        unknown = pa.table({"_key": pa.array(sorted(self.elsewhere), pa.string())})
        elsewhere = without(unknown, latest.column("_key"))
        held = pa.concat_tables([before, elsewhere])
        unreadable = {bad.key for bad in swept.bad}
        if None in unreadable:
            return []  # A record without a readable key may be any of the missing ones.
        missing = without(without(held, swept.keys), [key for key in unreadable if key])
        if not self.allow_deletes:
            known = len(alive) + len(elsewhere)
            deletes.guard_whole(self.entity, self.company, held=known, missing=len(missing))
        keys: list[str] = missing.column("_key").to_pylist()
        return keys

    def _since(self) -> str | None:
        """Return where to begin: the earliest moment from which any of the days asked has to be read."""
        notes = self.lake.notes(self.entity.name, self.company)
        now = self.clock.now()
        begins = [self._begin(day, notes.get(day), now) for day in self.axis.asked]
        return None if None in begins else min(filter(None, begins))

    def _begin(self, day: date, note: DayNote | None, now: datetime) -> str | None:
        """Return where a day's reading ended; one that is new, or over, or asked for again, is read whole.

        The reading that ends a day looks at all of it once more: a transaction may be committed hours after
        its stamp. So does one that looks for records known to be back, which have an old stamp.
        """
        if not self.again and note is not None and not note.complete and note.next_from is not None:
            anew = self.known_back or has_ended(day, now, self.axis.zone)
            return day_begin(day) if anew else note.next_from
        return None if day == self.axis.first_day else day_begin(day)

    def _sweep(self, since: str | None, spool: Spool) -> Swept:
        return sweep(
            self.client, self.entity, since=since, clock=self.clock, zone=self.axis.zone, spool=spool
        )

    def _held_of(self, swept: Swept, keys: Collection[str]) -> pa.Table:
        """Return the lake's newest versions of those of some records that the sweep brought."""
        came = swept.keys.filter(pc.is_in(swept.keys, pa.array(sorted(keys), pa.string())))
        held = self.lake.latest(self.entity.name, self.company, came.to_pylist()) if len(came) else None
        return (self.entity.schema.empty_table() if held is None else held).select(SYSTEM.names)

    def _known_gone(self, swept: Swept, found: Collection[str]) -> Collection[str]:
        """Return those known to be gone that have not come since: a number may be used again."""
        gone = self.known_gone.difference(swept.keys.to_pylist(), found) if self.known_gone else frozenset()
        held = self.lake.latest(self.entity.name, self.company, gone) if gone and self.looked else None
        if held is None:
            return gone
        alive = held.filter(pc.invert(held.column("_deleted")))
        looked = pa.scalar(self.looked, alive.schema.field("_read_at").type)
        came = alive.filter(pc.greater_equal(alive.column("_read_at"), looked)).column("_key")
        return gone.difference(came.to_pylist())

    def _gone(self, swept: Swept, held: deletes.Held) -> list[str]:
        """Return the keys of documents that were deleted: known or received as unreleased, and gone now."""
        unreleased = pa.array(sorted(held.unreleased), pa.string())
        came = swept.keys.filter(pc.is_in(swept.keys, unreleased))
        suspects = held.unreleased.difference(came.to_pylist())
        if swept.pages > 1:
            suspects |= deletes.unreleased_in(self.entity, swept.index)
        return deletes.gone(
            self.client, self.entity, suspects, witnesses=held.witnesses, allow_deletes=self.allow_deletes
        )


@dataclass(frozen=True)
class _Files:
    """The files of the days in the lake, as a read finds and leaves them."""

    lake: Lake
    entity: Entity
    company: str
    axis: _Axis
    found: _Found
    report: ReadReport

    @cached_property
    def _held(self) -> set[str]:
        """The months of which the lake holds any day."""
        return set(map(month_of, self.lake.days(self.entity.name, self.company)))

    @cached_property
    def _left_open(self) -> str | None:
        """From when on a day before those asked is not wholly read.

        Whoever asks for news asks from where the newest day's reading ended: it must not pass that by.
        """
        return open_since(self.lake.notes(self.entity.name, self.company), self.axis.asked[0])

    def _in_month_file(self, day: date) -> bool:
        return day < self.axis.open_month and month_of(day) not in self._held

    def parts(self) -> list[list[date]]:
        """Return the days asked by file: a closed month that is new to the lake is one, else each day is."""

        def file(day: date) -> str:
            return month_of(day) if self._in_month_file(day) else str(day)

        return [list(days) for _, days in groupby(self.axis.asked, key=file)]

    def write(self, days: Sequence[date], fresh: Iterator[pa.Table]) -> None:
        """Write one of the parts; `fresh` are the rows received for it."""
        if self._in_month_file(days[0]):
            self._write_month(days, fresh)
        else:
            self._write_day(days[0], fresh)

    def _write_month(self, days: Sequence[date], fresh: Iterator[pa.Table]) -> None:
        """Write days of which the lake holds nothing as their month's file, as compaction would leave it."""
        rows: Counter[date] = Counter()

        def dated() -> Iterator[pa.Table]:
            for table in chain([self.entity.schema.empty_table()], fresh):
                day = self.axis.days(table.column("_stamp"))
                rows.update({run["values"]: run["counts"] for run in day.value_counts().to_pylist()})
                yield table.add_column(0, DAY, day)

        notes = {day: self._note(day) for day in days}
        self.report.changed += self.lake.write_month(self.entity.name, self.company, dated(), notes)
        self.report.rows |= {day: rows[day] for day in days}
        self.report.written += days

    def _note(self, day: date) -> DayNote:
        swept, zone = self.found.swept, self.axis.zone
        covered = swept.since is None or swept.since <= day_begin(day)
        if covered and has_ended(day, swept.started, zone):
            return DayNote(None, swept.started, True, swept.total)
        begins = filter(None, (_next_from(swept, zone), self._left_open))
        return DayNote(min(begins, default=None), swept.started, False, swept.total)

    def _write_day(self, day: date, fresh: Iterator[pa.Table]) -> None:
        """Merge the fresh rows into the file; without news, and as ended as before, leave it alone."""
        place, swept = (self.entity.name, self.company, day), self.found.swept
        file, known = self.lake.file(*place), self.lake.note(*place)
        if known is not None and swept.resumed and known.read_at == swept.started:
            # Written by this very reading before it was cut off.
            self.report.rows[day] = self.lake.count(*place)
            return
        note = self._note(day)
        fresh = (in_order(came, self.found.overtaken) for came in fresh)
        counted = _Counted(fresh if known is None else self._news(day, fresh))
        first = next(counted, None)
        parts: Iterator[pa.Table]
        if known is None:
            parts = chain([self.entity.schema.empty_table() if first is None else first], counted)
        elif first is not None:
            parts = chain([first], counted, self._others(day, counted.keys))
        elif known.complete == note.complete:
            self.report.rows[day] = self.lake.count(*place)
            return
        else:
            note = replace(
                known, complete=note.complete, next_from=None if note.complete else known.next_from
            )
            parts = self._others(day, [])
        last_look = partial(self._refuse_if_overtaken, day, file)
        self.report.rows[day] = self.lake.write_day(*place, parts, note, last_look=last_look)
        self.report.changed += sum(map(len, counted.keys))
        self.report.written.append(day)

    def _news(self, day: date, fresh: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """Return the fresh rows that are newer than what the file holds and differ from it."""
        overtaken = self.found.overtaken
        back = overtaken.column("_key").filter(overtaken.column("_deleted")).combine_chunks()
        for came in fresh:
            old = self.lake.find(self.entity.name, self.company, day, came.column("_key"))
            old = conform(old, self.entity.schema)
            rows = in_order(came, old)
            # An equal row of a record that was held for deleted is news: it was read after its tombstone.
            alive = pc.and_not(pc.is_in(rows.column("_key"), back), rows.column("_deleted"))
            differs = pc.or_(changed(rows, old), alive.combine_chunks())
            news = rows.filter(pc.and_(differs, newer(rows, old)))
            if len(news):
                yield news

    def _refuse_if_overtaken(self, day: date, file: File | None) -> None:
        """Raise LakeOvertaken when the file is another one: what another run found would be lost.

        A command and a run of the daemon know nothing of each other.
        """
        if self.lake.file(self.entity.name, self.company, day) != file:
            raise LakeOvertaken(self.entity.name, self.company, str(day))

    def _others(self, day: date, news: list[pa.ChunkedArray]) -> Iterator[pa.Table]:
        """Return the rows of the file that no news replaced; `news` is complete by the time they are read."""
        keys = _joined(news)
        for part in self.lake.day_parts(self.entity.name, self.company, day):
            yield conform(without(part, keys), self.entity.schema)


def _joined(columns: Iterable[pa.ChunkedArray]) -> pa.ChunkedArray:
    return pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string())


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
    """Return where the next sweep begins: from the stamps received, never later than our clock.

    A record stamped while the sweep ran may have been missed, so the sweep's own duration is read again. One
    stamped far ahead says nothing of what comes before it.
    """
    if swept.newest is None:
        return swept.since
    newest = min(swept.newest, swept.started + timedelta(seconds=swept.seconds))
    newest = max(newest, from_wall(EVER, zone))  # .NET's 0001-01-01 has nothing before it
    wall = datetime.fromisoformat(wall_text(newest, zone))
    back = timedelta(seconds=swept.seconds) + overlap(wall.date(), zone)
    return (wall - back).isoformat(timespec="seconds")
