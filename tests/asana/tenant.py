"""An organisation of the sandbox's Asana, and an installation of ours that delivers rows to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from mlc_dagster.asana.connect import Asana
from mlc_dagster.clock import Clock
from mlc_dagster.delivery import Report, Row
from mlc_dagster.delivery.errors import Closed
from mlc_dagster.settings.asana import AsanaSettings
from mlc_sandbox.asana.store import Field, Section, Story, Task, User
from mlc_sandbox.asana.world import World
from tests.support.our_side import OurSide
from tests.support.parts import TestParts

INVOICES, ORDERS, LINES = "asana/supplier_invoices", "asana/purchase_orders", "asana/purchase_order_lines"
DAY = date(2026, 11, 20)


def invoice(number: str, amount: str = "100.00", company: str = "NO01", **changes: Any) -> Row:
    """A row of asana/supplier_invoices."""
    payload = {
        "code": f"{company}|Invoice|{number}",
        "company": company,
        "title": f"Invoice {number} Blåbær AS",
        "notes": "Tannhjul & ærlig stål",
        "line_table": "1 | Tannhjul | 2 stk | 100",
        "line_count": 1,
        "due_date": DAY + timedelta(days=30),
        "board_section": "Open",
        "ended": False,
        "ending": None,
        "assignee": None,
        "supplier_number": "50000",
        "supplier_name": "Blåbær AS",
        "document_type": "Invoice",
        "reference_number": number,
        "supplier_reference": f"F-{number}",
        "status": "Open",
        "amount": Decimal(amount).quantize(Decimal("0.0001")),
        "balance": Decimal(amount).quantize(Decimal("0.0001")),
        "currency": "NOK",
        "account": "4000",
        "cost_centre": "100",
        "branch": "1",
        "erp_project": None,
    }
    return Row(payload["code"], f"Invoice|{number}", number, {**payload, **changes})


def order(number: str, amount: str = "250.00", company: str = "NO01", **changes: Any) -> Row:
    """A row of asana/purchase_orders."""
    code = f"{company}|RegularOrder|{number}"
    payload = {
        "code": code,
        "company": company,
        "title": f"Order {number} Blåbær AS",
        "notes": None,
        "line_table": "1 | Tannhjul | 2 stk | 250",
        "line_count": 1,
        "promised_on": DAY,
        "board_section": "Open",
        "ended": False,
        "ending": None,
        "assignee": None,
        "supplier_number": "50000",
        "supplier_name": "Blåbær AS",
        "document_type": "RegularOrder",
        "order_number": number,
        "status": "Open",
        "amount": Decimal(amount).quantize(Decimal("0.0001")),
        "currency": "NOK",
        "account": "4000",
        "cost_centre": "100",
        "branch": "1",
        "erp_project": None,
    }
    return Row(code, f"RegularOrder|{number}", number, {**payload, **changes})


def line(number: str, position: int, **changes: Any) -> Row:
    """A row of asana/purchase_order_lines."""
    parent = f"NO01|RegularOrder|{number}"
    payload = {
        "code": f"{parent}|{position}",
        "purchase_order": parent,
        "title": f"{position} | Tannhjul | 2 stk | 250 NOK",
        "notes": "Item: T-1",
        "due_date": DAY,
        "ended": False,
    }
    return Row(payload["code"], f"RegularOrder|{number}", number, {**payload, **changes})


@dataclass(frozen=True)
class Card:
    """A task as people see it. fields: by their name in Asana, empty ones left out."""

    name: str
    section: str | None
    completed: bool
    assignee: str | None
    due_on: date | None
    notes: str
    fields: Mapping[str, Any]
    comments: tuple[str, ...]


def cards(world: World, project: str, key_field: str = "SupplierInvoiceId") -> dict[str, Card]:
    """The tasks of a project that carry a key, by key; two with one key are a mistake."""
    found: dict[str, Card] = {}
    for task in world.all(Task):
        if project in task.places and task.trashed is None:
            card = card_of(world, task, project)
            key = card.fields.get(key_field)
            if key is not None:
                assert key not in found, f"two tasks carry {key}"
                found[str(key)] = card
    return found


def card_of(world: World, task: Task, project: str | None = None) -> Card:
    section = world.get(Section, task.places.get(project)) if project else None
    stories = [world.get(Story, gid) for gid in task.stories]
    comments = [str(story.text) for story in stories if story.kind == "comment_added"]
    user = world.get(User, task.assignee)
    return Card(
        task.name,
        section.name if section else None,
        task.completed,
        user.email if user else None,
        task.due_on,
        task.notes,
        {world.get(Field, gid).name: _shown(world, gid, value) for gid, value in task.values.items()},
        tuple(comments),
    )


def _shown(world: World, field: str, value: Any) -> Any:
    options = {option.gid: option.name for option in world.get(Field, field).options}
    return options.get(value, value) if isinstance(value, str) else value


@dataclass
class Installation(OurSide):
    """Our side: a database, settings and the parts that deliver. Made anew it is another process."""

    url: str
    engine: sa.Engine
    clock: Clock
    places: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    main = INVOICES

    @property
    def asana(self) -> Asana:
        parts: dict[str, Any] = {
            name: {"project": self.places[name]} for name in ("purchase_orders", "supplier_invoices")
        }
        for name, more in self.options.get("destinations", {}).items():
            parts[name] = more if "project_by" in more else {**parts[name], **more}
        own = {name: value for name, value in self.options.items() if name != "destinations"}
        settings = AsanaSettings.model_validate(
            {
                "api_url": f"{self.url}/asana/api/1.0",
                "oauth_url": f"{self.url}/asana/-",
                "auth": {"method": "pat", "token": "${ASANA_TOKEN}"},
                "workspace": self.places["workspace"],
                "destinations": parts,
                **own,
            }
        )
        return Asana(settings, TestParts(self.engine, self.clock))

    target = asana

    def set_up(self) -> bool:
        setup = self.asana.setup
        return setup.apply(setup.plan())

    def heal(self, work: Callable[[], Report]) -> Report:
        """Run until everything has arrived, as the resume sensor and the retry of an asset do."""
        for _ in range(8):
            try:
                report = work()
                if report.complete:
                    return report
            except Closed as closed:
                self.wait(closed)
        raise AssertionError("it never came to an end")
