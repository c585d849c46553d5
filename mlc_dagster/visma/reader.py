"""Reads what changed in the ERP into the lake, by company and modified day: one sweep for many days."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.lake import DayNote, Lake
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
) -> ReadReport:
    """Bring contiguous days of one entity up to date in the lake, in one sweep.

    The first day of the axis also holds everything older. A day that is read again is merged by key; a day
    without news is not written. Days are written in order, each as soon as it is known; ``on_day`` is told
    the rows of its file. ``whole`` reads every record and compares, so that deleted and renumbered records
    are noticed for any entity; entities without a change filter are always read so.

    Raises what the transport raises (Closed when the budget is used up), NeverSettled, ReadGuard and
    LakeWriteFailed; days written before stay.
    """
    asked = sorted(set(days))
    if not asked or asked[-1] - asked[0] != timedelta(days=len(asked) - 1):
        raise ValueError(
            f"{entity.name} of {company}: {', '.join(map(str, days))} is no contiguous range of days."
        )
    axis = _Axis(asked, first_day, zone)
    clock = clock or SystemClock()
    calls_before, started = client.http.counter.calls, clock.now()
    reading = _Reading(client, lake, entity, company, axis, clock, allow_deletes)
    found = reading.whole(started) if whole or not entity.has_filter else reading.delta(started)
    report = ReadReport(entity.name, company, passes=found.swept.passes)
    report.quarantined, report.keys = found.swept.bad, found.swept.table.column("_key")
    report.deleted = tuple(found.tombstones.column("_key").to_pylist())
    report.read = len(found.swept.bad)
    by_day = axis.by_day(found.rows)
    for day in asked:
        fresh = by_day.get(day, entity.schema.empty_table())
        report.read += len(fresh)
        if day == asked[-1]:
            fresh = pa.concat_tables([fresh, found.tombstones])
        _Day(lake, entity, company, day, zone).write(fresh, found, report)
        on_day(day, report.rows[day])
    report.calls = client.http.counter.calls - calls_before
    return report


@dataclass(frozen=True)
class _Axis:
    """The days asked, and the first day of all, which also holds everything older."""

    asked: Sequence[date]
    first_day: date
    zone: str

    def by_day(self, rows: pa.Table) -> Mapping[date, pa.Table]:
        """Return the rows of the days asked by the ERP's day of their stamp, unstamped ones on the newest."""
        newest = pa.scalar(self.asked[-1], pa.date32())
        days = pc.fill_null(days_of(rows.column("_stamp"), self.zone), newest)
        days = pc.max_element_wise(days, pa.scalar(self.first_day, pa.date32()))
        present = set(pc.unique(days).to_pylist())
        return {
            day: rows.filter(pc.equal(days, pa.scalar(day, pa.date32())))
            for day in self.asked
            if day in present
        }


@dataclass(frozen=True)
class _Found:
    """What a read brought: rows and tombstones to write, the sweep, and from when it asked."""

    rows: pa.Table
    tombstones: pa.Table
    swept: Swept
    since: str | None
    started: datetime


@dataclass(frozen=True)
class _Reading:
    client: VismaClient
    lake: Lake
    entity: Entity
    company: str
    axis: _Axis
    clock: Clock
    allow_deletes: bool

    def delta(self, started: datetime) -> _Found:
        """Read what changed since the first day asked, or since its last reading ended."""
        since = self._since()
        for _ in range(MOST_PASSES):
            swept = self._sweep(since)
            gone = self._gone(swept)
            left = without(swept.table, gone)
            # A document deleted while several pages were read has shifted the pages after it: once more.
            if swept.pages == 1 or len(left) == len(swept.table):
                tombstones = deletes.tombstones(self.lake, self.entity, self.company, gone, self.clock.now())
                return _Found(left, tombstones, swept, since, started)
        raise NeverSettled(self.entity.name, self.company, MOST_PASSES, "documents were deleted each time")

    def whole(self, started: datetime) -> _Found:
        """Read everything and keep what differs from the lake; what vanished becomes tombstones."""
        swept = self._sweep(None)
        nothing = self.entity.schema.empty_table()
        latest = self.lake.latest(self.entity.name, self.company)
        if latest is None:
            return _Found(swept.table, nothing, swept, None, started)
        latest = conform(latest, self.entity.schema)
        alive = latest.filter(pc.invert(latest.column("_deleted")))
        unreadable = {bad.key for bad in swept.bad}
        # A record without a readable key may be any of the missing ones, so none is judged then.
        vanished = alive if None not in unreadable else nothing
        vanished = without(vanished, swept.keys | {key for key in unreadable if key})
        if not self.allow_deletes:
            deletes.guard_whole(self.entity, self.company, held=len(alive), missing=len(vanished))
        rows = swept.table.filter(changed(swept.table, latest))
        return _Found(rows, deletes.marked_deleted(vanished, self.clock.now()), swept, None, started)

    def _since(self) -> str | None:
        """Return where to begin: where the reading of an unfinished day ended, else with the first day."""
        first = self.axis.asked[0]
        note = self.lake.note(self.entity.name, self.company, first)
        if note is not None and not note.complete and note.next_from is not None:
            # Never later than the second day's begin: that day is read whole.
            return min(note.next_from, day_begin(first + timedelta(days=1)))
        return None if first == self.axis.first_day else day_begin(first)

    def _sweep(self, since: str | None) -> Swept:
        return sweep(self.client, self.entity, since=since, clock=self.clock, zone=self.axis.zone)

    def _gone(self, swept: Swept) -> list[str]:
        """Return the keys of documents that were deleted: known or received as unreleased, and gone now."""
        held = deletes.unreleased_in_lake(self.lake, self.entity, self.company)
        suspects = held.keys - swept.keys
        if swept.pages > 1:
            suspects |= deletes.unreleased_in(self.entity, swept.table)
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

    def write(self, fresh: pa.Table, found: _Found, report: ReadReport) -> None:
        """Merge the fresh rows into the file; without news, and as ended as before, leave it alone."""
        place = (self.entity.name, self.company, self.day)
        known, old = self.lake.note(*place), self.lake.read_day(*place)
        complete = has_ended(self.day, found.started, self.zone)
        table, news = self._merged(fresh, old)
        report.rows[self.day] = len(table)
        report.changed += news
        if known is not None and not news:
            if known.complete == complete:
                return
            note = replace(known, complete=complete, next_from=None if complete else known.next_from)
        else:
            next_from = None if complete else _next_from(found, self.zone)
            note = DayNote(next_from, found.started, complete, found.swept.total)
        if self.lake.write_day(*place, table, note):
            report.written.append(self.day)

    def _merged(self, fresh: pa.Table, old: pa.Table | None) -> tuple[pa.Table, int]:
        """Return the day's rows, one a key, and how many of the fresh ones are news."""
        if old is None:
            return fresh, len(fresh)
        if not len(fresh):
            return old, 0
        old = conform(old, self.entity.schema)
        fresh = in_second_pass(fresh, old, self.zone)
        news = fresh.filter(pc.and_(changed(fresh, old), newer(fresh, old)))
        stay = without(old, news.column("_key").to_pylist())
        return pa.concat_tables([stay, news], promote_options="permissive"), len(news)


def _next_from(found: _Found, zone: str) -> str | None:
    """Return where the next sweep begins: from the stamps received, never from our clock.

    A record stamped while the sweep ran may have been missed, so the sweep's own duration is read again.
    """
    swept = found.swept
    if swept.newest is None:
        return found.since
    wall = datetime.fromisoformat(wall_text(swept.newest, zone))
    back = timedelta(seconds=swept.seconds) + overlap(wall.date(), zone)
    return (wall - back).isoformat(timespec="seconds")
