"""A whole installation at a sandbox with an ERP and Cleo: suppliers ship and move, our side takes it in."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from mlc_dagster import flow
from mlc_dagster.cleo.inbox import Received
from mlc_dagster.delivery.quarantine import Entry
from mlc_dagster.inbound import mailbox
from mlc_dagster.outlook import entities, span, today
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_sandbox.cleo.shipping import Notice
from mlc_sandbox.cleo.world import World
from mlc_sandbox.config import write_config
from mlc_sandbox.server import Sandbox
from tests.support.sandbox_time import SandboxTime

COMPANY = "NO01"
SUPPLIERS = "cleo/suppliers"


@dataclass
class Dock:
    """What the ERP and Cleo hold, and our side. Each of its suites is another process."""

    sandbox: Sandbox
    file: Path
    orders: list[str]
    suppliers: list[str]

    def suite(self) -> Suite:
        return Suite(load_settings(self.file), SandboxTime(self.sandbox.clock))

    @property
    def world(self) -> World:
        return self.sandbox.cleo.world

    def receive(self) -> Received:
        """One look into the mailbox."""
        return mailbox.receive(self.suite(), run_id="run m")

    def settle(self, **settings: Any) -> None:
        """Other settings of the pair."""
        whole = yaml.safe_load(self.file.read_text())
        whole["pairs"]["cleo"] |= settings
        self.file.write_text(yaml.safe_dump(whole))

    def copy(self) -> sqlite3.Connection:
        """Our database as it is now."""
        copied = sqlite3.connect(":memory:")
        with closing(self._database()) as ours:
            ours.backup(copied)
        return copied

    def restore(self, copied: sqlite3.Connection) -> None:
        """Our database is put back as it was: what came since is forgotten."""
        with closing(self._database()) as ours:
            copied.backup(ours)

    def _database(self) -> sqlite3.Connection:
        return sqlite3.connect(load_settings(self.file).database_url.removeprefix("sqlite:///"))

    # Orders and receipts

    def order(self) -> str:
        """The number of an open order that no test has used yet."""
        return self.orders.pop(0)

    def row(self, entity: str, key: str) -> dict[str, Any]:
        table = self.sandbox.visma.companies[COMPANY].table(entity)
        return dict(table.row(table.get(key)))

    def lines(self, order: str) -> list[dict[str, Any]]:
        return list(self.row("purchaseorder", f"RegularOrder|{order}")["lines"])

    def open(self, order: str) -> dict[int, Decimal]:
        """What may still come of each line."""
        return {
            line["lineNbr"]: Decimal(line["orderQty"]) - Decimal(line["qtyOnReceipts"])
            for line in self.lines(order)
            if not line["completed"] and not line["canceled"] and line["orderQty"] > line["qtyOnReceipts"]
        }

    def receipts(self, notice: str) -> list[dict[str, Any]]:
        """The receipts a notice became."""
        table = self.sandbox.visma.companies[COMPANY].table("purchaseReceipt")
        rows = [dict(table.row(record)) for record in table]
        return [row for row in rows if row.get("supplierRef") == notice]

    def received(self, notice: str) -> dict[int, Decimal]:
        """Quantities by order line, of the only receipt of a notice."""
        [receipt] = self.receipts(notice)
        return {line["poOrderLineNbr"]: Decimal(line["receiptQty"]) for line in receipt["lines"]}

    def ship(self, order: str, how: str = "full", **words: str) -> Notice:
        with self.world.lock:
            return self.world.shipping.ship(order, how, company=COMPANY, **words)

    def drop(self, name: str, content: bytes) -> None:
        """A file lands in the folder we read."""
        with self.world.lock:
            self.world.drop_file(name, content)

    def held(self, number: str) -> list[Entry]:
        return [entry for entry in mailbox.held(self.suite()) if number in (entry.number, entry.key)]

    def reasons(self, number: str) -> str:
        return " ".join(entry.reason for entry in self.held(number))

    def files(self) -> list[str]:
        """What lies in the folder we read."""
        with self.world.lock:
            return [file.name for file in self.world.mailbox.files("download")]

    # Suppliers

    def supplier(self) -> str:
        """The number of a Norwegian supplier that no test has used yet."""
        return self.suppliers.pop(0)

    def move(self, number: str, **words: Any) -> dict[str, Any]:
        """The other side changes a supplier; the row of its file."""
        with self.world.lock:
            return dict(self.world.suppliers.change(COMPANY, number, **words)["row"])

    def address(self, number: str) -> dict[str, Any]:
        return dict(self.row("supplier", number)["mainAddress"])

    def deliver(self, destination: str = SUPPLIERS) -> None:
        """Read what a model needs, and deliver it."""
        suite = self.suite()
        days = span(suite.settings.start_day, today(suite))
        for entity in entities(suite, "cleo"):
            flow.read(suite, entity, COMPANY, days, run_id="run d")
        flow.send(suite, destination, COMPANY, days, run_id="run d")

    def uploads(self) -> int:
        return int(self.sandbox.log.count("cleo", method="POST", match="/files/upload"))


@contextmanager
def open_dock(sandbox: Sandbox, folder: Path) -> Iterator[Dock]:
    file, credentials = write_config(folder, sandbox.url, sandbox.vendors.values())
    settings = yaml.safe_load(file.read_text())
    section = sandbox.cleo.config_section(sandbox.url)["cleo"]
    section["destinations"] = {"suppliers": {}}
    section["suppliers"] = {"name": "erp", "address": "cleo", "vat_number": "held"}
    settings["pairs"] = {"cleo": section}
    file.write_text(yaml.safe_dump(settings))
    secrets = dict(line.split("=", 1) for line in credentials.read_text().splitlines())
    with patch.dict(os.environ, {**secrets, "MLC_CONFIG": str(file)}):
        company = sandbox.visma.companies[COMPANY]
        dock = Dock(sandbox, file, [], [])
        keys = [record.key for record in company.table("purchaseorder")]
        numbers = [key.partition("|")[2] for key in keys if key.startswith("RegularOrder|")]
        dock.orders = [number for number in numbers if _receivable(dock, number)]
        dock.suppliers = [
            record.key
            for record in company.table("supplier")
            if dock.address(record.key)["country"]["id"] == "NO"
        ]
        yield dock


def _receivable(dock: Dock, number: str) -> bool:
    """Goods may come on it, in whole lines, and no receipt of it waits for a release."""
    row = dock.row("purchaseorder", f"RegularOrder|{number}")
    released = all(receipt["status"] == "Released" for receipt in row["purchaseReceipts"])
    return row["status"] == "Open" and released and bool(dock.open(number))
