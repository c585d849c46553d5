"""Master data of the ledger: accounts, subaccounts, dimensions, branches, ledgers, periods."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from mlc_sandbox.world.company import BUILDERS, Company
from mlc_sandbox.world.countries import COUNTRY_NAMES, CURRENCY_NAMES, Account, Country
from mlc_sandbox.world.store import Row, Table

ITEMS = ("A1", "A2", "B10", "B22", "C100", "C205", "D7", "K15", "M3", "R40")


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


def _second_site(company: Company) -> str:
    return company.country.places[4].split("/")[1]


def _fill_accounts(company: Company, table: Table) -> None:
    rng = company.rng("account")
    for index, account in enumerate(company.accounts):
        table.add(account.number, (index, account), company.base - timedelta(days=rng.uniform(20, 900)))


def _account_row(_: Company, facts: tuple[int, Account]) -> Row:
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
    account=(_fill_accounts, _account_row),
    subaccount=(_fill_subaccounts, _plain),
    dimension=(_fill_dimensions, _dimension_row),
    branch=(_fill_branches, _branch_row),
    ledger=(_fill_ledgers, _ledger_row),
    financialPeriod=(_fill_periods, _period_row),
)
