"""Doing something again: from what somebody names to what has to run, and the list of what was asked for."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.database import reading
from mlc_dagster.database.schema import batches, events, replays
from mlc_dagster.delivery import Entry, Kind, distrust
from mlc_dagster.delivery import State as LedgerState
from mlc_dagster.delivery.leases import PATIENCE_SECONDS
from mlc_dagster.delivery.ledger import chunks
from mlc_dagster.outlook import today
from mlc_dagster.settings import TITLES, pair_of
from mlc_dagster.suite import Suite
from mlc_dagster.visma.entities import ENTITIES, Entity

# Whom the audit trail names for marked rows.
RUN_ID = "mlc replay"
# Rows that can go again, or are marked to do so: what is planned once more after that is planned alike.
THERE = (LedgerState.DELIVERED, LedgerState.PENDING)


class By(StrEnum):
    """What a replay is named by."""

    NUMBER = "number"
    BATCH = "batch"
    RUN = "run"
    WINDOW = "window"
    ENTRY = "quarantine"


class State(StrEnum):
    """Where a replay that was asked for stands. READY: its rows are marked, its runs are about to start."""

    ASKED = "asked"
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class NotAReplay(Exception):
    """Something that cannot be done again as it was asked for."""


@dataclass(frozen=True, slots=True)
class What:
    """What is to be done again. value: by `by`, a business number, a batch's id, a run's id, the id of an
    entry in quarantine, or "NO01 2026-11-01 2026-11-20". pair: only this one; None is every pair concerned.
    """

    by: By
    value: str
    pair: str | None = None

    @classmethod
    def window(cls, company: str, first: date, last: date, pair: str | None = None) -> What:
        """Some days of a company. Raises NotAReplay when they end before they begin."""
        if last < first:
            raise NotAReplay(f"{first} to {last} are no days: the last one is before the first.")
        return cls(By.WINDOW, f"{company} {first} {last}", pair)

    @property
    def days(self) -> tuple[str, date, date]:
        """Company, first and last day of a window. Raises NotAReplay."""
        try:
            company, first, last = self.value.split(" ")
            return company, date.fromisoformat(first), date.fromisoformat(last)
        except ValueError:
            raise NotAReplay(f"{self.value!r} is no window: name a company and two days.") from None

    def __str__(self) -> str:
        only = f" to {self.pair} only" if self.pair else ""
        return f"{self.by} {self.value}{only}"


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay that was asked for. runs: the ids of its Dagster runs; said: what came of it, in words."""

    id: int
    asked_at: datetime
    asked_by: str
    what: What
    state: State
    runs: tuple[str, ...]
    said: str | None
    ended_at: datetime | None

    @property
    def name(self) -> str:
        """What no other replay is called: a restored database gives the same numbers once more."""
        return f"{self.id}:{self.asked_at.isoformat()}"


class Replays:
    """What was asked for from outside Dagster. The sensor `replays` makes runs of it, once each."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def ask(self, what: What, *, by: str) -> int:
        """Write down that somebody wants this done again; returns its number.

        While the same is asked for and not done yet, no second one is made: its number is returned.
        """
        row: dict[str, Any] = {"by": what.by.value, "value": what.value, "pair": what.pair}
        same = [replays.c[name].is_not_distinct_from(value) for name, value in row.items()]
        waiting = sa.select(replays.c.id).where(*same, replays.c.ended_at.is_(None))
        row |= {"asked_at": self._clock.now(), "asked_by": by, "state": State.ASKED.value, "runs": ""}
        with self._engine.begin() as connection:
            if (found := connection.execute(waiting).scalars().first()) is not None:
                return int(found)
            inserted = connection.execute(replays.insert().returning(replays.c.id), row)
            return int(inserted.scalar_one())

    def recent(self, limit: int = 50) -> list[Replay]:
        """What was asked for last, newest first."""
        with reading(self._engine) as connection:
            query = sa.select(replays).order_by(replays.c.id.desc()).limit(limit)
            return [_replay(row) for row in connection.execute(query)]

    def open(self) -> list[Replay]:
        """What is not done yet, oldest first."""
        with reading(self._engine) as connection:
            query = sa.select(replays).where(replays.c.ended_at.is_(None)).order_by(replays.c.id)
            return [_replay(row) for row in connection.execute(query)]

    def ready(self, replay: Replay, said: str) -> None:
        """Note that what has to go again is marked: runs may start."""
        self._set(replay, state=State.READY, said=said)

    def running(self, replay: Replay, runs: Sequence[str]) -> None:
        """Note the runs that carry it out."""
        self._set(replay, state=State.RUNNING, runs=" ".join(runs))

    def ended(self, replay: Replay, state: State, said: str) -> None:
        """Note what came of it: DONE or FAILED, in words."""
        self._set(replay, state=state, said=said, ended_at=self._clock.now())

    def _set(self, replay: Replay, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(replays.update().where(replays.c.id == replay.id).values(values))


def _replay(row: sa.Row[Any]) -> Replay:
    return Replay(
        id=row.id,
        asked_at=row.asked_at,
        asked_by=row.asked_by,
        what=What(By(row.by), row.value, row.pair),
        state=State(row.state),
        runs=tuple(row.runs.split()),
        said=row.said,
        ended_at=row.ended_at,
    )


@dataclass(frozen=True, slots=True)
class Span:
    """One run of a pair's chain: its company, first and last day."""

    pair: str
    company: str
    first: date
    last: date

    @property
    def days(self) -> str:
        """Its days in words."""
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


Rows = Mapping[tuple[str, str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to run. rows: by destination and company, the keys that go again although nothing changed.

    notes: what else somebody who asked should know.
    """

    spans: tuple[Span, ...]
    rows: Rows = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        count = sum(map(len, self.rows.values()))
        runs = ", ".join(f"{TITLES[span.pair]} {span.company} {span.days}" for span in self.spans)
        return " ".join([f"Rows that go again although unchanged: {count}. Runs: {runs}.", *self.notes])


# What a run of Dagster's covered; nothing when Dagster does not know it.
SpansOf = Callable[[str], Collection[Span]]


def plan(suite: Suite, what: What, spans_of: SpansOf = lambda _: ()) -> Plan:
    """What has to run so that something is done again. Writes nothing, calls nobody.

    A number: its record is read again, and its rows go again. A batch, or a run: the rows it sent go again.
    A window: its days are read, mapped and compared again; what is unchanged costs no call. An entry in
    quarantine: its record is looked at again, from where it was refused.
    Raises NotAReplay, which says what is known instead.
    """
    if what.pair is not None:
        _companies(suite, what.pair)
    makers = {
        By.NUMBER: _of_number,
        By.BATCH: _of_batch,
        By.WINDOW: _of_window,
        By.ENTRY: _of_entry,
    }
    found = _of_run(suite, what, spans_of) if what.by is By.RUN else makers[what.by](suite, what)
    covered = {(span.pair, span.company) for span in found.spans}
    rest = {_today(suite, *place) for place in found.rows}
    spans = {*found.spans, *(span for span in rest if (span.pair, span.company) not in covered)}
    if not spans:
        raise NotAReplay(f"{what}: no pair that is switched on has anything to do with it.")
    ordered = sorted(spans, key=lambda span: (span.pair, span.company, span.first))
    return replace(found, spans=tuple(ordered))


def mark(suite: Suite, planned: Plan, *, by: str, patience: float = PATIENCE_SECONDS) -> int:
    """Let the plan's rows go again with the next delivery; returns how many. The audit trail says who asked.

    Raises LeaseHeld while a delivery is under way for longer than `patience` seconds.
    """
    return sum(
        distrust(
            suite.destination(name),
            company,
            ledger=suite.ledger,
            run_id=RUN_ID,
            reason=f"{by} asked for it to be sent again",
            keys=keys,
            patience=patience,
        )
        for (name, company), keys in planned.rows.items()
    )


def _of_number(suite: Suite, what: What) -> Plan:
    standing = [
        record
        for record in suite.audit.standing(what.value)
        if _carried(suite, what, record.destination, record.company)
    ]
    rows: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record in standing:
        if record.state in THERE:
            rows[record.destination, record.company].add(record.key)
    spans = {
        Span(pair, company, day, day)
        for entity, company, day in _sightings(suite, what, {record.company for record in standing})
        for pair in _readers(suite, what, entity, company)
    }
    if not spans and not standing:
        raise NotAReplay(
            f"Nothing is known of {what.value}: not read from the ERP yet, or written differently there."
        )
    notes = _stay_deleted(sum(record.state == LedgerState.DELETED for record in standing))
    if not spans:
        notes.append("The lake does not hold the record: it is not read again.")
        spans = {_today(suite, record.destination, record.company) for record in standing}
    return Plan(tuple(spans), _frozen(rows), tuple(notes))


def _of_batch(suite: Suite, what: What) -> Plan:
    with reading(suite.engine) as connection:
        batch = connection.execute(sa.select(batches).where(batches.c.id == what.value)).first()
        sent = _sent(connection, [what.value])
    if batch is None:
        raise NotAReplay(f"There is no batch {what.value}. `mlc audit NUMBER` shows those of a document.")
    place = batch.destination, batch.company
    if not _carried(suite, what, *place):
        return Plan(())
    rows, notes = _delivered(suite, sent)
    if batch.finished_at is None:
        notes.append("Nobody knows yet whether it landed: the target is asked first.")
    elif place not in sent:
        notes.append("It changed no row, or the audit trail does not go back so far: only what differs goes.")
    return Plan((_today(suite, *place),), _frozen(rows), tuple(notes))


def _of_run(suite: Suite, what: What, spans_of: SpansOf) -> Plan:
    with reading(suite.engine) as connection:
        own = sa.select(batches.c.id).where(batches.c.run_id == what.value)
        sent = _sent(connection, connection.execute(own).scalars().all())
    rows, notes = _delivered(
        suite, {place: keys for place, keys in sent.items() if _carried(suite, what, *place)}
    )
    spans = tuple(span for span in spans_of(what.value) if what.pair in (None, span.pair))
    if not spans and not rows:
        raise NotAReplay(
            f"Nothing is known of the run {what.value}. Name all of its id, as Dagster shows it."
        )
    return Plan(spans, _frozen(rows), tuple(notes))


def _of_window(suite: Suite, what: What) -> Plan:
    company, first, last = what.days
    if company not in suite.settings.companies:
        raise NotAReplay(f"There is no company {company}. Known: {', '.join(suite.settings.companies)}.")
    begin, newest = suite.settings.start_day, today(suite)
    if last < begin or first > newest:
        raise NotAReplay(f"{first} to {last} lies outside the days there are: {begin} to {newest}.")
    pairs = [what.pair] if what.pair else list(suite.settings.pairs.on())
    carrying = [pair for pair in pairs if company in _companies(suite, pair)]
    first, last = max(first, begin), min(last, newest)
    return Plan(tuple(Span(pair, company, first, last) for pair in carrying))


def _of_entry(suite: Suite, what: What) -> Plan:
    entry = suite.quarantine.entry(int(what.value)) if what.value.isdecimal() else None
    if entry is None:
        raise NotAReplay(f"There is no entry {what.value} in quarantine. `mlc quarantine list` shows them.")
    if entry.place in suite.destinations():
        mine = _carried(suite, what, entry.place, entry.company)
        return Plan((_today(suite, entry.place, entry.company),) if mine else ())
    source, _, name = entry.place.partition("/")
    if source != "visma" or name not in ENTITIES:
        raise NotAReplay(f"{entry.place} {entry.key} waits for a person: see `mlc cleo held`.")
    day = _stamped(suite, ENTITIES[name], entry)
    return Plan(
        tuple(Span(pair, entry.company, day, day) for pair in _readers(suite, what, name, entry.company))
    )


def _sightings(suite: Suite, what: What, companies: Collection[str]) -> Iterator[tuple[str, str, date]]:
    """Where the lake holds records of a number: entity, company, and the day of each one's newest version."""
    pairs = [what.pair] if what.pair else suite.settings.pairs.on()
    for name in sorted(set().union(*(sources_of(suite, pair) for pair in pairs))):
        for company in sorted(companies) or suite.settings.companies:
            found = suite.lake.versions(name, company, ENTITIES[name].number, what.value)
            # Documents of several kinds may share a number; of each the newest version counts.
            for day in set({version.key: version.day for version in found}.values()):
                yield name, company, day


def sources_of(suite: Suite, pair: str) -> set[str]:
    """The entities whose records a pair's rows are made from."""
    return {suite.mappings.models[name].source for name in suite.destinations(pair)}


def _readers(suite: Suite, what: What, entity: str, company: str) -> list[str]:
    """The pairs whose rows are made from an entity, or only the one that was named."""
    pairs = [what.pair] if what.pair else suite.settings.pairs.on()
    return [
        pair for pair in pairs if company in _companies(suite, pair) and entity in sources_of(suite, pair)
    ]


def _stamped(suite: Suite, entity: Entity, entry: Entry) -> date:
    """The day a record that did not parse belongs to: by its stamp, else the day it was first seen."""
    day = entry.first_at.astimezone(ZoneInfo(suite.settings.timezone)).date()
    try:
        text = json.loads(entry.raw)[entity.stamp]
        day = date.fromisoformat(str(text)[:10])
    except (ValueError, KeyError, TypeError):
        pass
    return min(max(day, suite.settings.start_day), today(suite))


def _sent(connection: sa.Connection, batch_ids: Sequence[str]) -> dict[tuple[str, str], set[str]]:
    """The keys of the rows that some batches made or changed, by destination and company."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    done = (Kind.CREATED.value, Kind.UPDATED.value)
    for some in chunks(batch_ids):
        query = sa.select(events.c.destination, events.c.company, events.c.key).where(
            events.c.batch_id.in_(some), events.c.kind.in_(done), events.c.key.is_not(None)
        )
        for destination, company, key in connection.execute(query):
            found[destination, company].add(key)
    return found


def _delivered(
    suite: Suite, sent: Mapping[tuple[str, str], set[str]]
) -> tuple[dict[tuple[str, str], set[str]], list[str]]:
    """Of rows that were sent once those that are there now, and what to say of the others."""
    rows: dict[tuple[str, str], set[str]] = {}
    deleted = 0
    for place, keys in sent.items():
        known = suite.ledger.known(*place, keys=keys, source_keys=())
        states = {key: known[key].state for key in keys & known.keys()}
        rows[place] = {key for key, state in states.items() if state in THERE}
        deleted += sum(state == LedgerState.DELETED for state in states.values())
    return rows, _stay_deleted(deleted)


def _stay_deleted(count: int) -> list[str]:
    return [f"Rows that are deleted at their targets, and stay so: {count}."] if count else []


def _today(suite: Suite, destination: str, company: str) -> Span:
    """A run that reads only the newest day: rows that wait go with any delivery."""
    day = today(suite)
    return Span(pair_of(destination), company, day, day)


def _companies(suite: Suite, pair: str) -> list[str]:
    if pair not in suite.settings.pairs.on():
        known = ", ".join(suite.settings.pairs.on())
        raise NotAReplay(f"The pair {pair} is not switched on. Known: {known}.")
    return suite.settings.companies_of(pair)


def _carried(suite: Suite, what: What, destination: str, company: str) -> bool:
    """Whether a destination is switched on, carries the company, and is not left out by the wish."""
    pair = pair_of(destination)
    known = what.pair in (None, pair) and destination in suite.destinations()
    return known and company in _companies(suite, pair)


def _frozen(rows: Mapping[tuple[str, str], set[str]]) -> Rows:
    return {place: frozenset(keys) for place, keys in sorted(rows.items()) if keys}
