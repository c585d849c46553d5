"""Documents as a destination: written as X12, stored with their numbers, then filed with the mailbox.

Filing is at-least-once: what nobody answered goes again, with the same bytes and numbers, and the receiver
tells repetitions by ISA13 (vendors/cleo.md section 6). What the partner's system says of a document comes
later and is noted beside it: see `answers`.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from mlc_dagster.cleo import documents
from mlc_dagster.cleo.answers import overdue
from mlc_dagster.cleo.mailbox import Mailbox
from mlc_dagster.cleo.outbox import Entry, Made, Outbox, Place, Standing, State, Stored
from mlc_dagster.cleo.settlements import Settlements
from mlc_dagster.clock import Clock
from mlc_dagster.delivery import errors as delivery
from mlc_dagster.delivery.destination import Batch, Outcome
from mlc_dagster.delivery.rows import Change, Op
from mlc_dagster.settings.cleo import CleoSettings, Identity, Partner
from mlc_dagster.target import in_delivery_words
from mlc_dagster.transport import errors as transport
from mlc_dagster.x12.dialect import Address, Dialect, Envelope
from mlc_dagster.x12.documents import (
    Invoice,
    PurchaseOrder,
    Purpose,
    ReceivingAdvice,
    ShipNotice,
)
from mlc_dagster.x12.errors import RefusedError
from mlc_dagster.x12.syntax import Delimiters
from mlc_dagster.x12.writer import Written, write

# Where an order or a receipt stands in the ERP: not agreed (again), or called off. Else the partner may know.
HELD, CANCELLED = "held", "cancelled"
GONE = (
    "{number} is gone from the ERP, or its supplier from lookups/edi_partners.csv, and {partner} has it. "
    "Only what the ERP shows as cancelled is cancelled by itself. Tell the partner what shall become of it, "
    "then run `mlc cleo settle {number}`."
)
REVIVED = (
    "{number} was cancelled at {partner}, and X12 has no word to bring a document back. Enter it in the ERP "
    "under a new number, then run `mlc cleo settle {number}`."
)
UNCHANGEABLE = (
    "Invoice {number} changed after {partner} got it, which takes no changed invoice (`invoice_change`). "
    "Send a credit note from the ERP, or agree on the difference; then run `mlc cleo settle {number}`."
)
TAKEN = (
    "{partner} has {other} under the number {number} of the same seller, and takes a second document of that "
    "number for a repetition. Give this one a supplier reference of its own in the ERP. If the other shall "
    "not stand, tell the partner what shall become of it."
)
RENAMED = (
    "{partner} has {number} as {before} of seller {seller}, and tells documents apart by these. Now it is "
    "{now} of seller {other}, so a change of it would reach nothing there. Tell the partner, then run "
    "`mlc cleo settle {number}`."
)
# By these words a row that waits for its partner is told from one that waits for a window.
AWAITS = "has not answered"
UNANSWERED = (
    f"{{partner}} {AWAITS} {{file}} yet, "
    "which has {number}, and has no use for a change of what it may "
    "not have. It goes with the first run after the answer. Where none comes, find out why, then run "
    "`mlc resend {destination}`: it files that again."
)
# Why there is nothing to tell.
UNHEARD = "The partner never heard of it."
STANDS = "It is {standing} in the ERP."
TOO_EARLY = "It is dated {date}, before the first documents of {partner}: {start} by `documents_from`."
AS_IT_IS = "{partner} has it as it is."
CALLED_OFF = "It is cancelled at {partner}."
# Documents of one file: enough to spare files, few enough that one answer is soon there.
MAX_ROWS, MAX_BYTES = 50, 2_000_000
Told = PurchaseOrder | Invoice | ShipNotice | ReceivingAdvice
Maker = Callable[[Mapping[str, Any], Purpose], Told]


# What a model's rows become.
MAKERS: Mapping[str, Maker] = {
    "purchase_orders": documents.order,
    "supplier_invoices": documents.invoice,
    "purchase_receipts": documents.receipt,
}


@dataclass(frozen=True)
class Draft:
    """One change as a document for its partner."""

    change: Change
    partner: str
    purpose: Purpose
    document: Told


@dataclass
class Drafts:
    """What becomes of changes. `refused`: why some cannot be told, by key. `quiet`: why there is nothing to
    tell of others: the partner has them so, or need not know, or a person has settled it. `waiting`: why
    others cannot go yet. done: where rejected documents lie of which there is nothing left to tell.
    """

    ready: list[Draft] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    quiet: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    done: list[Place] = field(default_factory=list)


class EdiFeed:
    """The documents of one model, for all partners."""

    max_rows, max_bytes, tombstone = MAX_ROWS, MAX_BYTES, None
    exclusive: tuple[str, ...] = ()

    def __init__(
        self,
        model: str,
        settings: CleoSettings,
        *,
        mailbox: Mailbox,
        outbox: Outbox,
        settlements: Settlements,
        clock: Clock,
    ) -> None:
        self.name, self.target = f"cleo/{model}", "cleo"
        self._make, self._settings = MAKERS[model], settings
        self._mailbox, self._outbox, self._clock = mailbox, outbox, clock
        self._settlements = settlements

    def preflight(self, changes: Sequence[Change]) -> Mapping[str, str]:
        """Write each document once without sending it: what the partner could not read stays here.

        Raises Stop when the mailbox refuses us, Closed when no call may be made. It looks into the folder we
        read from: in the other one an account may have no more than the right to write.
        """
        try:
            self._mailbox.list(self._settings.folders.download)
        except transport.CallFailed as failure:
            raise in_delivery_words(failure) from failure
        refused: dict[str, str] = {}
        for company, some in _by_company(changes):
            refused |= self._drafts(some, company).refused
        return refused

    def send(self, batch: Batch) -> Outcome:
        """Build what was not built, and file what was not filed."""
        built = self._outbox.of_batch(batch.id)
        before = _places(built)
        rest = [change for change in batch.changes if change.row.key not in before]
        drafts = self._drafts(rest, batch.company)
        self._outbox.withdraw(drafts.done)
        built += self._build(batch, drafts.ready)
        for interchange in built:
            if interchange.state is State.BUILT:
                self._file(interchange)
        return Outcome(
            target_ids=_places(built),
            refused=drafts.refused,
            unsaid=drafts.quiet,
            waiting=drafts.waiting,
            detail={"files": [interchange.file for interchange in built]},
        )

    def overdue(self, company: str) -> list[Stored]:
        """The interchanges whose answer is missing for longer than agreed, oldest first."""
        now = self._clock.now()
        told = self._outbox.standing(self.name, company)
        late = dict.fromkeys(each.interchange_id for each in told if overdue(each, self._settings, now))
        return [interchange for each in late for interchange in self._outbox.find(id=each)]

    def file_again(self, interchange: Stored) -> str:
        """File what the partner may not have, with the same bytes and numbers; the file's new name.

        Raises what a delivery raises when the mailbox does not take it.
        """
        again = interchange.renamed(self._clock.now())
        self._file(again)
        return again.file

    def answered(self, pending: Mapping[str, str]) -> set[str]:
        """What partners have answered of that which changes wait for, each in words of its own.

        pending: why rows wait, by key.
        """
        waiting = [key for key, reason in pending.items() if AWAITS in reason]
        told = self._outbox.told(self.name, waiting)
        return {
            f"{key} {told[key].file if key in told else ''}"
            for key in waiting
            if key not in told or not self._awaited(told[key])
        }

    def resolve(self, batch: Batch) -> Outcome:
        """Go on: the same bytes again are no second document."""
        return self.send(batch)

    def calls(self, changes: Sequence[Change]) -> int:
        """One a file, and the look before."""
        return 1 + len({change.row.payload["partner"] for change in changes}) if changes else 0

    def advice(self, changes: Sequence[Change]) -> str:
        """How many documents are too old to be told."""
        told = self._outbox.told(self.name, {change.row.key for change in changes})
        early = sum(change.row.key not in told and bool(self._too_early(change)) for change in changes)
        words = (
            f"{early} of these documents are older than their partners' `documents_from`, and are not sent"
        )
        return words if early else ""

    def _drafts(self, changes: Sequence[Change], company: str) -> Drafts:
        """The documents of changes, and why others cannot be written. Each is tried alone.

        What the partner has, and cannot be told, a person may have settled: it keeps what it has then.
        """
        keys = {change.row.key for change in changes}
        # Before it is asked what was told: a rejection that comes in between was not weighed.
        rejected = self._outbox.rejected(self.name, keys)
        told = self._outbox.told(self.name, keys)
        drafts = Drafts()
        for change in changes:
            key = change.row.key
            try:
                draft = self._draft(change, told.get(key))
                if isinstance(draft, Draft):
                    self._write([draft], company, 1, 1)
            except RefusedError as words:
                settled = self._settlements.of(self.name, change) if key in told else None
                if settled is None:
                    drafts.refused[key] = str(words)
                    continue
                draft = str(settled)
            if isinstance(draft, Draft) and (before := told.get(key)) and self._awaited(before):
                drafts.waiting[key] = UNANSWERED.format(
                    partner=before.partner,
                    file=before.file,
                    number=change.row.number,
                    destination=self.name,
                )
            elif isinstance(draft, Draft):
                drafts.ready.append(draft)
            else:
                drafts.quiet[key] = draft
                drafts.done += rejected.get(key, ())
        self._claim(drafts)
        return drafts

    def _awaited(self, told: Standing) -> bool:
        """Whether its partner is still to say that it has a document. Some never say anything."""
        partner = self._settings.partners.get(told.partner)
        return (partner is None or partner.sends_997) and not told.answered

    def _claim(self, drafts: Drafts) -> None:
        """Refuse new documents under a name that another one has at their partner, of whatever company.

        The ERP tells documents apart by its own number and type, a partner by seller and the seller's number
        (vendors/x12.md section 9), which people enter twice, and which one that became of another type keeps.
        """
        names = self._names(drafts.ready)
        written, drafts.ready = drafts.ready, []
        for draft in written:
            row, number = draft.change.row, draft.document.number
            other = names.setdefault(self._name(draft.partner, row.payload), row.key)
            if other == row.key or draft.purpose is not Purpose.ORIGINAL:
                drafts.ready.append(draft)
            else:
                drafts.refused[row.key] = TAKEN.format(partner=draft.partner, other=other, number=number)

    def _names(self, drafts: Sequence[Draft]) -> dict[tuple[str, str, str], str]:
        """Whose key a name at a partner is, of documents that share a draft's."""
        numbers = {draft.document.number for draft in drafts}
        found = self._outbox.named(self.name, numbers, {draft.change.row.number for draft in drafts})
        return {self._name(each.partner, each.entry.payload): each.entry.key for each in found}

    def _name(self, partner: str, row: Mapping[str, Any]) -> tuple[str, str, str]:
        """How a partner tells documents apart: itself, whose number it reads, and the number."""
        whose = row["company"] if self._make is documents.order else row["supplier_number"]
        return partner, str(whose), self._make(row, Purpose.ORIGINAL).number

    def _draft(self, change: Change, told: Standing | None) -> Draft | str:
        """What to tell the partner, or why there is nothing to tell.

        Raises RefusedError: it cannot be told, or a person has to.
        """
        return self._first(change) if told is None else self._next(change, told)

    def _first(self, change: Change) -> Draft | str:
        """Of a document the partner does not have."""
        row, standing = change.row.payload, change.row.payload.get("standing")
        if change.op is Op.DELETE:
            return UNHEARD
        if standing in (HELD, CANCELLED):
            return STANDS.format(standing=standing)
        return self._too_early(change) or self._document(change, str(row["partner"]), Purpose.ORIGINAL, row)

    def _too_early(self, change: Change) -> str:
        """Why a document is older than those its partner is to get; empty where it is not."""
        name, day = str(change.row.payload["partner"]), change.row.payload["date"]
        partner = self._settings.partners.get(name)
        if partner is None or day >= partner.documents_from:
            return ""
        return TOO_EARLY.format(date=day, partner=name, start=partner.documents_from)

    def _next(self, change: Change, told: Standing) -> Draft | str:
        """Of a document the partner has."""
        row, standing = change.row.payload, change.row.payload.get("standing")
        before, cancelled = told.entry.payload, told.entry.purpose == Purpose.CANCEL.value
        # While somebody works on it in the ERP, the partner keeps what it has.
        if standing == HELD:
            return STANDS.format(standing=standing)
        if cancelled and (change.op is Op.DELETE or standing == CANCELLED):
            return CALLED_OFF.format(partner=told.partner)
        if change.op is Op.DELETE:
            raise RefusedError(GONE.format(number=change.row.number, partner=told.partner))
        if cancelled:
            raise RefusedError(REVIVED.format(number=change.row.number, partner=told.partner))
        if standing == CANCELLED:
            return self._document(change, told.partner, Purpose.CANCEL, before)
        if documents.same(self._make(row, Purpose.ORIGINAL), self._make(before, Purpose.ORIGINAL)):
            return AS_IT_IS.format(partner=told.partner)
        if self._name(told.partner, before) != self._name(told.partner, row):
            return self._under_another_name(change, told)
        return self._document(change, told.partner, Purpose.CHANGE, row, before)

    def _under_another_name(self, change: Change, told: Standing) -> str:
        """Of an invoice or receipt that its partner knows by another name than the ERP has now.

        A seller that got another number in the ERP is no news of what it sent long ago. Raises RefusedError:
        there is more to tell, and the partner has nothing under the new name that could change.
        """
        row, before = change.row.payload, told.entry.payload
        seller = {"supplier_number": before["supplier_number"]}
        if documents.same(
            self._make({**row, **seller}, Purpose.ORIGINAL), self._make(before, Purpose.ORIGINAL)
        ):
            return AS_IT_IS.format(partner=told.partner)
        (*_, old, was), (*_, new, now) = self._name(told.partner, before), self._name(told.partner, row)
        words = {"before": was, "seller": old, "now": now, "other": new}
        raise RefusedError(RENAMED.format(partner=told.partner, number=change.row.number, **words))

    def _document(
        self,
        change: Change,
        name: str,
        purpose: Purpose,
        row: Mapping[str, Any],
        before: Mapping[str, Any] | None = None,
    ) -> Draft:
        """The document as its partner wants it. What was told to one partner stays with it."""
        if name not in self._settings.partners:
            known = ", ".join(self._settings.partners)
            raise RefusedError(f"Partner {name!r} is not in mlc.yaml, which has {known}.")
        partner, document = self._settings.partners[name], self._make(row, purpose)
        changed = isinstance(document, Invoice) and purpose is not Purpose.ORIGINAL
        if changed and partner.invoice_change == "none":
            raise RefusedError(UNCHANGEABLE.format(number=change.row.number, partner=name))
        if isinstance(document, PurchaseOrder) and purpose is not Purpose.ORIGINAL:
            document = replace(document, changed_on=self._local().date())
            if before is not None and partner.order_change == "860":
                document = documents.line_by_line(document, documents.order(before, Purpose.ORIGINAL))
        if isinstance(document, ReceivingAdvice) and partner.receipt == "856":
            document = documents.as_notice(document)
        return Draft(change, name, purpose, document)

    def _build(self, batch: Batch, drafts: Sequence[Draft]) -> Iterator[Stored]:
        """One interchange a partner and kind of set; changes as 860 are another kind than orders."""
        for (partner, kind), some in _by_partner(drafts, self._settings):

            def made(control: int, group_control: int, some: Sequence[Draft] = some) -> Made:
                written = self._write(some, batch.company, control, group_control)
                return self._made(written, some, batch.company, control)

            yield self._outbox.build(
                partner=partner,
                company=batch.company,
                kind=kind,
                pair=f"{self._us(batch.company).id}>{self._settings.partners[partner].id}",
                batch_id=batch.id,
                make=made,
            )

    def _made(self, written: Written, drafts: Sequence[Draft], company: str, control: int) -> Made:
        partner = self._settings.partners[drafts[0].partner]
        now = self._clock.now()
        sets = written.interchange.groups[0].sets
        kind = sets[0].id
        suffix = "edi" if partner.file == "raw" else "json"
        # Companies count for themselves, so the number alone tells no file from another company's.
        file = f"{kind}_{drafts[0].partner}_{company}_{control:09d}_{now:%Y%m%dT%H%M%SZ}.{suffix}"
        content = written.content
        if partner.file == "json":
            content = _as_json(written.content, drafts)
        entries = [
            Entry(
                one.control,
                self.name,
                draft.change.row.key,
                draft.change.row.number,
                draft.purpose.value,
                draft.change.row.payload,
                name=draft.document.number,
            )
            for one, draft in zip(sets, drafts, strict=True)
        ]
        return Made(file, content, entries, {"notes": list(written.notes)})

    def _write(self, drafts: Sequence[Draft], company: str, control: int, group_control: int) -> Written:
        us, partner = self._us(company), self._settings.partners[drafts[0].partner]
        envelope = Envelope(
            sender=_address(us),
            receiver=_address(partner),
            created=self._local(),
            control=control,
            group_control=group_control,
            production=partner.usage == "production",
            acknowledge=partner.acknowledge,
        )
        return write([draft.document for draft in drafts], envelope, dialect_of(partner))

    def _local(self) -> datetime:
        """Now, as envelopes write it: local time, without seconds."""
        local = self._clock.now().astimezone(ZoneInfo(self._settings.timezone))
        return local.replace(second=0, microsecond=0, tzinfo=None)

    def _us(self, company: str) -> Identity:
        if company not in self._settings.identities:
            raise RefusedError(f"`identities` of mlc.yaml lacks {company}: who it is on an envelope.")
        return self._settings.identities[company]

    def _file(self, interchange: Stored) -> None:
        try:
            self._mailbox.put(self._settings.folders.upload, interchange.file, interchange.content)
        except (transport.Refused, transport.Misconfigured):
            raise  # Somebody has to act. What is stored goes again after that.
        except transport.CallFailed as failure:
            opens_at = failure.opens_at if isinstance(failure, transport.Closed) else None
            words = f"{interchange.file} is stored and goes again with the same bytes. {failure}"
            raise delivery.InDoubtError(words, opens_at=opens_at) from failure
        self._outbox.sent(interchange)


def dialect_of(partner: Partner) -> Dialect:
    """How a partner wants X12 written."""
    return Dialect(
        version=partner.version,
        delimiters=Delimiters(partner.element, partner.component, partner.segment),
        charset=partner.charset,
        tax_rate_form=partner.tax_rate,
        credit_sign=partner.credit_sign,
        hash_total=partner.hash_total,
        receipt_as=partner.receipt,
        change_as=partner.order_change,
    )


def _as_json(content: bytes, drafts: Sequence[Draft]) -> bytes:
    """The interchange with its business fields: text where every byte is ASCII, else Base64."""
    text = content.decode("ascii") if content.isascii() else base64.b64encode(content).decode()
    told = {
        "interchange": text,
        "encoding": "text" if content.isascii() else "base64",
        "fields": {
            "company": drafts[0].change.row.payload["company"],
            "partner": drafts[0].partner,
            "documents": [documents.fields(draft.document) for draft in drafts],
        },
    }
    return json.dumps(told, ensure_ascii=False, indent=1).encode()


def _places(interchanges: Sequence[Stored]) -> dict[str, str]:
    """ISA13/ST02 of each record's document, by key."""
    return {
        entry.key: f"{interchange.control:09d}/{entry.control}"
        for interchange in interchanges
        for entry in interchange.documents
    }


def _by_company(changes: Sequence[Change]) -> Iterator[tuple[str, list[Change]]]:
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(str(change.row.payload["company"]), []).append(change)
    yield from found.items()


def _by_partner(
    drafts: Sequence[Draft], settings: CleoSettings
) -> Iterator[tuple[tuple[str, str], list[Draft]]]:
    found: dict[tuple[str, str], list[Draft]] = {}
    for draft in drafts:
        partner = settings.partners[draft.partner]
        found.setdefault((draft.partner, _group_of(draft, partner)), []).append(draft)
    yield from found.items()


def _group_of(draft: Draft, partner: Partner) -> str:
    """GS01 of a document; a change as an 860 is of another group than an order."""
    if isinstance(draft.document, PurchaseOrder):
        return "PC" if draft.purpose is not Purpose.ORIGINAL and partner.order_change == "860" else "PO"
    return {Invoice: "IN", ShipNotice: "SH", ReceivingAdvice: "RC"}[type(draft.document)]


def _address(identity: Identity) -> Address:
    return Address(identity.id, identity.qualifier, identity.group_id or "")
