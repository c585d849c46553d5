"""What partners put into the mailbox: read, kept with its bytes, worked off, and then removed.

A file is stored before anything is done about it and removed after; a file that nobody can read goes into
quarantine and is removed all the same, or it would come back for ever (vendors/cleo.md section 6).
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from mlc_dagster.cleo.answers import Answers, Noted
from mlc_dagster.cleo.destination import dialect_of
from mlc_dagster.cleo.mailbox import Mailbox
from mlc_dagster.database import reading
from mlc_dagster.database.schema import interchanges
from mlc_dagster.delivery.quarantine import Quarantine, Refused
from mlc_dagster.settings.cleo import CleoSettings, Partner
from mlc_dagster.transport.clock import Clock
from mlc_dagster.x12.acknowledgments import read_interchange_acknowledgments
from mlc_dagster.x12.documents import Acknowledgment
from mlc_dagster.x12.errors import X12Error
from mlc_dagster.x12.interpret import document
from mlc_dagster.x12.reader import read
from mlc_dagster.x12.syntax import Interchange
from mlc_dagster.x12.validate import GroupResult, Result, validate

PLACE = "cleo/inbox"


class Poison(Exception):
    """A file, or a part of one, that cannot be taken in; the text says why and what to do."""


@dataclass
class Received:
    """What one look at the mailbox did. `later`: files that could not be worked off now."""

    files: int = 0
    repeated: int = 0
    refused: int = 0
    later: int = 0
    noted: Noted = field(default_factory=Noted)


@dataclass(frozen=True)
class Arrival:
    """One interchange that came: from whom, for which company, judged."""

    partner: str
    company: str
    result: Result
    file: str


# What is done with groups that are no acknowledgments, by GS01.
Handler = Callable[[Arrival, GroupResult], None]


class Inbox:
    """The download folder of the mailbox."""

    def __init__(
        self,
        mailbox: Mailbox,
        settings: CleoSettings,
        answers: Answers,
        *,
        engine: sa.Engine,
        clock: Clock,
        handlers: Mapping[str, Handler] | None = None,
    ) -> None:
        self._mailbox, self._settings, self._answers = mailbox, settings, answers
        self._engine, self._clock, self._handlers = engine, clock, handlers or {}
        self._quarantine = Quarantine(engine, clock)

    def receive(self, run_id: str) -> Received:
        """Work off every file that is there. One that is gone or comes twice is no trouble.

        Raises transport's CallFailed: the rest is worked off by the next look.
        """
        folder, done = self._settings.folders.download, Received(noted=Noted(run_id))
        for listed in sorted(self._mailbox.list(folder), key=lambda each: each.name):
            content = self._mailbox.get(folder, listed.name)
            if content is None:
                continue
            done.files += 1
            try:
                self._work_off(listed.name, content, done)
            except Poison as poison:
                done.refused += 1
                self._keep(listed.name, content, str(poison), run_id)
            self._mailbox.delete(folder, listed.name)
        return done

    def _work_off(self, name: str, content: bytes, done: Received) -> None:
        for interchange in self._interchanges(content):
            arrival = self._arrival(name, interchange)
            if self._known(arrival, content):
                done.repeated += 1
                continue
            self._judge(arrival, done)
            self._remember(arrival, content)

    def _interchanges(self, content: bytes) -> list[Interchange]:
        try:
            return read(content)
        except X12Error as unreadable:
            raise Poison(f"It is no X12: {unreadable} Ask the sender for a file that can be read.") from None

    def _arrival(self, name: str, interchange: Interchange) -> Arrival:
        header = interchange.header
        sender = (header.text(5), header.text(6).strip())
        receiver = (header.text(7), header.text(8).strip())
        partners = {(each.qualifier, each.id): key for key, each in self._settings.partners.items()}
        companies = {(each.qualifier, each.id): key for key, each in self._settings.identities.items()}
        if sender not in partners:
            raise Poison(
                f"Interchange {interchange.control} comes from {' '.join(sender)}: no partner of mlc.yaml."
            )
        if receiver not in companies:
            raise Poison(f"Interchange {interchange.control} is for {' '.join(receiver)}: not one of us.")
        partner = self._settings.partners[partners[sender]]
        result = validate(interchange, receiver=receiver[1], production=partner.usage == "production")
        return Arrival(partners[sender], companies[receiver], result, name)

    def _judge(self, arrival: Arrival, done: Received) -> None:
        """Read acknowledgments, hand the rest to who works it off. A wrong envelope is refused whole."""
        result = arrival.result
        if not result.accepted:
            words = "; ".join(str(finding) for finding in result.findings[:3])
            raise Poison(
                f"Interchange {result.interchange.control} of {arrival.partner} is refused: {words}."
            )
        for told in read_interchange_acknowledgments(result.interchange):
            self._answers.interchange(arrival.partner, arrival.company, told, done.noted)
        for group in result.groups:
            kind = group.group.header.text(1)
            if kind == "FA":
                for answer in self._acknowledgments(arrival, group):
                    self._answers.group(arrival.partner, arrival.company, answer, done.noted)
            elif kind in self._handlers:
                self._handlers[kind](arrival, group)
            else:
                raise Poison(f"Nobody here takes in a group of {kind}. Ask {arrival.partner} not to send it.")

    def _acknowledgments(self, arrival: Arrival, group: GroupResult) -> Iterator[Acknowledgment]:
        dialect = dialect_of(self._partner(arrival))
        for one in group.sets:
            if not one.accepted:
                words = "; ".join(str(finding) for finding in one.findings[:3])
                raise Poison(f"A 997 of {arrival.partner} cannot be trusted: {words}.")
            answer = document(one, dialect)
            if isinstance(answer, Acknowledgment):
                yield answer

    def _partner(self, arrival: Arrival) -> Partner:
        return self._settings.partners[arrival.partner]

    def _known(self, arrival: Arrival, content: bytes) -> bool:
        """Whether these very bytes were worked off before; raises Poison when the number had others."""
        query = sa.select(interchanges.c.digest).where(
            interchanges.c.direction == "in",
            interchanges.c.partner == arrival.partner,
            interchanges.c.company == arrival.company,
            interchanges.c.control == _control(arrival),
        )
        with reading(self._engine) as connection:
            found = connection.execute(query).scalars().all()
        if found and _digest(content) not in found:
            raise Poison(
                f"Interchange {arrival.result.interchange.control} of {arrival.partner} came before with "
                "other content. Neither is guessed to be right: ask the partner for a new number."
            )
        return bool(found)

    def _remember(self, arrival: Arrival, content: bytes) -> None:
        groups = arrival.result.groups
        row = {
            "id": uuid.uuid4().hex,
            "direction": "in",
            "partner": arrival.partner,
            "company": arrival.company,
            "kind": groups[0].group.header.text(1) if groups else "TA1",
            "control": _control(arrival),
            "group_control": int(groups[0].group.header.text(6) or 0) if groups else 0,
            "batch_id": None,
            "file": arrival.file,
            "content": content,
            "digest": _digest(content),
            "state": "received",
            "detail": json.dumps({}),
            "created_at": self._clock.now(),
        }
        with self._engine.begin() as connection:
            connection.execute(interchanges.insert().values(row))

    def _keep(self, name: str, content: bytes, why: str, run_id: str) -> None:
        raw = content.decode("utf-8", "replace")
        self._quarantine.settle(
            stage="inbox",
            place=PLACE,
            company="",
            refused=[Refused.at_source("inbox", name, name, why, raw)],
            passed=(),
            run_id=run_id,
        )


def _control(arrival: Arrival) -> int:
    return int(arrival.result.interchange.control)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def summary(done: Received) -> dict[str, Any]:
    """What a look did, as run metadata."""
    counts = {"files": done.files, "repeated": done.repeated, "refused": done.refused}
    return counts | done.noted.documents | {"unknown answers": len(done.noted.unknown)}
