"""Supplier invoices, credit and debit adjustments, prepayments, and the payments that close them."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import date, timedelta

from mlc_sandbox.world.company import BUILDERS, Company, cents, month, post_period, times
from mlc_sandbox.world.countries import CURRENCY_NAMES
from mlc_sandbox.world.documents import (
    Document,
    Line,
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
from mlc_sandbox.world.master import account_ref, branch, subaccount_row, subaccounts
from mlc_sandbox.world.orders import Receipt, part
from mlc_sandbox.world.parties import Party, supplier_parties, vat_zone
from mlc_sandbox.world.store import Row, Table

# Credit and debit adjustments are settled against invoices, not paid.
PAID_TYPES = ("Invoice", "Prepayment")


@dataclass(slots=True)
class Payment:
    """A payment of supplier or customer invoices of one party and currency."""

    type: str
    number: str
    party: Party
    day: date
    currency: str
    status: str
    documents: list[Document]
    branch: str

    @property
    def key(self) -> str:
        """Type and number."""
        return f"{self.type}|{self.number}"


def _fill_invoices(company: Company, table: Table) -> None:
    rng = company.rng("supplierInvoice")
    suppliers = supplier_parties(company)
    receipts = [r.facts for r in company.table("purchaseReceipt") if r.facts.status == "Released"]
    for index in range(company.count(400)):
        receipt = receipts[index // 2] if index % 2 == 0 and index // 2 < len(receipts) else None
        age = rng.uniform(0, 729)
        if receipt is not None:
            age = max(0.0, (company.base.date() - receipt.day).days - rng.uniform(0, 6))
        # A few are never released, whatever their age: the ones that may vanish.
        status = rng.choice(("Hold", "Balanced")) if index % 25 == 7 else ""
        invoice = make_invoice(company, rng, rng.choice(suppliers), age, receipt, status=status)
        stamp = company.touched(rng, age)
        table.add(invoice.key, invoice, stamp, min(stamp, company.day_start(age)))


def make_invoice(
    company: Company,
    rng: random.Random,
    party: Party,
    age: float,
    receipt: Receipt | None,
    *,
    status: str = "",
) -> Document:
    """One supplier document; with a receipt it invoices exactly what was received."""
    kind = "Invoice"
    if receipt is None and (draw := rng.random()) < 0.11:
        kind = "CreditAdj" if draw < 0.07 else "DebitAdj" if draw < 0.09 else "Prepayment"
    status = status or status_by_age(age, rng)
    if receipt is not None:
        party = receipt.order.party
        lines = [
            _receipt_invoice_line(company, receipt, i, entry)
            for i, entry in enumerate(receipt.lines, start=1)
        ]
    else:
        account, vat = company.account[party.role], vat_index(company, rng, party)
        lines = [
            make_line(company, rng, party, currency=party.currency, account=account, vat=vat)
            for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4, 6)))
        ]
        if len(lines) > 2 and rng.random() < 0.3:
            lines[-1].vat = len(company.country.vat) - 1
    day = company.day(age)
    document = Document(
        kind,
        company.number(f"invoice/{kind}"),
        party,
        day,
        due(day, party),
        party.currency,
        status,
        lines,
        rng.choice(("1", "1", "1", "2")),
        f"{rng.randint(1000, 9_999_999)}",
        None,
        rng.randrange(10_000),
    )
    if status == "Closed":
        document.closed = settled(company, rng, document)
    if document.draw % 3 == 0:
        document.text = f"{company.country.invoice_text} {document.reference} – {lines[0].text}"
    return document


def settled(company: Company, rng: random.Random, document: Document) -> date:
    """The day a closed document was paid: around its due date, not in the future."""
    return min(company.base.date(), document.due + timedelta(days=rng.choice((-2, 0, 0, 0, 3, 9))))


def _receipt_invoice_line(company: Company, receipt: Receipt, number: int, entry: tuple[int, int]) -> Line:
    index, quantity = entry
    item = receipt.order.lines[index]
    amount = part(item, quantity)
    return replace(
        item.line,
        quantity=quantity,
        amount=amount,
        base=times(amount, company.rate(receipt.order.currency), 1_000_000),
        order=(receipt.order.number, index + 1),
        receipt=(receipt.number, number),
    )


def _invoice_row(company: Company, document: Document) -> Row:
    details = vat_of(company, document.lines)
    gross, _ = total(company, document)
    row = header(company, document)
    row |= {
        "supplier": {
            "internalId": 3000 + document.party.index,
            "number": document.party.number,
            "name": document.party.name,
        },
        "date": document.day,
        "dueDate": document.due,
        "payDate": document.due,
        "postPeriod": post_period(document.day),
        "approvalStatus": "ApprovedInApproval" if document.released else "New",
        "amount": cents(gross),
        "vatAmount": cents(sum(part.tax for part in details)),
        "withholdingTax": 0,
        "withholdingTaxInCurrency": 0,
        "roundingDiffInCurrency": 0,
        "curyRetainageTotal": 0,
        "curyRetainageUnreleasedAmt": 0,
        "supplierReference": document.reference,
        "supplierTaxZone": vat_zone(company, document.party.country),
        "taxCalculationMode": "TaxSetting",
        "paySelected": False,
        "retainageApply": False,
        "documentVersionNumber": 1 + document.draw % 3,
        "taxDetailLines": tax_rows(details),
        "landedCosts": [],
        "attachments": attachment(company, f"{document.type}-{document.number}") if document.draw % 2 else [],
        "approvalDetails": {"comment": "Godkjent"} if document.released else {},
        "invoiceLines": [
            _invoice_line(company, document, n, line) for n, line in enumerate(document.lines, start=1)
        ],
    }
    if document.text:
        row["description"] = document.text
    if document.draw % 4 == 0:
        row["paymentRefNo"] = f"{document.draw:04d}{document.number}7"
    return row


def _invoice_line(company: Company, document: Document, number: int, line: Line) -> Row:
    row = invoice_line_row(company, number, line, "unitCost", "cost")
    row |= {
        "stockItem": line.account.role in {"goods", "inventory"},
        "transactionDescription": line.text,
        "discountUnitCost": 0,
        "discountUnitCostInCurrency": 0,
        "branchNumber": branch(company, document.branch),
        "prebookAccount": account_ref(company.account["prepaid"]),
        "prebookSubaccount": subaccount_row(company, subaccounts(company.country)[0]),
        "attachments": [],
        "retainagePct": 0,
        "curyRetainageAmt": 0,
    }
    if line.project:
        row["project"] = project_ref(company, line.project)
        row["projectTask"] = {"internalId": 500 + line.project, "id": "10", "description": "Utførelse"}
    if line.order is not None and line.receipt is not None:
        row["poNumber"], row["poLineNr"] = line.order
        row["poReceiptNbr"], row["poReceiptLineNbr"] = line.receipt
    return row


def _fill_payments(company: Company, table: Table) -> None:
    fill_payments(company, table, "supplierInvoice", ("supplier payment", 700_001))


def fill_payments(company: Company, table: Table, entity: str, series: tuple[str, int]) -> None:
    """Pay every closed document, up to three of a party and currency with one payment."""
    rng = company.rng(table.name)
    waiting: dict[tuple[str, str], list[Document]] = {}
    paid: list[list[Document]] = []
    for record in company.table(entity):
        document = record.facts
        if document.status != "Closed" or document.type not in PAID_TYPES:
            continue
        group = waiting.setdefault((document.party.number, document.currency), [])
        group.append(document)
        if len(group) >= rng.choice((1, 1, 2, 3)):
            paid.append(waiting.pop((document.party.number, document.currency)))
    for documents in paid + list(waiting.values()):
        payment = make_payment(documents, company.number(*series))
        table.add(payment.key, payment, company.touched(rng, (company.base.date() - payment.day).days))


def make_payment(documents: list[Document], number: str) -> Payment:
    """One payment that settles all the documents in full."""
    day = max(document.closed or document.due for document in documents)
    first = documents[0]
    return Payment("Payment", number, first.party, day, first.currency, "Closed", documents, first.branch)


def _payment_row(company: Company, payment: Payment) -> Row:
    amounts = [total(company, document)[0] for document in payment.documents]
    text, symbol = CURRENCY_NAMES[payment.currency]
    released = payment.status not in {"Hold", "Balanced"}
    return {
        "type": payment.type,
        "documentType": payment.type,
        "refNbr": payment.number,
        "status": payment.status,
        "hold": payment.status == "Hold",
        "applicationDate": payment.day,
        "applicationPeriod": month(payment.day),
        "paymentRef": f"R{payment.number}",
        "supplier": {
            "internalId": 3000 + payment.party.index,
            "number": payment.party.number,
            "name": payment.party.name,
        },
        "location": {"countryId": payment.party.country, "id": "MAIN", "name": "Primary Location"},
        "paymentMethod": "1",
        "cashAccount": company.account["bank_eur" if payment.currency == "EUR" else "bank"].number,
        "currency": {
            "id": payment.currency,
            "description": text,
            "symbol": symbol,
            "isBaseCurrency": payment.currency == company.currency,
            "decimalPrecision": 2,
            "isUsedForAccounting": True,
        },
        "description": f"Betaling {payment.party.name}"[:60],
        "paymentAmount": cents(sum(amounts)),
        "financeCharges": 0,
        "balance": cents(0 if released else sum(amounts)),
        "unappliedBalance": 0,
        "appliedAmount": cents(sum(amounts)),
        "released": released,
        "branch": payment.branch,
        "paymentLines": [
            {
                "branch": document.branch,
                "docType": document.type,
                "invoiceRefNbr": document.number,
                "amountPaid": cents(amount),
                "cashDiscountTaken": 0,
                "withholdingTax": 0,
                "applicationPeriod": month(payment.day),
                "date": document.day,
                "dueDate": document.due,
                "balance": 0,
                "cashDiscountBalance": 0,
                "currency": document.currency,
                "postPeriod": post_period(document.day),
                "supplierRef": document.reference,
            }
            for document, amount in zip(payment.documents, amounts, strict=True)
        ],
    }


BUILDERS.update(
    supplierInvoice=(_fill_invoices, _invoice_row), supplierPayment=(_fill_payments, _payment_row)
)
