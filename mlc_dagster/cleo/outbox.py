"""Interchanges with their bytes, their control numbers, and what became of them.

Numbers are given and bytes are stored in one transaction, before anything leaves. What is sent is what is
stored: a repetition has the same bytes and the same numbers (vendors/x12.md section 9).
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from mlc_dagster.database import insert_missing, reading
from mlc_dagster.database.schema import control_numbers, interchange_documents, interchanges
from mlc_dagster.transport.clock import Clock

LAST_NUMBER = 999_999_999


class State(StrEnum):
    """Where an interchange or a document stands. Uploaded is not accepted: these are three states."""

    BUILT = "built"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    WITH_ERRORS = "acknowledged with errors"
    REJECTED = "rejected"


# Nothing more is expected of these.
ANSWERED = (State.ACKNOWLEDGED, State.WITH_ERRORS, State.REJECTED)


@dataclass(frozen=True)
class Entry:
    """One document of an interchange: its record, its place (ST02), what it does, and where it stands."""

    control: str
    destination: str
    key: str
    number: str
    purpose: str
    state: State = State.BUILT
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stored:
    """An interchange as it is stored."""

    id: str
    partner: str
    company: str
    kind: str
    control: int
    group_control: int
    file: str
    content: bytes
    state: State
    created_at: datetime
    sent_at: datetime | None
    detail: Mapping[str, Any]
    documents: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Made:
    """What a maker hands in: the file's name and content, and its documents."""

    file: str
    content: bytes
    documents: Sequence[Entry]
    detail: Mapping[str, Any] = field(default_factory=dict)


class Outbox:
    """Reads and writes the interchanges. Safe for many processes."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def build(
        self,
        *,
        partner: str,
        company: str,
        kind: str,
        pair: str,
        batch_id: str,
        make: Callable[[int, int], Made],
    ) -> Stored:
        """Give numbers, let `make` write the bytes with them, and store all of it at once.

        pair: who sends to whom; ISA13 counts by it, GS06 by it and the kind of group.
        """
        with self._engine.begin() as connection:
            control = _next(connection, f"isa {pair}")
            group_control = _next(connection, f"gs {pair} {kind}")
            made = make(control, group_control)
            row = {
                "id": uuid.uuid4().hex,
                "direction": "out",
                "partner": partner,
                "company": company,
                "kind": kind,
                "control": control,
                "group_control": group_control,
                "batch_id": batch_id,
                "file": made.file,
                "content": made.content,
                "digest": hashlib.sha256(made.content).hexdigest(),
                "state": State.BUILT,
                "detail": json.dumps(made.detail),
                "created_at": self._clock.now(),
            }
            connection.execute(interchanges.insert().values(row))
            if made.documents:
                connection.execute(
                    interchange_documents.insert(),
                    [
                        {"interchange_id": row["id"], **_values(entry), "detail": json.dumps(entry.detail)}
                        for entry in made.documents
                    ],
                )
        return next(iter(self.find(id=str(row["id"]))))

    def of_batch(self, batch_id: str) -> list[Stored]:
        """The interchanges a batch was made into, in the order of their numbers."""
        return list(self.find(batch_id=batch_id))

    def find(self, **columns: Any) -> Iterator[Stored]:
        """Interchanges of ours by their columns, oldest first."""
        query = sa.select(interchanges).where(interchanges.c.direction == "out")
        for name, value in columns.items():
            query = query.where(interchanges.c[name] == value)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(interchanges.c.created_at, interchanges.c.control)).all()
            held = interchange_documents
            for row in rows:
                documents = connection.execute(
                    sa.select(held).where(held.c.interchange_id == row.id).order_by(held.c.control)
                ).all()
                yield _stored(row, documents)

    def sent(self, interchange: Stored) -> None:
        """Note that the mailbox has it."""
        now = self._clock.now()
        with self._engine.begin() as connection:
            mine = (interchanges.c.id == interchange.id, interchanges.c.state == State.BUILT)
            connection.execute(interchanges.update().where(*mine).values(state=State.SENT, sent_at=now))
            held = interchange_documents
            connection.execute(
                held.update()
                .where(held.c.interchange_id == interchange.id, held.c.state == State.BUILT)
                .values(state=State.SENT)
            )

    def answer(
        self, interchange: Stored, state: State, documents: Mapping[str, tuple[State, Mapping[str, Any]]]
    ) -> None:
        """Note what the partner's system said, of the whole and of documents by their place (ST02).

        A later answer replaces an earlier one, but a rejection never an acceptance: it came to a repetition.
        """
        with self._engine.begin() as connection:
            mine = interchanges.c.id == interchange.id
            if not (state is State.REJECTED and interchange.state in (State.ACKNOWLEDGED, State.WITH_ERRORS)):
                connection.execute(
                    interchanges.update().where(mine).values(state=state, answered_at=self._clock.now())
                )
            held = interchange_documents
            for control, (said, detail) in documents.items():
                here = (held.c.interchange_id == interchange.id, held.c.control == control)
                connection.execute(
                    held.update().where(*here).values(state=said, detail=json.dumps(dict(detail)))
                )

    def last(self, destination: str, keys: Collection[str]) -> dict[str, Entry]:
        """The newest document of each record that was not rejected: what the partner has of it."""
        held, found = interchange_documents, {}
        query = (
            sa.select(held)
            .join(interchanges, interchanges.c.id == held.c.interchange_id)
            .where(held.c.destination == destination, held.c.state != State.REJECTED)
            .order_by(interchanges.c.created_at)
        )
        with reading(self._engine) as connection:
            for row in connection.execute(query):
                if row.key in keys:
                    found[row.key] = _entry(row)
        return found

    def waiting(self, destination: str, company: str) -> Iterator[tuple[Stored, Entry]]:
        """Documents without an answer, or with a bad one, of a destination and company; oldest first."""
        for state in (State.BUILT, State.SENT, State.WITH_ERRORS, State.REJECTED):
            for interchange in self.find(company=company, state=state):
                for entry in interchange.documents:
                    if entry.destination == destination:
                        yield interchange, entry


def _next(connection: sa.Connection, name: str) -> int:
    insert_missing(connection, control_numbers, {"name": name, "last": 0})
    mine = control_numbers.c.name == name
    # On SQLite the insert above has taken the write lock, elsewhere this takes the row's.
    last = connection.execute(sa.select(control_numbers.c.last).where(mine).with_for_update()).scalar_one()
    number = int(last) % LAST_NUMBER + 1
    connection.execute(control_numbers.update().where(mine).values(last=number))
    return number


def _values(entry: Entry) -> dict[str, Any]:
    names = ("control", "destination", "key", "number", "purpose", "state")
    return {name: getattr(entry, name) for name in names}


def _entry(row: sa.Row[Any]) -> Entry:
    return Entry(
        row.control,
        row.destination,
        row.key,
        row.number,
        row.purpose,
        State(row.state),
        json.loads(row.detail),
    )


def _stored(row: sa.Row[Any], documents: Sequence[sa.Row[Any]]) -> Stored:
    return Stored(
        id=row.id,
        partner=row.partner,
        company=row.company,
        kind=row.kind,
        control=row.control,
        group_control=row.group_control,
        file=row.file,
        content=row.content,
        state=State(row.state),
        created_at=row.created_at,
        sent_at=row.sent_at,
        detail=json.loads(row.detail),
        documents=tuple(_entry(each) for each in documents),
    )
