"""A delivery to Anaplan killed with SIGKILL anywhere is healed by the next run: equal, and no import twice.

Only the database and the tenant outlive the process.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mlc_dagster.anaplan.auth import BasicLogin, token_auth
from mlc_dagster.anaplan.client import AnaplanClient, open_http
from mlc_dagster.database import connect, migrate
from mlc_dagster.database.schema import batches
from mlc_dagster.delivery import Ledger, Report, Row, deliver
from mlc_dagster.transport.session import Http
from mlc_sandbox.anaplan import hub
from mlc_sandbox.anaplan.world import PASSWORD, USER
from tests.anaplan import tenant
from tests.anaplan.conftest import TOMBSTONE, invoice_feed
from tests.anaplan.rows import arrived, change
from tests.support.kill import chosen, count, die, http_points, ledger_points
from tests.support.postgres import copy_postgres, drop_postgres, fresh_postgres
from tests.transport.clocks import ManualClock

pytestmark = pytest.mark.kill

INSTRUMENTS = [ledger_points, http_points]
LATER = timedelta(hours=1)

SAME, OLD, NEW, GONE = "1001", "1002", "1003", "1004"
BEFORE = [change(number).row for number in (SAME, OLD, GONE)]
AFTER = [change(SAME).row, change(OLD, amount=Decimal("0.01")).row, change(NEW).row]
SCOPE = {row.source_key for row in [*BEFORE, *AFTER]}


def wanted_cells() -> dict[str, dict[str, Any]]:
    marked = {**change(GONE).row.payload, **TOMBSTONE}
    rows = {row.key: row.payload for row in AFTER} | {marked["code"]: marked}
    return {code: arrived(payload) for code, payload in rows.items()}


@dataclass(frozen=True)
class World:
    """A database with yesterday's delivery in it, and the tenant that has it too."""

    database: str
    tenant: tenant.Tenant

    def deliver(self, rows: Sequence[Row] = AFTER, *, later: timedelta = timedelta(0)) -> Report:
        clock = ManualClock(datetime.now(UTC) + later)
        auth = token_auth(
            Http("Anaplan", f"{self.tenant.url}/anaplan/auth", clock=clock), BasicLogin(USER, PASSWORD)
        )
        http = open_http(f"{self.tenant.url}/anaplan/2/0", auth=auth, clock=clock)
        engine = connect(self.database)
        try:
            return deliver(
                invoice_feed(AnaplanClient(http, hub.WORKSPACE_ID, hub.MODEL_ID)),
                "NO01",
                rows,
                SCOPE,
                ledger=Ledger(engine, clock),
                run_id=f"run {later}",
                fingerprint="f1",
                clock=clock,
                whole=True,
            )
        finally:
            http.close()
            engine.dispose()

    def yesterday(self) -> None:
        engine = connect(self.database)
        migrate(engine)
        engine.dispose()
        assert self.deliver(BEFORE).created == 3

    def batches(self) -> int:
        engine = connect(self.database)
        with engine.connect() as connection:
            found = connection.execute(sa.select(sa.func.count()).select_from(batches)).scalar_one()
        engine.dispose()
        return int(found)

    def check(self, where: str) -> None:
        """Equal, each import at most once a batch, nothing in doubt, and another run sends nothing."""
        content = self.tenant.content()
        assert content.cells == wanted_cells(), where
        assert set(content.items) == set(wanted_cells()), where
        assert max(Counter(content.runs).values()) <= self.batches(), where
        report = self.deliver(later=2 * LATER)
        assert (report.unchanged, report.batches, report.recovered, report.complete) == (3, 0, 0, True), where
        assert self.tenant.content().runs == content.runs, where


Copy = Callable[[], World]


@pytest.fixture(scope="module")
def running_tenant() -> Iterator[tenant.Tenant]:
    with tenant.running() as started:
        yield started


@pytest.fixture
def fresh_tenant(running_tenant: tenant.Tenant) -> Iterator[tenant.Tenant]:
    empty = running_tenant.dump()
    yield running_tenant
    running_tenant.load(empty)


@pytest.fixture
def sqlite_worlds(tmp_path: Path, fresh_tenant: tenant.Tenant) -> Copy:
    first = World(f"sqlite:///{tmp_path}/0.db", fresh_tenant)
    first.yesterday()
    state, numbers = fresh_tenant.dump(), iter(range(1, 10_000))

    def copy() -> World:
        fresh_tenant.load(state)
        file = shutil.copy(tmp_path / "0.db", tmp_path / f"{next(numbers)}.db")
        return World(f"sqlite:///{file}", fresh_tenant)

    return copy


@pytest.fixture
def postgres_worlds(fresh_tenant: tenant.Tenant) -> Iterator[Copy]:
    made = [World(fresh_postgres(), fresh_tenant)]
    made[0].yesterday()
    state = fresh_tenant.dump()

    def copy() -> World:
        fresh_tenant.load(state)
        made.append(World(copy_postgres(made[0].database), fresh_tenant))
        return made[-1]

    yield copy
    for world in made:
        drop_postgres(world.database)


def kill(worlds: Copy, seed: int, keep: float = 1) -> None:
    names = count(worlds().deliver, INSTRUMENTS)
    assert sum("Session.send" in name for name in names) > 30
    assert sum("ledger" in name for name in names) > 10
    numbers = chosen(names, share=0.1, seed=seed)
    for at in random.Random(seed).sample(numbers, int(len(numbers) * keep)):
        world = worlds()
        assert die(world.deliver, INSTRUMENTS, at=at) == names[at - 1]
        world.deliver(later=LATER)
        world.check(f"killed {names[at - 1]}, point {at} of {len(names)}")


def test_killed_at_any_point_on_sqlite(sqlite_worlds: Copy) -> None:
    kill(sqlite_worlds, seed=1)


@pytest.mark.postgres
@pytest.mark.parametrize("seed", [11])
def test_killed_at_seeded_points_on_postgres(postgres_worlds: Copy, seed: int) -> None:
    kill(postgres_worlds, seed=seed, keep=0.25)


def test_killed_twice_in_a_row(sqlite_worlds: Copy) -> None:
    names = count(sqlite_worlds().deliver, INSTRUMENTS)
    for first in (len(names) // 3, len(names) // 2, 2 * len(names) // 3):
        at = 0
        while True:
            at += 13
            world = sqlite_worlds()
            die(world.deliver, INSTRUMENTS, at=first)
            if die(lambda world=world: world.deliver(later=LATER), INSTRUMENTS, at=at) is None:  # type: ignore[misc]
                break
            world.deliver(later=1.5 * LATER)
            world.check(f"killed at point {first}, then at point {at}")
