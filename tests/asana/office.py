"""A whole installation at a sandbox with an ERP and Asana: documents as tasks, and people who answer."""

import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from mlc_dagster import flow
from mlc_dagster.inbound.wayback import Carried, carry_back
from mlc_dagster.outlook import entities, span, today
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_sandbox.asana.store import Story, Task
from mlc_sandbox.config import write_config
from mlc_sandbox.server import Sandbox
from tests.support.house import OSLO
from tests.support.sandbox_time import SandboxTime

COMPANY = "NO01"
CLERK = "ap-clerk@nordfjell.example"


@dataclass
class Office:
    """What the ERP and Asana hold, and our side. Each of its suites is another process."""

    sandbox: Sandbox
    file: Path
    _tasks: Iterator[str] = field(default_factory=itertools.repeat("").__iter__)

    def suite(self) -> Suite:
        return Suite(load_settings(self.file), SandboxTime(self.sandbox.clock))

    def deliver(self) -> None:
        """Read what the models need, and deliver invoices and orders."""
        suite = self.suite()
        days = span(suite.settings.start_day, today(suite))
        for entity in entities(suite, "asana"):
            flow.read(suite, entity, COMPANY, days, run_id="run d")
        for name in suite.destinations():
            flow.send(suite, name, COMPANY, days, run_id="run d")

    def back(self, run: str = "run b") -> Carried:
        """One pass of the way back."""
        return carry_back(self.suite(), run_id=run)

    def task(self) -> str:
        """The task of an invoice that no test has used yet."""
        return next(self._tasks)

    def order(self, kind: str, number: str | None = None) -> str:
        """The task of an order of a kind, such as RegularOrder."""
        project = self.sandbox.asana.world.members["purchase_orders"]
        tasks = [str(task["gid"]) for task in self.sandbox.asana.people.tasks(project)]
        return next(
            task for task in tasks if self.key(task).startswith(kind) and number in (None, self.number(task))
        )

    def key(self, task: str) -> str:
        """The document of a task in the ERP, such as Invoice|10023."""
        fields = self.shown(task)["custom_fields"]
        return (fields.get("SupplierInvoiceId") or fields["PurchaseOrderId"]).partition("|")[2]

    def number(self, task: str) -> str:
        return self.key(task).partition("|")[2]

    def shown(self, task: str) -> dict[str, Any]:
        return dict(self.sandbox.asana.people.task(task))

    def say(self, task: str, text: str, by: str = CLERK) -> str:
        """Somebody writes a comment; its gid."""
        self.sandbox.asana.people.edit(task, by=by, comment=text)
        return str(self.sandbox.asana.world.get(Task, task).stories[-1])

    def document(self, task: str) -> dict[str, Any]:
        """The document as the ERP holds it."""
        is_order = "PurchaseOrderId" in self.shown(task)["custom_fields"]
        entity = "purchaseorder" if is_order else "supplierInvoice"
        table = self.sandbox.visma.companies[COMPANY].table(entity)
        return dict(table.row(table.get(self.key(task))))

    def note(self, task: str) -> str:
        """The note of the document in the ERP."""
        return str(self.document(task).get("note") or "")

    def line(self, story: str) -> str:
        """The line a comment makes."""
        said = self.sandbox.asana.world.get(Story, story)
        name = self.sandbox.asana.world.name_of(said.created_by)
        return f"{said.created.astimezone(OSLO).date()} {name}: {' '.join(said.text.split())}"

    def change(self, task: str, **fields: Any) -> None:
        """Somebody changes the document in the ERP."""
        self.sandbox.visma.change(COMPANY, "supplierInvoice", self.key(task), fields)

    def delete(self, task: str) -> None:
        """Somebody deletes the document in the ERP."""
        self.sandbox.visma.companies[COMPANY].table("supplierInvoice").delete(self.key(task))

    def writes(self) -> int:
        """PUT calls the ERP has had so far."""
        return int(self.sandbox.log.count("visma", method="PUT"))


@contextmanager
def open_office(sandbox: Sandbox, folder: Path, way_back: Mapping[str, Any]) -> Iterator[Office]:
    """An installation that has delivered its invoices, and has looked at Asana's events once."""
    file, credentials = write_config(folder, sandbox.url, sandbox.vendors.values())
    settings = yaml.safe_load(file.read_text())
    asana = settings["pairs"]["asana"]
    # Fields are people's own in the project of invoices only.
    back = {"supplier_invoices": dict(way_back), "purchase_orders": {"comments": True}}
    asana["destinations"] = {
        name: {**asana["destinations"][name], "way_back": own} for name, own in back.items()
    }
    settings["pairs"] = {"asana": asana}
    settings["receiver"] = {"url": "http://127.0.0.1:9"}
    file.write_text(yaml.safe_dump(settings))
    secrets = dict(line.split("=", 1) for line in credentials.read_text().splitlines())
    with patch.dict(os.environ, {**secrets, "MLC_CONFIG": str(file)}):
        office = Office(sandbox, file)
        setup = office.suite().asana.setup
        setup.apply(setup.plan())
        office.deliver()
        project = sandbox.asana.world.members["supplier_invoices"]
        office._tasks = iter([task["gid"] for task in sandbox.asana.people.tasks(project)])
        office.back()
        yield office
