"""Journal batches made from the documents, manual ones besides, and the balances they add up to."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from mlc_sandbox.world.company import BUILDERS, Company, cents, fine, month, post_period
from mlc_sandbox.world.countries import Account
from mlc_sandbox.world.documents import Document, total, vat_of
from mlc_sandbox.world.master import Subaccount, account_ref, branch, subaccount_row, subaccounts
from mlc_sandbox.world.payables import Payment
from mlc_sandbox.world.store import Row, Table

# Documents that lower what is owed instead of raising it.
_REVERSED = frozenset({"DebitAdj", "CreditNote"})
POSTED = "Posted"


class Posting(NamedTuple):
    """One journal line in hundredths; debit positive, credit negative; base and document currency."""

    account: Account
    sub: Subaccount
    base: int
    amount: int
    reference: str
    text: str


@dataclass(slots=True)
class Batch:
    """A journal batch. Lines come from its document or payment, or stand in `lines`."""

    module: str
    number: str
    day: date
    currency: str
    status: str
    branch: str
    text: str
    source: Document | Payment | None = None
    lines: tuple[Posting, ...] = ()

    @property
    def key(self) -> str:
        """Module and number: every module has its own numbers, so numbers repeat over modules."""
        return f"{self.module}|{self.number}"


def postings(company: Company, batch: Batch) -> tuple[Posting, ...]:
    """The balanced lines of a batch."""
    if isinstance(batch.source, Document):
        return tuple(_of_document(company, batch.source))
    if isinstance(batch.source, Payment):
        return tuple(_of_payment(company, batch.source))
    return batch.lines


def _of_document(company: Company, document: Document) -> Iterator[Posting]:
    supplier = document.type not in {"Invoice", "CreditNote"} or document.lines[0].account.type != "Income"
    sign = (1 if supplier else -1) * (-1 if document.type in _REVERSED else 1)
    reference, none = document.number, subaccounts(company.country)[0]
    for line in document.lines:
        yield Posting(line.account, line.sub, sign * line.base, sign * line.amount, reference, line.text)
    for part in vat_of(company, document.lines):
        if part.base_tax or part.tax:
            account = company.account["vat_in" if supplier else "vat_out"]
            yield Posting(account, none, sign * part.base_tax, sign * part.tax, reference, part.description)
    gross, base = total(company, document)
    account = company.account["payable" if supplier else "receivable"]
    yield Posting(account, none, -sign * base, -sign * gross, reference, document.party.name)


def _of_payment(company: Company, payment: Payment) -> Iterator[Posting]:
    totals = [total(company, document) for document in payment.documents]
    gross, base = sum(amount for amount, _ in totals), sum(amount for _, amount in totals)
    supplier = payment.documents[0].lines[0].account.type != "Income"
    sign, none = 1 if supplier else -1, subaccounts(company.country)[0]
    debt, bank = company.account["payable" if supplier else "receivable"], company.account["bank"]
    yield Posting(debt, none, sign * base, sign * gross, payment.number, payment.party.name)
    yield Posting(bank, none, -sign * base, -sign * gross, payment.number, payment.party.name)


_SOURCES = (
    ("supplierInvoice", "ModuleAP"),
    ("supplierPayment", "ModuleAP"),
    ("customerinvoice", "ModuleAR"),
    ("customerCreditNote", "ModuleAR"),
    ("customerPayment", "ModuleAR"),
)


def batch_of(company: Company, source: Document | Payment, module: str, status: str = POSTED) -> Batch:
    """The batch that the release of a document or payment creates."""
    return Batch(
        module,
        company.number(f"batch/{module}", 1).zfill(6),
        source.day,
        source.currency,
        status,
        source.branch,
        f"{source.type} {source.number}",
        source,
    )


def _fill_journal(company: Company, table: Table) -> None:
    rng = company.rng("journaltransaction")
    today = company.base.date()
    for entity, module in _SOURCES:
        for record in company.table(entity):
            source = record.facts
            if source.status in {"Hold", "Balanced", "Voided"}:
                continue
            age = (today - source.day).days
            status = "Unposted" if age < 4 and rng.random() < 0.3 else POSTED
            batch = batch_of(company, source, module, status)
            table.add(batch.key, batch, company.touched(rng, age))
    for batch in _manual(company, rng):
        table.add(batch.key, batch, company.touched(rng, (today - batch.day).days))


def _manual(company: Company, rng: random.Random) -> Iterator[Batch]:
    """Payroll by month; depreciation by asset in two batches; one draft."""
    people = company.count(40, 12)
    for number in range(company.payrolls):
        day = company.day(12 + 30.4 * number)
        lines = [line for person in range(people) for line in _payroll(company, rng, person)]
        yield _manual_batch(company, day, f"Lønn {company.country.months[day.month - 1]}", lines, rng)
    for age, assets in zip((400, 45), company.assets, strict=True):
        lines = [line for asset in range(assets) for line in _depreciation(company, rng, asset)]
        yield _manual_batch(company, company.day(age), "Avskrivninger anlegg", lines, rng)
    draft = [line for asset in range(3) for line in _depreciation(company, rng, asset)]
    yield _manual_batch(company, company.day(1), "Periodisering, utkast", draft, rng, status="Hold")


def _manual_batch(
    company: Company, day: date, text: str, lines: list[Posting], rng: random.Random, *, status: str = POSTED
) -> Batch:
    number = company.number("batch/ModuleGL", 1).zfill(6)
    site = rng.choice(company.branches)
    return Batch("ModuleGL", number, day, company.currency, status, site, text, None, tuple(lines))


def _payroll(company: Company, rng: random.Random, person: int) -> Iterator[Posting]:
    subs = subaccounts(company.country)
    sub = subs[person % len(subs)]
    gross = rng.randint(3_200_000, 8_900_000)
    tax, employer, holiday = gross * 31 // 100, gross * 141 // 1000, gross * 12 // 100
    entries = (
        ("salary", gross),
        ("holiday", holiday),
        ("employer_tax", employer),
        ("withholding", -tax),
        ("social", -employer),
        ("accrued", -holiday),
        ("bank", tax - gross),
    )
    for role, amount in entries:
        yield Posting(
            company.account[role], sub, amount, amount, f"P{person + 1:04d}", f"Employee {person + 1}"
        )


def _depreciation(company: Company, rng: random.Random, asset: int) -> Iterator[Posting]:
    subs = subaccounts(company.country)
    sub, amount = subs[asset % len(subs)], rng.randint(12_345, 987_654)
    for role, sign in (("depreciation", 1), ("inventory", -1)):
        yield Posting(
            company.account[role], sub, sign * amount, sign * amount, f"A{asset:05d}", f"Anlegg {asset}"
        )


def _batch_row(company: Company, batch: Batch) -> Row:
    lines = postings(company, batch)
    debit, debit_currency = (
        sum(max(0, getattr(line, name)) for line in lines) for name in ("base", "amount")
    )
    return {
        "module": batch.module,
        "batchNumber": batch.number,
        "status": batch.status,
        "hold": batch.status == "Hold",
        "transactionDate": batch.day,
        "postPeriod": post_period(batch.day),
        "financialPeriod": month(batch.day),
        "ledger": "ACTUAL",
        "ledgerDescription": "Hovedbok",
        "currencyId": batch.currency,
        "exchangeRate": fine(company.rate(batch.currency) // 100),
        "autoReversing": False,
        "reversingEntry": False,
        "description": batch.text,
        "debitTotal": cents(debit),
        "debitTotalInCurrency": cents(debit_currency),
        "creditTotal": cents(debit),
        "creditTotalInCurrency": cents(debit_currency),
        "controlTotal": cents(debit),
        "controlTotalInCurrency": cents(debit_currency),
        "createVatTransaction": False,
        "skipVatAmountValidation": False,
        "branch": batch.branch,
        "attachments": [],
        "journalTransactionLines": [
            {
                "lineNumber": number,
                "accountNumber": line.account.number,
                "description": line.account.name,
                "subaccount": subaccount_row(company, line.sub),
                "referenceNumber": line.reference,
                "debitAmount": cents(max(0, line.base)),
                "debitAmountInCurrency": cents(max(0, line.amount)),
                "creditAmount": cents(max(0, -line.base)),
                "creditAmountInCurrency": cents(max(0, -line.amount)),
                "transactionDescription": line.text,
                "branch": batch.branch,
                "module": batch.module,
                "quantity": 0,
            }
            for number, line in enumerate(lines, start=1)
        ],
    }


@dataclass(slots=True)
class Balance:
    """One account, subaccount, branch and period, in hundredths of the base currency; credit is negative."""

    branch: str
    period: str
    account: Account
    sub: Subaccount
    debit: int
    credit: int
    opening: int

    @property
    def closing(self) -> int:
        """Year to date."""
        return self.opening + self.debit - self.credit


def balance_key(company: Company, site: str, period: str, account: Account, sub: Subaccount) -> str:
    """Branch, ledger, period, account, subaccount, currency (vendors/visma.md section 6, natural key)."""
    return "|".join((site, "ACTUAL", period, account.number, sub.number, company.currency))


def _fill_balances(company: Company, table: Table) -> None:
    sums: dict[tuple[str, str, str], dict[str, Balance]] = {}
    for record in company.table("journaltransaction"):
        batch: Batch = record.facts
        if batch.status != POSTED:
            continue
        period = month(batch.day)
        for line in postings(company, batch):
            by_period = sums.setdefault((batch.branch, line.account.number, line.sub.number), {})
            balance = by_period.get(period)
            if balance is None:
                balance = by_period[period] = Balance(batch.branch, period, line.account, line.sub, 0, 0, 0)
            _add(balance, line.base)
    rng = company.rng("generalLedgerBalance")
    for by_period in sums.values():
        _carry_forward(by_period)
        for balance in by_period.values():
            # Last written when the last document of the period was posted, days after its end.
            settled = (company.base.date() - _last_day(balance.period)).days - rng.uniform(0, 12)
            stamp = company.day_start(max(rng.random(), settled))
            key = balance_key(company, balance.branch, balance.period, balance.account, balance.sub)
            table.add(key, balance, stamp)


def _last_day(period: str) -> date:
    following = date(int(period[:4]), int(period[4:]), 1) + timedelta(days=32)
    return following.replace(day=1) - timedelta(days=1)


def _add(balance: Balance, base: int) -> None:
    if base >= 0:
        balance.debit += base
    else:
        balance.credit -= base


def _carry_forward(by_period: dict[str, Balance]) -> None:
    """Opening balances: the last closing one; income and expense start every year at nothing."""
    before: Balance | None = None
    for period in sorted(by_period):
        balance = by_period[period]
        if before is not None:
            keeps = balance.account.type in {"Asset", "Liability"} or before.period[:4] == period[:4]
            balance.opening = before.closing if keeps else 0
        before = balance


def post(company: Company, batch: Batch, now: datetime) -> None:
    """Add a new posted batch to the balances of its (current) period and stamp them."""
    table = company.table("generalLedgerBalance")
    period = month(batch.day)
    for line in postings(company, batch):
        key = balance_key(company, batch.branch, period, line.account, line.sub)
        record = table.get(key)
        if record is None:
            opening = _last_closing(table, company, batch.branch, period, line)
            record = table.add(key, Balance(batch.branch, period, line.account, line.sub, 0, 0, opening), now)
        if record.row is None:
            _add(record.facts, line.base)
        table.touch(record, now)


def _last_closing(table: Table, company: Company, site: str, period: str, line: Posting) -> int:
    year, number = int(period[:4]), int(period[4:])
    keeps = line.account.type in {"Asset", "Liability"}
    for back in range(1, 25):
        months = year * 12 + number - 1 - back
        earlier = f"{months // 12:04d}{months % 12 + 1:02d}"
        if not keeps and earlier[:4] != period[:4]:
            return 0
        record = table.get(balance_key(company, site, earlier, line.account, line.sub))
        if record is not None and record.row is None:
            return int(record.facts.closing)
    return 0


def _balance_row(company: Company, balance: Balance) -> Row:
    amounts = {
        "periodToDateDebit": cents(balance.debit),
        "periodToDateCredit": cents(balance.credit),
        "beginningBalance": cents(balance.opening),
        "yearToDateBalance": cents(balance.closing),
    }
    return {
        "branch": branch(company, balance.branch),
        "ledger": {"id": "ACTUAL", "description": "Hovedbok"},
        "balanceType": "Actual",
        "financialPeriod": balance.period,
        "account": account_ref(balance.account),
        "subaccount": {"subaccountNumber": balance.sub.number, "subaccountId": balance.sub.id},
        "subaccountId": str(balance.sub.id),
        "subAccountCd": balance.sub.number,
        "currencyId": company.currency,
        **amounts,
        **{f"{name}InCurrency": amount for name, amount in amounts.items()},
        "yearClosed": int(balance.period[:4]) < company.base.year,
    }


BUILDERS.update(
    journaltransaction=(_fill_journal, _batch_row),
    generalLedgerBalance=(_fill_balances, _balance_row),
)
