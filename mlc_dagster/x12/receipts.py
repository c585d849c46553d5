"""What has come: a receiving advice (861), or in the form of a ship notice (856) where a partner asks for
that.

A buyer formally answers a delivery with an 861. An 856 made from a receipt has the receipt's number in BSN02,
the day it came in DTM 050, the supplier as SF and our warehouse as ST (vendor sheet x12.md, section 7).
"""

from mlc_dagster.x12 import parts, shipments
from mlc_dagster.x12.dialect import Dialect
from mlc_dagster.x12.documents import (
    Condition,
    Purpose,
    ReceivedLine,
    ReceivingAdvice,
    ShipNotice,
    ShippedItem,
)
from mlc_dagster.x12.draft import Draft, Value
from mlc_dagster.x12.structure import Loop
from mlc_dagster.x12.syntax import Segment

_PURPOSES = {Purpose.ORIGINAL: "00", Purpose.CANCEL: "01", Purpose.CHANGE: "05"}
_DOCK_ADVICE = "1"
_CONDITIONS = {
    Condition.DAMAGED: "01",
    Condition.SHORT: "02",
    Condition.OVER: "03",
    Condition.QUALITY: "04",
    Condition.INCORRECT: "05",
    Condition.REJECTED: "08",
}


def draft(advice: ReceivingAdvice, dialect: Dialect) -> Draft:
    """The segments of a receipt between ST and SE, in the form the dialect asks for.

    Raises:
        RefusedError: also when an 856 would have to leave out what was returned or questioned.
    """
    if dialect.receipt_as == "856":
        return _draft_as_ship_notice(advice, dialect)
    draft = Draft("861", advice.number, dialect)
    issued = advice.issued_at
    draft.add("BRA", advice.number, issued.date(), _PURPOSES[advice.purpose], _DOCK_ADVICE, issued.time())
    if advice.shipment_number:
        draft.add("REF", "SI", advice.shipment_number)
    draft.add("DTM", "050", advice.received_on)
    parts.write_parties(draft, advice.parties)
    for line in advice.lines:
        _write_line(draft, line)
    draft.add("CTT", len(advice.lines))
    return draft


def _write_line(draft: Draft, line: ReceivedLine) -> None:
    unit = (line.unit,)
    returned: list[Value] = [None, None] if line.returned is None else [line.returned, unit]
    questioned: list[Value] = []
    if line.questioned is not None:
        questioned = [line.questioned, unit, _CONDITIONS[line.condition] if line.condition else ""]
    draft.add("RCD", line.line, line.quantity, unit, *returned, *questioned)
    ids = parts.item_ids(draft, line.item)
    if ids:
        draft.add("LIN", line.line, *ids)
    parts.write_description(draft, line.item)
    draft.add("PRF", line.order_number, None, None, line.order_date)


def _draft_as_ship_notice(advice: ReceivingAdvice, dialect: Dialect) -> Draft:
    draft = shipments.draft(as_ship_notice(advice), dialect)
    for line in advice.lines:
        if line.returned or line.questioned:
            reason = f"line {line.line} has returned or questioned goods; only an 861 can say so"
            raise draft.refusal("receipt", reason)
    return draft


def as_ship_notice(advice: ReceivingAdvice) -> ShipNotice:
    """A receipt in the form of a notice of what was shipped."""
    items = tuple(
        ShippedItem(
            order_number=line.order_number,
            line=line.line,
            quantity=line.quantity,
            unit=line.unit,
            item=line.item,
            order_date=line.order_date,
        )
        for line in advice.lines
    )
    return ShipNotice(
        number=advice.number,
        issued_at=advice.issued_at,
        items=items,
        parties=advice.parties,
        purpose=advice.purpose,
        received_on=advice.received_on,
    )


def read(root: Loop, dialect: Dialect) -> ReceivingAdvice:
    """The receipt of an accepted 861.

    Raises:
        UnreadableError: it lacks a date or a quantity, or has a purpose we cannot carry out.
    """
    del dialect  # an 861 is the same in all dialects
    heading = root.first("BRA") or Segment("BRA")
    received = parts.qualified(root.all("DTM"), "050") or Segment("DTM")
    order = root.first("PRF")
    issued = parts.moment(Segment("BRA", (heading.text(2), heading.text(5))), 1)
    return ReceivingAdvice(
        number=heading.text(1),
        issued_at=parts.needed(issued, "BRA 02"),
        received_on=parts.needed_day(received, 2),
        lines=tuple(_read_line(loop, order) for loop in root.inner("RCD")),
        parties=parts.read_parties(root),
        purpose=parts.purpose(heading, 3),
        shipment_number=parts.reference(root, "SI"),
    )


def _read_line(loop: Loop, header_order: Segment | None) -> ReceivedLine:
    head = loop.rows[0].segment
    order = loop.first("PRF") or header_order
    named = loop.first("LIN")
    return ReceivedLine(
        order_number=order.text(1) if order else "",
        line=head.text(1) or (named.text(1) if named else ""),
        quantity=parts.quantity(head, 2),
        unit=head.text(3),
        item=parts.read_item(named, 2, loop),
        order_date=parts.day(order, 4),
        returned=parts.decimal(head, 4),
        questioned=parts.decimal(head, 6),
        condition=parts.reverse(_CONDITIONS, head.text(8)),
    )
