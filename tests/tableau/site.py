"""An installation of ours that delivers rows to a site of the sandbox."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.delivery import Row
from mlc_dagster.mappings import Mappings
from mlc_dagster.settings import REPOSITORY
from mlc_dagster.settings.tableau import TableauSettings
from mlc_dagster.suite import mappings_in
from mlc_dagster.tableau.connect import Tableau
from mlc_sandbox.server import Sandbox
from tests.support.our_side import OurSide
from tests.support.parts import TestParts

INVOICES, SUPPLIERS, TITLE = "tableau/supplier_invoices", "tableau/suppliers", "Supplier invoices"
DAY = date(2026, 11, 20)
PAT = {"method": "pat", "token_name": "${TABLEAU_PAT_NAME}", "token_secret": "${TABLEAU_PAT_SECRET}"}
APP = {
    "method": "connected_app",
    "client_id": "${TABLEAU_CLIENT_ID}",
    "secret_id": "${TABLEAU_SECRET_ID}",
    "secret_value": "${TABLEAU_SECRET_VALUE}",
    "username": "integration@nordfjell.example",
}


def invoice(number: str, amount: str = "100.00", company: str = "NO01", **changes: Any) -> Row:
    """A row of tableau/supplier_invoices."""
    code, exact = f"{company}|Invoice|{number}", Decimal(amount).quantize(Decimal("0.0001"))
    payload = {
        "code": code,
        "company": company,
        "reference_number": number,
        "document_type": "Supplier invoice",
        "status": "Open",
        "supplier": f"{company}|50000",
        "supplier_name": "Blåbær & Sønner AS",
        "supplier_reference": None,
        "date": DAY,
        "due_date": DAY + timedelta(days=30),
        "financial_period": "202611",
        "currency": "NOK",
        "amount": exact,
        "vat_amount": Decimal("20.0000"),
        "balance": exact,
        "open_balance": exact,
        "description": 'Tannhjul "12\'" & ærlig stål',
        "changed_at": datetime(2026, 11, 20, 12, 30, 15, 123456, UTC),
    }
    return Row(code, f"Invoice|{number}", number, {**payload, **changes})


def supplier(number: str, name: str = "Blåbær AS", company: str = "NO01") -> Row:
    """A row of tableau/suppliers."""
    code = f"{company}|{number}"
    fixed = {"code": code, "company": company, "supplier_number": number, "name": name, "status": "Active"}
    others = dict.fromkeys(("supplier_class", "currency", "country", "city", "vat_registration_id"))
    return Row(code, number, number, {**fixed, **others})


def changed_contract(folder: Path, before: str, after: str) -> Mappings:
    """The shipped models, with other words in the contract of tableau/supplier_invoices."""
    return changed_models(folder, ("yml", before, after))


def changed_models(folder: Path, *changes: tuple[str, str, str]) -> Mappings:
    """The shipped models; of tableau/supplier_invoices these kinds of files with other words."""
    shutil.copytree(REPOSITORY / "dbt_like_mappings", folder)
    for kind, before, after in changes:
        file = folder / "tableau" / f"supplier_invoices.{kind}"
        text = file.read_text("utf-8")
        assert before in text
        file.write_text(text.replace(before, after), "utf-8")
    return mappings_in(folder)


@contextmanager
def switched(sandbox: Sandbox, **how: Any) -> Iterator[None]:
    """Tableau behaves so for a while."""
    before = {name: sandbox.tableau.switches[name] for name in how}
    sandbox.tableau.switches.update(how)
    yield
    sandbox.tableau.switches.update(before)


@dataclass
class Installation(OurSide):
    """Our side: a database, settings and the parts that deliver. Made anew it is another process."""

    url: str
    engine: sa.Engine
    clock: Clock
    folder: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    main = INVOICES

    @property
    def tableau(self) -> Tableau:
        settings = {
            "server_url": f"{self.url}/tableau",
            "site": "erp",
            "auth": PAT,
            "destinations": ("supplier_invoices", "suppliers", "entitlements"),
            **self.options,
        }
        return Tableau(
            TableauSettings.model_validate(settings), TestParts(self.engine, self.clock, self.folder)
        )

    target = tableau

    def shown(self, name: str = INVOICES) -> dict[str, Mapping[str, Any]]:
        """What the downloaded extract holds, by key."""
        rows = list(self.tableau.read_back(name.split("/")[1]).rows(""))
        found = {row.key: row.values for row in rows}
        assert len(found) == len(rows), "a key stands in more than one row"
        return found

    def wanted(self, rows: Sequence[Row], name: str = INVOICES) -> dict[str, Mapping[str, Any]]:
        """What it shall hold."""
        back = self.tableau.read_back(name.split("/")[1])
        return {row.key: back.as_shown(row.payload) for row in rows}
