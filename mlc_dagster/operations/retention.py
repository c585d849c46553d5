"""What may go because it is old: nothing unless mlc.yaml says so, and never what is on legal hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.database import reading
from mlc_dagster.database.schema import (
    batches,
    events,
    holds,
    interchange_documents,
    interchanges,
    quarantine,
    records,
)
from mlc_dagster.database.trail import event
from mlc_dagster.delivery import Kind, State
from mlc_dagster.delivery.audit import life_of
from mlc_dagster.delivery.ledger import UNRESOLVED
from mlc_dagster.delivery.seals import ALL, TRAIL, text_of
from mlc_dagster.suite import Suite

# What stands on hold, as conditions: whoever removes asks anew with each statement.
_STANDING = holds.c.released_at.is_(None)
HELD_COMPANIES = sa.select(holds.c.company).where(_STANDING, holds.c.company.is_not(None))
HELD_NUMBERS = sa.select(holds.c.number).where(_STANDING, holds.c.number.is_not(None))
HELD_EVENTS = sa.or_(events.c.company.in_(HELD_COMPANIES), life_of(HELD_NUMBERS))


class NoSuchHold(Exception):
    """A hold that there is not, or a wish that names none."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nothing of a company, or of a business number in any company, may be removed."""

    id: int
    company: str | None
    number: str | None
    reason: str
    held_by: str
    held_at: datetime
    released_by: str | None
    released_at: datetime | None

    def __str__(self) -> str:
        return f"company {self.company}" if self.company else f"number {self.number}"


class Holds:
    """The legal holds. Each change of them is an event of the audit trail."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def hold(self, *, company: str | None, number: str | None, reason: str, by: str) -> int:
        """Keep everything of a company or of a number from now on; returns the hold's number.

        Raises NoSuchHold when not exactly one of them is named.
        """
        if (company is None) == (number is None):
            raise NoSuchHold("Name what to hold: a company, or a business number.")
        at = self._clock.now()
        row = {"company": company, "number": number, "reason": reason, "held_by": by, "held_at": at}
        with self._engine.begin() as connection:
            made = connection.execute(holds.insert().returning(holds.c.id), row)
            _tell(connection, at, by, Kind.HELD, {"by": by, "reason": reason}, company=company, number=number)
            return int(made.scalar_one())

    def release(self, hold_id: int, *, by: str) -> Hold:
        """End a hold. Raises NoSuchHold."""
        own = sa.and_(holds.c.id == hold_id, holds.c.released_at.is_(None))
        at = self._clock.now()
        values = {"released_by": by, "released_at": at}
        with self._engine.begin() as connection:
            found = connection.execute(holds.update().where(own).values(values).returning(holds)).first()
            if found is None:
                raise NoSuchHold(f"There is no hold {hold_id}. `mlc retention list` shows them.")
            hold = Hold(*found)
            place = {"company": hold.company, "number": hold.number}
            _tell(connection, at, by, Kind.UNHELD, {"by": by, "hold": hold_id}, **place)
        return hold

    def standing(self) -> list[Hold]:
        """The holds that are not released, oldest first."""
        with reading(self._engine) as connection:
            found = connection.execute(
                sa.select(holds).where(holds.c.released_at.is_(None)).order_by(holds.c.id)
            )
            return [Hold(*row) for row in found]


@dataclass(frozen=True, slots=True)
class Removed:
    """What went, or would go: its name in mlc.yaml, what it is, after how many days, and how many."""

    name: str
    what: str
    days: int
    count: int


@dataclass(frozen=True, slots=True)
class _Rule:
    """One kind of old rows: those of a table that fit a condition, and what happens to them."""

    name: str
    what: str
    table: sa.Table
    old: sa.ColumnElement[bool]
    emptied: tuple[str, Any] | None = None

    def count(self, connection: sa.Connection) -> int:
        query = sa.select(sa.func.count()).select_from(self.table).where(self.old)
        return int(connection.execute(query).scalar_one())

    def apply(self, connection: sa.Connection) -> int:
        if self.emptied is None:
            return connection.execute(self.table.delete().where(self.old)).rowcount
        column, value = self.emptied
        return connection.execute(self.table.update().where(self.old).values({column: value})).rowcount


def old(suite: Suite) -> list[Removed]:
    """What `remove` would take now. Changes nothing."""
    days = suite.settings.retention.model_dump(exclude_none=True)
    with reading(suite.engine) as connection:
        found = [
            Removed(rule.name, rule.what, days[rule.name], rule.count(connection)) for rule in _rules(suite)
        ]
    if "events_days" in days:
        count = suite.seals.removable(_before(suite, days["events_days"]), HELD_EVENTS)
        found.append(Removed("events_days", "events of the audit trail", days["events_days"], count))
    return found


def remove(suite: Suite, *, by: str) -> list[Removed]:
    """Remove what mlc.yaml lets go and no hold keeps. The audit trail says what went, and why."""
    days = suite.settings.retention.model_dump(exclude_none=True)
    found = []
    for rule in _rules(suite):
        with suite.engine.begin() as connection:
            count = rule.apply(connection)
            if count:
                detail = {"removed": count, "what": rule.what, "runs": []}
                detail["before"] = text_of(_before(suite, days[rule.name]))
                _tell(connection, suite.clock.now(), by, Kind.REMOVED, detail)
        found.append(Removed(rule.name, rule.what, days[rule.name], count))
    if "events_days" in days:
        suite.seals.seal()
        count = suite.seals.remove(_before(suite, days["events_days"]), HELD_EVENTS, by=by)
        found.append(Removed("events_days", "events of the audit trail", days["events_days"], count))
    suite.seals.seal()
    return found


def _rules(suite: Suite) -> Iterator[_Rule]:
    """The rules that mlc.yaml switches on, but for the audit trail's own."""
    keep = suite.settings.retention
    if keep.batches_days is not None:
        told = events.c.number.in_(HELD_NUMBERS)
        closed = sa.and_(
            batches.c.state.not_in(UNRESOLVED),
            batches.c.finished_at < _before(suite, keep.batches_days),
            batches.c.company.not_in(HELD_COMPANIES),
            batches.c.id.not_in(sa.select(events.c.batch_id).where(told, events.c.batch_id.is_not(None))),
        )
        yield _Rule("batches_days", "closed batches", batches, closed)
    if keep.quarantine_days is not None:
        released = sa.and_(
            quarantine.c.resolved_at < _before(suite, keep.quarantine_days),
            # While a person's word stands it keeps the record from coming back.
            quarantine.c.dismissed_by.is_(None),
            _free(quarantine),
            _without_held_key(),
        )
        yield _Rule("quarantine_days", "entries released from quarantine", quarantine, released)
    if keep.edi_days is not None:
        yield _Rule(
            "edi_days",
            "contents of interchanges",
            interchanges,
            _answered(suite, _before(suite, keep.edi_days)),
            ("content", b""),
        )
    if keep.deleted_records_days is not None:
        yield _Rule(
            "deleted_records_days",
            "deleted rows of the ledger",
            records,
            _gone(suite, _before(suite, keep.deleted_records_days)),
        )


def _answered(suite: Suite, before: datetime) -> sa.ColumnElement[bool]:
    """Interchanges nobody sends again: what came, and ours that are answered, or that nobody answers."""
    cleo = suite.settings.pairs.cleo
    silent = [name for name, partner in cleo.partners.items() if not partner.sends_997] if cleo else []
    sent = sa.and_(interchanges.c.partner.in_(silent), interchanges.c.sent_at.is_not(None))
    told = sa.select(interchange_documents.c.interchange_id).where(
        interchange_documents.c.number.in_(HELD_NUMBERS)
    )
    return sa.and_(
        interchanges.c.created_at < before,
        sa.or_(interchanges.c.direction == "in", interchanges.c.answered_at.is_not(None), sent),
        sa.func.length(interchanges.c.content) > 0,
        interchanges.c.company.not_in(HELD_COMPANIES),
        interchanges.c.id.not_in(told),
    )


def _gone(suite: Suite, before: datetime) -> sa.ColumnElement[bool]:
    """Ledger rows whose object exists no more: where a mark stays at the target, its row stays here."""
    really = [name for name in suite.destinations() if suite.mappings.models[name].tombstone is None]
    return sa.and_(
        records.c.destination.in_(really),
        records.c.state == State.DELETED,
        records.c.target_id.is_(None),
        records.c.updated_at < before,
        _free(records),
    )


def _free(table: sa.Table) -> sa.ColumnElement[bool]:
    number = table.c.number
    unnumbered = sa.or_(number.is_(None), number.not_in(HELD_NUMBERS))
    return sa.and_(table.c.company.not_in(HELD_COMPANIES), unnumbered)


def _without_held_key() -> sa.ColumnElement[bool]:
    """Entries of no record whose number is on hold: what does not parse may not tell its own."""
    theirs = sa.select(records.c.source_key).where(records.c.number.in_(HELD_NUMBERS))
    return sa.or_(quarantine.c.source_key.is_(None), quarantine.c.source_key.not_in(theirs))


def _before(suite: Suite, days: int) -> datetime:
    return suite.clock.now() - timedelta(days=days)


def _tell(
    connection: sa.Connection,
    at: datetime,
    by: str,
    kind: Kind,
    detail: Mapping[str, Any],
    *,
    company: str | None = None,
    number: str | None = None,
) -> None:
    told = event(at, by, kind, detail, destination=TRAIL, company=company or ALL, number=number)
    connection.execute(events.insert(), told)
