"""What happens in the ERP while time passes: records change, arrive, are re-stamped, one draft vanishes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from mlc_sandbox.world.accounting import batch_of, post
from mlc_sandbox.world.company import BUILDERS, Company
from mlc_sandbox.world.documents import UNRELEASED, Document, priced
from mlc_sandbox.world.orders import Receipt, make_order
from mlc_sandbox.world.parties import Party, customer_parties, supplier_parties
from mlc_sandbox.world.payables import Payment, make_invoice, make_payment
from mlc_sandbox.world.people import make_card
from mlc_sandbox.world.receivables import make_sale
from mlc_sandbox.world.store import Record, Row, Table

CHANGE_SHARE, RESTAMP_SHARE, ADD_SHARE = 0.01, 0.003, 0.005
MASTERS = ("supplier", "customer", "employee", "account", "subaccount")
_MODULE = {
    "supplierInvoice": "ModuleAP",
    "supplierPayment": "ModuleAP",
    "customerinvoice": "ModuleAR",
    "customerCreditNote": "ModuleAR",
    "customerPayment": "ModuleAR",
}


def pass_day(companies: Sequence[Company], rng: random.Random) -> dict[str, dict[str, int]]:
    """One day in every company; the clock has moved already. Returns counts per company.

    About 1 % of the records really change, some are re-stamped without a change, a few arrive in every
    document entity, and exactly one unreleased supplier invoice of the whole ERP is deleted.
    """
    counts = {company.code: _company_day(company, rng) for company in companies}
    drafts = [(company, record) for company in companies for record in _drafts(company)]
    if drafts:
        company, record = rng.choice(drafts)
        company.table("supplierInvoice").delete(record.key)
        counts[company.code]["deleted"] = 1
    return counts


def _drafts(company: Company) -> list[Record]:
    """Unreleased supplier invoices that were there before this day."""
    before = company.clock.now() - company.clock.passed
    table = company.table("supplierInvoice")
    return [r for r in table if r.created < before and table.row(r)["status"] in UNRELEASED]


def _company_day(company: Company, rng: random.Random) -> dict[str, int]:
    counts: Counter[str] = Counter()
    expected = sum(len(company.table(entity)) for entity in BUILDERS) * (
        CHANGE_SHARE + RESTAMP_SHARE + ADD_SHARE
    )
    moments = _moments(company, rng, expected + 60)
    for entity in (*ADDERS, *MASTERS[:2]):
        table = company.table(entity)
        records = table.sorted()
        for record in rng.sample(records, min(len(records), max(1, round(len(records) * CHANGE_SHARE)))):
            counts["changed"] += change(company, entity, record, rng, next(moments))
        for record in rng.sample(records, min(len(records), max(1, round(len(records) * RESTAMP_SHARE)))):
            table.touch(record, next(moments))
            counts["restamped"] += 1
    for entity, adder in ADDERS.items():
        for _ in range(max(2, round(len(company.table(entity)) * ADD_SHARE))):
            counts["added"] += adder(company, rng, next(moments)) is not None
    return dict(counts) | {"deleted": 0}


def _moments(company: Company, rng: random.Random, expected: float) -> Iterator[datetime]:
    """Rising moments of the day that passed, never after now."""
    now = company.clock.now()
    moment = now - company.clock.passed
    while True:
        moment = min(now, moment + company.clock.passed * rng.uniform(0, 2) / expected)
        yield moment


def add(company: Company, entity: str, rng: random.Random) -> Record | None:
    """Add one plausible record as of now; None when nothing is waiting for one (no open invoice to pay)."""
    adder = ADDERS.get(entity)
    if adder is None:
        raise KeyError(f"The sandbox cannot invent a new {entity}; it can for {', '.join(ADDERS)}.")
    return adder(company, rng, company.clock.now())


def drift(
    company: Company, entity: str, rng: random.Random, *, restamp: int, delete: int, insert: int
) -> None:
    """Move the ground under a reader: between two pages rows are re-stamped, vanish and arrive."""
    table, now = company.table(entity), company.clock.now()
    candidates = [r for r in table if entity in MASTERS or table.row(r).get("status") in UNRELEASED]
    for record in rng.sample(candidates, min(delete, len(candidates))):
        table.delete(record.key)
    records = table.sorted()
    for record in rng.sample(records, min(restamp, len(records))):
        table.touch(record, now)
    for _ in range(insert):
        add(company, entity, rng)


def change(company: Company, entity: str, record: Record, rng: random.Random, now: datetime) -> bool:
    """Really change a record: an amount or status where that is allowed, else an address, a text, a date."""
    table, facts = company.table(entity), record.facts
    if record.row is None and isinstance(facts, Document):
        _change_document(company, entity, facts, rng, now)
        table.touch(record, now)
        return True
    row = table.row(record)
    field, value = _other_change(company, entity, row, rng, now)
    table.change(record, {field: value}, now)
    return True


def _change_document(
    company: Company, entity: str, facts: Document, rng: random.Random, now: datetime
) -> None:
    if facts.status == "Open":
        facts.due += timedelta(days=rng.choice((7, 14, 30)))
        facts.text = f"Ny forfallsdato {facts.due}"
    elif facts.released:
        facts.text = f"Endret {now:%Y-%m-%d} nr. {rng.randint(1000, 9999)}"
    elif facts.status == "Balanced" and rng.random() < 0.5:
        facts.status = "Open"
        _book(company, entity, facts, now)
    else:
        line = facts.lines[0]
        line.quantity += 100 * rng.randint(1, 5)
        priced(company, line, facts.currency)


def _other_change(
    company: Company, entity: str, row: Row, rng: random.Random, now: datetime
) -> tuple[str, Any]:
    if entity in {"supplier", "customer"}:
        street = f"{rng.choice(company.country.streets)} {rng.randint(181, 399)}"
        return "mainAddress", {**row["mainAddress"], "addressLine1": street}
    if entity == "timeCard" and row["status"] == "Open":
        return "status", "Approved"
    field = {
        "purchaseReceipt": "supplierRef",
        "customerPayment": "invoiceText",
        "supplierInvoice": "description",
        "employee": "department",
        "timeCard": "approvalStatusText",
    }.get(entity, "description")
    return field, f"Endret {now:%Y-%m-%d} nr. {rng.randint(1000, 9999)}"


def _book(company: Company, entity: str, source: Document | Payment, now: datetime) -> None:
    """Journal batch and balances of a document or payment released now."""
    batch = batch_of(company, source, _MODULE[entity])
    company.table("journaltransaction").add(batch.key, batch, now)
    post(company, batch, now)


def _insert(table: Table, key: str, facts: Any, now: datetime) -> Record:
    return table.add(key, facts, now, now)


def _there(company: Company, entity: str, parties: Sequence[Party]) -> list[Party]:
    """Those that have not been deleted or given another number: nothing new names them."""
    return [party for party in parties if party.number in company.table(entity)]


def _add_supplier_invoice(company: Company, rng: random.Random, now: datetime) -> Record:
    party = rng.choice(_there(company, "supplier", supplier_parties(company)))
    status = rng.choice(("Hold", "Balanced", "Open", "Open"))
    invoice = make_invoice(company, rng, party, company.age_now(), None, status=status)
    if invoice.released:
        _book(company, "supplierInvoice", invoice, now)
    return _insert(company.table("supplierInvoice"), invoice.key, invoice, now)


def _add_sale(entity: str, kind: str) -> Callable[[Company, random.Random, datetime], Record]:
    def adder(company: Company, rng: random.Random, now: datetime) -> Record:
        status = rng.choice(("Hold", "Balanced", "Open", "Open"))
        party = rng.choice(_there(company, "customer", customer_parties(company)))
        sale = make_sale(company, rng, party, company.age_now(), kind, status=status)
        if sale.released:
            _book(company, entity, sale, now)
        return _insert(company.table(entity), sale.key, sale, now)

    return adder


def _add_payment(
    entity: str, pays: str, series: str
) -> Callable[[Company, random.Random, datetime], Record | None]:
    def adder(company: Company, rng: random.Random, now: datetime) -> Record | None:
        table = company.table(pays)
        waiting = [
            r for r in table if r.row is None and r.facts.status == "Open" and r.facts.type == "Invoice"
        ]
        if not waiting:
            return None
        record = rng.choice(waiting)
        payments = company.table(entity)  # built before its number series is used
        record.facts.status, record.facts.closed = "Closed", now.date()
        table.touch(record, now)
        payment = make_payment([record.facts], company.number(series))
        _book(company, entity, payment, now)
        return _insert(payments, payment.key, payment, now)

    return adder


def _add_order(company: Company, rng: random.Random, now: datetime) -> Record:
    receipts = company.table("purchaseReceipt")
    party = rng.choice(_there(company, "supplier", supplier_parties(company)))
    order = make_order(company, rng, party, company.age_now())
    for receipt in order.receipts:
        _insert(receipts, receipt.number, receipt, now)
    return _insert(company.table("purchaseorder"), order.key, order, now)


def _add_receipt(company: Company, rng: random.Random, now: datetime) -> Record | None:
    orders, receipts = company.table("purchaseorder"), company.table("purchaseReceipt")
    waiting = [
        (record, lines)
        for record in orders
        if record.row is None
        and record.facts.status == "Open"
        and (lines := _outstanding(record.facts.lines))
    ]
    if not waiting:
        return None
    record, lines = rng.choice(waiting)
    order = record.facts
    receipt = Receipt(company.number("receipt"), "PoReceipt", "Released", order, now.date(), lines)
    order.receipts.append(receipt)
    for index, quantity in lines:
        order.lines[index].received += quantity
    orders.touch(record, now)
    return _insert(receipts, receipt.number, receipt, now)


def _outstanding(lines: Sequence[Any]) -> list[tuple[int, int]]:
    left = [(index, item.line.quantity - item.received) for index, item in enumerate(lines)]
    return [(index, quantity) for index, quantity in left if quantity > 0]


def _add_card(company: Company, rng: random.Random, now: datetime) -> Record:
    table = company.table("timeCard")
    monday = now.date() - timedelta(days=now.weekday())
    card = make_card(company, rng.randint(1, len(company.table("employee"))), monday, status="Open")
    return _insert(table, card.number, card, now)


ADDERS: dict[str, Callable[[Company, random.Random, datetime], Record | None]] = {
    "supplierInvoice": _add_supplier_invoice,
    "supplierPayment": _add_payment("supplierPayment", "supplierInvoice", "supplier payment"),
    "purchaseorder": _add_order,
    "purchaseReceipt": _add_receipt,
    "customerinvoice": _add_sale("customerinvoice", "Invoice"),
    "customerCreditNote": _add_sale("customerCreditNote", "CreditNote"),
    "customerPayment": _add_payment("customerPayment", "customerinvoice", "customer payment"),
    "timeCard": _add_card,
}
