"""Interchanges with their bytes, their control numbers, and what became of them.

Numbers are given and bytes are stored in one transaction, before anything leaves. What is sent is what is
stored: a repetition has the same bytes and the same numbers (vendors/x12.md section 9).
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.database import insert_missing, reading
from mlc_dagster.database.schema import control_numbers, events, interchange_documents, interchanges
from mlc_dagster.database.trail import event
from mlc_dagster.delivery import Kind
from mlc_dagster.delivery.ledger import chunks
from mlc_dagster.delivery.rows import decode, encode
from mlc_dagster.x12.documents import Purpose

LAST_NUMBER = 999_999_999
# Among the control numbers: what those begin after that were never given.
FIRST = "first"


class State(StrEnum):
    """Where an interchange or a document stands. Uploaded is not accepted: these are three states.

    Withdrawn is a document that its partner rejected, and that nobody is to tell any more.
    """

    BUILT = "built"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    WITH_ERRORS = "acknowledged with errors"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


# What the audit trail says of an answer.
_KINDS = {
    State.ACKNOWLEDGED: Kind.ACKNOWLEDGED,
    State.WITH_ERRORS: Kind.WITH_ERRORS,
    State.REJECTED: Kind.REJECTED,
}
ACCEPTED = (State.ACKNOWLEDGED, State.WITH_ERRORS)
# What a rejection does not change: it came to a repetition, or again.
_JUDGED = (*ACCEPTED, State.WITHDRAWN)
_REFUSED = (State.REJECTED, State.WITHDRAWN)
ORIGINAL = Purpose.ORIGINAL.value
# Where a document lies: its interchange and ST02.
Place = tuple[str, str]


@dataclass(frozen=True)
class Entry:
    """One document of an interchange: its record, its place (ST02), what it does, and where it stands.

    payload: the row it was made from, which is what the partner has of the record once it is accepted.
    name: the number that the partner reads; None where an earlier version stored it without.
    """

    control: str
    destination: str
    key: str
    number: str
    purpose: str
    payload: Mapping[str, Any]
    state: State = State.BUILT
    detail: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None


@dataclass(frozen=True)
class Stored:
    """An interchange as it is stored."""

    id: str
    partner: str
    company: str
    kind: str
    control: int
    group_control: int
    batch_id: str | None
    file: str
    content: bytes
    state: State
    created_at: datetime
    sent_at: datetime | None
    detail: Mapping[str, Any]
    documents: tuple[Entry, ...] = ()

    def renamed(self, now: datetime) -> "Stored":
        """The same to be filed again: a name that was used may be refused (vendors/cleo.md section 6)."""
        head, suffix = self.file.rsplit("_", 1)[0], self.file.rsplit(".", 1)[1]
        return replace(self, file=f"{head}_{now:%Y%m%dT%H%M%SZ}.{suffix}")


@dataclass(frozen=True)
class Made:
    """What a maker hands in: the file's name and content, and its documents."""

    file: str
    content: bytes
    documents: Sequence[Entry]
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """The newest document of a record, with its interchange: where it stands since when (UTC)."""

    interchange_id: str
    partner: str
    company: str
    file: str
    control: int
    sent_at: datetime | None
    entry: Entry

    @property
    def answered(self) -> bool:
        """Whether the partner is known to have it: it answered, or said (TA1) that it came before."""
        return self.entry.state not in (State.BUILT, State.SENT) or "ta1" in self.entry.detail

    @property
    def said(self) -> str:
        """What the partner's system said of it, in words; empty where it accepted it."""
        parts = (
            f"{name} {', '.join(value) if isinstance(value, list) else value}"
            for name, value in self.entry.detail.items()
            if value
        )
        return "; ".join(parts)


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
                "detail": json.dumps(made.detail, ensure_ascii=False),
                "created_at": self._clock.now(),
            }
            connection.execute(interchanges.insert().values(row))
            if made.documents:
                rows = [{"interchange_id": row["id"], **_values(entry)} for entry in made.documents]
                connection.execute(interchange_documents.insert(), rows)
        return next(iter(self.find(id=str(row["id"]))))

    def skip_numbers(self, count: int) -> None:
        """Go on so much higher with all control numbers, also with those that were never given."""
        with self._engine.begin() as connection:
            insert_missing(connection, control_numbers, {"name": FIRST, "last": 0})
            last = control_numbers.c.last + count
            connection.execute(control_numbers.update().values(last=last))

    def of_batch(self, batch_id: str) -> list[Stored]:
        """The interchanges a batch was made into, in the order of their numbers."""
        return list(self.find(batch_id=batch_id))

    def find(self, **columns: Any) -> Iterator[Stored]:
        """Interchanges of ours by their columns, oldest first."""
        mine = [interchanges.c.direction == "out"]
        mine += [interchanges.c[name] == value for name, value in columns.items()]
        held = interchange_documents
        query = sa.select(interchanges).where(*mine)
        joined = sa.select(held).join(interchanges, interchanges.c.id == held.c.interchange_id).where(*mine)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(interchanges.c.created_at, interchanges.c.control)).all()
            found = connection.execute(joined.order_by(held.c.interchange_id, held.c.control)).all()
        documents = {
            id: tuple(map(_entry, some)) for id, some in groupby(found, lambda row: row.interchange_id)
        }
        for row in rows:
            yield _stored(row, documents.get(row.id, ()))

    def sent(self, interchange: Stored) -> None:
        """Note that the mailbox has it. An answer may have come before the upload's own."""
        with self._engine.begin() as connection:
            mine, held = interchanges.c.id == interchange.id, interchange_documents
            connection.execute(
                interchanges.update().where(mine).values(sent_at=self._clock.now(), file=interchange.file)
            )
            built = (mine, interchanges.c.state == State.BUILT)
            connection.execute(interchanges.update().where(*built).values(state=State.SENT))
            here = (held.c.interchange_id == interchange.id, held.c.state == State.BUILT)
            connection.execute(held.update().where(*here).values(state=State.SENT))

    def answer(
        self,
        interchange: Stored,
        state: State,
        documents: Mapping[str, tuple[State, Mapping[str, Any]]],
        run_id: str,
    ) -> list[State]:
        """Note what the partner's system said, of the whole and of documents by their place (ST02).

        Returns the states of those it says something new of; each is an event of the audit trail. A later
        answer replaces an earlier one, but a rejection never an acceptance: it came to a repetition.
        """
        now, held = self._clock.now(), interchange_documents
        news = {
            entry.control: entry
            for entry in interchange.documents
            if entry.control in documents
            and documents[entry.control] != (entry.state, entry.detail)
            and not (documents[entry.control][0] is State.REJECTED and entry.state in _JUDGED)
        }
        repetition = state is State.REJECTED and interchange.state in ACCEPTED
        with self._engine.begin() as connection:
            # What is said again moves no time: what was built since then knew of it.
            if state is not interchange.state and not repetition:
                mine = interchanges.c.id == interchange.id
                connection.execute(interchanges.update().where(mine).values(state=state, answered_at=now))
            for control, entry in news.items():
                said, detail = documents[control]
                here = [held.c.interchange_id == interchange.id, held.c.control == control]
                if said is State.REJECTED:
                    here.append(held.c.state.not_in(_JUDGED))
                text = json.dumps(dict(detail), ensure_ascii=False)
                connection.execute(held.update().where(*here).values(state=said, detail=text))
                told = {"file": interchange.file, "set": control, **detail}
                row = event(
                    now,
                    run_id,
                    _KINDS[said],
                    told,
                    destination=entry.destination,
                    company=interchange.company,
                    key=entry.key,
                    number=entry.number,
                    batch_id=interchange.batch_id,
                )
                connection.execute(events.insert(), row)
        return [documents[control][0] for control in news]

    def remark(self, interchange: Stored, detail: Mapping[str, Any]) -> None:
        """Note what the partner's system said, beside documents that still wait for their answer."""
        held, text = interchange_documents, json.dumps(dict(detail), ensure_ascii=False)
        here = (held.c.interchange_id == interchange.id, held.c.state == State.SENT)
        with self._engine.begin() as connection:
            connection.execute(held.update().where(*here).values(detail=text))

    def rejected(self, destination: str, keys: Collection[str]) -> dict[str, list[Place]]:
        """Where documents lie that partners have rejected, by the key of their record."""
        held, found = interchange_documents.c, dict[str, list[Place]]()
        query = sa.select(held.key, held.interchange_id, held.control)
        with reading(self._engine) as connection:
            for some in chunks(sorted(keys)):
                here = held.destination == destination, held.key.in_(some), held.state == State.REJECTED
                for key, *place in connection.execute(query.where(*here)):
                    found.setdefault(key, []).append((place[0], place[1]))
        return found

    def withdraw(self, places: Collection[Place]) -> None:
        """Note of rejected documents that there is nothing left to tell of their records."""
        held = interchange_documents
        with self._engine.begin() as connection:
            for interchange_id, control in places:
                here = held.c.interchange_id == interchange_id, held.c.control == control
                connection.execute(
                    held.update().where(*here, held.c.state == State.REJECTED).values(state=State.WITHDRAWN)
                )

    def told(self, destination: str, keys: Collection[str]) -> dict[str, Standing]:
        """Of each record the newest document that was not rejected: what the partner has of it.

        A change of what the partner rejected is none, whatever it was answered: it told of nothing.
        """
        here = interchange_documents.c.destination == destination
        return {
            found.entry.key: found
            for some in chunks(sorted(keys))
            for found in self._newest(here, interchange_documents.c.key.in_(some), without=_REFUSED)
        }

    def named(self, destination: str, names: Collection[str], numbers: Collection[str]) -> Iterator[Standing]:
        """What partners have under one of these names, of all companies: as `told`.

        What an earlier version stored without its name is found by its number in the ERP.
        """
        held = interchange_documents.c
        here = held.destination == destination
        for some in chunks(sorted(names)):
            yield from self._newest(here, held.name.in_(some), without=_REFUSED)
        for some in chunks(sorted(numbers)):
            yield from self._newest(here, held.name.is_(None), held.number.in_(some), without=_REFUSED)

    def standing(self, destination: str, company: str | None = None) -> list[Standing]:
        """The newest document of every record of a destination, oldest first; also a rejected one."""
        here = [interchange_documents.c.destination == destination]
        here += [interchanges.c.company == company] if company is not None else []
        return list(self._newest(*here))

    def _newest(self, *where: sa.ColumnElement[bool], without: Collection[State] = ()) -> Iterator[Standing]:
        """Of each record the newest document in another state, that is no change of a rejected one."""
        held, whose = interchange_documents, ("destination", "key")
        original = held.c.purpose == ORIGINAL
        # Every original begins anew: the changes after it are changes of it.
        place = sa.func.sum(sa.case((original, 1), else_=0)).over(
            partition_by=[held.c[name] for name in whose],
            order_by=(interchanges.c.created_at, interchanges.c.control),
        )
        names = ("partner", "company", "file", "sent_at", "created_at")
        sequence = (
            sa.select(
                held,
                *(interchanges.c[name] for name in names),
                interchanges.c.control.label("isa_control"),
                place.label("origin"),
                sa.case((sa.and_(original, held.c.state.in_(_REFUSED)), 1), else_=0).label("refused"),
            )
            .join(interchanges, interchanges.c.id == held.c.interchange_id)
            .where(interchanges.c.direction == "out", *where)
            .subquery()
        )
        of_one = [sequence.c[name] for name in (*whose, "origin")]
        built_on = sa.select(
            sequence, sa.func.max(sequence.c.refused).over(partition_by=of_one).label("void")
        )
        judged = built_on.subquery()
        newest = sa.func.row_number().over(
            partition_by=[judged.c[name] for name in whose],
            order_by=(judged.c.created_at.desc(), judged.c.isa_control.desc()),
        )
        ranked = (
            sa.select(judged, newest.label("place"))
            .where(sa.or_(judged.c.void == 0, judged.c.purpose == ORIGINAL), judged.c.state.not_in(without))
            .subquery()
        )
        query = sa.select(ranked).where(ranked.c.place == 1)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(ranked.c.created_at, ranked.c.isa_control)).all()
        for row in rows:
            yield Standing(
                row.interchange_id,
                row.partner,
                row.company,
                row.file,
                row.isa_control,
                row.sent_at,
                _entry(row),
            )


def _next(connection: sa.Connection, name: str) -> int:
    numbers = control_numbers.c
    before = connection.scalar(sa.select(numbers.last).where(numbers.name == FIRST))
    insert_missing(connection, control_numbers, {"name": name, "last": before or 0})
    mine = numbers.name == name
    # On SQLite the insert above has taken the write lock, elsewhere this takes the row's.
    last = connection.execute(sa.select(control_numbers.c.last).where(mine).with_for_update()).scalar_one()
    number = int(last) % LAST_NUMBER + 1
    connection.execute(control_numbers.update().where(mine).values(last=number))
    return number


def _values(entry: Entry) -> dict[str, Any]:
    names = ("control", "destination", "key", "number", "purpose", "state", "name")
    texts = {"payload": encode(entry.payload), "detail": json.dumps(dict(entry.detail), ensure_ascii=False)}
    return {name: getattr(entry, name) for name in names} | texts


def _entry(row: sa.Row[Any]) -> Entry:
    return Entry(
        row.control,
        row.destination,
        row.key,
        row.number,
        row.purpose,
        decode(row.payload),
        State(row.state),
        json.loads(row.detail),
        row.name,
    )


def _stored(row: sa.Row[Any], documents: tuple[Entry, ...]) -> Stored:
    return Stored(
        id=row.id,
        partner=row.partner,
        company=row.company,
        kind=row.kind,
        control=row.control,
        group_control=row.group_control,
        batch_id=row.batch_id,
        file=row.file,
        content=row.content,
        state=State(row.state),
        created_at=row.created_at,
        sent_at=row.sent_at,
        detail=json.loads(row.detail),
        documents=documents,
    )
