"""Records refused on the way, with the reason: kept, shown, and released when a later version passes.

A person may dismiss one instead: then it counts as settled until it is refused for another reason, with
another content, or passes.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.database import reading, take_turns
from mlc_dagster.database.schema import events, quarantine
from mlc_dagster.database.trail import event
from mlc_dagster.delivery.audit import Kind

_STANDING = sa.or_(quarantine.c.resolved_at.is_(None), quarantine.c.dismissed_by.is_not(None))


@dataclass(frozen=True, slots=True)
class Refused:
    """A record to be kept in quarantine.

    stage: where it was refused (visma, contract, preflight), or who else keeps it there: who judges a stage
    releases its records.
    """

    stage: str
    key: str
    source_key: str | None
    number: str | None
    reason: str
    raw: str

    @classmethod
    def at_source(cls, stage: str, key: str | None, number: str | None, reason: str, raw: str) -> "Refused":
        """A record as a source gave it. Without a readable key its raw text stands in for one."""
        return cls(stage, key or key_of(raw), key, number, reason, raw)


@dataclass(frozen=True, slots=True)
class Entry:
    """A record in quarantine. place: the entity or the destination; resolved_at is None while it is there.

    dismissed_by, dismissal: who settled it by hand, and why.
    """

    id: int
    stage: str
    place: str
    company: str
    key: str
    source_key: str | None
    number: str | None
    reason: str
    raw: str
    first_at: datetime
    last_at: datetime
    resolved_at: datetime | None
    dismissed_by: str | None = None
    dismissal: str | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """Who looks after a place's quarantine, and when: what its audit events carry."""

    place: str
    company: str
    run_id: str
    at: datetime


def key_of(raw: str) -> str:
    """A stand-in key for a record so broken that its own key cannot be read."""
    return f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}"


class Quarantine:
    """The quarantine as the readers of a source and the operator use it; a delivery calls `settle` itself."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def settle(
        self,
        *,
        stage: str,
        place: str,
        company: str,
        refused: Sequence[Refused],
        passed: Collection[str],
        run_id: str,
    ) -> int:
        """Keep what was refused now, and release the records of the keys that passed.

        The same record refused again for the same reason changes nothing. Returns how many were released.
        """
        keys = frozenset(passed)
        visit = Visit(place, company, run_id, self._clock.now())
        with self._engine.begin() as connection:
            return settle(
                connection, visit, refused, lambda entry: entry.stage == stage and entry.key in keys
            )

    def open(
        self,
        place: str | None = None,
        company: str | None = None,
        *,
        number: str | None = None,
        stage: str | None = None,
        dismissed: bool = False,
    ) -> list[Entry]:
        """All records in quarantine, or those of a place, company, business number, stage; oldest first.

        dismissed: those that a person dismissed as well.
        """
        asked = {"place": place, "company": company, "number": number, "stage": stage}
        query = sa.select(quarantine).where(
            _STANDING if dismissed else quarantine.c.resolved_at.is_(None),
            *(quarantine.c[name] == value for name, value in asked.items() if value is not None),
        )
        with reading(self._engine) as connection:
            return [_entry(row) for row in connection.execute(query.order_by(quarantine.c.id))]

    def entry(self, entry_id: int) -> Entry | None:
        """One record by its number in the quarantine, settled or not; None when there is none."""
        with reading(self._engine) as connection:
            row = connection.execute(sa.select(quarantine).where(quarantine.c.id == entry_id)).first()
        return _entry(row) if row is not None else None

    def dismiss(self, entry: Entry, *, by: str, reason: str) -> bool:
        """Settle a record by a person's word; False when it does not wait as `entry` shows it.

        It stays settled until the record changes. The audit trail says who, and why.
        """
        visit = Visit(entry.place, entry.company, f"dismissed by {by}", self._clock.now())
        shown = sa.and_(
            quarantine.c.id == entry.id,
            quarantine.c.last_at == entry.last_at,
            quarantine.c.resolved_at.is_(None),
        )
        values = {"resolved_at": visit.at, "dismissed_by": by, "dismissal": reason}
        with self._engine.begin() as connection:
            _take_turns(connection, visit)
            if connection.execute(quarantine.update().where(shown).values(values)).rowcount == 0:
                return False
            _record(connection, visit, Kind.DISMISSED, [entry], by=by, because=reason)
        return True


def settle(
    connection: sa.Connection, visit: Visit, refused: Sequence[Refused], passed: Callable[[Entry], bool]
) -> int:
    """Bring the quarantine of a place and company up to date, in the caller's transaction.

    refused: what was refused now; new or changed ones are written. passed: says of an entry that is not among
    them whether its record was looked at and passed; it is released then. Returns how many were released.
    """
    _take_turns(connection, visit)
    standing = _standing(connection, visit)
    entries = {_name(entry): entry for entry in standing if entry.resolved_at is None}
    dismissed = {_name(entry): entry for entry in standing if entry.resolved_at is not None}
    now = {_name(item): item for item in refused}
    settled = {name for name, entry in dismissed.items() if name in now and _same(entry, now[name])}
    fresh = [item for name, item in now.items() if name not in entries and name not in settled]
    changed = [
        (entries[name], item)
        for name, item in now.items()
        if name in entries and not _same(entries[name], item)
    ]
    released = [entry for name, entry in entries.items() if name not in now and passed(entry)]
    _write(connection, visit, fresh, changed)
    _release(connection, visit, released)
    _forget(
        connection,
        [
            entry
            for name, entry in dismissed.items()
            if name not in settled and (name in now or passed(entry))
        ],
    )
    return len(released)


def _take_turns(connection: sa.Connection, visit: Visit) -> None:
    """What was read of a place must still be so when it is written: two may keep the same record at once, and
    a person may settle it meanwhile.
    """
    take_turns(connection, f"quarantine:{visit.place}:{visit.company}")


def _name(item: Entry | Refused) -> tuple[str, str, str | None]:
    """What is refused anew when it is refused again. Two records may be refused because they share a key."""
    return item.stage, item.key, item.source_key


def _same(entry: Entry, item: Refused) -> bool:
    return (entry.reason, entry.raw) == (item.reason, item.raw)


def _write(
    connection: sa.Connection, visit: Visit, fresh: list[Refused], changed: list[tuple[Entry, Refused]]
) -> None:
    if fresh:
        connection.execute(quarantine.insert(), [_values(visit, item) for item in fresh])
    for entry, item in changed:
        values = {"reason": item.reason, "raw": item.raw, "number": item.number, "last_at": visit.at}
        connection.execute(quarantine.update().where(quarantine.c.id == entry.id).values(values))
    written = [*fresh, *(item for _, item in changed)]
    _record(connection, visit, Kind.QUARANTINED, written)


def _release(connection: sa.Connection, visit: Visit, released: list[Entry]) -> None:
    for entry in released:
        connection.execute(
            quarantine.update().where(quarantine.c.id == entry.id).values(resolved_at=visit.at)
        )
    _record(connection, visit, Kind.RELEASED, released)


def _forget(connection: sa.Connection, dismissed: list[Entry]) -> None:
    """The record has changed: a person's word about what it was counts no more, and stays in the trail."""
    values = {"dismissed_by": None, "dismissal": None}
    for entry in dismissed:
        connection.execute(quarantine.update().where(quarantine.c.id == entry.id).values(values))


def _record(
    connection: sa.Connection, visit: Visit, kind: Kind, items: Sequence[Entry | Refused], **more: str
) -> None:
    if not items:
        return
    rows = [
        event(
            visit.at,
            visit.run_id,
            kind,
            {"stage": item.stage, "reason": item.reason, **more},
            destination=visit.place,
            company=visit.company,
            source_key=item.source_key,
            key=item.key,
            number=item.number,
        )
        for item in items
    ]
    connection.execute(events.insert(), rows)


def _values(visit: Visit, item: Refused) -> dict[str, object]:
    return {
        "stage": item.stage,
        "place": visit.place,
        "company": visit.company,
        "key": item.key,
        "source_key": item.source_key,
        "number": item.number,
        "reason": item.reason,
        "raw": item.raw,
        "run_id": visit.run_id,
        "first_at": visit.at,
        "last_at": visit.at,
    }


def _standing(connection: sa.Connection, visit: Visit) -> list[Entry]:
    """The records of a place and company that are in quarantine, or were dismissed and have not changed."""
    query = sa.select(quarantine).where(
        quarantine.c.place == visit.place, quarantine.c.company == visit.company, _STANDING
    )
    return [_entry(row) for row in connection.execute(query)]


def _entry(row: sa.Row[Any]) -> Entry:
    values = {name: value for name, value in row._mapping.items() if name != "run_id"}
    return Entry(**values)
