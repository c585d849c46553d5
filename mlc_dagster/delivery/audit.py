"""The audit trail: what happened to every record and every batch, append-only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from mlc_dagster.database import reading
from mlc_dagster.database.schema import batch_members, events, quarantine, records


class Kind(StrEnum):
    """What an event says."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    FAILED = "failed"
    PENDING = "pending again"
    UNSAID = "nothing to tell"
    QUARANTINED = "quarantined"
    RELEASED = "released from quarantine"
    DISMISSED = "dismissed by a person"
    # of a record in the ERP, by a look at all keys; the last one of the look itself
    VANISHED = "gone from the ERP"
    RENUMBERED = "renumbered in the ERP"
    LOOKED = "all keys compared with the ERP"
    # of a document in the ERP, by the way back
    NOTED = "noted"
    REFUSED = "note refused"
    # of a document, by what the partner's system said of it
    ACKNOWLEDGED = "acknowledged"
    WITH_ERRORS = "acknowledged with errors"
    REJECTED = "rejected"
    # of the vault
    CREDENTIAL_SET = "credential set"
    CREDENTIAL_REMOVED = "credential removed"
    CREDENTIAL_END = "end of credential noted"
    VAULT_KEY = "vault key changed"
    # of a batch
    INTENDED = "intended"
    RESUMED = "resumed"
    LANDED = "landed"
    IN_DOUBT = "in doubt"
    ABANDONED = "abandoned"
    # of the trail itself
    REMOVED = "removed by retention"
    HELD = "put on legal hold"
    UNHELD = "released from legal hold"


# Events that are never removed: what the way back relies on, and what explains the gaps of others.
KEPT = (Kind.NOTED, Kind.REFUSED, Kind.REMOVED, Kind.HELD, Kind.UNHELD)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the audit trail. key is None for an event of a batch."""

    at: datetime
    run_id: str
    destination: str
    company: str
    key: str | None
    number: str | None
    batch_id: str | None
    kind: Kind
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """One record at one destination: its state, since when (UTC), and why where it is not delivered."""

    destination: str
    company: str
    key: str
    state: str
    updated_at: datetime
    reason: str | None


class Audit:
    """Reads the audit trail."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def history(self, number: str) -> list[Event]:
        """The life of a record, by its business number, over all destinations, with its batches.

        In order of time. Empty when nothing is known of the number.
        """
        query = sa.select(events).where(life_of(number))
        with reading(self._engine) as connection:
            return [_event(row) for row in connection.execute(query.order_by(events.c.id))]

    def standing(self, number: str) -> list[Standing]:
        """What every destination holds of a record now, by its business number."""
        columns = [records.c[field.name] for field in fields(Standing)]
        query = sa.select(*columns).where(records.c.number == number)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(records.c.destination, records.c.company, records.c.key))
            return [Standing(*row) for row in rows]

    def event(self, number: int) -> Event | None:
        """One event by its own number; None when there is none."""
        with reading(self._engine) as connection:
            row = connection.execute(sa.select(events).where(events.c.id == number)).first()
        return _event(row) if row is not None else None

    def newest(self, destination: str, kind: Kind) -> Event | None:
        """The last event of a kind at a destination; None when there is none."""
        own = (events.c.destination == destination, events.c.kind == kind.value)
        query = sa.select(events).where(*own).order_by(events.c.id.desc()).limit(1)
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        return _event(row) if row is not None else None


def life_of(number: str | sa.Select[tuple[str]]) -> sa.ColumnElement[bool]:
    """The condition that finds all events of a record by its business number, its batches' included.

    A query of numbers finds those of any of them.
    """
    wanted = [number] if isinstance(number, str) else number
    one = events.alias()
    own = sa.select(one.c.batch_id).where(one.c.number.in_(wanted), one.c.batch_id.is_not(None))
    in_flight = sa.select(batch_members.c.batch_id).where(batch_members.c.number.in_(wanted))
    sources = sa.union(
        *(
            sa.select(table.c.source_key).where(table.c.number.in_(wanted), table.c.source_key.is_not(None))
            for table in (records, batch_members, quarantine)
        )
    )
    unnumbered = sa.and_(events.c.number.is_(None), events.c.source_key.in_(sources))
    batches = sa.and_(events.c.key.is_(None), events.c.batch_id.in_(own.union(in_flight)))
    return sa.or_(events.c.number.in_(wanted), unnumbered, batches)


def _event(row: sa.Row[Any]) -> Event:
    return Event(
        at=row.at,
        run_id=row.run_id,
        destination=row.destination,
        company=row.company,
        key=row.key,
        number=row.number,
        batch_id=row.batch_id,
        kind=Kind(row.kind),
        detail=json.loads(row.detail),
    )
