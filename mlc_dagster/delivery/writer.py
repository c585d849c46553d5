"""Writes the ledger and the audit trail for one delivery; every transaction first makes sure of the lease."""

import json
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from mlc_dagster.database import upsert
from mlc_dagster.database.schema import UtcDateTime, batch_members, batches, deliveries, events, records
from mlc_dagster.database.trail import event
from mlc_dagster.delivery.audit import Kind
from mlc_dagster.delivery.destination import Batch, Outcome
from mlc_dagster.delivery.leases import Hold
from mlc_dagster.delivery.ledger import UNRESOLVED, BatchState, Known, Ledger, State, chunks
from mlc_dagster.delivery.quarantine import Entry, Refused, Visit, settle
from mlc_dagster.delivery.rows import Change, Op, Row, encode

# A statement's parameters are built before it runs: many changes go in pieces, for memory's sake.
_CHANGES_AT_ONCE = 2_000
_DONE = {Op.CREATE: Kind.CREATED, Op.UPDATE: Kind.UPDATED, Op.DELETE: Kind.DELETED}


class Writer:
    """The ledger in the hands of one delivery. Every method is one transaction and raises LeaseLost."""

    def __init__(self, ledger: Ledger, hold: Hold, destination: str, company: str, run_id: str) -> None:
        self._ledger, self._engine, self._clock, self._hold = ledger, ledger.engine, ledger.clock, hold
        self._destination, self._company, self._run_id = destination, company, run_id

    def of(self, company: str) -> "Writer":
        """A writer for another company's batches, under the same leases."""
        return Writer(self._ledger, self._hold, self._destination, company, self._run_id)

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """The only way this class writes: nothing is written once another process holds the lease."""
        with self._engine.begin() as connection:
            self._hold.check(connection)
            yield connection

    def begin(self) -> None:
        """Note that a delivery writes from now on: until it finishes there is no fingerprint to rely on."""
        with self.transaction() as connection:
            self._begin(connection)

    def finish(self, fingerprint: str) -> None:
        """Note that everything this fingerprint stands for has been dealt with."""
        now = self._clock.now()
        row = {"fingerprint": fingerprint, "run_id": self._run_id, "finished_at": now}
        here = sa.and_(deliveries.c.destination == self._destination, deliveries.c.company == self._company)
        with self.transaction() as connection:
            if connection.execute(deliveries.update().where(here).values(row)).rowcount == 0:
                connection.execute(
                    deliveries.insert(), {**self._place, **row, "generation": 0, "started_at": now}
                )

    def intend(self, changes: Sequence[Change]) -> Batch:
        """Write a batch with its members and token down, before the first call for it."""
        now = self._clock.now()
        token = uuid.uuid4().hex
        batch = Batch(
            f"{now:%Y%m%dT%H%M%S}-{token[:8]}", self._destination, self._company, token, changes, now
        )
        with self.transaction() as connection:
            row = {"id": batch.id, "token": token, "state": BatchState.OPEN, "size": len(changes)}
            row |= {"run_id": self._run_id, "checkpoint": "{}", "created_at": now}
            connection.execute(batches.insert(), {**self._place, **row})
            for start, some in _pieces(changes):
                members = [_member(batch.id, number, change) for number, change in enumerate(some, start)]
                connection.execute(batch_members.insert(), members)
            self._note(connection, batch.id, Kind.INTENDED, rows=len(changes))
        batch.keep = self._keeper(batch.id)
        return batch

    def resume(self, batch: Batch) -> None:
        """Take over a batch of a former run, before the destination is asked about it."""
        with self.transaction() as connection:
            self._note(connection, batch.id, Kind.RESUMED, created_at=batch.created_at.isoformat())
        batch.keep = self._keeper(batch.id)

    def confirm(self, batch: Batch, outcome: Outcome) -> None:
        """Close a batch that landed: members delivered or deleted, failed or waiting with the destination's
        words.
        """
        with self.transaction() as connection:
            self._leave_out(connection, batch, outcome.refused, State.FAILED, Kind.FAILED)
            self._leave_out(connection, batch, outcome.waiting, State.PENDING, Kind.PENDING)
            self._keep_partial(connection, outcome.partial, outcome.target_ids)
            _learn_ids(connection, batch.id, outcome.target_ids)
            self._deliver(connection, batch.id)
            self._delete(connection, batch)
            self._trace(connection, batch.id, sa.case(*_kinds_by_op()), {}, without=outcome.unsaid)
            if outcome.unsaid:
                unsaid = [change for change in batch.changes if change.row.key in outcome.unsaid]
                self._trace_each(
                    connection, unsaid, Kind.UNSAID, batch.id, lambda change: outcome.unsaid[change.row.key]
                )
            self._close(connection, batch.id, BatchState.LANDED, None)
            left = {"refused": len(outcome.refused), "waiting": len(outcome.waiting)}
            left_out = {name: count for name, count in left.items() if count}
            detail = {"rows": len(batch.changes), **left_out, **outcome.detail}
            self._note(connection, batch.id, Kind.LANDED, **detail)

    def abandon(self, batch: Batch, reason: str, partial: Mapping[str, Mapping[str, Any]]) -> None:
        """Close a batch that did not land: its members go again with the next run.

        partial: what the destination may hold of them all the same.
        """
        with self.transaction() as connection:
            members = self._members(*self._marks(_text(State.PENDING), batch.id, _text(reason)))
            upsert(connection, records, members.where(batch_members.c.batch_id == batch.id))
            self._keep_partial(connection, partial, {})
            self._trace(connection, batch.id, sa.literal(str(Kind.PENDING)), {"reason": reason})
            self._close(connection, batch.id, BatchState.ABANDONED, reason)
            self._note(connection, batch.id, Kind.ABANDONED, reason=reason)

    def doubt(self, batch: Batch, reason: str) -> None:
        """Leave a batch in doubt: its members stay with it until the destination has been asked."""
        with self.transaction() as connection:
            values = {"state": BatchState.IN_DOUBT, "reason": reason}
            connection.execute(batches.update().where(batches.c.id == batch.id).values(values))
            self._note(connection, batch.id, Kind.IN_DOUBT, reason=reason)

    def postpone(self, changes: Sequence[Change], reason: str) -> None:
        """Mark changes that were planned and not sent: they go with the next run."""
        with self.transaction() as connection:
            self._mark(connection, changes, State.PENDING, None, lambda _: reason)
            self._trace_each(connection, changes, Kind.PENDING, None, lambda _: reason)

    def distrust(self, reason: str, keys: Collection[str] | None = None) -> int:
        """Mark what the destination holds or may hold, or some of it, as to be sent again.

        Returns how many records. Those in doubt go again too, whatever is found out about their batch.
        """
        values = {"state": State.PENDING, "reason": reason, "updated_at": self._clock.now()}
        delivered = records.update().where(*self._here, records.c.state == State.DELIVERED).values(values)
        with self.transaction() as connection:
            self._begin(connection)
            count = 0
            for some in [None] if keys is None else chunks(sorted(keys)):
                count += self._distrust_doubtful(connection, reason, some)
                mark = delivered if some is None else delivered.where(records.c.key.in_(some))
                count += connection.execute(mark).rowcount
            self._note(connection, None, Kind.PENDING, reason=reason, records=count)
        return count

    def condemn(self, changes: Sequence[Change], reason: str) -> None:
        """Note rows that the destination holds and should not: the next delivery deletes them."""
        marks = {**self._place, "state": State.PENDING, "reason": reason, "updated_at": self._clock.now()}
        with self.transaction() as connection:
            self._begin(connection)
            for _, some in _pieces(changes):
                rows = [
                    marks | _named(change.row) | {"payload": change.text, "target_id": change.target_id}
                    for change in some
                ]
                upsert(connection, records, rows)
            self._trace_each(connection, changes, Kind.PENDING, None, lambda _: reason)

    def forget(self, gone: Sequence[Known]) -> None:
        """Close records the destination never held and nobody wants any more."""
        values = {"state": State.DELETED, "reason": None, "updated_at": self._clock.now()}
        with self.transaction() as connection:
            for keys in chunks([record.key for record in gone]):
                connection.execute(
                    records.update().where(*self._here, records.c.key.in_(keys)).values(values)
                )
            detail = {"reason": "It never reached the destination; no call was needed."}
            rows = [self._event(Kind.DELETED, None, detail, **_named(record)) for record in gone]
            connection.execute(events.insert(), rows)

    def quarantine(self, refused: Sequence[Refused], passed: Callable[[Entry], bool]) -> None:
        """Bring the destination's quarantine up to date; see quarantine.settle."""
        with self.transaction() as connection:
            settle(
                connection,
                Visit(self._destination, self._company, self._run_id, self._clock.now()),
                refused,
                passed,
            )

    @property
    def _place(self) -> dict[str, str]:
        return {"destination": self._destination, "company": self._company}

    @property
    def _here(self) -> tuple[sa.ColumnElement[bool], ...]:
        return records.c.destination == self._destination, records.c.company == self._company

    def _begin(self, connection: sa.Connection) -> None:
        here = sa.and_(deliveries.c.destination == self._destination, deliveries.c.company == self._company)
        last = connection.execute(sa.select(deliveries.c.generation).where(here)).scalar_one_or_none()
        row = {"fingerprint": None, "run_id": self._run_id, "generation": (last or 0) + 1}
        row |= {"finished_at": None, "started_at": self._clock.now()}
        upsert(connection, deliveries, {**self._place, **row})

    def _keeper(self, batch_id: str) -> Callable[[Mapping[str, Any]], None]:
        def keep(checkpoint: Mapping[str, Any]) -> None:
            values = {"checkpoint": json.dumps(checkpoint, ensure_ascii=False)}
            with self.transaction() as connection:
                connection.execute(batches.update().where(batches.c.id == batch_id).values(values))

        return keep

    def _leave_out(
        self, connection: sa.Connection, batch: Batch, words: Mapping[str, str], state: State, kind: Kind
    ) -> None:
        """Take members out of a batch that landed without them. words: why, by key."""
        if not words:
            return
        changes = [change for change in batch.changes if change.row.key in words]
        self._mark(connection, changes, state, batch.id, lambda change: words[change.row.key])
        self._trace_each(connection, changes, kind, batch.id, lambda change: words[change.row.key])
        for keys in chunks(list(words)):
            members = sa.and_(batch_members.c.batch_id == batch.id, batch_members.c.key.in_(keys))
            connection.execute(batch_members.delete().where(members))

    def _distrust_doubtful(self, connection: sa.Connection, reason: str, keys: Sequence[str] | None) -> int:
        """Mark members of batches in doubt, with their batch: its end leaves them to be sent again."""
        unresolved = sa.select(batches.c.id).where(
            batches.c.destination == self._destination,
            batches.c.company == self._company,
            batches.c.state.in_(UNRESOLVED),
        )
        count = 0
        for batch_id in connection.execute(unresolved).scalars().all():
            here = sa.and_(batch_members.c.batch_id == batch_id, batch_members.c.op != Op.DELETE)
            if keys is not None:
                here = sa.and_(here, batch_members.c.key.in_(keys))
            members = self._members(*self._marks(_text(State.PENDING), batch_id, _text(reason)))
            upsert(connection, records, members.where(here))
            count += connection.execute(sa.select(sa.func.count()).where(here)).scalar_one()
        return count

    def _keep_partial(
        self,
        connection: sa.Connection,
        partial: Mapping[str, Mapping[str, Any]],
        target_ids: Mapping[str, str],
    ) -> None:
        """Remember what may be left of rows never confirmed; a confirmed version says more and stays."""
        if not partial:
            return
        values = {
            "payload": sa.bindparam("left"),
            "target_id": sa.func.coalesce(sa.bindparam("its_id", type_=sa.Text), records.c.target_id),
        }
        never_confirmed = (*self._here, records.c.key == sa.bindparam("its_key"), records.c.hash.is_(None))
        rows = [
            {"its_key": key, "its_id": target_ids.get(key), "left": encode(columns)}
            for key, columns in partial.items()
        ]
        connection.execute(records.update().where(*never_confirmed).values(values), rows)

    def _deliver(self, connection: sa.Connection, batch_id: str) -> None:
        """Close the members that were sent, but for those that were asked to go again while in doubt."""
        again = records.alias()
        asked = sa.and_(
            again.c.destination == self._destination,
            again.c.company == self._company,
            again.c.key == batch_members.c.key,
            again.c.batch_id == batch_id,
            again.c.state == State.PENDING,
        )
        state = sa.func.coalesce(again.c.state, _text(State.DELIVERED))
        members = self._members(
            *(batch_members.c[name] for name in ("hash", "payload", "target_id")),
            *self._marks(state, batch_id, again.c.reason),
        )
        here = sa.and_(batch_members.c.batch_id == batch_id, batch_members.c.op != Op.DELETE)
        upsert(connection, records, members.select_from(batch_members.outerjoin(again, asked)).where(here))

    def _delete(self, connection: sa.Connection, batch: Batch) -> None:
        deleted = sa.select(batch_members.c.key).where(
            batch_members.c.batch_id == batch.id, batch_members.c.op == Op.DELETE
        )
        values: dict[str, Any] = {
            "state": State.DELETED,
            "batch_id": batch.id,
            "updated_at": self._clock.now(),
        }
        # The id stays: what marks a row deleted leaves the object there, and a record may come back to it.
        values |= dict.fromkeys(("hash", "payload", "reason"))
        connection.execute(records.update().where(*self._here, records.c.key.in_(deleted)).values(values))

    def _close(self, connection: sa.Connection, batch_id: str, state: BatchState, reason: str | None) -> None:
        connection.execute(batch_members.delete().where(batch_members.c.batch_id == batch_id))
        values = {"state": state, "reason": reason, "finished_at": self._clock.now()}
        connection.execute(batches.update().where(batches.c.id == batch_id).values(values))

    def _mark(
        self,
        connection: sa.Connection,
        changes: Sequence[Change],
        state: State,
        batch_id: str | None,
        reason: Callable[[Change], str],
    ) -> None:
        """Set the state of records without touching what the destination holds of them."""
        marks = {**self._place, "state": state, "batch_id": batch_id, "updated_at": self._clock.now()}
        for _, some in _pieces(changes):
            upsert(
                connection,
                records,
                [marks | _named(change.row) | {"reason": reason(change)} for change in some],
            )

    def _members(self, *columns: sa.ColumnElement[Any]) -> sa.Select[*tuple[Any, ...]]:
        """Members of batches as records of the ledger: whose they are, and these columns."""
        place = (sa.literal(value).label(name) for name, value in self._place.items())
        return sa.select(
            *place, *(batch_members.c[name] for name in ("key", "source_key", "number")), *columns
        )

    def _marks(
        self, state: sa.ColumnElement[str], batch_id: str, reason: sa.ColumnElement[str]
    ) -> Iterator[sa.Label[Any]]:
        yield state.label("state")
        yield _text(batch_id).label("batch_id")
        yield reason.label("reason")
        yield sa.literal(self._clock.now(), UtcDateTime).label("updated_at")

    def _trace(
        self,
        connection: sa.Connection,
        batch_id: str,
        kind: sa.ColumnElement[str],
        detail: Mapping[str, Any],
        without: Collection[str] = (),
    ) -> None:
        """One event for every member of a batch but some, in one statement."""
        fixed = self._event(Kind.PENDING, batch_id, detail)
        columns = {name: sa.literal(value, events.c[name].type) for name, value in fixed.items()} | {
            "kind": kind
        }
        columns |= {name: batch_members.c[name] for name in ("source_key", "key", "number")}
        members = sa.select(*(column.label(name) for name, column in columns.items()))
        members = members.where(batch_members.c.batch_id == batch_id).order_by(batch_members.c.position)
        for keys in chunks(sorted(without)):
            members = members.where(batch_members.c.key.not_in(keys))
        connection.execute(events.insert().from_select(list(columns), members))

    def _trace_each(
        self,
        connection: sa.Connection,
        changes: Sequence[Change],
        kind: Kind,
        batch_id: str | None,
        reason: Callable[[Change], str],
    ) -> None:
        def told(change: Change) -> dict[str, Any]:
            detail = {"op": change.op, "reason": reason(change)}
            return self._event(kind, batch_id, detail, **_named(change.row))

        for _, some in _pieces(changes):
            connection.execute(events.insert(), list(map(told, some)))

    def _note(self, connection: sa.Connection, batch_id: str | None, kind: Kind, **detail: Any) -> None:
        connection.execute(events.insert(), self._event(kind, batch_id, detail))

    def _event(
        self, kind: Kind, batch_id: str | None, detail: Mapping[str, Any], **record: str
    ) -> dict[str, Any]:
        now = self._clock.now()
        return event(now, self._run_id, kind, detail, **self._place, batch_id=batch_id, **record)


def _pieces(changes: Sequence[Change]) -> Iterator[tuple[int, Sequence[Change]]]:
    """The changes in pieces for one statement each, with the position of the first."""
    for start in range(0, len(changes), _CHANGES_AT_ONCE):
        yield start, changes[start : start + _CHANGES_AT_ONCE]


def _text(value: str) -> sa.ColumnElement[str]:
    return sa.literal(str(value), sa.Text)


def _named(record: Row | Known) -> dict[str, str]:
    return {"key": record.key, "source_key": record.source_key, "number": record.number}


def _member(batch_id: str, position: int, change: Change) -> dict[str, Any]:
    return {
        "batch_id": batch_id,
        "position": position,
        "op": change.op,
        **_named(change.row),
        "hash": change.hash,
        "payload": change.text,
        "target_id": change.target_id,
    }


def _learn_ids(connection: sa.Connection, batch_id: str, target_ids: Mapping[str, str]) -> None:
    if not target_ids:
        return
    statement = (
        batch_members.update()
        .where(batch_members.c.batch_id == batch_id, batch_members.c.key == sa.bindparam("learnt_key"))
        .values(target_id=sa.bindparam("learnt_id"))
    )
    rows = [{"learnt_key": key, "learnt_id": target_id} for key, target_id in target_ids.items()]
    connection.execute(statement, rows)


def _kinds_by_op() -> Iterator[tuple[sa.ColumnElement[bool], str]]:
    for op, kind in _DONE.items():
        yield batch_members.c.op == op, str(kind)
