"""A delivery to partners killed anywhere is healed by the next run: each document once, as the ERP has it.

Only the database and the tenant outlive the process.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from mlc_dagster.cleo import destination
from mlc_dagster.cleo.outbox import Outbox
from mlc_dagster.database import connect
from tests.cleo import process
from tests.cleo.tenant import Installation, line, order
from tests.support.kill import http_points, kill_anywhere, ledger_points, method_points
from tests.support.worlds import Copy, on_postgres, on_sqlite
from tests.transport.clocks import ManualClock

pytestmark = pytest.mark.kill

INSTRUMENTS = [ledger_points, http_points, method_points(Outbox, "build", "sent", "answer")]
LATER = timedelta(hours=1)
KEEP = 0.35

OLD = [order(number, line(1, "1"), line(2, "1")) for number in ("1", "2", "3")]
NEW = [
    order("1", line(1, "1"), line(2, "5")),
    order("2", line(1, "1"), line(2, "1"), standing="cancelled"),
    OLD[2],
    *(order(number, line(1, "7")) for number in ("4", "5")),
    order("6", line(1, "7"), partner="kontinent"),
]
# Number -> partner, status, quantities by line.
WANTED = {
    "1": ("NORDEDI", "open", {"1": 1, "2": 5}),
    "2": ("NORDEDI", "cancelled", {"1": 1, "2": 1}),
    "3": ("NORDEDI", "open", {"1": 1, "2": 1}),
    "4": ("NORDEDI", "open", {"1": 7}),
    "5": ("NORDEDI", "open", {"1": 7}),
    "6": ("KONTINENT", "open", {"1": 7}),
}


@dataclass(frozen=True)
class World:
    """A database with yesterday's delivery in it, and the tenant whose partners have it too."""

    database: str
    tenant: process.Tenant

    def deliver(self, rows=NEW, *, later: timedelta = timedelta(0)) -> dict[str, str]:
        """Send, take in what partners answered, and tell where each document stands."""
        engine = connect(self.database)
        clock = ManualClock(datetime.now(UTC) + later)
        ours = Installation({"rest": {"base_url": f"{self.tenant.url}/cleo"}}, engine, clock)
        try:
            ours.heal(lambda: ours.deliver(*rows))
            ours.receive()
            return ours.states()
        finally:
            engine.dispose()

    def shown(self) -> dict[str, tuple[str, str, dict[str, Decimal]]]:
        documents = self.tenant.received()["documents"]["850"]
        numbers = [document["number"] for document in documents]
        assert len(set(numbers)) == len(numbers)
        return {
            document["number"]: (
                document["to"],
                document["status"],
                {each["line"]: each["quantity"] for each in document["lines"]},
            )
            for document in documents
        }

    def check(self, where: str) -> None:
        """Equal and acknowledged; whatever came again had the same bytes; another run changes nothing."""
        assert self.shown() == WANTED, where
        others = [each for each in self.tenant.received()["refused"] if "the same bytes" not in each["why"]]
        assert others == [], where
        states = self.deliver(later=3 * LATER)
        assert states == dict.fromkeys(WANTED, "acknowledged"), where
        assert self.shown() == WANTED, where


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destination.EdiFeed, "max_rows", 4)


@pytest.fixture(scope="module")
def running() -> Iterator[process.Tenant]:
    with process.running() as started:
        yield started


@pytest.fixture
def tenant(running: process.Tenant, monkeypatch: pytest.MonkeyPatch) -> Iterator[process.Tenant]:
    for name, value in running.secrets.items():
        monkeypatch.setenv(name, value)
    empty = running.dump()
    yield running
    running.load(empty)


def kill(worlds: Copy, tenant: process.Tenant, seed: int, keep: float) -> None:
    def heal(world: World, where: str) -> None:
        world.deliver(later=LATER)
        world.check(where)

    kill_anywhere(
        lambda: World(worlds(), tenant),
        World.deliver,
        heal,
        INSTRUMENTS,
        at_least={"Session.send": 16, "ledger": 11, "Outbox.build": 5},
        seed=seed,
        keep=keep,
    )


def test_killed_at_seeded_points_on_sqlite(tmp_path: Path, tenant: process.Tenant) -> None:
    with on_sqlite(tmp_path, tenant, lambda url: World(url, tenant).deliver(OLD)) as copies:
        kill(copies, tenant, seed=1, keep=KEEP)


@pytest.mark.postgres
def test_killed_at_seeded_points_on_postgres(tenant: process.Tenant) -> None:
    with on_postgres(tenant, lambda url: World(url, tenant).deliver(OLD)) as copies:
        kill(copies, tenant, seed=11, keep=KEEP / 3)
