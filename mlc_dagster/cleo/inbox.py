"""What partners put into the mailbox: read, worked off, answered, kept with its bytes, and then removed.

A file is removed when everything it asks for is done or stored; a file that nobody can read goes into
quarantine and is removed all the same, or it would come back for ever (vendors/cleo.md section 6). Dying
anywhere in between repeats the file, and each step of it knows what was done before.
"""

import hashlib
import json
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from mlc_dagster.cleo.answers import Answers, Noted
from mlc_dagster.cleo.destination import dialect_of
from mlc_dagster.cleo.held import PLACE
from mlc_dagster.cleo.mailbox import Mailbox
from mlc_dagster.cleo.replies import Replies
from mlc_dagster.cleo.shipments import Worked
from mlc_dagster.cleo.suppliers import Taken, Unreadable, is_supplier_file, read_file
from mlc_dagster.clock import Clock
from mlc_dagster.database import reading
from mlc_dagster.database.schema import interchanges
from mlc_dagster.database.texts import storable
from mlc_dagster.delivery.errors import LeaseLost
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.delivery.quarantine import Quarantine, Refused
from mlc_dagster.settings.cleo import CleoSettings
from mlc_dagster.transport.errors import Closed, Misconfigured
from mlc_dagster.x12.acknowledgments import read_interchange_acknowledgments
from mlc_dagster.x12.documents import Acknowledgment, Document
from mlc_dagster.x12.errors import UnreadableError, X12Error
from mlc_dagster.x12.interpret import document
from mlc_dagster.x12.reader import read
from mlc_dagster.x12.syntax import Interchange
from mlc_dagster.x12.validate import GroupResult, Result, SetResult, validate
from mlc_dagster.x12.writer import serialise

STAGE = "inbox"
SUPPLIERS = "suppliers"

log = logging.getLogger(__name__)


class Poison(Exception):
    """A file, or a part of one, that cannot be taken in; the text says why and what to do."""


@dataclass
class Received:
    """What one look at the mailbox did. `repeated` and `refused`: interchanges and files. `later`: files that
    may still be being written, or were written anew meanwhile. `worked`: documents and suppliers by outcome.
    """

    files: int = 0
    repeated: int = 0
    refused: int = 0
    later: int = 0
    worked: Counter[Worked] = field(default_factory=Counter)
    noted: Noted = field(default_factory=Noted)

    def add(self, taken: Taken) -> None:
        """Count what became of suppliers."""
        self.worked.update(taken.worked)
        self.refused += taken.refused


@dataclass(frozen=True)
class Arrival:
    """One interchange that came: from whom, for which company, judged. `content`: of the whole file."""

    partner: str
    company: str
    result: Result
    file: str
    content: bytes

    @property
    def digest(self) -> str:
        """Of the interchange's own text: it may come again in another file, or with other line ends."""
        plain = replace(self.result.interchange.delimiters, line_end="")
        text = serialise(replace(self.result.interchange, delimiters=plain))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def control(self) -> int:
        """ISA13 as a number; 0 where it is none, which the validator refuses."""
        text = self.result.interchange.control.strip()
        return int(text) if text.isascii() and text.isdecimal() else 0


# What is done with a document of a partner, by GS01 of its group: partner, company, document.
Handler = Callable[[str, str, Document], Worked]
# What is done with a file of suppliers: name, content, whether it came before, and others since.
TakeSuppliers = Callable[[str, bytes, bool], Taken]


class Inbox:
    """The download folder of the mailbox."""

    def __init__(
        self,
        mailbox: Mailbox,
        settings: CleoSettings,
        answers: Answers,
        replies: Replies,
        *,
        engine: sa.Engine,
        clock: Clock,
        handlers: Mapping[str, Handler] | None = None,
        suppliers: TakeSuppliers | None = None,
    ) -> None:
        self._mailbox, self._settings, self._answers = mailbox, settings, answers
        self._replies, self._engine, self._clock = replies, engine, clock
        self._handlers, self._suppliers = handlers or {}, suppliers
        self._quarantine, self._folder = Quarantine(engine, clock), settings.folders.download

    def receive(self, run_id: str) -> Received:
        """Work off every file that is there. One that is gone or comes twice is no trouble.

        A file that cannot be worked off now waits for the next look, and the others go on, whatever is wrong
        with it. Files of suppliers are taken in their order only: one that waits holds back those after it.

        Raises transport's CallFailed: some files wait, or none can be read at all. What nobody thought of is
        raised as it is, after the other files.
        """
        done, failures, waits = Received(noted=Noted(run_id)), list[Exception](), False
        self._replies.send()
        for listed in sorted(self._mailbox.list(self._folder), key=lambda each: each.name):
            ordered = is_supplier_file(listed.name)
            if waits and ordered:
                continue
            ended = False
            try:
                ended = self._take_file(listed.name, done, run_id)
            except (Closed, Misconfigured, LeaseLost, sa.exc.DBAPIError):
                raise
            except Exception as failure:  # noqa: BLE001 - raised again after the other files
                log.warning("%s waits for the next look: %s", listed.name, failure)
                failures.append(failure)
            waits = waits or (ordered and not ended)
        if failures:
            raise failures[0]
        return done

    def _take_file(self, name: str, done: Received, run_id: str) -> bool:
        """Work off a file and remove it; False when it, or what stands in its place by now, is for later."""
        content = self._mailbox.get(self._folder, name)
        if content is None:
            log.warning(
                "%s stood in the mailbox's list and is gone, unread by us. Somebody else reads this mailbox, "
                "or it deletes what it gives and the answer was lost. Ask the sender for the file again.",
                name,
            )
            return True
        if not _is_whole(name, content) and self._may_grow(name, content):
            done.later += 1
            return False
        done.files += 1
        if faults := self._work_off(name, content, done):
            done.refused += 1
            self._keep(name, content, " ".join(faults), run_id)
        self._replies.send()
        return self._remove(name, content, done)

    def _remove(self, name: str, content: bytes, done: Received) -> bool:
        """Remove a file as it was read. What its sender has written since was read by nobody, and stays."""
        now = self._mailbox.get(self._folder, name)
        if now not in (None, content):
            done.later += 1
            return False
        if now is not None:
            self._mailbox.delete(self._folder, name)
        return True

    def _may_grow(self, name: str, content: bytes) -> bool:
        """Whether a file that is not whole is still being written: it was another one at the last look."""
        memory = Memory(self._engine, self._clock, "cleo/unfinished files")
        before, digest = memory.read(name), hashlib.sha256(content).hexdigest()
        if before.value.get("digest") == digest:
            return False
        memory.write(name, before, {"digest": digest})
        return True

    def _work_off(self, name: str, content: bytes, done: Received) -> list[str]:
        """Work off a file; what is wrong with parts of it does not keep the others back."""
        if is_supplier_file(name):
            return self._take_suppliers(name, content, done)
        try:
            found = read(content)
        except X12Error as unreadable:
            return [f"It is no X12: {unreadable} Ask the sender for a file that can be read."]
        faults: list[str] = []
        for interchange in found:
            try:
                faults += self._take(self._arrival(name, content, interchange), done)
            except Poison as poison:
                faults.append(str(poison))
        return faults

    def _take(self, arrival: Arrival, done: Received) -> list[str]:
        before = self._before(arrival)
        if before is not None:
            done.repeated += 1
            # Of the same name it is the file we did not come to remove.
            if before != arrival.file:
                self._replies.repeat(arrival.digest)
            return []
        faults = list(self._judge(arrival, done))
        if not arrival.result.accepted:
            self._replies.repeat(arrival.digest)
        self._replies.build(arrival.partner, arrival.company, arrival.result, arrival.digest)
        if arrival.result.accepted:
            self._remember(arrival)
        return faults

    def _take_suppliers(self, name: str, content: bytes, done: Received) -> list[str]:
        # Files of suppliers have no sender and no numbers: their bytes alone tell them apart.
        digest = hashlib.sha256(content).hexdigest()
        if digest == self._newest_suppliers():
            done.repeated += 1
            return []
        if self._suppliers is None:
            return ["Nobody here takes in suppliers."]
        try:
            came_before = bool(self._files_of(SUPPLIERS, "", 0, digest))
            taken = self._suppliers(name, content, came_before)
        except Unreadable as words:
            return [str(words)]
        done.add(taken)
        self._insert(SUPPLIERS, name, content, digest, partner=SUPPLIERS, company="")
        return []

    def _arrival(self, name: str, content: bytes, interchange: Interchange) -> Arrival:
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
        return Arrival(partners[sender], companies[receiver], result, name, content)

    def _judge(self, arrival: Arrival, done: Received) -> Iterator[str]:
        """Carry out what can be; says what cannot. A wrong envelope is refused whole."""
        result, partner = arrival.result, arrival.partner
        if not result.accepted:
            control = result.interchange.control
            yield f"Interchange {control} of {partner} is refused: {_words(result.findings)}."
            return
        for told in read_interchange_acknowledgments(result.interchange):
            self._answers.interchange(partner, arrival.company, told, done.noted)
        for group in result.groups:
            kind = group.group.header.text(1)
            if not group.accepted:
                yield f"Group {kind} of {partner} is refused: {_words(group.findings)}."
            elif kind != "FA" and kind not in self._handlers:
                yield f"Nobody here takes in a group of {kind}. Ask {partner} not to send it."
            else:
                yield from self._judge_sets(arrival, group, done)

    def _judge_sets(self, arrival: Arrival, group: GroupResult, done: Received) -> Iterator[str]:
        kind = group.group.header.text(1)
        for one in group.sets:
            try:
                found = self._document(arrival, one)
            except UnreadableError as words:
                yield str(words)
                continue
            if isinstance(found, Acknowledgment):
                self._answers.group(arrival.partner, arrival.company, found, done.noted)
            elif kind in self._handlers:
                done.worked[self._handlers[kind](arrival.partner, arrival.company, found)] += 1

    def _document(self, arrival: Arrival, one: SetResult) -> Document:
        return document(one, dialect_of(self._settings.partners[arrival.partner]))

    def _before(self, arrival: Arrival) -> str | None:
        """The file these very bytes were worked off from; raises Poison when the number had others."""
        of = (arrival.partner, arrival.company, arrival.control)
        files = self._files_of(*of, arrival.digest)
        if not files and arrival.result.accepted and self._files_of(*of):
            raise Poison(
                f"Interchange {arrival.result.interchange.control} of {arrival.partner} came before with "
                "other content. Neither is guessed to be right: ask the partner for a new number."
            )
        return None if not files else arrival.file if arrival.file in files else files[0]

    def _files_of(self, partner: str, company: str, control: int, digest: str | None = None) -> list[str]:
        values = {"direction": "in", "partner": partner, "company": company, "control": control}
        values |= {"digest": digest} if digest else {}
        query = sa.select(interchanges.c.file).where(
            *(interchanges.c[name] == value for name, value in values.items())
        )
        with reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def _newest_suppliers(self) -> str | None:
        """The digest of the file of suppliers that was taken last."""
        query = sa.select(interchanges.c.digest).where(
            interchanges.c.direction == "in", interchanges.c.partner == SUPPLIERS
        )
        with reading(self._engine) as connection:
            return connection.execute(query.order_by(interchanges.c.created_at.desc()).limit(1)).scalar()

    def _remember(self, arrival: Arrival) -> None:
        groups = arrival.result.groups
        kind = groups[0].group.header.text(1) if groups else "TA1"
        number = groups[0].group.header.text(6) if groups else ""
        self._insert(
            kind,
            arrival.file,
            arrival.content,
            arrival.digest,
            partner=arrival.partner,
            company=arrival.company,
            control=arrival.control,
            group_control=int(number) if number.isascii() and number.isdecimal() else 0,
        )

    def _insert(self, kind: str, file: str, content: bytes, digest: str, **columns: Any) -> None:
        row = {
            "id": uuid.uuid4().hex,
            "direction": "in",
            "kind": kind,
            "control": 0,
            "group_control": 0,
            "batch_id": None,
            "file": file,
            "content": content,
            "digest": digest,
            "state": "received",
            "detail": json.dumps({}),
            "created_at": self._clock.now(),
            **columns,
        }
        with self._engine.begin() as connection:
            connection.execute(interchanges.insert().values(row))

    def _keep(self, name: str, content: bytes, why: str, run_id: str) -> None:
        raw = storable(content.decode("utf-8", "replace"))
        self._quarantine.settle(
            stage=STAGE,
            place=PLACE,
            company="",
            refused=[Refused.at_source(STAGE, name, name, storable(why), raw)],
            passed=(),
            run_id=run_id,
        )


def _is_whole(name: str, content: bytes) -> bool:
    """Whether a file reads to its end."""
    try:
        if is_supplier_file(name):
            read_file(name, content)
            return True
        return all(interchange.trailer for interchange in read(content))
    except (Unreadable, X12Error):
        return False


def _words(findings: Iterable[Any]) -> str:
    return "; ".join(str(finding) for finding in list(findings)[:3])


def summary(done: Received) -> dict[str, Any]:
    """What a look did, as run metadata."""
    counts = {"files": done.files, "repeated": done.repeated, "refused": done.refused, "later": done.later}
    worked = {outcome.value: number for outcome, number in done.worked.items()}
    return counts | worked | done.noted.documents | {"unknown answers": len(done.noted.unknown)}
