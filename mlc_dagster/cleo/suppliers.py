"""Supplier master data, both ways, as files in the mailbox (vendors/cleo.md section 7, form 1).

Out: what changed in the ERP, a file a batch. In: what the other side changed. Each change from there is what
differs from the version both sides last agreed on; settings say field by field who is right. A change that
came in and was taken is not sent back: both sides agree already.
"""

import csv
import hashlib
import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import sqlalchemy as sa

from mlc_dagster.cleo.held import PLACE, Doubt, Held, Review
from mlc_dagster.cleo.mailbox import Mailbox
from mlc_dagster.cleo.shipments import Worked
from mlc_dagster.cleo.validation import faults
from mlc_dagster.delivery import Ledger
from mlc_dagster.delivery import errors as delivery
from mlc_dagster.delivery.audit import Kind
from mlc_dagster.delivery.destination import Batch, Outcome
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.delivery.notes import Document, Notes, Told
from mlc_dagster.delivery.quarantine import Quarantine, Refused
from mlc_dagster.delivery.rows import Change, Op
from mlc_dagster.settings.cleo import CleoSettings, SupplierRules
from mlc_dagster.transport import errors as transport
from mlc_dagster.transport.clock import Clock

NAME = "cleo/suppliers"
# Who decides, and over which fields: rule -> fields. An address is decided about as a whole.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "name": ("name",),
    "address": ("address_line1", "address_line2", "postal_code", "city", "country"),
    "vat_number": ("vat_number",),
}
FIELDS = tuple(name for group in GROUPS.values() for name in group)
STAGE = "inbox"

Values = Mapping[str, str]


class SupplierErp(Protocol):
    """The supplier master of the ERP, by company and number, as the fields of the file."""

    def supplier(self, company: str, number: str) -> Values | None:
        """All fields of a supplier; None when there is none."""
        ...

    def change_supplier(self, company: str, number: str, values: Values) -> None:
        """Set fields, under the record's version: what others write in between is kept."""
        ...


class Unreadable(Exception):
    """A file of suppliers that cannot be read as a whole."""


@dataclass
class Taken:
    """What became of a file: changes by outcome, and rows that were refused."""

    worked: list[Worked] = field(default_factory=list)
    refused: int = 0


def is_supplier_file(name: str) -> bool:
    """Whether a file of the mailbox holds suppliers: by its name."""
    return name.lower().startswith("suppliers_")


class Agreed:
    """What both sides have of a supplier: what was delivered, or what was taken from there since.

    What was taken in is remembered until the ERP's row has come by: from then on the ledger has it too.
    """

    def __init__(self, engine: sa.Engine, clock: Clock, ledger: Ledger, company: str) -> None:
        self._memory, self._ledger = Memory(engine, clock, f"{NAME}/{company}"), ledger
        self._company = company

    def of(self, number: str) -> Values | None:
        """The fields of one supplier; None when it was never told."""
        if remembered := self._memory.read(number).value:
            return dict(remembered)
        return self._delivered(number)

    def _delivered(self, number: str) -> Values | None:
        key = f"{self._company}|{number}"
        payload = self._ledger.payloads(NAME, self._company, [key]).get(key)
        return None if payload is None else _fields(payload)

    def taken_in(self) -> dict[str, Values]:
        """By number: what was taken in since the last delivery."""
        return {number: dict(found.value) for number, found in self._memory.all().items() if found.value}

    def keep(self, number: str, values: Values) -> None:
        """Both sides have this now."""
        news = {} if values == self._delivered(number) else dict(values)
        self._memory.write(number, self._memory.read(number), news)

    def delivered(self, number: str) -> None:
        """The ledger has it."""
        self._memory.write(number, self._memory.read(number), {})


class SupplierFeed:
    """The destination: a file for each batch, named and written from the batch alone, so a repetition is the
    same file with the same bytes.
    """

    name, target = NAME, "cleo"
    max_rows, max_bytes, tombstone = 500, 2_000_000, None
    exclusive: tuple[str, ...] = ()

    def __init__(
        self, settings: CleoSettings, mailbox: Mailbox, ledger: Ledger, engine: sa.Engine, clock: Clock
    ) -> None:
        self._settings, self._mailbox, self._ledger = settings, mailbox, ledger
        self._engine, self._clock = engine, clock

    def preflight(self, changes: Sequence[Change]) -> Mapping[str, str]:  # noqa: ARG002 - nothing is refused
        """Look into the mailbox. Raises Stop when it refuses us, Closed when no call may be made."""
        try:
            # The other folder may be for writing only.
            self._mailbox.list(self._settings.folders.download)
        except transport.Closed as closed:
            raise delivery.Closed(str(closed), closed.opens_at) from closed
        except transport.Misconfigured as failure:
            raise delivery.Stop(str(failure)) from failure
        except transport.CallFailed as failure:
            raise delivery.NotLanded(str(failure)) from failure
        return {}

    def send(self, batch: Batch) -> Outcome:
        """File what the other side does not have yet."""
        agreed = Agreed(self._engine, self._clock, self._ledger, batch.company)
        known = agreed.taken_in()
        news = [change for change in batch.changes if not _agrees(change, known)]
        file = f"suppliers_{batch.company}_{batch.id}.json"
        if news:
            content = _content([_row(change) for change in news])
            try:
                self._mailbox.put(self._settings.folders.upload, file, content)
            except transport.CallFailed as failure:
                opens_at = failure.opens_at if isinstance(failure, transport.Closed) else None
                raise delivery.InDoubtError(
                    f"{file} goes again with the same bytes. {failure}", opens_at=opens_at
                ) from failure
        for change in batch.changes:
            if change.row.number in known:
                agreed.delivered(change.row.number)
        ids = {change.row.key: file for change in batch.changes}
        return Outcome(target_ids=ids, detail={"files": [file] if news else [], "rows": len(news)})

    def resolve(self, batch: Batch) -> Outcome:
        """Go on: the same file again changes nothing."""
        return self.send(batch)

    def calls(self, changes: Sequence[Change]) -> int:
        """The look before, and one a file."""
        return 1 + -(-len(changes) // self.max_rows) if changes else 0


class SupplierChanges:
    """Takes in what the other side changed."""

    def __init__(
        self,
        erp: SupplierErp,
        settings: CleoSettings,
        *,
        mailbox: Mailbox,
        ledger: Ledger,
        engine: sa.Engine,
        clock: Clock,
        run_id: str,
    ) -> None:
        self._erp, self._settings, self._mailbox, self._ledger = erp, settings, mailbox, ledger
        self._engine, self._clock, self._run_id = engine, clock, run_id
        self._review, self._quarantine = Review(engine, clock, run_id), Quarantine(engine, clock)
        self._notes = Notes(engine, clock, run_id)

    def take(self, name: str, content: bytes) -> Taken:
        """Work off a file, row by row. It may be repeated after a crash at any point.

        Raises:
            Unreadable: the file is none, or the settings say nothing of suppliers.
            CallFailed: the ERP or the mailbox cannot be asked now.
        """
        rules = self._settings.suppliers
        if rules is None:
            raise Unreadable(
                "mlc.yaml has no `suppliers` in the section of Cleo: nobody is told who is right."
            )
        taken = Taken()
        overruled: dict[str, list[Mapping[str, Any]]] = {}
        for row in read_file(name, content):
            company, number = row["company"], row["number"]
            reasons = list(self._refusals(row))
            if reasons:
                self._settle(company or "", number, row, reasons)
                taken.refused += 1
                continue
            worked, told = self._merge(company, number, _fields(row), rules)
            self._settle(company, number, row, ())
            taken.worked.append(worked)
            if told:
                overruled.setdefault(company, []).append(told)
        self._tell(overruled, content)
        return taken

    def carry_out(self, company: str, number: str, values: Values) -> list[Doubt]:
        """Set values that were held. Returns what is against it now; nothing was set then."""
        now = self._erp.supplier(company, number)
        if now is None:
            return [Doubt(f"Supplier {number} is not in the ERP.")]
        wrong = [Doubt(text) for text in faults({**now, **values}, values.keys())]
        if not wrong:
            wrong = self._set(company, number, values)
        if not wrong:
            agreed = Agreed(self._engine, self._clock, self._ledger, company)
            agreed.keep(number, {**(agreed.of(number) or now), **values})
        return wrong

    def _refusals(self, row: Values) -> Iterator[str]:
        company, number = row["company"], row["number"]
        known = self._settings.companies or self._settings.identities
        if company not in known:
            yield f"Company {company!r} is none of ours."
        elif not number or self._erp.supplier(company, number) is None:
            yield f"Supplier {number!r} is not in the ERP. Suppliers are made there, not by files."
        else:
            base = self._base(company, number)
            yield from faults(row, [name for name in FIELDS if row[name] != base[name]])

    def _base(self, company: str, number: str) -> Values:
        agreed = Agreed(self._engine, self._clock, self._ledger, company).of(number)
        return agreed or self._erp.supplier(company, number) or {}

    def _merge(
        self, company: str, number: str, theirs: Values, rules: SupplierRules
    ) -> tuple[Worked, Mapping[str, Any] | None]:
        """Carry out one row by the rules. Also returns the ERP's row where it is to be told again."""
        base, now = self._base(company, number), self._erp.supplier(company, number) or {}
        changed = [name for name in FIELDS if theirs[name] != base[name]]
        by_rule = {
            rule: {
                name: theirs[name]
                for group, names in GROUPS.items()
                for name in names
                if name in changed and theirs[name] != now[name] and getattr(rules, group) == rule
            }
            for rule in ("erp", "cleo", "held")
        }
        doubts = self._set(company, number, by_rule["cleo"]) if by_rule["cleo"] else []
        held = dict(by_rule["held"])
        if doubts:
            held |= by_rule["cleo"]
        self._hold(company, number, held, doubts, now)
        settled = [name for name in changed if name not in held and name not in by_rule["erp"]]
        if settled or by_rule["erp"]:
            ours = {name: now[name] for name in by_rule["erp"]}
            Agreed(self._engine, self._clock, self._ledger, company).keep(
                number, {**base, **{name: theirs[name] for name in settled}, **ours}
            )
        told = {"company": company, "number": number, **now, **by_rule["cleo"]} if by_rule["erp"] else None
        if held:
            return Worked.HELD, told
        return (Worked.POSTED if by_rule["cleo"] else Worked.REPEATED), told

    def _set(self, company: str, number: str, values: Values) -> list[Doubt]:
        try:
            self._erp.change_supplier(company, number, values)
        except transport.Misconfigured:
            raise
        except transport.Refused as refusal:
            return [Doubt(f"The ERP refuses the change: {refusal.words}")]
        words = ", ".join(f"{name} {text!r}" for name, text in values.items())
        document = Document("visma/suppliers", company, number, number)
        self._notes.add(document, {words: Told(Kind.NOTED, f"Changed by Cleo: {words}.", None)})
        return []

    def _hold(self, company: str, number: str, held: Values, doubts: Sequence[Doubt], now: Values) -> None:
        """One entry a group of fields; groups that agree by now leave the list."""
        done = []
        for group, names in GROUPS.items():
            values = {name: held[name] for name in names if name in held}
            key = f"supplier|{number}|{group}"
            if not values:
                done.append(key)
                continue
            words = "; ".join(f"{name} {now[name]!r} is to become {text!r}" for name, text in values.items())
            said = {"company": company, "number": number, "values": values}
            item = Held(company, key, number, "supplier", said)
            self._review.hold(item, [Doubt(f"Supplier {number}: {words}."), *doubts])
        self._review.done(company, done)

    def _settle(self, company: str, number: str, row: Values, reasons: Collection[str]) -> None:
        key = f"supplier|{number}"
        raw = json.dumps(row, ensure_ascii=False, sort_keys=True)
        refused = [Refused(STAGE, key, key, number or None, " ".join(reasons), raw)] if reasons else []
        self._quarantine.settle(
            stage=STAGE,
            place=PLACE,
            company=company,
            refused=refused,
            passed=() if reasons else [key],
            run_id=self._run_id,
        )

    def _tell(self, overruled: Mapping[str, list[Mapping[str, Any]]], content: bytes) -> None:
        """Where the ERP is right the other side is told so: nothing has changed here that would tell it."""
        mark = hashlib.sha256(content).hexdigest()[:16]
        for company, rows in overruled.items():
            file = f"suppliers_{company}_{mark}_erp.json"
            self._mailbox.put(self._settings.folders.upload, file, _content(rows))


def read_file(name: str, content: bytes) -> list[dict[str, str]]:
    """The rows of a file, `suppliers_*.json` or `.csv`, every field as trimmed text, all fields in each.

    Raises Unreadable: not UTF-8, cut off, or of another form. Nothing of it is used then.
    """
    try:
        text = content.decode("utf-8-sig")
        rows = _csv(text) if name.lower().endswith(".csv") else _json(text)
    except (UnicodeDecodeError, ValueError, csv.Error) as error:
        raise Unreadable(
            f"{name} cannot be read: {error}. Ask the sender for a whole file in UTF-8."
        ) from None
    found = []
    for position, row in enumerate(rows, start=1):
        missing = [each for each in ("company", "number", *FIELDS) if not isinstance(row.get(each), str)]
        if missing:
            raise Unreadable(
                f"{name}, row {position}, lacks {', '.join(missing)}. Ask the sender for a whole file."
            )
        found.append({each: row[each].strip() for each in ("company", "number", *FIELDS)})
    return found


def _json(text: str) -> list[Mapping[str, Any]]:
    document = json.loads(text)
    rows = document.get("suppliers") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError('it is not {"suppliers": [{...}]}')
    return rows


def _csv(text: str) -> list[Mapping[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows = list(reader)
    if any(None in row or None in row.values() for row in rows):
        raise ValueError("a line has not as many cells as the first one")
    return list(rows)


def _fields(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(row[name] or "") for name in FIELDS}


def _agrees(change: Change, known: Mapping[str, Values]) -> bool:
    agreed = known.get(change.row.number)
    return change.op is not Op.DELETE and agreed is not None and _fields(change.row.payload) == agreed


def _row(change: Change) -> Mapping[str, Any]:
    payload = change.row.payload
    row = {"company": payload["company"], "number": payload["number"], **_fields(payload)}
    return {**row, "deleted": True} if change.op is Op.DELETE else row


def _content(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return json.dumps({"suppliers": rows}, ensure_ascii=False, indent=1).encode()
