"""Suppliers ship what was ordered, send ship notices (856, vendors/x12.md section 7), read our 997."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mlc_sandbox.cleo import x12
from mlc_sandbox.cleo.erp import UNITS, left_to_receive
from mlc_sandbox.cleo.receiver import Partner
from mlc_sandbox.cleo.x12 import Segment, Set, at

if TYPE_CHECKING:
    from mlc_sandbox.cleo.world import World

HOWS = ("full", "partial", "over", "unit", "twice", "cancel", "poison")
POISONS = ("truncated", "not_x12", "count", "parent", "order", "receiver")
# What suppliers do day by day, order by order.
_ROUND = ("full", "partial", "full", "over", "twice", "unit")
_STEP = Decimal("0.01")


@dataclass(slots=True)
class OrderLine:
    """A line as it was ordered, and what has been shipped of it."""

    line: str
    quantity: Decimal
    unit: str
    items: dict[str, str]
    text: str


@dataclass(slots=True)
class Order:
    """What a supplier needs of an order to ship it."""

    number: str
    date: str
    company: str
    partner: Partner
    buyer: tuple[str, str]  # ISA qualifier and id
    version: str
    seller: dict[str, str]
    ship_to: dict[str, str]
    lines: list[OrderLine]


@dataclass  # without slots: states of earlier versions lack the text and the buyer
class Notice:
    """A ship notice as it was sent: `text` is the interchange, `buyer` whom it was addressed to (ISA08).
    `state`: sent, accepted, accepted with errors, rejected.
    """

    number: str  # BSN02
    order: str
    company: str
    partner: str
    how: str
    isa13: str
    gs06: str
    files: list[str]
    lines: list[dict[str, Any]]
    state: str = "sent"
    text: str = ""
    buyer: str = ""
    acknowledged: list[str] = field(default_factory=list)  # AK5 or AK9, one entry for every 997


class Shipping:
    """Everything that suppliers shipped. `shipped` is (company, order, line) -> quantity."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.notices: list[Notice] = []
        self.shipped: dict[tuple[str, str, str], Decimal] = {}
        self.acknowledgments: list[dict[str, Any]] = []
        self.count = 0

    # Shipping

    def ship(
        self, number: str, how: str = "full", *, company: str | None = None, poison: str = "truncated"
    ) -> Notice:
        """Ship an order and send its notice.

        Args:
            number: as in the 850 that arrived; else an order of the ERP.
            how: full, partial (half of what is open), over (more than was ordered), unit (another unit of
                measure), twice (the same notice in two interchanges), cancel (BSN01 01 for the order's last
                notice), poison (a file nobody can take in).
            company: when several companies have an order of this number.
            poison: truncated, not_x12, count (SE01), parent (HL02), order (unknown PRF01), receiver (ISA08).

        Raises:
            KeyError: nobody knows the order. ValueError: nothing is left to ship, or a word is not known.
        """
        if how not in HOWS or poison not in POISONS:
            raise ValueError(f"how is one of {', '.join(HOWS)}; poison one of {', '.join(POISONS)}.")
        order = self._order(number, company)
        if how == "cancel":
            return self._cancel(order)
        lines = self._quantities(order, how)
        self.count += 1
        notice = f"{order.partner.id[:6]}{order.company}{self.count:06d}"
        sent = self._send(order, notice, lines, "00", poison if how == "poison" else "")
        sent.how = how
        if how == "twice":
            again = self._send(order, notice, lines, "00", "")
            sent.files += again.files
        self.notices.append(sent)
        if how != "poison":
            for line in lines:
                key = order.company, order.number, line["line"]
                self.shipped[key] = self.shipped.get(key, Decimal(0)) + line["quantity"]
        return sent

    def _order(self, number: str, company: str | None) -> Order:
        for document in self.world.receiver.view["850"].values():
            if document["number"] == number and company in (None, document["company"]):
                return self._from_850(document)
        found = self.world.erp.order(number, company)
        if found is None:
            raise KeyError(f"Nobody knows order {number!r}: no 850 of it came, and the ERP has none.")
        return self._from_erp(*found)

    def _from_850(self, document: dict[str, Any]) -> Order:
        named = document["parties"]
        partner = next(found for found in self.world.partners.values() if found.id == document["to"])
        seller: dict[str, str] = next((named[code] for code in ("SE", "VN", "SU") if code in named), {})
        lines = [_ordered(line) for line in document["lines"]]
        buyer = next((key[0], key[1]) for key in self.world.receiver.seen if key[1] == document["from"])
        return Order(
            document["number"],
            document["date"],
            document["company"],
            partner,
            buyer,
            document["version"][:6],
            seller,
            named.get("ST", named.get("BY", {})),
            lines,
        )

    def _from_erp(self, company: str, row: dict[str, Any]) -> Order:
        partner = next(iter(self.world.partners.values()))
        seller = {"name": row["supplier"]["name"], "qualifier": "92", "id": row["supplier"]["number"]}
        ship_to = {"name": row["branch"]["name"], "qualifier": "92", "id": f"WH{row['warehouse']['id']}"}
        lines = [
            OrderLine(
                str(line["lineNbr"]),
                Decimal(line["orderQty"]),
                UNITS[line["uom"]],
                {"BP": line["inventory"]["number"]},
                line["lineDescription"],
            )
            for line in row["lines"]
        ]
        address = "ZZ", self.world.sender_of(company)
        date = f"{row['date']:%Y%m%d}"
        return Order(row["orderNbr"], date, company, partner, address, "004010", seller, ship_to, lines)

    def _quantities(self, order: Order, how: str) -> list[dict[str, Any]]:
        """What goes into the notice, line by line; the order's own lines when nothing is known to be left."""
        known = self.world.erp.order(order.number, order.company) if order.company else None
        open_lines = left_to_receive(known[1]) if known else None
        lines: list[dict[str, Any]] = []
        for line in order.lines:
            before = self.shipped.get((order.company, order.number, line.line), Decimal(0))
            left = line.quantity - before
            if open_lines is not None:
                left = min(left, open_lines.get(line.line, Decimal(0)))
            quantity = {
                "partial": (left / 2).quantize(_STEP),
                "over": left + max(Decimal(1), (line.quantity / 10).quantize(_STEP)),
            }.get(how, left)
            if left <= 0 or quantity <= 0:
                continue
            unit = line.unit
            if how == "unit":
                unit = "CA" if line.unit != "CA" else "EA"
            lines.append(
                {
                    "line": line.line,
                    "quantity": quantity,
                    "unit": unit,
                    "ordered": line.quantity,
                    "ordered_unit": line.unit,
                    "items": line.items,
                    "text": line.text,
                }
            )
        if not lines:
            raise ValueError(f"Nothing of order {order.number} is left to ship.")
        return lines

    def _cancel(self, order: Order) -> Notice:
        sent = [
            notice
            for notice in self.notices
            if (notice.company, notice.order) == (order.company, order.number) and notice.how != "poison"
        ]
        if not sent:
            raise ValueError(f"Nothing of order {order.number} was shipped.")
        last = sent[-1]
        notice = self._send(order, last.number, last.lines, "01", "")
        notice.how = "cancel"
        self.notices.append(notice)
        return notice

    def _send(
        self, order: Order, number: str, lines: list[dict[str, Any]], purpose: str, poison: str
    ) -> Notice:
        named = f"NO-SUCH-{order.number}"[:22] if poison == "order" else order.number
        body = self._body(order, number, lines, purpose, named)
        if poison == "parent":
            body = [["HL", "2", "9", "O", "1"] if line[:2] == ["HL", "2"] else line for line in body]
        buyer = (order.buyer[0], "SOMEONEELSE") if poison == "receiver" else order.buyer
        text = self.world.wrap(order.partner, buyer, "856", body, order.version)
        if poison == "count":
            text = re.sub(r"~SE\*\d+\*", "~SE*3*", text)
        if poison == "truncated":
            text = text[: len(text) * 2 // 3]
        if poison == "not_x12":
            text = "Dear customer, your goods are on the way.\r\n"
        files = self.world.deliver(order.partner, "856", text)
        isa13, gs06 = self.world.last_numbers
        sender = order.partner.id
        notice = Notice(number, order.number, order.company, sender, "", isa13, gs06, files, lines)
        notice.text, notice.buyer = text, buyer[1]
        return notice

    def _body(
        self, order: Order, number: str, lines: list[dict[str, Any]], purpose: str, order_number: str
    ) -> list[Segment]:
        now = self.world.clock.now()
        day, later = f"{now:%Y%m%d}", f"{now + timedelta(days=2):%Y%m%d}"
        head: list[Segment] = [
            ["BSN", purpose, number, day, f"{now:%H%M}", "0004"],
            ["DTM", "011", day, f"{now:%H%M}"],
            ["HL", "1", "", "S", "1"],
            ["TD5", "B", "2", "BRNG", "M", "BRING CARGO"],
            ["REF", "BM", f"3707{self.count:08d}"],
            ["DTM", "017", later],
            *_party("SF", order.seller),
            *_party("ST", order.ship_to),
            ["HL", "2", "1", "O", "1"],
            ["PRF", order_number, "", "", order.date],
        ]
        for position, line in enumerate(lines, start=3):
            pairs = [part for pair in line["items"].items() for part in pair]
            ordered = ["", _plain(line["ordered"]), line["ordered_unit"]]
            head += [
                ["HL", str(position), "2", "I", "0"],
                ["LIN", line["line"], *pairs],
                ["SN1", line["line"], _plain(line["quantity"]), line["unit"], *ordered],
            ]
            if text := x12.clean(line["text"], 80):
                head.append(["PID", "F", "", "", "", text])
        return [*head, ["CTT", str(len(lines) + 2)]]

    # What came back

    def note_997(self, partner: Partner, buyer: str, found: Set) -> None:
        """A buyer's 997 to the partner's group: correlated by GS01 and GS06, whatever the zeros (section 9).
        Numbers are counted for each buyer.
        """
        answered, group = found.first("AK1"), found.first("AK9")
        status = at(next((part for part in found.segments if part[0] == "AK5"), group), 1)
        control = at(answered, 2)
        hits = [
            notice
            for notice in self.notices
            if notice.partner == partner.id
            and notice.buyer in ("", buyer)
            and at(answered, 1) == "SH"
            and control.isdecimal()
            and int(control) == int(notice.gs06)
        ]
        self.acknowledgments.append(
            {
                "partner": partner.id,
                "group": [at(answered, 1), control],
                "group_status": at(group, 1),
                "status": status,
                "notices": [notice.number for notice in hits],
                "received": self.world.clock.now(),
            }
        )
        states = {"A": "accepted", "E": "accepted with errors"}
        for notice in hits:
            notice.acknowledged.append(status)
            notice.state = states.get(status, "rejected")

    def note_ta1(self, partner: Partner, buyer: str, segment: Segment) -> None:
        """A buyer's TA1 to the partner's interchange."""
        entry = {"partner": partner.id, "isa13": at(segment, 1), "status": at(segment, 4)}
        self.acknowledgments.append(entry | {"ta1": at(segment, 5), "received": self.world.clock.now()})
        for notice in self.notices:
            sent = notice.partner == partner.id and notice.buyer in ("", buyer)
            if sent and notice.isa13 == at(segment, 1) and at(segment, 4) == "R":
                notice.state = "rejected"

    # A day

    def pass_day(self) -> int:
        """Ship a few of the orders that arrived and are open, each in the next way of the round."""
        shipped = {(notice.company, notice.order) for notice in self.notices}
        waiting = [
            document
            for document in self.world.receiver.view["850"].values()
            if document["status"] != "cancelled" and (document["company"], document["number"]) not in shipped
        ]
        sent = 0
        for document in sorted(waiting, key=lambda document: document["key"]):
            if sent >= self.world.switches["ships_per_day"]:
                break
            try:
                self.ship(document["number"], _ROUND[self.count % len(_ROUND)], company=document["company"])
            except ValueError:  # nothing is left of it
                continue
            sent += 1
        return sent

    def describe(self) -> list[dict[str, Any]]:
        """Every notice, for the control API."""
        return [asdict(notice) for notice in self.notices]


def _ordered(line: dict[str, Any]) -> OrderLine:
    quantity = line["quantity"] or Decimal(0)
    return OrderLine(line["line"], quantity, line["unit"], line["items"], line.get("text", ""))


def _party(code: str, party: dict[str, str]) -> list[Segment]:
    if not party:
        return []
    name = x12.clean(party.get("name", ""), 60)
    numbered = [party.get("qualifier") or "92", party["id"]] if party.get("id") else []
    return [["N1", code, name, *numbered]]


def _plain(number: Decimal) -> str:
    """Type R: no trailing zeros, no leading one (section 3)."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.removeprefix("0") if text.startswith("0.") else text
