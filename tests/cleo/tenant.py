"""Rows of the Cleo models, and an installation of ours that sends them to a mailbox of the sandbox."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from json import dumps
from typing import Any

import pytest
import sqlalchemy as sa

from mlc_dagster.cleo.connect import Cleo
from mlc_dagster.cleo.destination import EdiFeed
from mlc_dagster.cleo.inbox import Received
from mlc_dagster.cleo.outbox import Standing
from mlc_dagster.clock import Clock
from mlc_dagster.delivery import Audit, Report, Row
from mlc_dagster.delivery.errors import Closed
from mlc_dagster.delivery.quarantine import Quarantine
from mlc_dagster.settings.cleo import CleoSettings
from tests.support.our_side import OurSide
from tests.support.parts import TestParts

ORDERS, INVOICES, RECEIPTS = "cleo/purchase_orders", "cleo/supplier_invoices", "cleo/purchase_receipts"
DAY = date(2026, 11, 20)
START = {"documents_from": date(2026, 11, 1)}
SELLER = {
    "supplier_number": "50000",
    "supplier_name": "Blåbær & Sønn AS",
    "supplier_street": "Strandgata 12",
    "supplier_city": "Bergen",
    "supplier_postal_code": "5013",
    "supplier_country": "NO",
}
PLACE = {
    "ship_to_name": "Lager Øst",
    "ship_to": "NO01-1",
    "ship_to_street": "Industriveien 7",
    "ship_to_city": "Lillestrøm",
    "ship_to_postal_code": "2000",
    "ship_to_country": "NO",
}
US = {"company": "NO01", "company_name": "Eksempelverk Norge AS", "partner": "nordedi"}


def line(number: int, quantity: str = "10", price: str | None = "125.5", **changes: Any) -> dict[str, Any]:
    """A line of an order, invoice or receipt, as the models write it."""
    return {
        "number": str(number),
        "quantity": quantity,
        "uom": "STK",
        "unit": "EA",
        "price": price,
        "item": f"SKRUE-{number}",
        "description": "Skrue M8 syrefast",
        **changes,
    }


def order(number: str, *lines: Mapping[str, Any], **changes: Any) -> Row:
    """A row of cleo/purchase_orders."""
    lines = lines or (line(1, date="2026-12-05"), line(2, "2.5", "399", date=None))
    payload = {
        **US,
        **SELLER,
        **PLACE,
        "code": f"NO01|RegularOrder|{number}",
        "order_number": number,
        "date": DAY,
        "promised_on": date(2026, 12, 5),
        "currency": "NOK",
        "line_total": _sum(lines),
        "description": "Lever til port 4",
        "standing": "open",
        "lines": dumps(lines),
    }
    return Row(payload["code"], f"RegularOrder|{number}", number, {**payload, **changes})


def invoice(number: str, *lines: Mapping[str, Any], **changes: Any) -> Row:
    """A row of cleo/supplier_invoices, with 25 % VAT."""
    lines = lines or (line(1),)
    net = _sum(lines)
    vat = (net * Decimal("0.25")).quantize(Decimal("0.01"))
    tax = {"rate": "25", "amount": str(vat), "base": str(net)}
    payload = {
        **US,
        **SELLER,
        "code": f"NO01|Invoice|{number}",
        "reference_number": number,
        "supplier_reference": f"F-{number}",
        "credit": False,
        "date": DAY,
        "due_date": date(2026, 12, 20),
        "currency": "NOK",
        "amount": (net + vat).quantize(Decimal("0.0001")),
        "order_number": None,
        "original_invoice": None,
        "supplier_vat_number": "NO987654321MVA",
        "description": "Skruer",
        "lines": dumps(lines),
        "taxes": dumps([tax]),
    }
    return Row(payload["code"], f"Invoice|{number}", number, {**payload, **changes})


def receipt(number: str, *lines: Mapping[str, Any], **changes: Any) -> Row:
    """A row of cleo/purchase_receipts."""
    lines = lines or (line(1, order_number="500001", order_line="1"),)
    payload = {
        **US,
        **SELLER,
        **PLACE,
        "code": f"NO01|{number}",
        "receipt_number": number,
        "document_number": f"NO01-{number}",
        "date": DAY,
        "standing": "open",
        "lines": dumps(lines),
    }
    return Row(payload["code"], number, number, {**payload, **changes})


def _sum(lines: Sequence[Mapping[str, Any]]) -> Decimal:
    amounts = (Decimal(each["quantity"]) * Decimal(each["price"]) for each in lines)
    return sum((amount.quantize(Decimal("0.01")) for amount in amounts), Decimal(0))


@dataclass
class Installation(OurSide):
    """Our side: a database, settings and the parts that deliver. Made anew it is another process.

    way: `rest` or `sftp` of the settings. partners: what is agreed otherwise with them, by name.
    """

    way: Mapping[str, Any]
    engine: sa.Engine
    clock: Clock
    partners: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    main = ORDERS

    @property
    def cleo(self) -> Cleo:
        partners = {
            "nordedi": {"id": "NORDEDI", "name": "Nordisk EDI-hub", **START},
            "kontinent": {
                "id": "KONTINENT",
                "name": "Kontinent Logistik GmbH",
                "charset": "latin1",
                **START,
            },
        }
        settings = CleoSettings.model_validate(
            {
                **self.way,
                "timezone": "Europe/Oslo",
                "user": "${CLEO_USER}",
                "password": "${CLEO_PASSWORD}",
                "identities": {"NO01": {"id": "MLCNO01"}, "SE01": {"id": "MLCSE01"}},
                "partners": {
                    name: {**agreed, **self.partners.get(name, {})} for name, agreed in partners.items()
                },
                "destinations": {"purchase_orders": {}, "purchase_receipts": {}, "supplier_invoices": {}},
            }
        )
        return Cleo(settings, TestParts(self.engine, self.clock))

    @property
    def quarantine(self) -> Quarantine:
        return Quarantine(self.engine, self.clock)

    target = cleo

    def deliver(self, *rows: Row, **how: Any) -> Report:  # type: ignore[override]
        return super().deliver(rows, **how)

    def receive(self) -> Received:
        """One look into the mailbox."""
        return self.cleo.inbox_for({}, None).receive("run of the mailbox")

    def file_overdue(self, name: str = ORDERS) -> list[str]:
        """File again what nobody has answered for too long, as `mlc resend` does."""
        feed = self.cleo.destination(name.split("/")[1])
        assert isinstance(feed, EdiFeed)
        return [feed.file_again(interchange) for interchange in feed.overdue("NO01")]

    def standing(self, name: str = ORDERS) -> list[tuple[str, Standing]]:
        """The newest document of each record with its state in words."""
        return list(self.cleo.answers.standing(name, None, self.clock.now()))

    def states(self, name: str = ORDERS) -> dict[str, str]:
        """Where the newest document of each record stands, by its number."""
        return {found.entry.number: state for state, found in self.standing(name)}

    def events(self, number: str) -> list[str]:
        """The kinds of a record's events."""
        return [event.kind.value for event in Audit(self.engine).history(number)]

    def waits(self, *rows: Row) -> str:
        """Deliver rows that have to wait; the words of why."""
        with pytest.raises(Closed) as closed:
            self.deliver(*rows)
        return str(closed.value)
