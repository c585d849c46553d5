"""Employees and their time cards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from mlc_sandbox.world.company import BUILDERS, Company
from mlc_sandbox.world.countries import COUNTRY_NAMES
from mlc_sandbox.world.documents import project_ref
from mlc_sandbox.world.master import branch
from mlc_sandbox.world.store import Row, Table

WEEKS = 12


@dataclass(slots=True)
class Card:
    """One employee's week; minutes per weekday for each project."""

    number: str
    employee: int
    monday: date
    status: str
    work: list[tuple[int, list[int]]]


def _fill_employees(company: Company, table: Table) -> None:
    rng = company.rng("employee")
    for index in range(1, company.count(40, 12) + 1):
        table.add(f"E{index:05d}", index, company.touched(rng, rng.uniform(0, 1200)))


def _employee_row(company: Company, index: int) -> Row:
    postal_code, city = company.country.places[index % len(company.country.places)].split("/")
    return {
        "employeeUserId": company.uuid(f"user/{index}"),
        "employeeId": 2000 + index,
        "employeeNumber": f"E{index:05d}",
        "employeeName": f"Employee {index}",
        "status": "Inactive" if index % 19 == 0 else "Active",
        "department": company.country.departments[index % len(company.country.departments)],
        "contact": {
            "employeeContact": f"Employee {index}",
            "firstName": "Employee",
            "lastName": str(index),
            "contactId": 60_000 + index,
            "email": f"employee{index}@{company.code.lower()}.example",
        },
        "address": {
            "addressId": 61_000 + index,
            "addressLine1": f"{company.country.streets[index % len(company.country.streets)]} {index}",
            "postalCode": postal_code,
            "city": city,
            "country": {"id": company.country.id, "name": COUNTRY_NAMES[company.country.id]},
        },
        "employeeClass": {"id": "STANDARD", "description": "Fast ansatt"},
        "branch": branch(company, company.branches[index % 2]),
        "calendarID": company.country.id,
        "employeeLogin": f"employee{index}",
        "workGroupDescription": [],
    }


def _fill_cards(company: Company, table: Table) -> None:
    rng = company.rng("timeCard")
    today = company.base.date()
    this_monday = today - timedelta(days=today.weekday())
    for back in range(WEEKS):
        monday = this_monday - timedelta(weeks=back)
        for employee in range(1, min(len(company.table("employee")), 200) + 1, 3):
            card = make_card(
                company, employee, monday, status="Released" if back > 3 else "Approved" if back else "Open"
            )
            table.add(card.number, card, company.touched(rng, max(0.0, 7.0 * back - 2)))


def make_card(company: Company, employee: int, monday: date, *, status: str) -> Card:
    """A plausible week of an employee."""
    rng = company.rng(f"card/{employee}/{monday}")
    count = len(company.country.projects)
    work = [
        (rng.randrange(count), [rng.choice((0, 120, 240, 450)) for _ in range(5)] + [0, 0])
        for _ in range(rng.randint(1, 3))
    ]
    return Card(company.number("card", 1).zfill(8), employee, monday, status, work)


_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _card_row(company: Company, card: Card) -> Row:
    year, week, _ = card.monday.isocalendar()
    spent = sum(sum(minutes) for _, minutes in card.work)
    approved = card.status in {"Approved", "Released"}
    approval = "ApprovedInApproval" if approved else "New"
    return {
        "refNbr": card.number,
        "status": card.status,
        "approvalStatus": approval,
        "week": {"number": f"{year}{week:02d}", "description": f"{year}-{week:02d} ({card.monday:%d.%m})"},
        # A string here, a number everywhere else (vendors/visma.md section 6).
        "employee": {
            "internalId": str(2000 + card.employee),
            "number": f"E{card.employee:05d}",
            "name": f"Employee {card.employee}",
        },
        "type": "Normal",
        "timeSpent": spent,
        "invoiceable": sum(sum(minutes) for project, minutes in card.work if project),
        "overtimeSpent": 0,
        "invoiceableOvertime": 0,
        "totalTimeSpent": spent,
        "invoiceableTotalTime": sum(sum(minutes) for project, minutes in card.work if project),
        "summary": [
            {
                "lineNumber": number,
                "lineId": company.uuid(f"card/{card.number}/{number}"),
                "earningType": {
                    "code": "RG",
                    "description": "Ordinær tid",
                    "isOvertime": False,
                    "isBillable": bool(project),
                },
                "project": project_ref(company, project),
                **dict(zip(_DAYS, minutes, strict=True)),
                "timeSpent": sum(minutes),
                "invoiceable": bool(project),
                "description": company.country.projects[project],
                "approvalStatus": approval,
            }
            for number, (project, minutes) in enumerate(card.work, start=1)
        ],
        "materials": [],
    }


BUILDERS.update(employee=(_fill_employees, _employee_row), timeCard=(_fill_cards, _card_row))
