"""Ship notices (856) of suppliers: receipts in the ERP, or held for a person with every reason.

A notice is known by company, supplier and BSN02 (vendors/x12.md sections 7 and 9). It becomes one receipt
that is on hold: goods that were announced have not come yet, and people at the warehouse release it.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Protocol

import sqlalchemy as sa

from mlc_dagster.cleo.held import Doubt, Held, Review
from mlc_dagster.clock import Clock
from mlc_dagster.delivery.audit import Kind
from mlc_dagster.delivery.memory import Memory, Remembered
from mlc_dagster.delivery.notes import Document, Notes, Told
from mlc_dagster.transport.errors import InDoubt, Misconfigured, Refused
from mlc_dagster.x12.documents import Purpose, Role, Scheme, ShipNotice

# What is remembered of a notice whose receipt is being made, with when its call left.
POSTING = "posting"
# Where the audit trail tells what became of a notice.
RECEIPTS = "visma/purchase_receipts"
REGULAR = "RegularOrder"
# Kinds of orders count for themselves: our 850 writes the kind before the number, but for the regular one. In
# capitals, as the basic charset has no others.
OTHER_KINDS = {kind.upper(): kind for kind in ("DropShip", "Blanket", "StandardBlanket")}
# Orders that goods can be received on (vendors/visma.md section 6).
RECEIVABLE = frozenset({"Open", "Printed"})
SHIPPERS = (Role.SHIP_FROM, Role.SELLER)

Record = Mapping[str, Any]


class Worked(Enum):
    """What became of a notice or of a supplier's change."""

    POSTED = "posted"
    CANCELLED = "cancelled"
    REPEATED = "known before"
    HELD = "held"


class ReceivingErp(Protocol):
    """What is asked of the ERP. Records are as vendors/visma.md section 6 shows them, numbers as Decimal.

    `quiet`: longer than a call can be on its way.
    """

    quiet: timedelta

    def order(self, company: str, kind: str, number: str) -> Record | None:
        """A purchase order."""
        ...

    def receipts(self, company: str, kind: str, number: str) -> list[Record]:
        """The receipts that have lines of an order."""
        ...

    def emptied(self, company: str, supplier: str, reference: str) -> str:
        """The receipt of a supplier and supplierRef that has no lines and is not released; else empty."""
        ...

    def receive(
        self, company: str, values: Record, order: tuple[str, str], leaving: Callable[[], None]
    ) -> str:
        """Create a receipt, unless the order has one with its supplier and supplierRef; its number.

        `leaving` is called right before the call that makes it goes out.
        """
        ...

    def empty(self, company: str, receipt: str, note: str) -> bool:
        """Take all lines out of a receipt. False: it is released, and was left as it is."""
        ...


@dataclass(frozen=True, slots=True)
class Shipped:
    """A quantity of one order line. `line` or `item` may be empty; the order is named as our 850 named it."""

    order: str
    line: str
    item: str
    quantity: Decimal
    unit: str

    @property
    def place(self) -> str:
        """What people call it."""
        return f"order {self.order}, line {self.line or self.item or '?'}"


@dataclass(frozen=True, slots=True)
class Announced:
    """What a notice says, as far as a receipt needs it. `supplier`: the number the notice names, if any."""

    company: str
    partner: str
    number: str
    supplier: str
    purpose: Purpose
    day: date
    lines: tuple[Shipped, ...]

    @classmethod
    def of(cls, company: str, partner: str, notice: ShipNotice) -> "Announced":
        """One line for each order line and unit, whatever packages it is in."""
        sums: dict[Shipped, Decimal] = {}
        for item in notice.items:
            line = Shipped(
                item.order_number, item.line.lstrip("0"), item.item.buyer_number, Decimal(0), item.unit
            )
            sums[line] = sums.get(line, Decimal(0)) + item.quantity
        named = (
            party.number
            for role in SHIPPERS
            for party in notice.parties
            if party.role is role and party.number and party.scheme is Scheme.BUYER
        )
        return cls(
            company,
            partner,
            notice.number,
            next(named, ""),
            notice.purpose,
            notice.expected_on or notice.issued_at.date(),
            tuple(replace(line, quantity=quantity) for line, quantity in sums.items()),
        )

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Announced":
        """The way back from `as_json`."""
        lines = tuple(Shipped(**{**line, "quantity": Decimal(line["quantity"])}) for line in said["lines"])
        read = {"purpose": Purpose(said["purpose"]), "day": date.fromisoformat(said["day"]), "lines": lines}
        return cls(**{**said, **read})

    def as_json(self) -> dict[str, Any]:
        """JSON values; quantities as text, so that they stay exact."""
        lines = [{**asdict(line), "quantity": format(line.quantity, "f")} for line in self.lines]
        return {**asdict(self), "purpose": self.purpose.value, "day": self.day.isoformat(), "lines": lines}

    @property
    def name(self) -> str:
        """By which it is known: of one supplier, or where it names none, of one partner."""
        return f"{self.supplier or self.partner}|{self.number}"

    @property
    def held_as(self) -> str:
        """Its key on the list of what waits: a cancellation waits beside what it cancels."""
        return f"{self.name}|{self.purpose.value}"

    @property
    def orders(self) -> list[str]:
        """The orders it names."""
        return list(dict.fromkeys(line.order for line in self.lines))


@dataclass(frozen=True, slots=True)
class _Matched:
    """A line of a notice with the order line it is of."""

    shipped: Shipped
    kind: str
    number: str
    order: Record
    line: Record


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the lookups say: X12's code of each unit of the ERP (edi_units.csv), and the partner each supplier
    trades through, `*` for all others (edi_partners.csv).
    """

    units: Mapping[str, str]
    partners: Mapping[str, str]

    def partner_of(self, supplier: str) -> str | None:
        """Through whom a supplier trades."""
        return self.partners.get(supplier, self.partners.get("*"))


class Shipments:
    """Carries notices out."""

    def __init__(
        self, erp: ReceivingErp, agreed: Agreement, *, engine: sa.Engine, clock: Clock, run_id: str
    ) -> None:
        self._erp, self._agreed, self._engine, self._clock = erp, agreed, engine, clock
        self._review, self._notes = Review(engine, clock, run_id), Notes(engine, clock, run_id)

    def take(self, notice: Announced, *, decided: bool = False) -> Worked:
        """Carry a notice out once, or hold it. `decided`: a person has said so, in spite of decidable doubts.

        May be repeated after a crash at any point: a receipt is looked for before it is made.

        Raises:
            CallFailed: the ERP cannot be asked now, or may still be making the receipt; the notice is to be
                taken again.
        """
        memory = Memory(self._engine, self._clock, f"cleo/notices/{notice.company}")
        before = memory.read(notice.name)
        if before.value.get("state") == Worked.CANCELLED.value:
            return self._seen_cancelled(notice)
        found = str(before.value.get("receipt") or "") or self._receipt_of(notice)
        emptied = "" if found else self._emptied(notice)
        if not found and not emptied:
            self._wait_for_the_last_try(notice, before)
        if notice.purpose is Purpose.CANCEL:
            return self._cancel(notice, found or emptied, memory, before)
        if found:
            return self._seen_posted(notice, found, memory, before)
        if emptied:
            # Cancelled, and our database was put back to a time before that; or people are at work on it.
            words = (
                f"Receipt {emptied} has the number of notice {notice.number} and no lines: it was cancelled "
                f"before, or somebody has taken them out. Ask {notice.partner} whether the goods come."
            )
            return self._hold(notice, [Doubt(words)])
        return self._post(notice, memory, before, decided=decided)

    def _wait_for_the_last_try(self, notice: Announced, before: Remembered) -> None:
        """A receipt whose call left may come late: made again, or cancelled, too early, it would be there."""
        if before.value.get("state") != POSTING:
            return
        until = datetime.fromisoformat(before.value["at"]) + self._erp.quiet
        if self._clock.now() < until:
            said = f"the receipt of notice {notice.number} may still come"
            remedy = f"From {until:%Y-%m-%d %H:%M:%S} UTC on a look at the mailbox, or a release, goes on."
            raise InDoubt("visma", "POST", "PurchaseReceipt", excerpt_text=said, remedy=remedy)

    def _post(self, notice: Announced, memory: Memory, before: Remembered, *, decided: bool) -> Worked:
        matched, doubts = self._judged(notice)
        if doubts and not (decided and all(doubt.decidable for doubt in doubts)):
            return self._hold(notice, doubts)
        first = matched[0]

        def leaving() -> None:
            nonlocal before
            note = {"state": POSTING, "at": self._clock.now().isoformat()}
            before = memory.write(notice.name, before, note)

        try:
            receipt = self._erp.receive(
                notice.company, self._values(notice, matched), (first.kind, first.number), leaving
            )
        except Misconfigured:
            raise
        except Refused as refusal:
            if refusal.method != "POST":
                # A look-up was refused: that says nothing of a receipt that may be on its way.
                raise
            memory.write(notice.name, before, {})
            return self._hold(notice, [Doubt(f"The ERP refuses the receipt: {refusal.words}")])
        self._remember(notice, receipt, memory, before)
        return Worked.POSTED

    def _note(self, notice: Announced, receipt: str, line: str) -> None:
        """Tell the audit trail, under the notice's number; once, as we may die right after it."""
        document = Document(RECEIPTS, notice.company, receipt, notice.number)
        mark = f"{notice.partner} {notice.purpose.value}"
        if mark not in self._notes.told(document):
            self._notes.add(document, {mark: Told(Kind.NOTED, line, None)})

    def _remember(self, notice: Announced, receipt: str, memory: Memory, before: Remembered) -> None:
        self._note(notice, receipt, f"Ship notice {notice.number} of {notice.partner} is receipt {receipt}.")
        memory.write(
            notice.name,
            before,
            {"state": Worked.POSTED.value, "receipt": receipt, "said": notice.as_json()},
        )
        self._review.done(notice.company, [notice.held_as])

    def _seen_posted(self, notice: Announced, receipt: str, memory: Memory, before: Remembered) -> Worked:
        """A notice that became a receipt: the same again is nothing new, another one is not guessed about."""
        if "said" not in before.value:
            # We died after the ERP had made it, or it was late.
            self._remember(notice, receipt, memory, before)
            return Worked.POSTED
        if _content(before.value["said"]) == _content(notice.as_json()):
            return Worked.REPEATED
        words = (
            f"Notice {notice.number} came before with other lines and is receipt {receipt}: change it there."
        )
        return self._hold(notice, [Doubt(words)])

    def _seen_cancelled(self, notice: Announced) -> Worked:
        if notice.purpose is Purpose.CANCEL:
            return Worked.REPEATED
        words = f"Notice {notice.number} was cancelled before. Ask {notice.partner} which of both is right."
        return self._hold(notice, [Doubt(words)])

    def _cancel(self, notice: Announced, receipt: str, memory: Memory, before: Remembered) -> Worked:
        original = replace(notice, purpose=Purpose.ORIGINAL).held_as
        if receipt:
            note = f"Cancelled by {notice.partner} with ship notice {notice.number}."
            if not self._erp.empty(notice.company, receipt, note):
                words = f"Receipt {receipt} of notice {notice.number} is released: reverse it in the ERP."
                return self._hold(notice, [Doubt(words)])
            self._note(notice, receipt, note)
        elif not any(held.key == original for held in self._review.waiting(notice.number)):
            words = (
                f"It cancels notice {notice.number}, which never came. Ask {notice.partner} what is meant."
            )
            return self._hold(notice, [Doubt(words)])
        memory.write(notice.name, before, {"state": Worked.CANCELLED.value, "receipt": receipt})
        self._review.done(notice.company, [original, notice.held_as])
        return Worked.CANCELLED

    def _hold(self, notice: Announced, doubts: list[Doubt]) -> Worked:
        item = Held(notice.company, notice.held_as, notice.number, "notice", notice.as_json())
        self._review.hold(item, doubts)
        return Worked.HELD

    def _receipt_of(self, notice: Announced) -> str:
        """The receipt a notice became, as the ERP knows it: by supplier and supplierRef."""
        for order in notice.orders:
            kind, number = kind_and_number(order)
            for receipt in self._erp.receipts(notice.company, kind, number):
                supplier = str(receipt.get("supplier", {}).get("number") or "")
                if receipt.get("supplierRef") == notice.number and notice.supplier in ("", supplier):
                    return str(receipt["receiptNbr"])
        return ""

    def _emptied(self, notice: Announced) -> str:
        """The receipt of a notice that was cancelled: without lines no order leads to it any more."""
        suppliers = {notice.supplier} if notice.supplier else self._suppliers_of(notice)
        found = (self._erp.emptied(notice.company, each, notice.number) for each in sorted(suppliers))
        return next(filter(None, found), "")

    def _suppliers_of(self, notice: Announced) -> set[str]:
        """Whose orders it names, as far as the ERP has them."""
        orders = (self._erp.order(notice.company, *kind_and_number(order)) for order in notice.orders)
        return {str(order["supplier"]["number"]) for order in orders if order is not None}

    # What can be wrong

    def _judged(self, notice: Announced) -> tuple[list[_Matched], list[Doubt]]:
        """Each line with its order line, and every doubt."""
        doubts = list(_doubts_of_whole(notice))
        matched: list[_Matched] = []
        for order in notice.orders:
            kind, number = kind_and_number(order)
            record = self._erp.order(notice.company, kind, number)
            if record is None:
                doubts.append(Doubt(f"Order {order} is not in the ERP."))
                continue
            doubts += self._doubts_of_order(notice, order, record)
            for shipped in (line for line in notice.lines if line.order == order):
                line = _line_of(shipped, record)
                if isinstance(line, Doubt):
                    doubts.append(line)
                else:
                    matched.append(_Matched(shipped, kind, number, record, line))
        doubts += self._doubts_of_lines(notice, matched)
        suppliers = {match.order["supplier"]["number"] for match in matched}
        if len(suppliers) > 1:
            doubts.append(Doubt(f"Its orders are of several suppliers: {', '.join(sorted(suppliers))}."))
        return matched, doubts

    def _doubts_of_order(self, notice: Announced, order: str, record: Record) -> Iterator[Doubt]:
        supplier = str(record["supplier"]["number"])
        if notice.supplier not in ("", supplier):
            yield Doubt(f"Order {order} is of supplier {supplier}, the notice of {notice.supplier}.")
        if (agreed := self._agreed.partner_of(supplier)) != notice.partner:
            yield Doubt(
                f"Order {order} is of supplier {supplier}, who trades through {agreed or 'nobody'} "
                f"(lookups/edi_partners.csv), and the notice comes from {notice.partner}."
            )
        if record["status"] not in RECEIVABLE:
            yield Doubt(f"Order {order} is {record['status']} in the ERP: nothing can be received on it.")

    def _doubts_of_lines(self, notice: Announced, matched: list[_Matched]) -> Iterator[Doubt]:
        together: dict[tuple[str, str, int], list[_Matched]] = {}
        for match in matched:
            together.setdefault((match.kind, match.number, match.line["lineNbr"]), []).append(match)
        received = self._received(notice.company, {key[:2] for key in together})
        for key, matches in together.items():
            shipped, line = matches[0].shipped, matches[0].line
            for match in matches:
                yield from self._doubts_of_unit(match)
            if line.get("canceled"):
                yield Doubt(f"The line is cancelled in the ERP: {shipped.place}.")
            before = max(Decimal(line.get("qtyOnReceipts") or 0), received.get(key, Decimal(0)))
            now = sum((match.shipped.quantity for match in matches), Decimal(0))
            left = Decimal(0) if line.get("completed") else Decimal(line["orderQty"]) - before
            if now > left:
                yield Doubt(
                    f"More than is open, {shipped.place}: {now:f} shipped, {max(left, Decimal(0)):f} open of "
                    f"{Decimal(line['orderQty']):f}.",
                    decidable=True,
                )

    def _doubts_of_unit(self, match: _Matched) -> Iterator[Doubt]:
        uom, unit = str(match.line.get("uom")), match.shipped.unit
        code = self._agreed.units.get(uom)
        if code is None:
            yield Doubt(f"The ERP's unit {uom} has no code in lookups/edi_units.csv: {match.shipped.place}.")
        elif code != unit:
            yield Doubt(f"Shipped in {unit}, ordered in {uom} ({code}): {match.shipped.place}.")

    def _received(self, company: str, orders: set[tuple[str, str]]) -> dict[tuple[str, str, int], Decimal]:
        """What receipts hold of each order line, released or not: an order may count released ones only."""
        sums: dict[tuple[str, str, int], Decimal] = {}
        for kind, number in orders:
            for receipt in self._erp.receipts(company, kind, number):
                sign = -1 if receipt.get("receiptType") == "PoReturn" else 1
                for line in receipt.get("lines", ()):
                    if (line.get("poOrderType"), line.get("poOrderNbr")) == (kind, number):
                        key = (kind, number, line["poOrderLineNbr"])
                        sums[key] = sums.get(key, Decimal(0)) + sign * Decimal(line.get("receiptQty") or 0)
        return sums

    def _values(self, notice: Announced, matched: list[_Matched]) -> Record:
        """The receipt (vendors/visma.md section 8)."""
        order = matched[0].order
        branch = order.get("branch") or {}
        return {
            "receiptType": "PoReceipt",
            "hold": True,
            "date": notice.day,
            "supplierId": order["supplier"]["number"],
            "supplierRef": notice.number,
            "branchNumber": branch.get("number"),
            "createBill": False,
            "controlQty": sum((match.shipped.quantity for match in matched), Decimal(0)),
            "note": f"Ship notice {notice.number} of {notice.partner}.",
            "lines": [
                {
                    "operation": "Insert",
                    "poOrderType": match.kind,
                    "poOrderNbr": match.number,
                    "poOrderLineNbr": match.line["lineNbr"],
                    "inventoryId": (match.line.get("inventory") or {}).get("number"),
                    "warehouseId": (match.line.get("warehouse") or {}).get("id"),
                    "receiptQty": match.shipped.quantity,
                    "uom": match.line["uom"],
                }
                for match in matched
            ],
        }


def kind_and_number(order: str) -> tuple[str, str]:
    """An order's kind and number in the ERP, from the number our 850 carried."""
    kind, dash, number = order.partition("-")
    other = OTHER_KINDS.get(kind.upper()) if dash else None
    return (other, number) if other else (REGULAR, order)


def _doubts_of_whole(notice: Announced) -> Iterator[Doubt]:
    if notice.purpose is Purpose.CHANGE:
        yield Doubt(f"It replaces notice {notice.number}, which never came.")
    if not notice.lines:
        yield Doubt("It ships nothing: no line, or quantity 0 in each.")
    for line in notice.lines:
        if line.quantity <= 0:
            yield Doubt(f"The quantity is {line.quantity:f}: {line.place}.")


def _line_of(shipped: Shipped, order: Record) -> Record | Doubt:
    """The order line by its number, else by our item number, if only one line has it. Both must agree."""
    lines: Sequence[Record] = order.get("lines") or ()

    def item(line: Record) -> str:
        return str((line.get("inventory") or {}).get("number") or "")

    if shipped.line:
        line = next((line for line in lines if str(line["lineNbr"]) == shipped.line), None)
        if line is None:
            return Doubt(f"There is no such line in the ERP: {shipped.place}.")
        if shipped.item and item(line) and shipped.item != item(line):
            return Doubt(f"Item {shipped.item} shipped, {item(line)} ordered: {shipped.place}.")
        return line
    same = [line for line in lines if shipped.item and item(line) == shipped.item]
    if len(same) != 1:
        return Doubt(f"{len(same)} lines of the order could be meant, and none is named: {shipped.place}.")
    return same[0]


def _content(said: Mapping[str, Any]) -> str:
    """What two notices are compared by: a repetition may be dated later."""
    return json.dumps([said["purpose"], sorted(json.dumps(line, sort_keys=True) for line in said["lines"])])
