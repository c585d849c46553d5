"""Seals over the audit trail: a chain of digests, so that a change, an insertion or a removal shows.

Events are written by many processes at once and never wait for each other's digests. A seal comes after them:
it lists the next events by number, each with its SHA-256, and its own digest covers that list and the seal
before it. docs/audit.md says how to compute both without this program.
"""

import hashlib
import json
import logging
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import starmap
from json.encoder import encode_basestring
from typing import Any, cast

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.database import reading
from mlc_dagster.database.schema import events, seals
from mlc_dagster.database.trail import event
from mlc_dagster.delivery.audit import KEPT, Kind

# A seal's list takes 40 bytes an event.
EVENTS_IN_A_SEAL = 20_000
# So long new events may have to wait while the last ones are being written; else the next call seals them.
LOCK_TIMEOUT = "2s"
# Where a removal stands in the trail, for all companies.
TRAIL, ALL = "mlc/audit", "*"
# Numbers begin with 1, unless somebody else gives them.
_BEFORE_ALL = -(2**63)

_ENTRY = struct.Struct(">q32s")

logger = logging.getLogger(__name__)


class NotAHead(Exception):
    """A text that is no seal's number and digest."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last seal: who keeps its number and digest elsewhere can tell later whether it still stands."""

    number: int
    digest: str

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Read what str() wrote. Raises NotAHead."""
        number, _, digest = text.strip().partition(":")
        if not number.isdecimal() or len(digest) != 64:
            raise NotAHead(f"{text!r} is no seal. It looks like 12:9f86d081..., as `--head` prints it.")
        return cls(int(number), digest.lower())

    def __str__(self) -> str:
        return f"{self.number}:{self.digest}"


@dataclass(frozen=True, slots=True)
class Broken:
    """What does not fit its seal. event: its number; None when the seal itself is not as it was made."""

    seal: int
    event: int | None
    words: str


@dataclass
class Verdict:
    """What a look at the whole trail found. events: those that are as sealed; removed: by retention, and said
    so; unsealed: too new; broken: how many do not fit, and the first of them.
    """

    events: int = 0
    seals: int = 0
    removed: int = 0
    unsealed: int = 0
    broken: int = 0
    first: Broken | None = None
    head: Head | None = None

    def breaks(self, found: Broken) -> None:
        """Count something that does not fit."""
        self.broken += 1
        self.first = self.first or found


@dataclass(frozen=True, slots=True)
class Seal:
    """One seal. entries: number and digest of each event it covers; digest: over them and the seal before."""

    number: int
    sealed_at: datetime
    entries: bytes
    digest: str

    @classmethod
    def over(cls, before: str, number: int, sealed_at: datetime, entries: bytes) -> "Seal":
        """The seal that follows one with the digest `before`, which is empty for the first."""
        head = f"{before}\n{number}\n{text_of(sealed_at)}\n".encode()
        return cls(number, sealed_at, entries, hashlib.sha256(head + entries).hexdigest())

    def digests(self) -> dict[int, bytes]:
        """The digest of each event, in order of their numbers."""
        return dict(_ENTRY.iter_unpack(self.entries))


class Seals:
    """The chain of seals over one database's audit trail."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def seal(self) -> int:
        """Seal all events that are written and not sealed yet; returns how many this call sealed.

        Any number of processes may call it at once: a seal's number is given once, and whoever comes second
        takes the next. It seals nothing while others have been writing for longer than two seconds.
        """
        newest = self._settled()
        sealed = 0
        while newest is not None and (following := self._following(newest)) is not None:
            entries = following.entries
            row = {"number": following.number, "sealed_at": following.sealed_at, "entries": entries}
            row |= {"last_id": _last_id(entries), "digest": following.digest}
            try:
                with self._engine.begin() as connection:
                    connection.execute(seals.insert(), row)
            except sa.exc.IntegrityError:
                continue
            sealed += len(entries) // _ENTRY.size
        return sealed

    def verify(self, kept: Head | None = None) -> Verdict:
        """Compare every sealed event with its seal, and every seal with the one before. Changes nothing.

        kept: a head that was noted elsewhere, for the one thing a database cannot tell of itself: whether its
        trail was cut short or made anew. Memory does not grow with the trail.
        """
        verdict = Verdict()
        before, after = "", _BEFORE_ALL
        with reading(self._engine) as connection:
            removals = _removals(connection)
            for found in _all(connection):
                if _judge_seal(found, before, verdict):
                    _judge_events(connection, found, after, removals, verdict)
                    after = _last_id(found.entries)
                if kept is not None and kept.number == found.number and kept.digest != found.digest:
                    verdict.breaks(Broken(found.number, None, "is not the seal that was kept elsewhere"))
                before = found.digest
                verdict.seals, verdict.head = found.number, Head(found.number, found.digest)
            newer = sa.select(sa.func.count()).where(events.c.id > after)
            verdict.unsealed = connection.execute(newer).scalar_one()
        if kept is not None and kept.number > verdict.seals:
            words = f"was kept elsewhere and is not here: the trail ends with seal {verdict.seals}"
            verdict.breaks(Broken(kept.number, None, words))
        return verdict

    def all(self) -> Iterator[Seal]:
        """Every seal, oldest first."""
        with reading(self._engine) as connection:
            yield from _all(connection)

    def removable(self, before: datetime, held: sa.ColumnElement[bool]) -> int:
        """How many events `remove` would take."""
        with reading(self._engine) as connection:
            return int(_extent(connection, _old(before, held)).old)

    def remove(self, before: datetime, held: sa.ColumnElement[bool], *, by: str) -> int:
        """Remove sealed events older than a time, but none that is held; returns how many.

        Their digests stay in the seals, and an event of its own says which are gone, so that the chain can
        still be verified. What the way back relies on stays, whatever its age.
        """
        old = _old(before, held)
        with reading(self._engine) as connection:
            extent = _extent(connection, old)
        removed = 0
        for after in range(extent.first - 1, extent.last, EVENTS_IN_A_SEAL) if extent.old else ():
            here = sa.and_(events.c.id > after, events.c.id <= min(after + EVENTS_IN_A_SEAL, extent.last))
            with self._engine.begin() as connection:
                removed += self._remove(connection, here, old, before, by)
        return removed

    def _remove(
        self,
        connection: sa.Connection,
        here: sa.ColumnElement[bool],
        old: sa.ColumnElement[bool],
        before: datetime,
        by: str,
    ) -> int:
        gone = connection.execute(events.delete().where(here, old).returning(events.c.id)).scalars().all()
        if not gone:
            return 0
        left = connection.execute(sa.select(events.c.id).where(here)).scalars().all()
        detail = {"removed": len(gone), "before": text_of(before), "runs": _runs(gone, left)}
        told = event(self._clock.now(), by, Kind.REMOVED, detail, destination=TRAIL, company=ALL)
        connection.execute(events.insert(), told)
        return len(gone)

    def _following(self, newest: int) -> Seal | None:
        """The seal that comes next; None when nothing is left to be sealed up to that event."""
        with reading(self._engine) as connection:
            last = _last(connection)
            number, before, after = (
                (last.number, last.digest, last.last_id) if last is not None else (0, "", 0)
            )
            entries = b"".join(starmap(_ENTRY.pack, _digests(connection, after, newest, EVENTS_IN_A_SEAL)))
        return Seal.over(before, number + 1, self._clock.now(), entries) if entries else None

    def _settled(self) -> int | None:
        """The newest event before which no other can appear any more; None when there is nothing to seal.

        On PostgreSQL numbers are given before they are committed: whoever is writing is waited for.
        """
        newest = sa.select(sa.func.max(events.c.id))
        with reading(self._engine) as connection:
            seen, last = connection.execute(newest).scalar(), _last(connection)
            if seen is None or (last is not None and seen <= last.last_id):
                return None
            if connection.dialect.name == "sqlite":
                return int(seen)
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
                connection.execute(sa.text("LOCK TABLE events IN SHARE MODE"))
                return int(connection.execute(newest).scalar_one())
        except sa.exc.OperationalError:
            logger.info("The audit trail is being written to; what is new is sealed later.")
            return None


def text_of(at: datetime) -> str:
    """A time as digests see it, such as 2026-11-20 06:00:01.000000, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"


def columns_of(dialect: sa.Dialect) -> list[sa.ColumnElement[Any]]:
    """What a digest covers of an event, in this order; its time as `text_of` writes it."""
    at: sa.ColumnElement[Any] = sa.type_coerce(events.c.at, sa.Text)
    if dialect.name == "postgresql":
        at = sa.func.to_char(sa.func.timezone("UTC", events.c.at), "YYYY-MM-DD HH24:MI:SS.US")
    names = ("run_id", "destination", "company", "source_key", "key", "number", "batch_id", "kind", "detail")
    return [events.c.id, at.label("at"), *(events.c[name] for name in names)]


def digests_of(found: Iterable[Sequence[Any]]) -> Iterator[tuple[int, bytes]]:
    """Number and SHA-256 of each event: of its columns as a JSON list in UTF-8, without spaces."""
    shared, head, tail = None, "", ""
    for number, at, run, destination, company, source, key, name, batch, kind, detail in found:
        # Neighbours are of one batch mostly, and differ in three columns: the others are written once.
        if (others := (at, run, destination, company, batch, kind, detail)) != shared:
            shared, head, tail = others, ",".join(map(_json, others[:4])), ",".join(map(_json, others[4:]))
        text = f"[{number},{head},{_json(source)},{_json(key)},{_json(name)},{tail}]"
        yield number, hashlib.sha256(text.encode()).digest()


def _json(text: str | None) -> str:
    # As json.dumps would write it, in half the time.
    return "null" if text is None else encode_basestring(text)


@dataclass
class _Removals:
    """Which events retention took: runs of numbers, apart from each other.

    As they are told they may overlap: what was held at first goes later, in a run around earlier ones.
    """

    firsts: list[int] = field(default_factory=list)
    lasts: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, runs: Iterable[tuple[int, int]]) -> "_Removals":
        found = cls()
        for first, last in sorted(runs):
            if found.lasts and first <= found.lasts[-1]:
                found.lasts[-1] = max(last, found.lasts[-1])
            else:
                found.firsts.append(first)
                found.lasts.append(last)
        return found

    def cover(self, number: int) -> bool:
        at = bisect_right(self.firsts, number) - 1
        return at >= 0 and number <= self.lasts[at]


def _judge_seal(found: Seal, before: str, verdict: Verdict) -> bool:
    """Compare a seal with the one before; whether its list of events can be read."""
    if found.number != verdict.seals + 1:
        verdict.breaks(Broken(verdict.seals + 1, None, "is missing"))
    elif Seal.over(before, found.number, found.sealed_at, found.entries).digest != found.digest:
        verdict.breaks(Broken(found.number, None, "is not as it was made, or the one before is not"))
    return len(found.entries) > 0 and len(found.entries) % _ENTRY.size == 0


def _judge_events(
    connection: sa.Connection, found: Seal, after: int, removals: _Removals, verdict: Verdict
) -> None:
    sealed = found.digests()
    there = dict(_digests(connection, after, _last_id(found.entries)))
    for number in sorted(sealed.keys() | there.keys()):
        if number not in sealed:
            verdict.breaks(Broken(found.number, number, "was inserted later"))
        elif number in there and sealed[number] == there[number]:
            verdict.events += 1
        elif number in there:
            verdict.breaks(Broken(found.number, number, "was changed"))
        elif removals.cover(number):
            verdict.removed += 1
        else:
            verdict.breaks(Broken(found.number, number, "was removed"))


def _digests(
    connection: sa.Connection, after: int, last: int, limit: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """Number and digest of the events after one, up to another."""
    query = sa.select(*columns_of(connection.dialect)).where(events.c.id > after, events.c.id <= last)
    rows = connection.execute(query.order_by(events.c.id).limit(limit))
    # The driver's own tuples, one at a time: they need no types, and every delivery pays for this line.
    return digests_of(cast(Iterable[Sequence[Any]], rows.cursor))


def _removals(connection: sa.Connection) -> _Removals:
    query = sa.select(events.c.detail).where(events.c.kind == Kind.REMOVED.value)
    told = connection.execute(query).scalars()
    return _Removals.of((first, last) for text in told for first, last in json.loads(text)["runs"])


def _runs(gone: Sequence[int], left: Sequence[int]) -> list[list[int]]:
    """The removed numbers as runs that no event which is left interrupts."""
    runs: list[list[int]] = []
    staying = set(left)
    for number in sorted([*gone, *staying]):
        if number in staying:
            runs.append([])
        elif runs and runs[-1]:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return [run for run in runs if run]


def _extent(connection: sa.Connection, old: sa.ColumnElement[bool]) -> sa.Row[Any]:
    """First and last number, and count, of the sealed events of that kind.

    The newest sealed event is none of them: SQLite would give its number to another one.
    """
    sealed = sa.select(sa.func.coalesce(sa.func.max(seals.c.last_id), 0)).scalar_subquery()
    number = events.c.id
    counts = {"first": sa.func.min(number), "last": sa.func.max(number), "old": sa.func.count()}
    query = sa.select(*(column.label(name) for name, column in counts.items()))
    return connection.execute(query.where(old, number < sealed)).one()


def _old(before: datetime, held: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    # Not `not held`: of an event without a number, "has it this number?" is neither true nor false.
    kept = [kind.value for kind in KEPT]
    return sa.and_(events.c.at < before, events.c.kind.not_in(kept), held.is_not(sa.true()))


def _all(connection: sa.Connection) -> Iterator[Seal]:
    query = sa.select(*(seals.c[name] for name in ("number", "sealed_at", "entries", "digest")))
    for row in connection.execute(query.order_by(seals.c.number).execution_options(yield_per=20)):
        yield Seal(*row)


def _last(connection: sa.Connection) -> sa.Row[Any] | None:
    query = sa.select(*(seals.c[name] for name in ("number", "last_id", "digest")))
    return connection.execute(query.order_by(seals.c.number.desc()).limit(1)).first()


def _last_id(entries: bytes) -> int:
    number: int = _ENTRY.unpack_from(entries, len(entries) - _ENTRY.size)[0]
    return number
