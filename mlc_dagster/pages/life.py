"""One document number over all targets: a sentence for each, what each holds now, and what happened when."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from mlc_dagster.database import reading
from mlc_dagster.database.schema import (
    batch_members,
    batches,
    interchange_documents,
    interchanges,
    quarantine,
    records,
)
from mlc_dagster.delivery import Entry, Event, State
from mlc_dagster.delivery.ledger import UNRESOLVED
from mlc_dagster.delivery.rows import decode
from mlc_dagster.pages import words
from mlc_dagster.suite import Suite
from mlc_dagster.visma.entities import ENTITIES

# Where a number may be known; each has an index of it.
TABLES = (records, quarantine, batch_members, interchange_documents)
# Rows of one destination that are listed; all are counted.
LISTED = 40
SUGGESTED = 12
# Numbers are written with zeros in front, up to this many digits.
DIGITS = 10


@dataclass(frozen=True)
class Held:
    """A row as one target has it."""

    destination: str
    company: str
    key: str
    state: State
    updated_at: datetime
    target_id: str | None
    reason: str | None
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Document:
    """An EDI document of the record: on its way, or answered. said: what the partner's system remarked."""

    destination: str
    company: str
    partner: str
    kind: str
    file: str
    state: str
    sent_at: datetime | None
    answered_at: datetime | None
    said: str


@dataclass(frozen=True)
class Sentence:
    """Where the number stands at one target. mark: good, waits, bad or quiet. label: two words for it."""

    system: str
    mark: str
    label: str
    text: str


@dataclass(frozen=True)
class Line:
    """What happened at one moment to one or more rows. keys: the first few."""

    at: datetime
    place: str
    text: str
    mark: str
    keys: Sequence[str]
    count: int
    detail: str
    run_id: str
    batch_id: str | None


@dataclass(frozen=True)
class Life:
    """Everything known of a number in one company."""

    number: str
    company: str
    sentences: Sequence[Sentence]
    held: Mapping[str, Sequence[Held]]
    documents: Sequence[Document]
    quarantined: Sequence[Entry]
    timeline: Sequence[Line]


class Lives:
    """Looks numbers up, by index."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._zone = ZoneInfo(suite.settings.timezone)

    def find(self, asked: str) -> list[Life]:
        """What is known of a number, one life a company; also with or without zeros in front."""
        return [life for number in self._known(spellings(asked)) for life in self._lives(number)]

    def similar(self, asked: str) -> list[str]:
        """Known numbers that begin like this one."""
        if not asked:
            return []
        # The next text after all that begin so. A range uses the index on every database.
        beyond = asked[:-1] + chr(ord(asked[-1]) + 1)
        found: set[str] = set()
        with reading(self._suite.engine) as connection:
            for table in TABLES:
                number = table.c.number
                begins = (number >= asked, number < beyond, number.startswith(asked, autoescape=True))
                query = sa.select(number).distinct().where(*begins)
                found.update(connection.execute(query.order_by(number).limit(SUGGESTED)).scalars())
        return sorted(found)[:SUGGESTED]

    def _known(self, numbers: Sequence[str]) -> list[str]:
        query = sa.union(*(sa.select(each.c.number).where(each.c.number.in_(numbers)) for each in TABLES))
        with reading(self._suite.engine) as connection:
            known = set(connection.execute(query).scalars())
        return [number for number in numbers if number in known]

    def _lives(self, number: str) -> Iterator[Life]:
        held, documents = self._held(number), self._documents(number)
        kept = self._suite.quarantine.open(number=number)
        doubts = self._doubts(number)
        history = self._suite.audit.history(number)
        mine = {company for company, _ in doubts}
        mine |= {each.company for each in held} | {each.company for each in documents}
        mine |= {entry.company for entry in kept}
        for company in sorted(mine):
            # Documents first, their lines after them.
            here = sorted(
                (each for each in held if each.company == company),
                key=lambda each: (words.system(each.destination), each.destination.endswith("_lines")),
            )
            sent = [each for each in documents if each.company == company]
            refused = [entry for entry in kept if entry.company == company]
            in_doubt = {place: rows for (code, place), rows in doubts.items() if code == company}
            yield Life(
                number,
                company,
                list(self._sentences(company, here, sent, refused, in_doubt)),
                {name: list(rows) for name, rows in groupby(here, lambda each: each.destination)},
                sent,
                refused,
                list(_timeline([event for event in history if event.company == company])),
            )

    def _held(self, number: str) -> list[Held]:
        query = sa.select(records).where(records.c.number == number)
        order = (records.c.company, records.c.destination, records.c.key)
        with reading(self._suite.engine) as connection:
            return [
                Held(
                    row.destination,
                    row.company,
                    row.key,
                    State(row.state),
                    row.updated_at,
                    row.target_id,
                    row.reason,
                    decode(row.payload) if row.payload else {},
                )
                for row in connection.execute(query.order_by(*order))
            ]

    def _doubts(self, number: str) -> dict[tuple[str, str], int]:
        """Rows in batches that nobody has judged, by company and destination."""
        place = (batches.c.company, batches.c.destination)
        query = (
            sa.select(*place, sa.func.count())
            .join(batch_members, batches.c.id == batch_members.c.batch_id)
            .where(batch_members.c.number == number, batches.c.state.in_(UNRESOLVED))
        )
        with reading(self._suite.engine) as connection:
            return {(row[0], row[1]): row[2] for row in connection.execute(query.group_by(*place))}

    def _documents(self, number: str) -> list[Document]:
        """Its EDI documents that we sent, newest first."""
        held, of = interchange_documents, interchanges
        names = ("company", "partner", "kind", "file", "sent_at", "answered_at")
        query = (
            sa.select(held.c.destination, held.c.state, held.c.detail, *(of.c[name] for name in names))
            .join(of, of.c.id == held.c.interchange_id)
            .where(held.c.number == number, of.c.direction == "out")
            .order_by(of.c.created_at.desc(), of.c.control.desc())
        )
        with reading(self._suite.engine) as connection:
            return [
                Document(
                    **{name: getattr(row, name) for name in ("destination", "state", *names)},
                    said=words.detail(json.loads(row.detail)),
                )
                for row in connection.execute(query)
            ]

    def _sentences(
        self,
        company: str,
        held: Sequence[Held],
        documents: Sequence[Document],
        refused: Sequence[Entry],
        in_doubt: Mapping[str, int],
    ) -> Iterator[Sentence]:
        for entry in refused:
            if entry.place.startswith("visma/"):
                yield Sentence("Visma.net", "bad", "held back", _held_back(entry))
        for pair in self._suite.settings.pairs.on():
            if company not in self._suite.settings.companies_of(pair):
                continue
            start = f"{pair}/"
            yield self._sentence(
                words.system(pair),
                [each for each in held if each.destination.startswith(start)],
                [each for each in documents if each.destination.startswith(start)],
                [entry for entry in refused if entry.place.startswith(start)],
                Counter({place: rows for place, rows in in_doubt.items() if place.startswith(start)}),
            )

    def _sentence(
        self,
        system: str,
        held: Sequence[Held],
        documents: Sequence[Document],
        refused: Sequence[Entry],
        in_doubt: Counter[str],
    ) -> Sentence:
        """The worst thing that can be said of one target; the good news where there is nothing else."""
        return (
            self._wrong(system, held, refused)
            or self._waits(system, held, in_doubt)
            or (self._told(system, documents[0]) if documents else self._stands(system, held))
        )

    def _wrong(self, system: str, held: Sequence[Held], refused: Sequence[Entry]) -> Sentence | None:
        if refused:
            return Sentence(system, "bad", "held back", _held_back(refused[0]))
        if failed := [each for each in held if each.state is State.FAILED]:
            text = f"{system} refused {_rows(failed)} on {self._at(failed)}{_because(failed)}"
            return Sentence(system, "bad", "refused", text)
        return None

    def _waits(self, system: str, held: Sequence[Held], in_doubt: Counter[str]) -> Sentence | None:
        if in_doubt:
            text = (
                f"{words.counted(in_doubt)} went to {system} and the answer is not known yet. "
                f"The next run asks {system} before anything is sent again."
            )
            return Sentence(system, "waits", "in doubt", text)
        if pending := [each for each in held if each.state is State.PENDING]:
            goes = "goes" if len(pending) == 1 else "go"
            text = f"{_rows(pending)} {goes} with the next run to {system}{_because(pending)}"
            return Sentence(system, "waits", "waits", text)
        return None

    def _stands(self, system: str, held: Sequence[Held]) -> Sentence:
        if there := [each for each in held if each.state is State.DELIVERED]:
            text = f"{system} has {_rows(there)}, last written on {self._at(there)}."
            return Sentence(system, "good", "there", text)
        if held:
            text = f"{system} had {_rows(held)}, removed on {self._at(held)}."
            return Sentence(system, "quiet", "removed", text)
        return Sentence(system, "quiet", "nothing", f"{system} has nothing under this number.")

    def _told(self, system: str, newest: Document) -> Sentence:
        partners = self._suite.settings.pairs.cleo
        known = partners.partners.get(newest.partner) if partners else None
        name = known.name if known and known.name else newest.partner
        what = f"The {words.kind_of(newest.destination, 1)}"
        if newest.sent_at is None:
            return Sentence(
                system, "waits", "not sent yet", f"{what} for {name} is written and not sent yet."
            )
        answers = known is None or known.sends_997
        tone, label, said = _answered(newest, words.local(newest.answered_at, self._zone), answers=answers)
        sent = f"{what} went to {name} on {words.local(newest.sent_at, self._zone)}"
        return Sentence(system, tone, label, sent + said)

    def _at(self, rows: Sequence[Held]) -> str:
        return words.local(max(each.updated_at for each in rows), self._zone)


def _answered(newest: Document, on: str, *, answers: bool) -> tuple[str, str, str]:
    """A sentence's tone, label and end: what a partner said of a document, if its system says anything."""
    remark = f": {newest.said}" if newest.said else "."
    waits = ("waits", "no answer yet", "; their system has not answered yet.")
    done = ("good", "sent", ". Their system sends no answers.")
    gone = f" and was rejected on {on}. There is nothing to tell them any more."
    judged = {
        "acknowledged": ("good", "accepted", f" and was accepted on {on}."),
        "acknowledged with errors": ("waits", "remarks", f" and was accepted with remarks on {on}{remark}"),
        "rejected": ("bad", "rejected", f" and was rejected on {on}{remark}"),
        "withdrawn": ("quiet", "withdrawn", gone),
    }
    return judged.get(newest.state, waits if answers else done)


@dataclass(frozen=True)
class Reading:
    """One version of a record as it was read from the ERP. stamp: when it was changed there, in its words."""

    company: str
    entity: str
    key: str
    stamp: str | None
    read_at: datetime
    deleted: bool


def readings(suite: Suite, number: str) -> Iterator[Reading]:
    """Every version of a number that the lake holds. Looks through the lake's files: seconds, not moments."""
    for company in suite.settings.companies:
        for entity in ENTITIES.values():
            for found in suite.lake.versions(entity.name, company, entity.number, number):
                yield Reading(company, entity.name, found.key, found.stamp, found.read_at, found.deleted)


def spellings(asked: str) -> list[str]:
    """A number as people may write it, as it was asked first: with zeros in front or without."""
    found = [asked, asked.upper()]
    if asked.isascii() and asked.isdigit():
        bare = asked.lstrip("0") or "0"
        found += [bare.zfill(width) for width in range(len(bare), DIGITS + 1)]
    return list(dict.fromkeys(found))


def _held_back(entry: Entry) -> str:
    what, where = words.kind_of(entry.place, 1).capitalize(), words.held_where(entry.place)
    return f"{what} {entry.key} is held back {where}: {entry.reason}"


def _rows(rows: Sequence[Held]) -> str:
    return words.counted(Counter(each.destination for each in rows))


def _because(rows: Sequence[Held]) -> str:
    """The end of a sentence: the reason, where there is one."""
    reasons = list(dict.fromkeys(each.reason for each in rows if each.reason))
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f": {reasons[0].rstrip('.')}{more}." if reasons else "."


def _timeline(history: Sequence[Event]) -> Iterator[Line]:
    """Events in order; what happened to several rows at once is one line."""

    def together(event: Event) -> tuple[Any, ...]:
        whole = event.batch_id if event.key is None else None
        return event.at, event.destination, event.kind, whole, str(event.detail), event.run_id

    for _, some in groupby(history, together):
        group = list(some)
        first = group[0]
        yield Line(
            at=first.at,
            place=first.destination,
            text=words.happened(first.kind, first.destination),
            mark=words.mark(first.kind),
            keys=[event.key for event in group[:3] if event.key],
            count=len(group),
            detail=words.detail(first.detail),
            run_id=first.run_id,
            batch_id=first.batch_id,
        )
