"""Master data: accounts, subaccounts, dimensions, branches, ledgers, periods, suppliers, customers."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from mlc_sandbox.world.company import BUILDERS, Company
from mlc_sandbox.world.countries import ABROAD, COUNTRY_NAMES, CURRENCY_NAMES, LONG_NAME, Account, Country
from mlc_sandbox.world.store import Row, Table

TERMS = ((14, "14", "Netto 14"), (30, "30", "Netto 30"), (45, "45", "Netto 45"), (10, "10", "Netto 10"))
ITEMS = ("A1", "A2", "B10", "B22", "C100", "C205", "D7", "K15", "M3", "R40")


@dataclass(slots=True)
class Party:
    """A supplier or customer, as its documents refer to it."""

    index: int
    number: str
    name: str
    country: str
    city: str
    postal_code: str
    street: str
    currency: str
    terms: tuple[int, str, str]
    status: str
    account: str
    role: str  # account role of what it sells or buys


@dataclass(frozen=True, slots=True)
class Subaccount:
    """One combination of cost centre and project."""

    id: int
    centre: int
    project: int

    @property
    def number(self) -> str:
        """The segments, joined as the ERP shows them."""
        return f"{self.centre:03d}-{self.project:02d}"


@cache
def subaccounts(country: Country) -> tuple[Subaccount, ...]:
    """Every cost centre without project, and the project combinations in use."""
    return tuple(
        Subaccount(1000 + 10 * centre + project, 100 + 10 * centre, project)
        for centre in range(len(country.departments))
        for project in range(len(country.projects))
        if project == 0 or (centre + project) % 3 == 0
    )


def subaccount_row(company: Company, sub: Subaccount) -> Row:
    """SUB of the sheet, without the system fields that nested ones do without."""
    return _subaccount_row(company.country, sub)


@cache
def _subaccount_row(country: Country, sub: Subaccount) -> Row:
    centre = country.departments[(sub.centre - 100) // 10]
    project = country.projects[sub.project]
    return {
        "subaccountNumber": sub.number,
        "subaccountId": sub.id,
        "description": centre if sub.project == 0 else f"{centre} - {project}",
        "active": True,
        "segments": [
            {
                "segmentId": 1,
                "segmentDescription": "Avdeling",
                "segmentValue": f"{sub.centre:03d}",
                "segmentValueDescription": centre,
            },
            {
                "segmentId": 2,
                "segmentDescription": "Prosjekt",
                "segmentValue": f"{sub.project:02d}",
                "segmentValueDescription": project,
            },
        ],
    }


def branch(company: Company, number: str) -> Row:
    """NN of a branch."""
    return {
        "number": number,
        "name": company.name if number == "1" else f"{company.name}, {_second_site(company)}",
    }


def account_ref(account: Account) -> Row:
    """ACC of the sheet."""
    return {"type": account.type, "number": account.number, "description": account.name}


def vat_zone(company: Company, country: str) -> Row:
    """Domestic, EU or import."""
    if country == company.country.id:
        return {"id": "01", "description": "Innland", "defaultVatCategory": company.country.vat[0][0]}
    zone = ("02", "EU/EØS") if country in {"NO", "SE", "DK", "DE", "NL"} else ("03", "Import/eksport")
    return {"id": zone[0], "description": zone[1], "defaultVatCategory": company.country.vat[-1][0]}


def parties(company: Company, kind: str, first: int, count: int) -> list[Party]:
    """Suppliers or customers: mostly domestic, some from abroad, a few with very long names."""
    rng = company.rng(kind)
    country = company.country
    roles = [a.role for a in company.accounts if a.type == "Expense"][:2] * 4 + [
        "freight", "rent", "power", "cleaning", "tools", "software", "repairs", "consulting", "office", "phone", "travel"
    ]  # fmt: skip
    made: list[Party] = []
    for index in range(count):
        postal_code, city = rng.choice(country.places).split("/")
        street = f"{rng.choice(country.streets)} {rng.randint(1, 180)}{rng.choice(('', '', '', 'A', 'B'))}"
        trade = rng.choice(country.trades)
        name, home, currency = f"{city.split(' ')[0]} {trade} {country.suffix}", country.id, company.currency
        if index % 12 == 5:
            name, home, city, postal_code, currency = ABROAD[(index // 12) % len(ABROAD)]
        elif index % 29 == 17:
            name = LONG_NAME.format(place=city, trade=trade, suffix=country.suffix)
        elif rng.random() < 0.06:
            currency = rng.choice(("EUR", "USD", "SEK" if company.currency != "SEK" else "NOK"))
        if index >= 12 * len(country.trades):
            name = f"{name} {index}"
        made.append(
            Party(
                index, str(first + index), name, home, city, postal_code, street, currency, rng.choice(TERMS),
                rng.choice(("Active",) * 18 + ("OnHold", "Inactive")),
                "".join(str(rng.randint(0, 9)) for _ in range(11)), rng.choice(roles),
            )
        )  # fmt: skip
    return made


def supplier_parties(company: Company) -> list[Party]:
    """The suppliers in number order, as first written."""
    return [record.facts for record in company.table("supplier")]


def customer_parties(company: Company) -> list[Party]:
    """The customers in number order, as first written."""
    return [record.facts for record in company.table("customer")]


def _second_site(company: Company) -> str:
    return company.country.places[4].split("/")[1]


def _address(company: Company, party: Party, number: int) -> Row:
    address: Row = {
        "addressId": number,
        "addressLine1": party.street,
        "postalCode": party.postal_code,
        "city": party.city,
        "country": {"id": party.country, "name": COUNTRY_NAMES[party.country]},
    }
    if party.index % 4 == 0:
        address["addressLine2"] = f"c/o {company.country.departments[party.index % 10]}"
    return address


def _contact(company: Company, party: Party, number: int) -> Row:
    host = "".join(letter for letter in party.name.lower() if letter.isascii() and letter.isalnum())[:24]
    contact: Row = {"contactId": number, "name": party.name, "email": f"faktura@{host}.example"}
    if party.index % 3:
        contact["phone1"] = f"{company.country.phone} {20_000_000 + party.index * 7919 % 79_999_999}"
    if party.index % 5 == 0:
        contact["attention"] = company.country.departments[7]
    return contact


def _party_numbers(party: Party) -> Row:
    organisation = f"{910_000_000 + party.index * 104_729 % 89_999_999}"
    vat = {"NO": f"NO{organisation}MVA", "SE": f"SE55{organisation[1:]}01", "DK": f"DK{organisation[:8]}"}
    return {
        "vatRegistrationId": vat.get(party.country, f"{party.country}{organisation}"),
        "corporateId": organisation,
    }


def _fill_suppliers(company: Company, table: Table) -> None:
    rng = company.rng("supplier stamps")
    for party in parties(company, "supplier", 50_000, company.count(60 * company.scale**-0.5, 24)):
        table.add(party.number, party, _master_stamp(company, rng))


def _master_stamp(company: Company, rng: random.Random) -> datetime:
    return company.touched(rng, rng.uniform(0, 1400))


def _supplier_row(company: Company, party: Party) -> Row:
    account = company.account[party.role]
    sub = subaccounts(company.country)[0]
    row: Row = {
        "internalId": 3000 + party.index,
        "number": party.number,
        "name": party.name,
        "status": party.status,
        "mainAddress": _address(company, party, 7000 + party.index),
        "mainContact": _contact(company, party, 8000 + party.index),
        "supplierClass": {
            "id": "1" if party.country == company.country.id else "2",
            "description": "Leverandør",
        },
        "creditTerms": {"id": party.terms[1], "description": party.terms[2]},
        "documentLanguage": {"NO": "nb-NO", "SE": "sv-SE", "DK": "da-DK"}.get(party.country, "en-GB"),
        "currencyId": party.currency,
        "paymentMethod": {"id": "1", "description": "Bank"},
        "cashAccount": company.account["bank"].number,
        "chargeBearer": "Payer" if party.country == company.country.id else "Shared",
        "accountUsedForPayment": "IBAN" if party.country != company.country.id else company.country.bank_type,
        "paymentBy": "DueDate",
        "paymentLeadTime": 0,
        "paySeparately": False,
        "location": {"countryId": party.country, "id": "MAIN", "name": "Primary Location"},
        "vatZone": vat_zone(company, party.country),
        "glAccounts": {
            "supplierAccount": account_ref(company.account["payable"]),
            "supplierSubaccount": {
                "active": True,
                "id": sub.number,
                "description": company.country.departments[0],
            },
            "expenseAccount": account_ref(account),
        },
        "attributes": [],
        "supplierPaymentMethodDetails": [
            {
                "paymentMethodDetailDescription": "Account number",
                "paymentMethodDetailValue": party.account,
                "paymentMethodDetailID": "1",
            }
        ],
        "retainageApply": False,
        "landedCostSupplier": party.role == "freight",
        "currencyOverride": False,
        "currencyRateOverride": False,
        **_party_numbers(party),
    }
    if party.index % 6 == 0:
        row["remitAddress"] = _address(company, party, 17_000 + party.index)
        row["remitContact"] = _contact(company, party, 18_000 + party.index)
    if party.index % 7 == 0:
        row["note"] = "Bruk alltid bestillingsnummer på fakturaen."
    if party.index % 9 == 0:
        row["attributes"] = [{"id": "MILJØ", "value": "ISO14001", "description": "Miljøsertifisering"}]
    return row


def _fill_customers(company: Company, table: Table) -> None:
    rng = company.rng("customer stamps")
    for party in parties(company, "customer", 10_000, company.count(70 * company.scale**-0.5, 24)):
        stamp = _master_stamp(company, rng)
        table.add(party.number, party, stamp, stamp - timedelta(days=rng.uniform(0, 300)))


def _customer_row(company: Company, party: Party) -> Row:
    row: Row = {
        "internalId": 5000 + party.index,
        "number": party.number,
        "name": party.name,
        "status": party.status,
        "mainAddress": _address(company, party, 27_000 + party.index),
        "mainContact": _contact(company, party, 28_000 + party.index),
        "invoiceAddress": _address(company, party, 37_000 + party.index),
        "invoiceContact": _contact(company, party, 38_000 + party.index),
        "deliveryAddress": _address(company, party, 47_000 + party.index),
        "deliveryContact": _contact(company, party, 48_000 + party.index),
        "customerClass": {"id": "1", "description": "Kunde"},
        "creditTerms": {"id": party.terms[1], "description": party.terms[2]},
        "currencyId": party.currency,
        "creditVerification": "Disabled" if party.index % 3 else "CreditLimit",
        "creditLimit": 0 if party.index % 3 else 250_000,
        "creditDaysPastDue": 0,
        "printInvoices": False,
        "acceptAutoInvoices": party.index % 2 == 0,
        "sendInvoicesByEmail": True,
        "printStatements": False,
        "statementType": "OpenItem",
        "location": {"countryId": party.country, "id": "MAIN", "name": "Primary Location"},
        "vatZone": vat_zone(company, party.country),
        "attributes": [],
        "glAccounts": {
            "customerLedgerAccount": account_ref(company.account["receivable"]),
            "salesAccount": account_ref(company.account["sales_goods"]),
        },
        "paymentMethods": [{"paymentMethodId": "BANK", "isDefault": True}],
        "defaultPaymentMethodId": "BANK",
        "directDebitLines": [],
        "invoiceToDefaultLocation": False,
        "excludeDebtCollection": False,
        **_party_numbers(party),
    }
    if party.index % 8 == 0:
        row["gln"] = f"70{party.index:010d}7"
    return row


def _fill_accounts(company: Company, table: Table) -> None:
    rng = company.rng("account")
    for index, account in enumerate(company.accounts):
        table.add(account.number, (index, account), company.base - timedelta(days=rng.uniform(20, 900)))


def _account_row(company: Company, facts: tuple[int, Account]) -> Row:
    index, account = facts
    row: Row = {
        "accountID": 1100 + index,
        "accountCD": account.number,
        "accountGroupCD": account.type.upper()[:3],
        "accountClass": account.role.upper()[:10],
        "type": account.type,
        "active": account.role != "interest",
        "description": account.name,
        "accountClassDescription": account.name,
        "useDefaultSub": account.type in {"Asset", "Liability"},
        "postOption": "Detail" if account.type in {"Income", "Expense"} else "Summary",
        "cashAccount": account.role in {"cash", "bank", "bank_eur"},
        "publicCode1": account.number[:4],
        "externalCode1Info": {"number": f"K{account.number[:2]}", "description": "Konsern"},
        "analisysCodeInfo": {"number": account.type[0], "description": account.type},
        "allowManualEntry": account.role not in {"payable", "receivable"},
    }
    if account.role == "bank_eur":
        row["currency"] = "EUR"
    if account.role in {"payable", "receivable"}:
        row["controlAccountModule"] = "AP" if account.role == "payable" else "AR"
    return row


def _fill_subaccounts(company: Company, table: Table) -> None:
    rng = company.rng("subaccount")
    for sub in subaccounts(company.country):
        table.add(sub.number, sub, company.base - timedelta(days=rng.uniform(20, 900)))


def _fill_dimensions(company: Company, table: Table) -> None:
    rng = company.rng("dimension")
    for index, name in enumerate(DIMENSIONS):
        stamp = company.base - timedelta(days=rng.uniform(30, 900))
        table.add(name, (index, name, stamp), stamp)


DIMENSIONS = ("ACCOUNT", "CUSTOMER", "EMPLOYEE", "INVENTORY", "PROJECT", "SUBACCOUNT", "SUPPLIER")


def _dimension_row(company: Company, facts: tuple[int, str, datetime]) -> Row:
    _, name, stamp = facts
    country = company.country
    values: list[list[tuple[str, str]]] = [[]]
    titles = [name.capitalize()]
    if name == "SUBACCOUNT":
        titles = ["Avdeling", "Prosjekt"]
        values = [
            [(f"{100 + 10 * i:03d}", text) for i, text in enumerate(country.departments)],
            [(f"{i:02d}", text) for i, text in enumerate(country.projects)],
        ]
    elif name == "PROJECT":
        values = [[(f"P{i:02d}", text) for i, text in enumerate(country.projects)]]
    elif name == "INVENTORY":
        values = [[(item, f"{country.trades[i]} {item}") for i, item in enumerate(ITEMS)]]
    segments = [
        {
            **_ids(company, f"{name}/{number}"),
            "segmentId": number,
            "description": title,
            "length": 3 if number == 1 else 2,
            "lastModified": stamp,
            "validate": bool(pairs),
            "isAutoNumber": False,
            "consolNumChar": 0,
            "consolOrder": number,
            "segmentValues": [_segment_value(company, name, number, pair, stamp) for pair in pairs],
        }
        for number, (title, pairs) in enumerate(zip(titles, values, strict=True), start=1)
    ]
    return {
        "id": name,
        "length": 5 if len(titles) == 2 else 10,
        "description": name.capitalize(),
        "segments": segments,
    }


def _segment_value(company: Company, name: str, number: int, pair: tuple[str, str], stamp: datetime) -> Row:
    value, text = pair
    return {
        **_ids(company, f"{name}/{number}/{value}"),
        "segmentId": number,
        "valueId": value,
        "description": text,
        "active": True,
        "lastModified": stamp,
    }


def _ids(company: Company, name: str) -> Row:
    return {
        "internalId": company.uuid(f"internal/{name}"),
        "publicId": company.uuid(f"public/{name}"),
        "timeStamp": "AAAAAAAAB9E=",
    }


def _fill_branches(company: Company, table: Table) -> None:
    for index, number in enumerate(company.branches):
        table.add(number, (index, number), company.base - timedelta(days=400 + index))


def _branch_row(company: Company, facts: tuple[int, str]) -> Row:
    index, number = facts
    postal_code, city = company.country.places[4 * index].split("/")
    address = {
        "addressId": 100 + index,
        "addressLine1": f"{company.country.streets[index]} {index + 1}",
        "postalCode": postal_code,
        "city": city,
        "country": {"id": company.country.id, "name": COUNTRY_NAMES[company.country.id]},
    }
    contact = {
        "contactId": 200 + index,
        "name": company.name,
        "email": f"post@{company.code.lower()}.example",
    }
    text, symbol = CURRENCY_NAMES[company.currency]
    return {
        "branchId": index + 1,
        **branch(company, number),
        "organizationId": 1,
        "isMainBranch": index == 0,
        "isActive": True,
        "corporateId": "910000000",
        "vatRegistrationId": f"{company.country.id}910000000",
        "mainAddress": address,
        "mainContact": contact,
        "deliveryAddress": address,
        "deliveryContact": contact,
        "defaultCountry": {"id": company.country.id, "name": COUNTRY_NAMES[company.country.id]},
        "industryCode": {"id": "46", "description": "Engroshandel"},
        "currency": {"id": company.currency, "description": text, "symbol": symbol},
        "vatZone": {"id": "01", "description": "Innland"},
        "ledger": {"id": "ACTUAL", "description": "Hovedbok"},
        "bankSettings": {"bankName": "Eksempelbanken", "bankCountry": company.country.id},
    }


LEDGERS = (
    ("ACTUAL", "Hovedbok", "Actual"),
    ("BUDGET", "Budsjett", "Budget"),
    ("REPORT", "Rapportering", "Report"),
)


def _fill_ledgers(company: Company, table: Table) -> None:
    for index, ledger in enumerate(LEDGERS):
        table.add(ledger[0], (index, *ledger), company.base - timedelta(days=500 + index))


def _ledger_row(company: Company, facts: tuple[int, str, str, str]) -> Row:
    index, number, description, kind = facts
    return {
        "internalId": index + 1,
        "number": number,
        "description": description,
        "balanceType": kind,
        "currencyId": company.currency,
        "consolidationSource": False,
        "branchAccounting": False,
        "postInterCompany": False,
    }


def _fill_periods(company: Company, table: Table) -> None:
    """24 months up to the current one, and the rest of the year."""
    today = company.base.date()
    for offset in range(-24, 13 - today.month):
        months = today.year * 12 + today.month - 1 + offset
        first = date(months // 12, months % 12 + 1, 1)
        table.add(f"{first:%Y%m}", (first, offset), company.base - timedelta(days=max(0, -30 * offset)))


def _period_row(company: Company, facts: tuple[date, int]) -> Row:
    first, offset = facts
    following = (first + timedelta(days=32)).replace(day=1)
    closed = offset < -3
    return {
        "year": first.year,
        "period": f"{first:%Y%m}",
        "startDate": first,
        "endDate": following - timedelta(days=1),
        "description": f"{company.country.months[first.month - 1]} {first.year}",
        "active": offset <= 0,
        "closedInSupplierLedger": closed,
        "closedInCustomerLedger": closed,
        "closedInInventoryManagement": closed,
        "closedInGeneralLedger": closed,
        "closedInCashManagement": closed,
        "closedInFixedAssets": False,
    }


def _plain(company: Company, facts: Any) -> Row:
    return subaccount_row(company, facts)


BUILDERS.update(
    supplier=(_fill_suppliers, _supplier_row),
    customer=(_fill_customers, _customer_row),
    account=(_fill_accounts, _account_row),
    subaccount=(_fill_subaccounts, _plain),
    dimension=(_fill_dimensions, _dimension_row),
    branch=(_fill_branches, _branch_row),
    ledger=(_fill_ledgers, _ledger_row),
    financialPeriod=(_fill_periods, _period_row),
)
