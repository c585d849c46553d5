"""A Power BI tenant of the sandbox, and an installation of ours that delivers rows to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.delivery import Row
from mlc_dagster.powerbi.connect import PowerBi, declared
from mlc_dagster.powerbi.star import Star
from mlc_dagster.settings import REPOSITORY
from mlc_dagster.settings.powerbi import PowerBiSettings, PowerBiTable
from mlc_dagster.suite import mappings_in
from tests.support.our_side import OurSide
from tests.support.parts import TestParts

FACT, DIMENSION = "powerbi/supplier_invoices", "powerbi/suppliers"
DAY = date(2026, 11, 20)


@cache
def shipped() -> Star:
    """The dataset as the shipped contracts declare it."""
    return declared(mappings_in(REPOSITORY / "dbt_like_mappings"))


def invoice(number: str, amount: str = "100.00", company: str = "NO01", **changes: Any) -> Row:
    """A row of powerbi/supplier_invoices."""
    code = f"{company}|Invoice|{number}"
    payload = {
        "code": code,
        "company": company,
        "kind": "AP|Invoice|Open",
        "reference_number": number,
        "supplier": f"{company}|50000",
        "supplier_reference": f"F-{number}",
        "date": DAY,
        "due_date": DAY + timedelta(days=30),
        "financial_period": "202611",
        "currency": "NOK",
        "amount": Decimal(amount).quantize(Decimal("0.0001")),
        "vat_amount": Decimal("20.0000"),
        "balance": Decimal(amount).quantize(Decimal("0.0001")),
        "open_balance": Decimal(amount).quantize(Decimal("0.0001")),
        "description": "Tannhjul & ærlig stål",
    }
    return Row(code, f"Invoice|{number}", number, {**payload, **changes})


def supplier(number: str, name: str = "Blåbær AS", company: str = "NO01", **changes: Any) -> Row:
    """A row of powerbi/suppliers."""
    code = f"{company}|{number}"
    fixed = {"code": code, "company": company, "supplier_number": number, "name": name, "status": "Active"}
    others = dict.fromkeys(("supplier_class", "currency", "country", "city", "vat_registration_id"))
    return Row(code, number, number, {**fixed, **others, **changes})


@dataclass
class Installation(OurSide):
    """Our side: a database, settings and the parts that deliver. Made anew it is another process."""

    url: str
    engine: sa.Engine
    clock: Clock
    principal: Mapping[str, str]
    workspace: str
    options: Mapping[str, Any] = field(default_factory=dict)
    main = FACT

    @property
    def powerbi(self) -> PowerBi:
        modes = self.options.get("modes", {})
        own = {name: value for name, value in self.options.items() if name != "modes"}
        settings = PowerBiSettings(
            api_url=f"{self.url}/powerbi/v1.0/myorg",
            login_url=f"{self.url}/powerbi/login",
            tenant_id=self.principal["tenant"],
            client_id="${POWERBI_CLIENT_ID}",  # type: ignore[arg-type]
            client_secret="${POWERBI_CLIENT_SECRET}",  # type: ignore[arg-type]
            workspace_id=self.workspace,
            destinations={name: PowerBiTable(mode=modes.get(name, "auto")) for name in shipped().shapes},
            **own,
        )
        return PowerBi(settings, TestParts(self.engine, self.clock))

    target = powerbi

    def set_up(self) -> str:
        setup = self.powerbi.setup
        return setup.apply(setup.plan())
