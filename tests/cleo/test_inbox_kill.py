"""A look at the mailbox killed anywhere is healed by the next one: one receipt, one 997, nothing left behind.

Only the database, the ERP and Cleo outlive the process. Over REST and SFTP, on SQLite and PostgreSQL.
"""

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from mlc_dagster.cleo.inbox import Inbox
from mlc_dagster.cleo.outbox import Outbox, State
from mlc_dagster.cleo.sftp import SftpMailbox
from mlc_dagster.cli.sandbox import Sandbox, read_credentials
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.inbound import mailbox
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.visma.payables import PURCHASE_ORDERS
from tests.support.kill import chosen, count, die, http_points, method_points
from tests.support.postgres import drop_postgres, fresh_postgres
from tests.transport.clocks import ManualClock

pytestmark = pytest.mark.kill

COMPANY = "NO01"
INSTRUMENTS = [
    http_points,
    method_points(SftpMailbox, "put", "get", "delete"),
    method_points(Memory, "write"),
    method_points(Outbox, "build", "sent"),
    method_points(Inbox, "_insert"),
]
INSTALLATIONS = itertools.count(1)
# A dead one's lease has ended by then, and a receipt that it sent will not come any more.
LATER = timedelta(minutes=3)


@dataclass
class World:
    """An installation whose suppliers ship. Each suite is another process."""

    url: str
    file: Path
    orders: Iterator[str] = field(default_factory=lambda: iter(()))
    now: timedelta = timedelta(0)

    @contextmanager
    def suite(self) -> Iterator[Suite]:
        suite = Suite(load_settings(self.file), ManualClock(datetime.now(UTC) + self.now))
        try:
            yield suite
        finally:
            suite.engine.dispose()

    def look(self) -> None:
        with self.suite() as suite:
            mailbox.receive(suite, run_id="run m")

    def open_orders(self) -> list[str]:
        with self.suite() as suite:
            client = suite.visma(COMPANY)
            regular = {"orderType": "RegularOrder"}
            pages = client.pages(PURCHASE_ORDERS, lambda page: page.records, extra=regular)
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
        with self.suite() as suite:
            receipts = mailbox.VismaErp(suite).receipts(COMPANY, "RegularOrder", notice["order"])
            mine = [receipt for receipt in receipts if receipt.get("supplierRef") == notice["number"]]
            [seen] = [each for each in self.control("GET", "notices") if each["number"] == notice["number"]]
            waiting = [entry.reason for entry in mailbox.held(suite)]
            assert not list(suite.cleo.outbox.find(state=State.BUILT))
            return len(mine), seen["acknowledged"], waiting


@dataclass
class Running:
    """A running ERP and Cleo, the folder of their settings, and orders on which nothing had come."""

    url: str
    folder: Path
    orders: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("sandbox")
    with Sandbox.started(folder, seed=5, scale="0.5", companies=(COMPANY,)) as sandbox:
        yield Running(sandbox.url, folder)


@pytest.fixture
def world(
    request: pytest.FixtureRequest, running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> World:
    """An installation of its own, known to partners by an id of its own: its control numbers begin at 1. The
    parameter is the way to the mailbox.
    """
    for name in ("MLC_VAULT_KEY", "MLC_DATABASE_URL", "MLC_LAKE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in read_credentials(running.folder).items():
        monkeypatch.setenv(name, value)
    settings = yaml.safe_load((running.folder / "mlc.yaml").read_text())
    world = World(running.url, tmp_path / "mlc.yaml")
    section = settings["pairs"]["cleo"]
    section["identities"][COMPANY]["id"] = us = f"MLC{next(INSTALLATIONS)}"
    world.control("PUT", "companies", {us: COMPANY})
    if request.param == "sftp":
        del section["rest"]
        server = world.control("GET", "sftp")
        section["sftp"] = {name: server[name] for name in ("host", "port", "host_key")}
    settings["pairs"] = {"cleo": section}
    world.file.write_text(yaml.safe_dump(settings))
    running.orders = running.orders or world.open_orders()
    world.orders = itertools.cycle(running.orders)
    return world


def kill(world: World, *, share: float, of: float = 1) -> None:
    """Look at the mailbox, and die at some points: after each thing that is done, or at a part `of` those."""
    world.ship()
    points = count(world.look, INSTRUMENTS)
    assert {"after Memory.write", "after Outbox.build", "after Inbox._insert", "after Outbox.sent"} <= set(
        points
    )
    numbers = chosen(points, share=share, seed=1)
    for number in random.Random(1).sample(numbers, int(len(numbers) * of)):
        notice = world.ship()
        name = die(world.look, INSTRUMENTS, at=number)
        world.now += LATER
        world.look()
        assert world.outcome(notice) == (1, ["A"], []), (number, name)
    assert world.control("GET", "mailbox")["download"] == []


@pytest.mark.parametrize(("world", "of"), [("rest", 1), ("sftp", 0.5)], indirect=["world"])
def test_a_look_killed_anywhere_leaves_one_receipt_and_one_997(world: World, of: float) -> None:
    kill(world, share=0.1, of=of)


@pytest.mark.postgres
@pytest.mark.parametrize("world", ["sftp"], indirect=True)
def test_so_it_does_on_postgres(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    url = fresh_postgres()
    monkeypatch.setenv("MLC_DATABASE_URL", url)
    kill(world, share=0, of=0.3)
    drop_postgres(url)
