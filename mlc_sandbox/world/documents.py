"""What supplier and customer documents have in common: lines, VAT, totals that add up to the cent."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta

from mlc_sandbox.world.company import Company, cents, fine, month, times
from mlc_sandbox.world.countries import Account
from mlc_sandbox.world.master import ITEMS, Subaccount, account_ref, branch, subaccount_row, subaccounts
from mlc_sandbox.world.parties import Party
from mlc_sandbox.world.store import Row

UNRELEASED = frozenset({"Hold", "Balanced"})
TEXTS = (
    "vedlikehold",
    "leie",
    "månedlig avtale",
    "tjenester",
    "materiell",
    "frakt",
    "lisens",
    "prøver, æsker og bånd",
)


@dataclass(slots=True)
class Line:
    """A document line. Quantity in hundredths, unit price in ten-thousandths, amounts in hundredths."""

    item: str | None
    text: str
    quantity: int
    unit: int
    amount: int  # document currency
    base: int  # base currency
    account: Account
    sub: Subaccount
    vat: int  # index into the country's VAT codes
    project: int
    uom: str
    order: tuple[str, int] | None = None  # purchase order number and line
    receipt: tuple[str, int] | None = None


@dataclass(slots=True)
class Document:
    """A supplier or customer invoice, credit note and the like, as generated."""

    type: str
    number: str
    party: Party
    day: date
    due: date
    currency: str
    status: str
    lines: list[Line]
    branch: str
    reference: str
    text: str | None
    draw: int  # decides which optional sections are there
    closed: date | None = None  # the day its payment settled it

    @property
    def key(self) -> str:
        """Type and number: the same number lives under several types (vendors/visma.md section 13.3)."""
        return f"{self.type}|{self.number}"

    @property
    def released(self) -> bool:
        """Unreleased documents may still change, vanish, and are not posted."""
        return self.status not in UNRELEASED


@dataclass(slots=True)
class Vat:
    """One VAT rate's part of a document, in document and base currency."""

    code: str
    description: str
    percent: int
    taxable: int
    tax: int
    base_taxable: int
    base_tax: int


def vat_of(company: Company, lines: list[Line]) -> list[Vat]:
    """VAT per rate, computed once from the sum of its lines, so that header and details agree."""
    totals: dict[int, list[int]] = {}
    for line in lines:
        total = totals.setdefault(line.vat, [0, 0])
        total[0] += line.amount
        total[1] += line.base
    details = []
    for index, (taxable, base) in sorted(totals.items()):
        code, description, percent = company.country.vat[index]
        details.append(
            Vat(
                code,
                description,
                percent,
                taxable,
                times(taxable, percent, 100),
                base,
                times(base, percent, 100),
            )
        )
    return details


def make_line(
    company: Company, rng: random.Random, party: Party, *, currency: str, account: Account, vat: int
) -> Line:
    """One plausible line: a tenth have prices with four decimals, some have no item."""
    unit = rng.randint(5, 90_000) * 100 if rng.random() < 0.7 else rng.randint(1_000, 45_000_000)
    if rng.random() >= 0.1:
        unit -= unit % 100
    quantity = rng.choice((100, 100, 100, 200, 300, 500, 1_000, 2_400, 50, 150, 1_275))
    return priced(
        company,
        Line(
            item=rng.choice(ITEMS) if rng.random() < 0.4 else None,
            text=f"{rng.choice(company.country.trades)} {rng.choice(TEXTS)}",
            quantity=quantity,
            unit=unit,
            amount=0,
            base=0,
            account=account,
            sub=rng.choice(subaccounts(company.country)),
            vat=vat,
            project=rng.randint(0, 2) and rng.randrange(len(company.country.projects)),
            uom=company.country.units[party.index % len(company.country.units)],
        ),
        currency,
    )


def priced(company: Company, line: Line, currency: str) -> Line:
    """Set the line's amounts from quantity and unit price."""
    line.amount = times(line.quantity, line.unit, 10_000)
    line.base = times(line.amount, company.rate(currency), 1_000_000)
    return line


def vat_index(company: Company, rng: random.Random, party: Party) -> int:
    """Standard rate mostly at home; the last, zero code across the border."""
    if party.country != company.country.id:
        return len(company.country.vat) - 1
    return 0 if rng.random() < 0.85 else rng.randrange(len(company.country.vat))


def due(day: date, party: Party) -> date:
    """By the party's credit terms."""
    return day + timedelta(days=party.terms[0])


def invoice_line_row(company: Company, number: int, line: Line, price: str, amount: str) -> Row:
    """Fields that supplier and customer invoice lines share; `price` and `amount` are the vendor's names."""
    rate_base = times(line.unit, line.base, line.amount) if line.amount else line.unit
    row: Row = {
        "lineNumber": number,
        "quantity": cents(line.quantity),
        price: fine(rate_base),
        f"{price}InCurrency": fine(line.unit),
        amount: cents(line.base),
        f"{amount}InCurrency": cents(line.amount),
        "uom": line.uom,
        "discountPercent": 0,
        "discountAmount": 0,
        "discountAmountInCurrency": 0,
        "manualDiscount": False,
        "account": account_ref(line.account),
        "subaccount": subaccount_row(company, line.sub),
        "vatCode": {"id": company.country.vat[line.vat][0], "description": company.country.vat[line.vat][1]},
    }
    if line.item:
        row["inventoryNumber"] = line.item
    return row


def project_ref(company: Company, index: int) -> Row:
    """PRJ of the sheet."""
    return {"internalId": 400 + index, "id": f"P{index:02d}", "description": company.country.projects[index]}


def header(company: Company, document: Document) -> Row:
    """Header fields that supplier and customer invoices share. Totals agree with lines and VAT details."""
    details = vat_of(company, document.lines)
    net, base_net = (sum(getattr(line, name) for line in document.lines) for name in ("amount", "base"))
    vat, base_vat = sum(part.tax for part in details), sum(part.base_tax for part in details)
    exempt = sum(part.taxable for part in details if part.percent == 0)
    base_exempt = sum(part.base_taxable for part in details if part.percent == 0)
    open_share = document.status not in {"Closed", "Voided"}
    row: Row = {
        "referenceNumber": document.number,
        "documentType": document.type,
        "status": document.status,
        "hold": document.status == "Hold",
        "financialPeriod": month(document.day),
        "origInvoiceDate": document.day,
        "currencyId": document.currency,
        "exchangeRate": fine(company.rate(document.currency) // 100),
        "detailTotal": cents(base_net),
        "detailTotalInCurrency": cents(net),
        "vatTotal": cents(base_vat),
        "vatTotalInCurrency": cents(vat),
        "vatTaxableTotal": cents(base_net - base_exempt),
        "vatTaxableTotalInCurrency": cents(net - exempt),
        "vatExemptTotal": cents(base_exempt),
        "vatExemptTotalInCurrency": cents(exempt),
        "discountTotal": 0,
        "discountTotalInCurrency": 0,
        "cashDiscount": 0,
        "cashDiscountInCurrency": 0,
        "roundingDiff": 0,
        "balance": cents(base_net + base_vat if open_share else 0),
        "balanceInCurrency": cents(net + vat if open_share else 0),
        "location": {"countryId": document.party.country, "id": "MAIN", "name": "Primary Location"},
        "branchNumber": branch(company, document.branch),
        "cashAccount": company.account["bank_eur" if document.currency == "EUR" else "bank"].number,
    }
    if document.draw % 5:
        row["creditTerms"] = {"id": document.party.terms[1], "description": document.party.terms[2]}
        row["paymentMethod"] = {"id": "1", "description": "Bank"}
    if document.draw % 6 == 0:
        row["note"] = "Kontrollert. Særskilt avtale, se vedlegg – «rammeavtale 2»."
    if document.closed is not None:
        row["closedFinancialPeriod"] = month(document.closed)
    return row


def total(company: Company, document: Document) -> tuple[int, int]:
    """Gross total in document and base currency, in hundredths."""
    details = vat_of(company, document.lines)
    return (
        sum(part.taxable + part.tax for part in details),
        sum(part.base_taxable + part.base_tax for part in details),
    )


def tax_rows(details: list[Vat]) -> list[Row]:
    """TaxDetailDto lines, in document currency."""
    return [
        {
            "taxId": part.code,
            "recordId": number,
            "vatId": {"number": part.code, "description": part.description},
            "vatRate": part.percent,
            "taxableAmount": cents(part.taxable),
            "vatAmount": cents(part.tax),
        }
        for number, part in enumerate(details, start=1)
    ]


def attachment(company: Company, name: str) -> list[Row]:
    """One attached file."""
    return [{"name": f"{name}.pdf", "id": company.uuid(f"file/{name}"), "revision": 1}]


def status_by_age(age: float, rng: random.Random) -> str:
    """The status of an invoice by its age: old ones are settled, young ones may still be unreleased."""
    draw = rng.random()
    if age < 12:
        return "Hold" if draw < 0.2 else "Balanced" if draw < 0.45 else "Open"
    if age < 50:
        return "Balanced" if draw < 0.04 else "Open" if draw < 0.7 else "Closed"
    return "Hold" if draw < 0.006 else "Open" if draw < 0.05 else "Voided" if draw < 0.06 else "Closed"
