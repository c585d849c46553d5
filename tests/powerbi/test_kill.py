"""A delivery to Power BI killed anywhere is healed by the next run: measures show the sums of the ERP.

Only the database and the tenant outlive the process.
"""

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from mlc_dagster.database import connect, migrate
from mlc_dagster.delivery import Row
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.powerbi import destination
from tests.powerbi import process
from tests.powerbi.tenant import DIMENSION, FACT, Installation, invoice, supplier
from tests.support.kill import chosen, count, die, http_points, ledger_points, method_points
from tests.support.postgres import copy_postgres, drop_postgres, fresh_postgres
from tests.transport.clocks import ManualClock

pytestmark = pytest.mark.kill

INSTRUMENTS = [ledger_points, http_points, method_points(Memory, "write")]
LATER = timedelta(hours=1)

INVOICES = [invoice("1", "1"), invoice("2", "10"), invoice("3", "100")]
SUPPLIERS = [supplier("1"), supplier("2"), supplier("3")]
NEW_INVOICES = [invoice("1", "1"), invoice("2", "20.0001"), invoice("4", "1000"), invoice("5", "3")]
NEW_SUPPLIERS = [supplier("1"), supplier("2", "New name"), supplier("4")]
WANTED = process.Content(
    Decimal("1024.0001"), 4, (("1", "Blåbær AS"), ("2", "New name"), ("4", "Blåbær AS")), datasets=1
)


@dataclass(frozen=True)
class World:
    """A database with yesterday's delivery in it, and the tenant that has it too."""

    database: str
    tenant: process.Tenant
    mode: str

    def deliver(
        self,
        invoices: Sequence[Row] = NEW_INVOICES,
        suppliers: Sequence[Row] = NEW_SUPPLIERS,
        *,
        later: timedelta = timedelta(0),
    ) -> None:
        """Both tables, as one run does; with time enough for whatever has to wait."""
        engine = connect(self.database)
        ours = self._installation(engine, later)
        try:
            if not ours.powerbi.dataset.id:
                ours.set_up()
            ours.heal(lambda: ours.deliver(suppliers, name=DIMENSION, gone=SUPPLIERS))
            ours.heal(lambda: ours.deliver(invoices, name=FACT, gone=INVOICES))
        finally:
            engine.dispose()

    def set_up(self, *, later: timedelta = timedelta(0)) -> None:
        """Only the set-up."""
        engine = connect(self.database)
        try:
            self._installation(engine, later).set_up()
        finally:
            engine.dispose()

    def _installation(self, engine: sa.Engine, later: timedelta) -> Installation:
        principal = self.tenant.principal
        return Installation(
            self.tenant.url,
            engine,
            ManualClock(datetime.now(UTC) + later),
            {"tenant": principal.tenant_id},
            principal.workspace_id,
            {"modes": {"supplier_invoices": self.mode}},
        )

    def check(self, where: str) -> None:
        """Equal, and another run changes nothing."""
        assert self.tenant.content() == WANTED, where
        self.deliver(later=3 * LATER)
        assert self.tenant.content() == WANTED, where


Copy = Callable[[], World]


@pytest.fixture(autouse=True)
def small_posts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlc_dagster.powerbi.values.POST_ROWS", 2)
    monkeypatch.setattr(destination, "POST_ROWS", 2)


@pytest.fixture(scope="module")
def running_tenant() -> Iterator[process.Tenant]:
    with process.running() as started:
        yield started


@pytest.fixture
def tenant(running_tenant: process.Tenant, monkeypatch: pytest.MonkeyPatch) -> Iterator[process.Tenant]:
    monkeypatch.setenv("POWERBI_CLIENT_ID", running_tenant.principal.client_id)
    monkeypatch.setenv("POWERBI_CLIENT_SECRET", running_tenant.principal.secret)
    empty = running_tenant.dump()
    yield running_tenant
    running_tenant.load(empty)


def first_day(database: str, tenant: process.Tenant, mode: str) -> World:
    engine = connect(database)
    migrate(engine)
    engine.dispose()
    world = World(database, tenant, mode)
    world.deliver(INVOICES, SUPPLIERS)
    return world


def on_sqlite(folder: Path, tenant: process.Tenant, mode: str) -> Copy:
    first_day(f"sqlite:///{folder}/0.db", tenant, mode)
    state, numbers = tenant.dump(), iter(range(1, 10_000))

    def copy() -> World:
        tenant.load(state)
        return World(
            f"sqlite:///{shutil.copy(folder / '0.db', folder / f'{next(numbers)}.db')}", tenant, mode
        )

    return copy


def kill(worlds: Copy, seed: int, keep: float = 1) -> None:
    names = count(worlds().deliver, INSTRUMENTS)
    assert sum("Session.send" in name for name in names) > 20
    assert sum("ledger" in name for name in names) > 10
    numbers = chosen(names, share=0.1, seed=seed)
    for at in random.Random(seed).sample(numbers, int(len(numbers) * keep)):
        world = worlds()
        assert die(world.deliver, INSTRUMENTS, at=at) == names[at - 1]
        world.deliver(later=LATER)
        world.check(f"killed {names[at - 1]}, point {at} of {len(names)}")


@pytest.mark.parametrize("mode", ["slots", "log"])
def test_killed_at_every_other_point_on_sqlite(tmp_path: Path, tenant: process.Tenant, mode: str) -> None:
    kill(on_sqlite(tmp_path, tenant, mode), seed=1, keep=0.5)


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["slots", "log"])
def test_killed_at_seeded_points_on_postgres(tenant: process.Tenant, mode: str) -> None:
    made = [first_day(fresh_postgres(), tenant, mode)]
    state = tenant.dump()

    def copy() -> World:
        tenant.load(state)
        made.append(World(copy_postgres(made[0].database), tenant, mode))
        return made[-1]

    kill(copy, seed=11, keep=0.2)
    for world in made:
        drop_postgres(world.database)


def test_the_set_up_killed_at_any_point_leaves_one_dataset(tmp_path: Path, tenant: process.Tenant) -> None:
    empty = tenant.dump()
    engine = connect(f"sqlite:///{tmp_path}/0.db")
    migrate(engine)
    engine.dispose()
    numbers = iter(range(1, 1000))

    def copy() -> World:
        tenant.load(empty)
        file = shutil.copy(tmp_path / "0.db", tmp_path / f"{next(numbers)}.db")
        return World(f"sqlite:///{file}", tenant, "auto")

    names = count(copy().set_up, INSTRUMENTS)
    assert sum("Session.send" in name for name in names) >= 3
    for at in range(1, len(names) + 1):
        world = copy()
        die(world.set_up, INSTRUMENTS, at=at)
        world.set_up(later=LATER)
        assert tenant.content().datasets == 1, f"killed {names[at - 1]}, point {at}"
    world.deliver(later=LATER)
    world.check("after the last")
