"""Purchase orders: 850, and changes as 860 or as an 850 that says so (vendor sheet x12.md, section 5)."""

from collections.abc import Iterable
from decimal import Decimal

from mlc_dagster.x12 import parts
from mlc_dagster.x12.dialect import Dialect
from mlc_dagster.x12.documents import LineChange, OrderLine, PurchaseOrder, Purpose, Role
from mlc_dagster.x12.draft import Draft
from mlc_dagster.x12.errors import UnreadableError
from mlc_dagster.x12.structure import Loop
from mlc_dagster.x12.syntax import Segment

_CHANGES = {
    LineChange.ADDED: "AI",
    LineChange.REMOVED: "DI",
    LineChange.CHANGED: "CA",
    LineChange.UNCHANGED: "NC",
}
_CHANGES_READ = {code: change for change, code in _CHANGES.items()} | {
    "QI": LineChange.CHANGED,
    "QD": LineChange.CHANGED,
    "PC": LineChange.CHANGED,
}
_MSG_WIDTH, _MTX_WIDTH = 264, 4096


def draft(order: PurchaseOrder, dialect: Dialect) -> Draft:
    """The segments of an order between ST and SE."""
    as_860 = order.purpose is not Purpose.ORIGINAL and dialect.change_as == "860"
    draft = Draft("860" if as_860 else "850", order.number, dialect)
    _write_heading(draft, order)
    draft.add("CUR", "BY", order.currency)
    parts.write_header_party(draft, order.parties, Role.BUYER)
    parts.write_charges(draft, order.charges)
    parts.write_terms(draft, order.terms)
    if order.delivery_date:
        draft.add("DTM", "002", order.delivery_date)
    parts.write_transport(draft, order.transport)
    _write_notes(draft, order.notes, "HEADER")
    parts.write_parties(draft, order.parties, heading=Role.BUYER)
    for line in order.lines:
        _write_line(draft, line, order.purpose)
    draft.add("CTT", len(order.lines), _hash_total(order.lines, dialect))
    if order.total is not None:
        draft.add("AMT", "TT", order.total)
    return draft


def _write_heading(draft: Draft, order: PurchaseOrder) -> None:
    if draft.set_id == "860":
        purpose = "01" if order.purpose is Purpose.CANCEL else "04"
        heading = (
            "BCH",
            purpose,
            "SA",
            order.number,
            None,
            order.change_number,
            order.issued_on,
            None,
            order.contract,
        )
        draft.add(*heading, None, None, order.changed_on)
        return
    changed = draft.dialect.change_as.removeprefix("850-")
    purpose = {Purpose.ORIGINAL: "00", Purpose.CANCEL: "01", Purpose.CHANGE: changed}[order.purpose]
    draft.add("BEG", purpose, "SA", order.number, None, order.issued_on, order.contract)


def _write_notes(draft: Draft, notes: Iterable[str], name: str) -> None:
    """One N9 with a text segment a piece: MSG in 004010, MTX in 005010 (sheet, section 11)."""
    newer = draft.dialect.version == "005010"
    width = _MTX_WIDTH if newer else _MSG_WIDTH
    pieces = [piece for note in notes for piece in draft.texts("N9", note, width)]
    if pieces:
        draft.add("N9", "ZZ", name)
    for piece in pieces:
        if newer:
            draft.add("MTX", "GEN", piece)
        else:
            draft.add("MSG", piece)


def _write_line(draft: Draft, line: OrderLine, purpose: Purpose) -> None:
    basis = parts.price_basis(draft, line.price, line.price_per, line.unit)
    ids = parts.item_ids(draft, line.item)
    if draft.set_id == "860":
        change = line.change or (LineChange.REMOVED if purpose is Purpose.CANCEL else LineChange.CHANGED)
        left = _left(line, change)
        unit = (line.unit,)
        draft.add("POC", line.number, _CHANGES[change], line.quantity, left, unit, line.price, basis, *ids)
    else:
        draft.add("PO1", line.number, line.quantity, line.unit, line.price, basis, *ids)
    parts.write_description(draft, line.item)
    parts.write_charges(draft, line.charges)
    if line.delivery_date:
        draft.add("DTM", "002", line.delivery_date)
    _write_notes(draft, line.notes, "LINE")


def _left(line: OrderLine, change: LineChange) -> Decimal:
    """POC04, the quantity left to receive: ordered less received."""
    if line.open_quantity is not None:
        return line.open_quantity
    return Decimal(0) if change is LineChange.REMOVED else line.quantity


def _hash_total(lines: Iterable[OrderLine], dialect: Dialect) -> Decimal | None:
    """CTT02: the standard's text adds quantities without points and keeps ten digits; many add plainly."""
    quantities = [line.quantity for line in lines]
    if dialect.hash_total == "plain":
        return sum(quantities, Decimal(0))
    if dialect.hash_total == "literal":
        return sum((_without_point(quantity) for quantity in quantities), Decimal(0)) % 10**10
    return None


def _without_point(quantity: Decimal) -> Decimal:
    digits = quantity.normalize().as_tuple()
    exponent = int(digits.exponent)
    return Decimal((0, digits.digits, max(0, exponent)))


def read(root: Loop, dialect: Dialect) -> PurchaseOrder:
    """The order of an accepted 850 or 860.

    Raises:
        UnreadableError: it lacks what an order needs, or has a purpose we cannot carry out.
    """
    changed = root.first("BCH")
    heading = changed or root.first("BEG") or Segment("BEG")
    currency = root.first("CUR")
    total = next((loop.first("AMT") for loop in root.inner("CTT")), None)
    dates = root.all("DTM")
    return PurchaseOrder(
        number=heading.text(3),
        issued_on=parts.needed_day(heading, 6 if changed else 5),
        currency=currency.text(2) if currency else "",
        lines=tuple(_read_line(loop, dialect) for loop in root.inner("POC" if changed else "PO1")),
        parties=parts.read_parties(root, Role.BUYER),
        purpose=parts.purpose(heading, 1),
        changed_on=parts.day(changed, 11),
        change_number=changed.text(5) if changed else "",
        contract=heading.text(8 if changed else 6),
        delivery_date=parts.day(parts.qualified(dates, "002")),
        terms=parts.read_terms(root),
        transport=parts.read_transport(root),
        charges=parts.read_charges(root, dialect),
        notes=_read_notes(root),
        total=parts.decimal(total, 2) if total else None,
    )


def _read_notes(loop: Loop) -> tuple[str, ...]:
    texts = []
    for inner in loop.inner("N9"):
        texts += [segment.text(1) for segment in inner.all("MSG")]
        texts += [segment.text(2) for segment in inner.all("MTX")]
    return tuple(text for text in texts if text)


def _read_line(loop: Loop, dialect: Dialect) -> OrderLine:
    head = loop.rows[0].segment
    shift = 2 if head.id == "POC" else 0  # a POC has two elements more in front
    change = None
    if shift:
        change = _CHANGES_READ.get(head.text(2))
        if change is None:
            raise UnreadableError(f"POC 02, line {head.text(1)}: change {head.text(2)} is none we know.")
    return OrderLine(
        number=head.text(1),
        quantity=parts.quantity(head, 3 if shift else 2),
        unit=head.text(3 + shift),
        item=parts.read_item(head, 6 + shift, loop),
        price=parts.decimal(head, 4 + shift),
        price_per=parts.price_per(head, 5 + shift),
        delivery_date=parts.day(parts.qualified(loop.all("DTM"), "002")),
        charges=parts.read_charges(loop, dialect),
        notes=_read_notes(loop),
        change=change,
        open_quantity=parts.decimal(head, 4) if shift else None,
    )
