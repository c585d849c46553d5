"""Suppliers and customers: names, places, currencies, and their rows."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlc_sandbox.world.company import BUILDERS, Company
from mlc_sandbox.world.countries import ABROAD, COUNTRY_NAMES, LONG_NAME
from mlc_sandbox.world.master import account_ref, subaccounts
from mlc_sandbox.world.store import Row, Table

TERMS = ((14, "14", "Netto 14"), (30, "30", "Netto 30"), (45, "45", "Netto 45"), (10, "10", "Netto 10"))
_SMALLER_ROLES = "freight rent power cleaning tools software repairs consulting office phone travel"


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
    roles = ("goods subcontract " * 4 + _SMALLER_ROLES).split()
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
                index,
                str(first + index),
                name,
                home,
                city,
                postal_code,
                street,
                currency,
                rng.choice(TERMS),
                rng.choice(("Active",) * 18 + ("OnHold", "Inactive")),
                "".join(str(rng.randint(0, 9)) for _ in range(11)),
                rng.choice(roles),
            )
        )
    return made


def supplier_parties(company: Company) -> list[Party]:
    """The suppliers in number order, as first written."""
    return [record.facts for record in company.table("supplier")]


def customer_parties(company: Company) -> list[Party]:
    """The customers in number order, as first written."""
    return [record.facts for record in company.table("customer")]


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


BUILDERS.update(supplier=(_fill_suppliers, _supplier_row), customer=(_fill_customers, _customer_row))
