"""A delivery to partners killed anywhere is healed by the next run: each document once, as the ERP has it.

Only the database and the tenant outlive the process.
"""

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from mlc_dagster.cleo import destination
from mlc_dagster.cleo.outbox import Outbox
from mlc_dagster.database import connect, migrate
from tests.cleo import process
from tests.cleo.tenant import Installation, line, order
from tests.support.kill import chosen, count, die, http_points, ledger_points, method_points
from tests.support.postgres import copy_postgres, drop_postgres, fresh_postgres
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


Copy = Callable[[], World]


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


def first_day(database: str, tenant: process.Tenant) -> World:
    engine = connect(database)
    migrate(engine)
    engine.dispose()
    world = World(database, tenant)
    world.deliver(OLD)
    return world


def kill(worlds: Copy, seed: int, keep: float) -> None:
    names = count(worlds().deliver, INSTRUMENTS)
    assert sum("Session.send" in name for name in names) > 15
    assert sum("ledger" in name for name in names) > 10
    assert sum("Outbox.build" in name for name in names) > 4
    numbers = chosen(names, share=0.1, seed=seed)
    for at in random.Random(seed).sample(numbers, int(len(numbers) * keep)):
        world = worlds()
        assert die(world.deliver, INSTRUMENTS, at=at) == names[at - 1]
        world.deliver(later=LATER)
        world.check(f"killed {names[at - 1]}, point {at} of {len(names)}")


def test_killed_at_seeded_points_on_sqlite(tmp_path: Path, tenant: process.Tenant) -> None:
    first_day(f"sqlite:///{tmp_path}/0.db", tenant)
    state, numbers = tenant.dump(), iter(range(1, 10_000))

    def copy() -> World:
        tenant.load(state)
        file = shutil.copy(tmp_path / "0.db", tmp_path / f"{next(numbers)}.db")
        return World(f"sqlite:///{file}", tenant)

    kill(copy, seed=1, keep=KEEP)


@pytest.mark.postgres
def test_killed_at_seeded_points_on_postgres(tenant: process.Tenant) -> None:
    made = [first_day(fresh_postgres(), tenant)]
    state = tenant.dump()

    def copy() -> World:
        tenant.load(state)
        made.append(World(copy_postgres(made[0].database), tenant))
        return made[-1]

    kill(copy, seed=11, keep=KEEP / 3)
    for world in made:
        drop_postgres(world.database)
