"""A delivery to Power BI killed anywhere is healed by the next run: measures show the sums of the ERP.

Only the database and the tenant outlive the process.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from mlc_dagster.database import connect
from mlc_dagster.delivery import Row
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.powerbi import destination
from tests.powerbi import process
from tests.powerbi.tenant import DIMENSION, FACT, Installation, invoice, supplier
from tests.support.kill import count, die, http_points, kill_anywhere, ledger_points, method_points
from tests.support.worlds import Copy, on_postgres, on_sqlite
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


@pytest.fixture(autouse=True)
def small_posts(monkeypatch: pytest.MonkeyPatch) -> None:
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


def first_day(tenant: process.Tenant, mode: str) -> Callable[[str], None]:
    return lambda url: World(url, tenant, mode).deliver(INVOICES, SUPPLIERS)


def kill(worlds: Copy, tenant: process.Tenant, mode: str, seed: int, keep: float) -> None:
    def heal(world: World, where: str) -> None:
        world.deliver(later=LATER)
        world.check(where)

    kill_anywhere(
        lambda: World(worlds(), tenant, mode),
        World.deliver,
        heal,
        INSTRUMENTS,
        at_least={"Session.send": 21, "ledger": 11},
        seed=seed,
        keep=keep,
    )


@pytest.mark.parametrize("mode", ["slots", "log"])
def test_killed_at_every_other_point_on_sqlite(tmp_path: Path, tenant: process.Tenant, mode: str) -> None:
    with on_sqlite(tmp_path, tenant, first_day(tenant, mode)) as copies:
        kill(copies, tenant, mode, seed=1, keep=0.5)


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["slots", "log"])
def test_killed_at_seeded_points_on_postgres(tenant: process.Tenant, mode: str) -> None:
    with on_postgres(tenant, first_day(tenant, mode)) as copies:
        kill(copies, tenant, mode, seed=11, keep=0.2)


def test_the_set_up_killed_at_any_point_leaves_one_dataset(tmp_path: Path, tenant: process.Tenant) -> None:
    with on_sqlite(tmp_path, tenant, lambda _: None) as copies:
        names = count(World(copies(), tenant, "auto").set_up, INSTRUMENTS)
        assert sum("Session.send" in name for name in names) >= 3
        for at in range(1, len(names) + 1):
            world = World(copies(), tenant, "auto")
            die(world.set_up, INSTRUMENTS, at=at)
            world.set_up(later=LATER)
            assert tenant.content().datasets == 1, f"killed {names[at - 1]}, point {at}"
        world.deliver(later=LATER)
        world.check("after the last")
