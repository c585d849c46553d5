"""Invoices and credit notes: 810 (vendor sheet x12.md, section 6). Amounts come from the ERP; none is
calculated here.
"""

from mlc_dagster.x12 import parts
from mlc_dagster.x12.dialect import Dialect
from mlc_dagster.x12.documents import Invoice, InvoiceKind, InvoiceLine, Purpose, Role, Tax, TaxCategory
from mlc_dagster.x12.draft import Draft
from mlc_dagster.x12.structure import Loop
from mlc_dagster.x12.syntax import Segment

_CREDITS = frozenset({"CR", "CN"})
_NOTE_WIDTH = 80
# BIG08; none is an original, as most partners have it. A change carries the whole invoice, so it replaces.
_PURPOSES = {Purpose.ORIGINAL: None, Purpose.CHANGE: "05", Purpose.CANCEL: "01"}
# X12 has no code for a reverse charge: "not taxable" and this note, by agreement (sheet, section 6).
REVERSE_CHARGE = "REVERSE CHARGE"


def draft(invoice: Invoice, dialect: Dialect) -> Draft:
    """The segments of an invoice between ST and SE."""
    draft = Draft("810", invoice.number, dialect)
    credit = invoice.kind is InvoiceKind.CREDIT_NOTE
    sign = -1 if credit and dialect.credit_sign == "negative" else 1
    kind = "CR" if credit else "DI"
    order = (invoice.order_date, invoice.order_number)
    purpose = _PURPOSES[invoice.purpose]
    draft.add("BIG", invoice.issued_on, invoice.number, *order, None, None, kind, purpose)
    _write_notes(draft, invoice)
    draft.add("CUR", "SE", invoice.currency)
    if invoice.original_invoice:
        draft.add("REF", "OI", invoice.original_invoice)
    parts.write_header_party(draft, invoice.parties, Role.SELLER)
    parts.write_parties(draft, invoice.parties, heading=Role.SELLER)
    parts.write_terms(draft, invoice.terms)
    if invoice.shipped_on:
        draft.add("DTM", "011", invoice.shipped_on)
    for line in invoice.lines:
        _write_line(draft, line, sign)
    draft.add("TDS", invoice.total * sign)
    for tax in invoice.taxes:
        parts.write_tax(draft, tax, sign)
    parts.write_charges(draft, invoice.charges, sign, taxed=True)
    draft.add("CTT", len(invoice.lines))
    return draft


def _write_notes(draft: Draft, invoice: Invoice) -> None:
    reversed_charge = any(tax.category is TaxCategory.REVERSE_CHARGE for tax in _all_taxes(invoice))
    for note in ((REVERSE_CHARGE,) if reversed_charge else ()) + invoice.notes:
        for piece in draft.texts("NTE 02", note, _NOTE_WIDTH):
            draft.add("NTE", "GEN", piece)


def _all_taxes(invoice: Invoice) -> list[Tax]:
    return [*invoice.taxes, *(tax for line in invoice.lines for tax in line.taxes)]


def _write_line(draft: Draft, line: InvoiceLine, sign: int) -> None:
    basis = parts.price_basis(draft, line.price, line.price_per, line.unit)
    ids = parts.item_ids(draft, line.item)
    draft.add("IT1", line.number, line.quantity * sign, line.unit, line.price, basis, *ids)
    for tax in line.taxes:
        parts.write_tax(draft, tax, sign)
    parts.write_description(draft, line.item)
    if line.order_number:
        draft.add("REF", "PO", line.order_number)
    parts.write_charges(draft, line.charges, sign, taxed=True)


def read(root: Loop, dialect: Dialect) -> Invoice:
    """The invoice of an accepted 810. A negative total makes it a credit note, whose amounts are turned
    positive.
    """
    heading = root.first("BIG") or Segment("BIG")
    total = parts.needed(parts.money(root.first("TDS") or Segment("TDS"), 1), "TDS 01")
    credit = heading.text(7) in _CREDITS or total < 0
    agreed = -1 if credit and dialect.credit_sign == "negative" else 1
    sign = agreed if total == 0 else -1 if total < 0 else 1
    currency = root.first("CUR")
    notes = [segment.text(2) for segment in root.all("NTE")]
    reversed_charge = REVERSE_CHARGE in notes
    taxes = (_known(parts.read_tax(tax, dialect, sign), reversed_charge) for tax in root.all("TXI"))
    return Invoice(
        number=heading.text(2),
        issued_on=parts.needed_day(heading, 1),
        currency=currency.text(2) if currency else "",
        total=total * sign,
        lines=tuple(_read_line(loop, dialect, sign, reversed_charge) for loop in root.inner("IT1")),
        parties=parts.read_parties(root, Role.SELLER),
        kind=InvoiceKind.CREDIT_NOTE if credit else InvoiceKind.INVOICE,
        purpose=parts.purpose(heading, 8) if heading.text(8) else Purpose.ORIGINAL,
        order_number=heading.text(4),
        order_date=parts.day(heading, 3),
        original_invoice=parts.reference(root, "OI"),
        shipped_on=parts.day(parts.qualified(root.all("DTM"), "011")),
        terms=parts.read_terms(root),
        taxes=tuple(taxes),
        charges=parts.read_charges(root, dialect, sign),
        notes=tuple(note for note in notes if note != REVERSE_CHARGE),
    )


def _known(tax: Tax, reversed_charge: bool) -> Tax:
    if reversed_charge and tax.category is TaxCategory.NOT_TAXABLE:
        return Tax(tax.rate, tax.amount, tax.base, TaxCategory.REVERSE_CHARGE)
    return tax


def _read_line(loop: Loop, dialect: Dialect, sign: int, reversed_charge: bool) -> InvoiceLine:
    head = loop.rows[0].segment
    return InvoiceLine(
        number=head.text(1),
        quantity=parts.quantity(head, 2) * sign,
        unit=head.text(3),
        price=parts.quantity(head, 4),
        item=parts.read_item(head, 6, loop),
        price_per=parts.price_per(head, 5),
        taxes=tuple(_known(parts.read_tax(tax, dialect, sign), reversed_charge) for tax in loop.all("TXI")),
        charges=parts.read_charges(loop, dialect, sign),
        order_number=parts.reference(loop, "PO"),
    )
