"""Supplier master data, both ways: files in the mailbox, or connections (vendors/cleo.md section 7).

Out: what changed in the ERP. In: what the other side changed. Each change from there is what differs from the
version both sides last agreed on; settings say field by field who is right. A change that came in and was
taken is not sent back: both sides agree already.
"""

import csv
import hashlib
import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import sqlalchemy as sa

from mlc_dagster.cleo.connections import Connections
from mlc_dagster.cleo.held import PLACE, Doubt, Held, Review
from mlc_dagster.cleo.mailbox import Mailbox
from mlc_dagster.cleo.shipments import Worked
from mlc_dagster.cleo.validation import faults
from mlc_dagster.clock import Clock
from mlc_dagster.database.texts import storable
from mlc_dagster.delivery import Ledger
from mlc_dagster.delivery import errors as delivery
from mlc_dagster.delivery.audit import Kind
from mlc_dagster.delivery.destination import Batch, Outcome
from mlc_dagster.delivery.memory import Memory, Remembered
from mlc_dagster.delivery.notes import Document, Notes, Told
from mlc_dagster.delivery.quarantine import Quarantine, Refused
from mlc_dagster.delivery.rows import Change, Op
from mlc_dagster.settings.cleo import SUPPLIER_FIELDS, CleoSettings, Folders, SupplierRules
from mlc_dagster.transport import errors as transport

NAME = "cleo/suppliers"
# Who decides, and over which fields: rule -> fields. An address is decided about as a whole.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "name": ("name",),
    "address": ("address_line1", "address_line2", "postal_code", "city", "country"),
    "vat_number": ("vat_number",),
}
FIELDS = SUPPLIER_FIELDS
STAGE = "inbox"

Values = Mapping[str, str]
Where = tuple[str, str]  # company and number of a supplier
NOTHING = Remembered({})
# After the key of what an old file says: it waits beside what newer ones say.
OLD = "|again"
CAME_BEFORE = Doubt("The same file came before, and others since: it may be old.")


class SupplierErp(Protocol):
    """The supplier master of the ERP, by company and number, as the fields of the file."""

    def supplier(self, company: str, number: str) -> Values | None:
        """All fields of a supplier; None when there is none."""
        ...

    def change_supplier(self, company: str, number: str, values: Values) -> None:
        """Set fields, under the record's version: what others write in between is kept."""
        ...


@dataclass(frozen=True, slots=True)
class News:
    """A supplier as the other side is to have it. `changed`: the fields that are news to it."""

    row: Mapping[str, Any]
    changed: Collection[str]


class SupplierSide(Protocol):
    """The other side's master data. Every method may be repeated and raises transport's CallFailed."""

    def look(self) -> None:
        """See whether it can be reached."""
        ...

    def tell(self, name: str, news: Sequence[News]) -> str:
        """Tell news under a name of their own; says where they stand."""
        ...


class Files:
    """Form 1: a file in the mailbox with whole rows. The same name and rows are the same bytes."""

    def __init__(self, mailbox: Mailbox, folders: Folders) -> None:
        self._mailbox, self._folders = mailbox, folders

    def look(self) -> None:
        """List the folder we read from: the other one may be for writing only."""
        self._mailbox.list(self._folders.download)

    def tell(self, name: str, news: Sequence[News]) -> str:
        """Put the file."""
        file = f"suppliers_{name}.json"
        content = json.dumps({"suppliers": [each.row for each in news]}, ensure_ascii=False, indent=1)
        self._mailbox.put(self._folders.upload, file, content.encode())
        return file


class Objects:
    """Form 2: a connection a supplier, of which only the news are written. None is ever removed."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def look(self) -> None:
        """Ask for one connection."""
        self._connections.look()

    def tell(self, name: str, news: Sequence[News]) -> str:  # noqa: ARG002 - an object has its own name
        """Write each."""
        for each in news:
            row = each.row
            if not row.get("deleted"):
                self._connections.set(row["company"], row["number"], _fields(row), each.changed)
        return "connections"

    def rows(self) -> Iterator[dict[str, str]]:
        """What stands there of each supplier."""
        return self._connections.rows(FIELDS)


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

    What was taken in is remembered until the ERP's row has come by: from then on the ledger has it too. What
    was agreed before the other side was told something else is remembered for good: a row of theirs that
    crosses ours still carries it.
    """

    def __init__(self, engine: sa.Engine, clock: Clock, ledger: Ledger, company: str) -> None:
        self._memory, self._ledger = Memory(engine, clock, f"{NAME}/{company}"), ledger
        self._former = Memory(engine, clock, f"{NAME}/former/{company}")
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

    def all(self) -> dict[str, Values]:
        """The fields of all that were told or taken in, by number."""
        held = self._ledger.held(NAME, self._company)
        return {**{each.row.number: _fields(each.row.payload) for each in held}, **self.taken_in()}

    def taken_in(self) -> dict[str, Values]:
        """By number: what was taken in since the last delivery."""
        return {number: dict(found.value) for number, found in self._memory.all().items() if found.value}

    def keep(self, number: str, values: Values) -> None:
        """Both sides have this now."""
        news = {} if values == self._delivered(number) else dict(values)
        self._memory.change(number, lambda _: news)

    def delivered(self, number: str) -> None:
        """The ledger has it."""
        self._memory.change(number, lambda _: {})

    def former(self, number: str) -> Mapping[str, Collection[str]]:
        """What each field was before the other side was told something else."""
        return self._former.read(number).value

    def leave(self, number: str, values: Values) -> None:
        """The other side is about to be told something else than these."""

        def more(known: Mapping[str, Collection[str]]) -> Mapping[str, Collection[str]]:
            return {**known, **{name: sorted({*known.get(name, ()), text}) for name, text in values.items()}}

        self._former.change(number, more)


class SupplierFeed:
    """The destination: what is told of a batch follows from the batch alone, so a repetition is the same."""

    name, target = NAME, "cleo"
    max_rows, max_bytes, tombstone = 500, 2_000_000, None
    exclusive: tuple[str, ...] = ()

    def __init__(self, side: SupplierSide, ledger: Ledger, engine: sa.Engine, clock: Clock) -> None:
        self._side, self._ledger, self._engine, self._clock = side, ledger, engine, clock

    def preflight(self, changes: Sequence[Change]) -> Mapping[str, str]:  # noqa: ARG002 - nothing is refused
        """Look at the other side. Raises Stop when it refuses us, Closed when no call may be made."""
        try:
            self._side.look()
        except transport.Closed as closed:
            raise delivery.Closed(str(closed), closed.opens_at) from closed
        except transport.Misconfigured as failure:
            raise delivery.Stop(str(failure)) from failure
        except transport.CallFailed as failure:
            raise delivery.NotLanded(str(failure)) from failure
        return {}

    def send(self, batch: Batch) -> Outcome:
        """Tell what the other side does not have yet."""
        agreed = Agreed(self._engine, self._clock, self._ledger, batch.company)
        known = agreed.taken_in()
        news = [change for change in batch.changes if not _agrees(change, known)]
        where = ""
        if news:
            told = [self._news(agreed, change) for change in news]
            try:
                where = self._side.tell(f"{batch.company}_{batch.id}", told)
            except transport.CallFailed as failure:
                opens_at = failure.opens_at if isinstance(failure, transport.Closed) else None
                raise delivery.InDoubtError(
                    f"The same suppliers are told again, which changes nothing twice. {failure}",
                    opens_at=opens_at,
                ) from failure
        for change in batch.changes:
            if change.row.number in known:
                agreed.delivered(change.row.number)
        ids = {change.row.key: where for change in batch.changes if where}
        return Outcome(target_ids=ids, detail={"files": [where] if where else [], "rows": len(news)})

    def _news(self, agreed: Agreed, change: Change) -> News:
        """A row with the fields of which the other side has something else, which is remembered before it is
        told; all fields of a supplier it never heard of.
        """
        base, row = agreed.of(change.row.number), _fields(change.row.payload)
        if base is None:
            return News(_row(change), FIELDS)
        changed = [name for name in FIELDS if row[name] != base[name]]
        agreed.leave(change.row.number, {name: base[name] for name in changed})
        return News(_row(change), changed)

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
        side: SupplierSide,
        ledger: Ledger,
        engine: sa.Engine,
        clock: Clock,
        run_id: str,
    ) -> None:
        self._erp, self._settings, self._side, self._ledger = erp, settings, side, ledger
        self._engine, self._clock, self._run_id = engine, clock, run_id
        self._review, self._quarantine = Review(engine, clock, run_id), Quarantine(engine, clock)
        self._notes = Notes(engine, clock, run_id)

    def take(self, name: str, content: bytes, again: bool) -> Taken:
        """Work off a file, row by row. It may be repeated after a crash at any point.

        `again`: it came before, and others since; whether it is old or meant anew, a person decides.

        Raises:
            Unreadable: the file is none, or the settings say nothing of suppliers.
            CallFailed: the ERP or the mailbox cannot be asked now.
        """
        rules = self._settings.suppliers
        if rules is None:
            raise Unreadable(
                "mlc.yaml has no `suppliers` in the section of Cleo: nobody is told who is right."
            )
        mark = hashlib.sha256(content).hexdigest()[:16]
        if again:
            return self._take(read_file(name, content), SupplierRules(), mark, why=[CAME_BEFORE])
        return self._take(read_file(name, content), rules, mark)

    def take_in(self, rows: Iterable[Values]) -> Taken:
        """Work off what stands at the other side now, of the suppliers in which it differs. `rows` are asked
        for by going through them: not before what is agreed on is read, or what we tell meanwhile would seem
        to be their change.

        What waits for a person is not judged again until it changes: that would ask the ERP with every look.
        Raises CallFailed, as `take`.
        """
        rules = self._settings.suppliers
        if rules is None:
            return Taken()
        memory = Memory(self._engine, self._clock, f"{NAME}/waiting")
        before, waiting = memory.all(), self._waiting()
        news = {
            where: (row, difference)
            for where, row, difference in self._differences(rows)
            if (difference or where in waiting) and before.get("|".join(where), NOTHING).value != difference
        }
        taken = self._take([row for row, _ in news.values()], rules, "")
        waiting = self._waiting()
        for where, (_, difference) in news.items():
            name = "|".join(where)
            memory.write(name, before.get(name, NOTHING), difference if where in waiting else {})
        return taken

    def _differences(self, rows: Iterable[Values]) -> Iterator[tuple[Where, Values, dict[str, list[str]]]]:
        """Each row with its place, and the fields that differ from the agreed version: theirs, agreed."""
        known = {
            (company, number): values
            for company in self._settings.companies or self._settings.identities
            for number, values in self._agreed(company).all().items()
        }
        for row in rows:
            where = (row["company"], row["number"])
            base = known.get(where, {})
            differing = [name for name in FIELDS if row[name] != base.get(name)]
            yield where, row, {name: [row[name], base.get(name, "")] for name in differing}

    def _waiting(self) -> set[tuple[str, str | None]]:
        return {(entry.company, entry.number) for entry in self._quarantine.open(PLACE)}

    def _take(
        self, rows: Iterable[Values], rules: SupplierRules, mark: str, *, why: Sequence[Doubt] = ()
    ) -> Taken:
        """`why`: what a person is told besides, where rows may be old. They wait beside what waits then, and
        end nothing of it.
        """
        taken = Taken()
        overruled: dict[str, list[News]] = {}
        for row in rows:
            company, number = row["company"], row["number"]
            reasons = list(self._refusals(row))
            if reasons:
                self._refuse(company or "", number, row, reasons, old=bool(why))
                taken.refused += 1
                continue
            worked, told = self._merge(company, number, _fields(row), rules, why)
            if not why:
                self._pass(company, number)
            taken.worked.append(worked)
            if told:
                overruled.setdefault(company, []).append(told)
        for company, news in overruled.items():
            # Nothing has changed in the ERP that would tell it.
            self._side.tell(f"{company}_{mark}_erp", news)
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
            agreed = self._agreed(company)
            agreed.keep(number, {**(agreed.of(number) or now), **values})
        return wrong

    def _agreed(self, company: str) -> Agreed:
        return Agreed(self._engine, self._clock, self._ledger, company)

    def _refusals(self, row: Values) -> Iterator[str]:
        company, number = row["company"], row["number"]
        known = self._settings.companies or self._settings.identities
        if company not in known:
            yield f"Company {company!r} is none of ours."
        elif not number or not number.isprintable() or self._erp.supplier(company, number) is None:
            yield f"Supplier {number!r} is not in the ERP. Suppliers are made there, not by files."
        else:
            base = self._base(company, number)
            yield from faults(row, [name for name in FIELDS if row[name] != base[name]])

    def _base(self, company: str, number: str) -> Values:
        return self._agreed(company).of(number) or self._erp.supplier(company, number) or {}

    def _merge(
        self, company: str, number: str, theirs: Values, rules: SupplierRules, why: Sequence[Doubt]
    ) -> tuple[Worked, News | None]:
        """Carry out one row by the rules. Also returns what is to be told again, as the ERP is right."""
        base, now = self._base(company, number), self._erp.supplier(company, number) or {}
        changed = [name for name in FIELDS if theirs[name] != base[name]]
        former = self._agreed(company).former(number)
        crossed = [name for name in changed if theirs[name] in former.get(name, ())]
        by_rule = {
            rule: {
                name: theirs[name]
                for group, names in GROUPS.items()
                for name in names
                if name in changed and theirs[name] != now[name] and _rule(rules, group, crossed) == rule
            }
            for rule in ("erp", "cleo", "held")
        }
        doubts = self._set(company, number, by_rule["cleo"]) if by_rule["cleo"] else []
        held = dict(by_rule["held"])
        if doubts:
            held |= by_rule["cleo"]
        doubts += _doubts_of_age([name for name in crossed if name in held])
        agreeing = self._hold(company, number, held, [*doubts, *why], now, old=bool(why))
        if not why:
            self._review.done(company, agreeing)
        settled = [name for name in changed if name not in held and name not in by_rule["erp"]]
        if settled or by_rule["erp"]:
            ours = {name: now[name] for name in by_rule["erp"]}
            self._agreed(company).keep(number, {**base, **{name: theirs[name] for name in settled}, **ours})
        row = {"company": company, "number": number, **now, **by_rule["cleo"]}
        told = News(row, by_rule["erp"].keys()) if by_rule["erp"] else None
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

    def _hold(
        self, company: str, number: str, held: Values, doubts: Sequence[Doubt], now: Values, *, old: bool
    ) -> list[str]:
        """One entry a group of fields. Returns the keys of the groups that agree by now."""
        agreeing = []
        for group, names in GROUPS.items():
            values = {name: held[name] for name in names if name in held}
            newest = f"supplier|{number}|{group}"
            key = newest + OLD if old else newest
            if not values:
                agreeing += [newest, newest + OLD]
                continue
            words = "; ".join(f"{name} {now[name]!r} is to become {text!r}" for name, text in values.items())
            said = {"company": company, "number": number, "values": values}
            item = Held(company, key, number, "supplier", said)
            self._review.hold(item, [Doubt(f"Supplier {number}: {words}."), *doubts])
        return agreeing

    def _refuse(self, company: str, number: str, row: Values, reasons: Sequence[str], *, old: bool) -> None:
        number = storable(number)
        key = f"supplier|{number}" + (OLD if old else "")
        raw = storable(json.dumps(row, ensure_ascii=False, sort_keys=True))
        self._settle(company, [Refused(STAGE, key, key, number or None, " ".join(reasons), raw)], [])

    def _pass(self, company: str, number: str) -> None:
        key = f"supplier|{storable(number)}"
        self._settle(company, [], [key, key + OLD])

    def _settle(self, company: str, refused: Sequence[Refused], passed: Sequence[str]) -> None:
        self._quarantine.settle(
            stage=STAGE,
            place=PLACE,
            company=storable(company),
            refused=refused,
            passed=passed,
            run_id=self._run_id,
        )


def _rule(rules: SupplierRules, group: str, crossed: Collection[str]) -> str:
    """Who decides over a group of fields. What may have crossed our own news is never set by itself."""
    rule: str = getattr(rules, group)
    return "held" if rule == "cleo" and any(name in crossed for name in GROUPS[group]) else rule


def _doubts_of_age(crossed: Sequence[str]) -> list[Doubt]:
    names = ", ".join(crossed)
    words = f"The ERP has changed {names} from that since: the other side may not have heard of it."
    return [Doubt(words)] if crossed else []


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
