"""Rows of the models as X12's documents. Lines come as JSON text with every number as text: exact."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from mlc_dagster.x12.documents import (
    Acknowledgment,
    Document,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    Item,
    LineChange,
    OrderLine,
    Party,
    PaymentTerms,
    PurchaseOrder,
    Purpose,
    ReceivedLine,
    ReceivingAdvice,
    Role,
    Scheme,
    ShipNotice,
    ShippedItem,
    Tax,
    TaxCategory,
)
from mlc_dagster.x12.errors import RefusedError

Payload = Mapping[str, Any]
Line = Mapping[str, Any]


class Unmapped(RefusedError):
    """A unit or code of the ERP has no word the partner knows: the document waits, the others go."""


def order(row: Payload, purpose: Purpose) -> PurchaseOrder:
    """A purchase order, whole."""
    lines = [_order_line(row, line) for line in _lines(row)]
    if purpose is Purpose.CANCEL:
        lines = [replace(line, change=LineChange.REMOVED, open_quantity=Decimal(0)) for line in lines]
    return PurchaseOrder(
        number=row["order_number"],
        issued_on=row["date"],
        currency=row["currency"],
        lines=tuple(lines),
        parties=(_buyer(row), _ship_to(row), _seller(row)),
        purpose=purpose,
        delivery_date=row["promised_on"],
        notes=_texts(row["description"]),
        total=row["line_total"],
    )


def line_by_line(order: PurchaseOrder, before: PurchaseOrder) -> PurchaseOrder:
    """A change as an 860 tells it: what becomes of each line the partner has, and of new ones."""
    return replace(order, lines=tuple(_changed(order.lines, before.lines)))


def same(one: Document, other: Document) -> bool:
    """Whether a partner would read the same in both. Names and addresses of a buyer or seller are master
    data: a supplier that moved changes none of its documents. Where goods go is a part of the order. What is
    left to receive is told with a change and is none.
    """
    return _matter(one) == _matter(other)


def invoice(row: Payload, purpose: Purpose) -> Invoice:
    """A supplier's invoice or credit note, whole."""
    seller = replace(_seller(row), vat_number=row["supplier_vat_number"] or "")
    return Invoice(
        number=row["supplier_reference"] or row["reference_number"],
        issued_on=row["date"],
        currency=row["currency"],
        total=row["amount"],
        lines=tuple(_invoice_line(row, line) for line in _lines(row)),
        parties=(seller, _buyer(row)),
        kind=InvoiceKind.CREDIT_NOTE if row["credit"] else InvoiceKind.INVOICE,
        purpose=purpose,
        order_number=row["order_number"] or "",
        original_invoice=row["original_invoice"] or "",
        terms=PaymentTerms(due_date=row["due_date"]) if row["due_date"] else None,
        taxes=tuple(_taxes(row)),
        notes=_texts(row["description"]),
    )


def receipt(row: Payload, purpose: Purpose) -> ReceivingAdvice:
    """What came, as an 861; `as_notice` makes an 856 of it."""
    return ReceivingAdvice(
        number=row["document_number"],
        issued_at=datetime.combine(row["date"], time()),
        received_on=row["date"],
        lines=tuple(
            ReceivedLine(
                order_number=line["order_number"] or "",
                line=line["order_line"] or "",
                quantity=Decimal(line["quantity"]),
                unit=_unit(row["receipt_number"], line),
                item=_item(line),
            )
            for line in _lines(row)
        ),
        parties=(_buyer(row), _ship_to(row), replace(_seller(row), role=Role.SHIP_FROM)),
        purpose=purpose,
    )


def as_notice(advice: ReceivingAdvice) -> ShipNotice:
    """A receipt in the form of a ship notice, for partners who ask for that (vendors/x12.md section 7)."""
    return ShipNotice(
        number=advice.number,
        issued_at=advice.issued_at,
        items=tuple(
            ShippedItem(line.order_number, line.line, line.quantity, line.unit, line.item)
            for line in advice.lines
        ),
        parties=advice.parties,
        purpose=advice.purpose,
        received_on=advice.received_on,
    )


def fields(document: Document) -> dict[str, Any]:
    """The business fields that go beside an interchange in a JSON file, for people and for routing."""
    kind = type(document).__name__
    told: dict[str, Any] = {"type": kind, "number": getattr(document, "number", "")}
    if isinstance(document, PurchaseOrder | Invoice):
        told |= {"date": document.issued_on.isoformat(), "currency": document.currency}
        told["total"] = None if document.total is None else format(document.total, "f")
    if not isinstance(document, Acknowledgment):
        told["purpose"] = document.purpose.value
    if isinstance(document, Invoice):
        told["order"] = document.order_number
    seller = next((each for each in getattr(document, "parties", ()) if each.role in SELLERS), None)
    return told | ({"supplier": seller.number, "supplier_name": seller.name} if seller else {})


def _matter(document: Document) -> Document:
    if isinstance(document, Acknowledgment):
        return document
    parties = tuple(
        party if party.role is Role.SHIP_TO else Party(party.role, number=party.number)
        for party in document.parties
    )
    if isinstance(document, Invoice):
        return replace(document, parties=parties, notes=())
    if isinstance(document, PurchaseOrder):
        return replace(document, parties=parties, lines=tuple(map(_ordered, document.lines)))
    return replace(document, parties=parties)


def _ordered(line: OrderLine) -> OrderLine:
    """What is agreed of a line; goods that came change nothing of that."""
    return replace(line, open_quantity=None)


# The columns of a row that `same` does not look at, as they are the buyer's or the supplier's own.
MASTER_DATA = frozenset(
    {
        *("company_name", "supplier_name", "supplier_street", "supplier_city", "supplier_postal_code"),
        *("supplier_country", "supplier_vat_number"),
    }
)
SELLERS = (Role.SELLER, Role.SHIP_FROM)


def _lines(row: Payload) -> list[Line]:
    lines: list[Line] = json.loads(row["lines"] or "[]")
    return lines


def _order_line(row: Payload, line: Line) -> OrderLine:
    return OrderLine(
        number=line["number"],
        quantity=Decimal(line["quantity"]),
        unit=_unit(row["order_number"], line),
        item=_item(line),
        price=Decimal(line["price"]) if line["price"] is not None else None,
        delivery_date=date.fromisoformat(line["date"]) if line.get("date") else None,
        open_quantity=Decimal(line["open"]) if line.get("open") is not None else None,
    )


def _changed(lines: Iterable[OrderLine], before: Iterable[OrderLine]) -> Iterator[OrderLine]:
    """Lines with what a change does to each; those that are gone come last, with nothing left to come."""
    old = {line.number: line for line in before}
    for line in lines:
        known = old.pop(line.number, None)
        change = (
            LineChange.ADDED
            if known is None
            else LineChange.UNCHANGED
            if known and _ordered(known) == _ordered(line)
            else LineChange.CHANGED
        )
        yield replace(line, change=change)
    for line in old.values():
        yield replace(line, change=LineChange.REMOVED, open_quantity=Decimal(0))


def _invoice_line(row: Payload, line: Line) -> InvoiceLine:
    return InvoiceLine(
        number=line["number"],
        quantity=Decimal(line["quantity"]),
        unit=_unit(row["reference_number"], line),
        price=Decimal(line["price"]),
        item=_item(line),
        order_number=line.get("order_number") or "",
    )


def _taxes(row: Payload) -> Iterator[Tax]:
    for line in json.loads(row["taxes"] or "[]"):
        rate, amount, base = (Decimal(line[name]) for name in ("rate", "amount", "base"))
        category = TaxCategory.STANDARD if rate else TaxCategory.NOT_TAXABLE
        yield Tax(rate, abs(amount), abs(base), category)


def _item(line: Line) -> Item:
    return Item(
        buyer_number=line.get("item") or "",
        seller_number=line.get("supplier_item") or "",
        description=line.get("description") or "",
    )


def _unit(number: str, line: Line) -> str:
    if not line.get("unit"):
        raise Unmapped(
            f"{number}, line {line['number']}: the unit {line.get('uom')!r} has no X12 code in "
            "lookups/edi_units.csv. Add it there; units are never guessed.",
            record=number,
        )
    return str(line["unit"])


def _buyer(row: Payload) -> Party:
    return Party(Role.BUYER, name=row["company_name"] or row["company"], number=row["company"])


def _ship_to(row: Payload) -> Party:
    return Party(
        Role.SHIP_TO,
        name=row["ship_to_name"] or row["company_name"] or row["company"],
        number=row["ship_to"] or row["company"],
        streets=_texts(row["ship_to_street"]),
        city=row["ship_to_city"] or "",
        postal_code=row["ship_to_postal_code"] or "",
        country=row["ship_to_country"] or "",
    )


def _seller(row: Payload) -> Party:
    return Party(
        Role.SELLER,
        name=row["supplier_name"] or "",
        number=row["supplier_number"],
        scheme=Scheme.BUYER,
        streets=_texts(row["supplier_street"]),
        city=row["supplier_city"] or "",
        postal_code=row["supplier_postal_code"] or "",
        country=row["supplier_country"] or "",
    )


def _texts(text: str | None) -> tuple[str, ...]:
    return (text,) if text else ()
