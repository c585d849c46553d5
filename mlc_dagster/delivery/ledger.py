"""The ledger: what each destination last received, per record. It reads; writer.py writes, under a lease."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.database import reading
from mlc_dagster.database.schema import batch_members, batches, deliveries, quarantine, records
from mlc_dagster.delivery.changes import CHANGES_IN_A_PAGE, Changes
from mlc_dagster.delivery.destination import Batch
from mlc_dagster.delivery.rows import Change, Op, Row, decode, text_hash

# The source key of a row for which no record of the ERP stands: every delivery answers for it.
NOBODYS = ""
# PostgreSQL takes 65,535 parameters a statement, SQLite 32,766.
_CHUNK = 500
_ROWS_IN_A_TEXT = 5_000


class State(StrEnum):
    """Where a record stands. A row in quarantine keeps the state of its last good version, if it has one."""

    DELIVERED = "delivered"
    PENDING = "pending"
    FAILED = "failed"
    DELETED = "deleted"


class BatchState(StrEnum):
    """Where a batch stands. OPEN: its sender lives, or died and nobody has looked yet."""

    OPEN = "open"
    IN_DOUBT = "in doubt"
    LANDED = "landed"
    ABANDONED = "abandoned"


UNRESOLVED = (BatchState.OPEN, BatchState.IN_DOUBT)


@dataclass(frozen=True, slots=True)
class Known:
    """What the planner has to know of a record.

    hash is None when no version of it was ever confirmed. there: the destination holds some of it, or may.
    """

    key: str
    source_key: str
    number: str
    state: State
    hash: str | None
    target_id: str | None
    there: bool


@dataclass(frozen=True, slots=True)
class Held:
    """A row as a destination holds it, by the last answer that confirmed one."""

    row: Row
    state: State
    target_id: str | None


class Ledger:
    """Reads the ledger. One object serves all destinations; safe to share between threads."""

    # Up to here records are looked up by key; beyond, one pass over the destination's records is quicker.
    FEW = 5_000

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self.engine, self.clock = engine, clock

    def seen(self, destination: str, company: str) -> str | None:
        """The fingerprint of the last finished delivery; None while one has begun and not finished."""
        with reading(self.engine) as connection:
            return connection.execute(
                sa.select(deliveries.c.fingerprint).where(*_of(deliveries, destination, company))
            ).scalar_one_or_none()

    def generation(self, destination: str, company: str) -> int:
        """A number that rises when a delivery begins to write: equal numbers, nothing was written between."""
        with reading(self.engine) as connection:
            found = connection.execute(
                sa.select(deliveries.c.generation).where(*_of(deliveries, destination, company))
            ).scalar_one_or_none()
        return found or 0

    def outstanding(self, destination: str, company: str) -> set[str]:
        """The source keys that still need work: pending, failed, in doubt or in quarantine."""
        waiting = sa.select(records.c.source_key).where(
            *_of(records, destination, company), records.c.state.in_([State.PENDING, State.FAILED])
        )
        members = batch_members.join(batches, batches.c.id == batch_members.c.batch_id)
        unresolved = (
            sa.select(batch_members.c.source_key)
            .select_from(members)
            .where(*_of(batches, destination, company), batches.c.state.in_(UNRESOLVED))
        )
        refused = sa.select(quarantine.c.source_key).where(
            quarantine.c.place == destination,
            quarantine.c.company == company,
            quarantine.c.resolved_at.is_(None),
            quarantine.c.source_key.is_not(None),
        )
        with reading(self.engine) as connection:
            return set(connection.execute(sa.union(waiting, unresolved, refused)).scalars())

    def pending(self, destination: str, company: str) -> dict[str, str]:
        """Why rows wait for a next run, by key."""
        query = sa.select(records.c.key, records.c.reason).where(
            *_of(records, destination, company), records.c.state == State.PENDING
        )
        with reading(self.engine) as connection:
            return {row.key: row.reason or "" for row in connection.execute(query)}

    def source_keys(self, destination: str, company: str) -> set[str]:
        """The records of the ERP that the destination holds rows of."""
        query = sa.select(records.c.source_key).where(
            *_of(records, destination, company),
            records.c.hash.is_not(None),
            records.c.state != State.DELETED,
            records.c.source_key != NOBODYS,
        )
        with reading(self.engine) as connection:
            return set(connection.execute(query.distinct()).scalars())

    def known(
        self, destination: str, company: str, *, keys: Collection[str], source_keys: Collection[str]
    ) -> dict[str, Known]:
        """The records of these keys and of these source keys, by key; others may be among them.

        For more than FEW of both together it is every record of the destination and company.
        """
        names = ("key", "source_key", "number", "state", "hash", "target_id")
        there = records.c.payload.is_not(None).label("there")
        columns: list[sa.ColumnElement[Any]] = [*(records.c[name] for name in names), there]
        query = sa.select(*columns).where(*_of(records, destination, company))
        queries = [query]
        if len(keys) + len(source_keys) <= self.FEW:
            queries = [query.where(records.c.key.in_(some)) for some in chunks(list(keys))]
            queries += [query.where(records.c.source_key.in_(some)) for some in chunks(list(source_keys))]
        with reading(self.engine) as connection:
            return {row.key: Known(*row) for query in queries for row in connection.execute(query)}

    def payloads(self, destination: str, company: str, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What the destination holds, or may hold, of these keys."""
        query = sa.select(records.c.key, records.c.payload).where(
            *_of(records, destination, company), records.c.payload.is_not(None)
        )
        with reading(self.engine) as connection:
            return {
                row.key: decode(row.payload)
                for some in chunks(keys)
                for row in connection.execute(query.where(records.c.key.in_(some)))
            }

    def unsure(self, destination: str, company: str, keys: Sequence[str], target: str) -> set[str]:
        """Of these keys, those whose rows the destination may hold otherwise than noted: they wait to be sent
        again or failed, or were sent to another `target`, which its settings have made this one since.
        """
        columns = (records.c[name] for name in ("key", "source_key", "state", "hash", "payload"))
        query = sa.select(*columns).where(*_of(records, destination, company))
        with reading(self.engine) as connection:
            return {
                row.key
                for some in chunks(keys)
                for row in connection.execute(query.where(records.c.key.in_(some)))
                if row.state in (State.PENDING, State.FAILED)
                or (row.hash is not None and row.hash != text_hash(row.payload, row.source_key, target))
            }

    def held(self, destination: str, company: str) -> Iterator[Held]:
        """All rows the destination holds, in the order of their keys: for read-backs and for full reloads."""
        query = sa.select(records).where(*_of(records, destination, company), records.c.hash.is_not(None))
        with reading(self.engine) as connection:
            for row in connection.execute(query.order_by(records.c.key).execution_options(yield_per=2_000)):
                yield Held(
                    Row.kept(row.key, row.source_key, row.number, row.payload),
                    State(row.state),
                    row.target_id,
                )

    def held_lines(self, destination: str, company: str, *, besides: str = "") -> Iterator[str]:
        """The encoded payloads of all rows the destination holds, some thousands in each text, in lines.

        The database itself joins them, at a third of the cost of an object for each row. `besides`: the batch
        whose rows are left out.
        """
        carried = sa.exists().where(batch_members.c.batch_id == besides, batch_members.c.key == records.c.key)
        held = [
            *_of(records, destination, company),
            records.c.hash.is_not(None),
            *([~carried] if besides else []),
        ]
        rows = sa.select(records.c.key, records.c.payload).order_by(records.c.key).limit(_ROWS_IN_A_TEXT)
        last = ""
        with reading(self.engine) as connection:
            while True:
                some = rows.where(*held, records.c.key > last).subquery()
                query = sa.select(sa.func.max(some.c.key), sa.func.aggregate_strings(some.c.payload, "\n"))
                last, text = connection.execute(query).one()
                if last is None:
                    return
                yield text

    def target_ids(self, destination: str, keys: Sequence[str]) -> dict[str, str]:
        """The destination's own ids of these keys, of all companies."""
        query = sa.select(records.c.key, records.c.target_id).where(
            records.c.company.in_(self.companies(destination)),
            records.c.destination == destination,
            records.c.target_id.is_not(None),
        )
        with reading(self.engine) as connection:
            return {
                row.key: row.target_id
                for some in chunks(keys)
                for row in connection.execute(query.where(records.c.key.in_(some)))
            }

    def companies(self, destination: str) -> list[str]:
        """The companies a destination holds rows of, or did."""
        query = sa.select(deliveries.c.company).where(deliveries.c.destination == destination)
        with reading(self.engine) as connection:
            return list(connection.execute(query.order_by(deliveries.c.company)).scalars())

    def held_keys(self, destination: str) -> Iterator[str]:
        """The keys of all rows a destination holds, of all companies."""
        query = sa.select(records.c.key).where(
            records.c.destination == destination, records.c.hash.is_not(None)
        )
        with reading(self.engine) as connection:
            yield from connection.execute(query.execution_options(yield_per=10_000)).scalars()

    def held_count(self, destination: str) -> int:
        """How many rows a destination holds, of all companies."""
        query = sa.select(sa.func.count()).where(
            records.c.destination == destination, records.c.hash.is_not(None)
        )
        with reading(self.engine) as connection:
            return int(connection.execute(query).scalar_one())

    def counts(self, destination: str, company: str) -> dict[State, int]:
        """How many records stand where."""
        query = sa.select(records.c.state, sa.func.count()).where(*_of(records, destination, company))
        with reading(self.engine) as connection:
            return {
                State(state): count for state, count in connection.execute(query.group_by(records.c.state))
            }

    def keys_in_doubt(self, destination: str, company: str) -> set[str]:
        """The keys of all batches that are sent, or may be, and not judged."""
        query = (
            sa.select(batch_members.c.key)
            .join(batches, batches.c.id == batch_members.c.batch_id)
            .where(*_of(batches, destination, company), batches.c.state.in_(UNRESOLVED))
        )
        with reading(self.engine) as connection:
            return set(connection.execute(query).scalars())

    def has_unresolved(self, destination: str) -> bool:
        """Whether a batch of any company is open or in doubt."""
        query = sa.select(batches.c.id).where(
            batches.c.destination == destination, batches.c.state.in_(UNRESOLVED)
        )
        with reading(self.engine) as connection:
            return connection.execute(query.limit(1)).first() is not None

    def unresolved(self, destination: str, company: str | None) -> list[Batch]:
        """The batches former runs left open or in doubt, rebuilt with all their changes, oldest first.

        company None: those of all companies.
        """
        query = sa.select(batches).where(
            batches.c.destination == destination, batches.c.state.in_(UNRESOLVED)
        )
        if company is not None:
            query = query.where(batches.c.company == company)
        with reading(self.engine) as connection:
            found = connection.execute(query.order_by(batches.c.created_at, batches.c.id)).all()
            return [
                Batch(
                    id=row.id,
                    destination=destination,
                    company=row.company,
                    token=row.token,
                    changes=_changes(connection, row.id),
                    created_at=row.created_at,
                    checkpoint=_checkpoint(row.checkpoint),
                )
                for row in found
            ]


def chunks(items: Sequence[str]) -> Iterator[Sequence[str]]:
    """Split a sequence into pieces that fit one statement's parameters."""
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]


def _of(table: sa.Table, destination: str, company: str) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.destination == destination, table.c.company == company


def _checkpoint(text: str) -> Mapping[str, Any]:
    return dict(json.loads(text))


def _changes(connection: sa.Connection, batch_id: str) -> Changes:
    query = (
        sa.select(batch_members)
        .where(batch_members.c.batch_id == batch_id)
        .order_by(batch_members.c.position)
    )
    return Changes.of(
        Change(
            Op(row.op),
            Row.kept(row.key, row.source_key, row.number, row.payload),
            row.hash,
            row.payload,
            row.target_id,
        )
        for row in connection.execute(query.execution_options(yield_per=CHANGES_IN_A_PAGE))
    )
