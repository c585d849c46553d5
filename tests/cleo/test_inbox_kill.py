"""A look at the mailbox killed anywhere is healed by the next one: one receipt, one 997, nothing left behind.

Only the database, the ERP and Cleo outlive the process.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from mlc_dagster import mailbox
from mlc_dagster.cleo.inbox import Inbox
from mlc_dagster.cleo.outbox import Outbox, State
from mlc_dagster.cli.sandbox import Sandbox, read_credentials
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.visma.payables import PURCHASE_ORDERS
from tests.support.kill import chosen, count, die, http_points, method_points
from tests.transport.clocks import ManualClock

pytestmark = pytest.mark.kill

COMPANY = "NO01"
INSTRUMENTS = [
    http_points,
    method_points(Memory, "write"),
    method_points(Outbox, "build", "sent"),
    method_points(Inbox, "_insert"),
]
# A dead one's lease has ended by then.
LATER = timedelta(minutes=2)


@dataclass
class World:
    """An installation whose suppliers ship. Each suite is another process."""

    url: str
    file: Path
    orders: Iterator[str] = field(default_factory=lambda: iter(()))
    now: timedelta = timedelta(0)

    def suite(self) -> Suite:
        return Suite(load_settings(self.file), ManualClock(datetime.now(UTC) + self.now))

    def look(self) -> None:
        suite = self.suite()
        try:
            mailbox.receive(suite, run_id="run m")
        finally:
            suite.engine.dispose()

    def open_orders(self) -> list[str]:
        client = self.suite().visma(COMPANY)
        pages = client.pages(PURCHASE_ORDERS, lambda page: page.records, extra={"orderType": "RegularOrder"})
        return [
            order["orderNbr"]
            for page in pages
            for order in page
            if order["status"] == "Open" and not order["purchaseReceipts"]
        ]

    def ship(self) -> dict[str, Any]:
        """The next order's supplier ships half of what is open."""
        asked = {"order": next(self.orders), "how": "partial", "company": COMPANY}
        return self.control("POST", "ship", asked)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(method, f"{self.url}/cleo/control/{path}", json=body, timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    def outcome(self, notice: dict[str, Any]) -> tuple[int, list[str], list[str]]:
        """Its receipts, our answers as the partner took them, and what waits for a person."""
        suite = self.suite()
        receipts = mailbox.VismaErp(suite).receipts(COMPANY, "RegularOrder", notice["order"])
        mine = [receipt for receipt in receipts if receipt.get("supplierRef") == notice["number"]]
        [seen] = [each for each in self.control("GET", "notices") if each["number"] == notice["number"]]
        waiting = [entry.reason for entry in mailbox.held(suite)]
        assert not list(suite.cleo.outbox.find(state=State.BUILT))
        suite.engine.dispose()
        return len(mine), seen["acknowledged"], waiting


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("MLC_VAULT_KEY", "MLC_DATABASE_URL", "MLC_LAKE_URL"):
        monkeypatch.delenv(name, raising=False)
    with Sandbox.started(tmp_path, seed=5, scale="0.5", companies=(COMPANY,)) as sandbox:
        for name, value in read_credentials(tmp_path).items():
            monkeypatch.setenv(name, value)
        file = tmp_path / "mlc.yaml"
        settings = yaml.safe_load(file.read_text())
        settings["pairs"] = {"cleo": settings["pairs"]["cleo"]}
        file.write_text(yaml.safe_dump(settings))
        world = World(sandbox.url, file)
        world.orders = itertools.cycle(world.open_orders())
        yield world


def test_a_look_killed_anywhere_leaves_one_receipt_and_one_997(world: World) -> None:
    world.ship()
    points = count(world.look, INSTRUMENTS)
    assert {"after Memory.write", "after Outbox.build", "after Inbox._insert", "after Outbox.sent"} <= set(
        points
    )
    for number in chosen(points, share=0.1, seed=1):
        notice = world.ship()
        name = die(world.look, INSTRUMENTS, at=number)
        world.now += LATER
        world.look()
        assert world.outcome(notice) == (1, ["A"], []), (number, name)
    assert world.control("GET", "mailbox")["download"] == []
