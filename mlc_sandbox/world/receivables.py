"""Customer invoices, credit notes and customer payments."""

from __future__ import annotations

import random
from typing import Any

from mlc_sandbox.world.company import BUILDERS, Company, cents, month, times
from mlc_sandbox.world.documents import (
    Document,
    attachment,
    due,
    header,
    invoice_line_row,
    make_line,
    project_ref,
    status_by_age,
    tax_rows,
    total,
    vat_index,
    vat_of,
)
from mlc_sandbox.world.master import account_ref, branch
from mlc_sandbox.world.parties import Party, customer_parties, vat_zone
from mlc_sandbox.world.payables import Payment, fill_payments, settled
from mlc_sandbox.world.store import Row, Table


def _fill(company: Company, table: Table, kind: str, count: int) -> None:
    rng = company.rng(table.name)
    customers = customer_parties(company)
    for _ in range(count):
        age = rng.uniform(0, 729)
        document = make_sale(company, rng, rng.choice(customers), age, kind)
        stamp = company.touched(rng, age)
        table.add(document.key, document, stamp, min(stamp, company.day_start(age)))


def make_sale(
    company: Company, rng: random.Random, party: Party, age: float, kind: str, *, status: str = ""
) -> Document:
    """One customer document of type Invoice or CreditNote."""
    status = status or status_by_age(age, rng)
    home = party.country == company.country.id
    role = rng.choice(("sales_goods", "sales_goods", "sales_service")) if home else "sales_export"
    vat = vat_index(company, rng, party)
    lines = [
        make_line(company, rng, party, currency=party.currency, account=company.account[role], vat=vat)
        for _ in range(rng.choice((1, 1, 2, 3, 4) if kind == "Invoice" else (1, 1, 2)))
    ]
    day = company.day(age)
    document = Document(
        kind,
        company.number(f"sale/{kind}", 300_001),
        party,
        day,
        due(day, party),
        party.currency,
        status,
        lines,
        rng.choice(("1", "1", "2")),
        f"PO-{rng.randint(1000, 99_999)}",
        None,
        rng.randrange(10_000),
    )
    if status == "Closed":
        document.closed = settled(company, rng, document)
    if document.draw % 4 == 0:
        document.text = f"Takk for handelen, {party.city}"
    return document


def _row(company: Company, document: Document) -> Row:
    details = vat_of(company, document.lines)
    gross, base = total(company, document)
    row = header(company, document)
    row |= {
        "customer": {"number": document.party.number, "name": document.party.name},
        "documentDate": document.day,
        "documentDueDate": document.due,
        # Six digits YYYYMM here, MMYYYY on supplier documents (vendors/visma.md section 13.5).
        "postPeriod": month(document.day),
        "amount": cents(base),
        "amountInCurrency": cents(gross),
        "customerRefNumber": document.reference,
        "paymentReference": f"{int(document.number) * 97 % 10**9:09d}",
        "customerVatZone": {"id": vat_zone(company, document.party.country)["id"]},
        "account": account_ref(company.account["receivable"]),
        "taxDetails": tax_rows(details),
        "attachments": attachment(company, f"AR-{document.type}-{document.number}")
        if document.draw % 2
        else [],
        "applications": [],
        "dunningLetterLevel": 0,
        "invoiceAddress": {
            "overrideAddress": False,
            "addressId": 37_000 + document.party.index,
            "addressLine1": document.party.street,
            "postalCode": document.party.postal_code,
            "city": document.party.city,
            "country": {"id": document.party.country},
        },
        "invoiceContact": {"overrideContact": False, "businessName": document.party.name},
        "dontPrint": True,
        "dontEmail": False,
        "revoked": False,
        "project": project_ref(company, document.draw % 8),
        _lines_name(document): [
            _line(company, document, number, line) for number, line in enumerate(document.lines, start=1)
        ],
    }
    if document.text:
        row["invoiceText"] = document.text
    if document.draw % 7 == 0:
        row["externalReference"] = f"EXT-{document.number}"
    return row


def _lines_name(document: Document) -> str:
    return "invoiceLines" if document.type == "Invoice" else "lines"


def _line(company: Company, document: Document, number: int, line: Any) -> Row:
    row = invoice_line_row(company, number, line, "unitPrice", "amount")
    row |= {
        "description": line.text,
        "cost": cents(times(line.base, 62, 100)),
        "branchNumber": branch(company, document.branch),
        "attachments": [],
    }
    if line.item:
        row["soOrderType"], row["soOrderNbr"] = "SO", f"{900_000 + int(document.number) % 90_000}"
    return row


def _fill_invoices(company: Company, table: Table) -> None:
    _fill(company, table, "Invoice", company.count(300))


def _fill_credit_notes(company: Company, table: Table) -> None:
    _fill(company, table, "CreditNote", company.count(40))


def _fill_payments(company: Company, table: Table) -> None:
    fill_payments(company, table, "customerinvoice", ("customer payment", 800_001))


def _payment_row(company: Company, payment: Payment) -> Row:
    amounts = [total(company, document) for document in payment.documents]
    gross, base = sum(amount for amount, _ in amounts), sum(amount for _, amount in amounts)
    return {
        "type": payment.type,
        "refNbr": payment.number,
        "status": payment.status,
        "hold": payment.status == "Hold",
        "applicationDate": payment.day,
        "applicationPeriod": month(payment.day),
        "paymentRef": f"K{payment.number}",
        "customer": {"number": payment.party.number, "name": payment.party.name},
        "location": {"countryId": payment.party.country, "id": "MAIN", "name": "Primary Location"},
        "paymentMethod": {"id": "BANK", "description": "Bank"},
        "cashAccount": company.account["bank_eur" if payment.currency == "EUR" else "bank"].number,
        "currency": payment.currency,
        "paymentAmount": cents(base),
        "paymentAmountInCurrency": cents(gross),
        "appliedToDocuments": cents(base),
        "appliedToOrders": 0,
        "availableBalance": 0,
        "availableBalanceInCurrency": 0,
        "writeOffAmount": 0,
        "financeCharges": 0,
        "deductedCharges": 0,
        "branch": payment.branch,
        "paymentLines": [
            {
                "documentType": document.type,
                "refNbr": document.number,
                "amountPaid": cents(amount),
                "cashDiscountTaken": 0,
                "balanceWriteOff": 0,
                "date": document.day,
                "dueDate": document.due,
                "balance": 0,
                "currency": document.currency,
                "postPeriod": month(document.day),
                "crossRate": 1,
            }
            for document, (amount, _) in zip(payment.documents, amounts, strict=True)
        ],
        "ordersToApply": [],
        "financialDetails": {"paymentDate": payment.day},
    }


BUILDERS.update(
    customerinvoice=(_fill_invoices, _row),
    customerCreditNote=(_fill_credit_notes, _row),
    customerPayment=(_fill_payments, _payment_row),
)
