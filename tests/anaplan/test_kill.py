"""A delivery to Anaplan killed with SIGKILL anywhere is healed by the next run: equal, and no import twice.

So it is for each way a batch can go. Only the database and the tenant outlive the process.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mlc_dagster.anaplan.auth import BasicLogin, token_auth
from mlc_dagster.anaplan.client import AnaplanClient, open_http
from mlc_dagster.database import connect
from mlc_dagster.database.schema import batches
from mlc_dagster.delivery import Ledger, Report, Row, deliver
from mlc_dagster.transport.session import Http
from mlc_sandbox.anaplan import hub
from mlc_sandbox.anaplan.world import PASSWORD, USER
from tests.anaplan import tenant
from tests.anaplan.conftest import INVOICES, PROCESS, SMALL, TOMBSTONE, invoice_feed
from tests.anaplan.rows import LIST, arrived, change
from tests.support.kill import count, die, http_points, kill_anywhere, ledger_points
from tests.support.worlds import on_postgres, on_sqlite
from tests.transport.clocks import ManualClock

pytestmark = pytest.mark.kill

INSTRUMENTS = [ledger_points, http_points]
LATER = timedelta(hours=1)

SAME, OLD, NEW, GONE = "1001", "1002", "1003", "1004"
BEFORE = [change(number).row for number in (SAME, OLD, GONE)]
AFTER = [change(SAME).row, change(OLD, amount=Decimal("0.01")).row, change(NEW).row]
SCOPE = {row.source_key for row in [*BEFORE, *AFTER]}

BY_ACTION: dict[str, Any] = {
    "delete_action": f"Delete from {LIST}",
    "tombstone": {tenant.DELETE: True},
    "columns": (*INVOICES.headers, tenant.DELETE),
}


@dataclass(frozen=True)
class Way:
    """One way a batch can go; the calls a run makes at least."""

    settings: Mapping[str, Any]
    calls: int

    @property
    def removes(self) -> bool:
        """Whether a deleted row takes its item along."""
        return "delete_action" in self.settings

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        """The rows with all columns of this way's contract."""
        extra = {tenant.DELETE: False} if self.removes else {}
        return [replace(row, payload={**row.payload, **extra}) for row in rows]

    def wanted_cells(self) -> dict[str, dict[str, Any]]:
        rows = {row.key: row.payload for row in self.rows(AFTER)}
        if not self.removes:
            marked = {**change(GONE).row.payload, **TOMBSTONE}
            rows[marked["code"]] = marked
        return {code: arrived(payload) for code, payload in rows.items()}


WAYS = {
    "imports": Way({}, 16),
    "process": Way(PROCESS, 14),
    "small": Way(SMALL, 8),
    "imports and action": Way(BY_ACTION, 20),
    "small and action": Way(SMALL | BY_ACTION, 8),
}


@dataclass(frozen=True)
class World:
    """A database with yesterday's delivery in it, and the tenant that has it too."""

    database: str
    tenant: tenant.Tenant
    way: Way

    def deliver(self, rows: Sequence[Row] = AFTER, *, later: timedelta = timedelta(0)) -> Report:
        clock = ManualClock(datetime.now(UTC) + later)
        auth = token_auth(
            Http("Anaplan", f"{self.tenant.url}/anaplan/auth", clock=clock), BasicLogin(USER, PASSWORD)
        )
        http = open_http(f"{self.tenant.url}/anaplan/2/0", auth=auth, clock=clock)
        engine = connect(self.database)
        try:
            return deliver(
                invoice_feed(AnaplanClient(http, hub.WORKSPACE_ID, hub.MODEL_ID), **self.way.settings),
                "NO01",
                self.way.rows(rows),
                SCOPE,
                ledger=Ledger(engine, clock),
                run_id=f"run {later}",
                fingerprint="f1",
                clock=clock,
                whole=True,
            )
        finally:
            engine.dispose()

    def yesterday(self) -> None:
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
        assert content.cells == self.way.wanted_cells(), where
        assert set(content.items) == set(self.way.wanted_cells()), where
        assert max(Counter(content.runs).values(), default=0) <= self.batches(), where
        report = self.deliver(later=2 * LATER)
        assert (report.unchanged, report.batches, report.recovered, report.complete) == (3, 0, 0, True), where
        assert self.tenant.content().runs == content.runs, where


Worlds = Callable[[], World]


@pytest.fixture(scope="module")
def running_tenant() -> Iterator[tenant.Tenant]:
    with tenant.running() as started:
        yield started


@pytest.fixture
def way() -> Way:
    """Tests that are about one way override it by a parameter."""
    return WAYS["imports"]


@pytest.fixture
def fresh_tenant(running_tenant: tenant.Tenant, way: Way) -> Iterator[tenant.Tenant]:
    empty = running_tenant.dump()
    if way.removes:
        running_tenant.with_delete_column()
    yield running_tenant
    running_tenant.load(empty)


@pytest.fixture
def sqlite_worlds(tmp_path: Path, fresh_tenant: tenant.Tenant, way: Way) -> Iterator[Worlds]:
    with on_sqlite(tmp_path, fresh_tenant, lambda url: World(url, fresh_tenant, way).yesterday()) as copies:
        yield lambda: World(copies(), fresh_tenant, way)


@pytest.fixture
def postgres_worlds(fresh_tenant: tenant.Tenant, way: Way) -> Iterator[Worlds]:
    with on_postgres(fresh_tenant, lambda url: World(url, fresh_tenant, way).yesterday()) as copies:
        yield lambda: World(copies(), fresh_tenant, way)


def kill(worlds: Worlds, way: Way, seed: int, keep: float = 1) -> None:
    def heal(world: World, where: str) -> None:
        world.deliver(later=LATER)
        world.check(where)

    at_least = {"after Session.send": way.calls, "ledger": 11}
    kill_anywhere(worlds, World.deliver, heal, INSTRUMENTS, at_least=at_least, seed=seed, keep=keep)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_killed_at_any_point_on_sqlite(sqlite_worlds: Worlds, way: Way) -> None:
    """The points of the plain imports are among those of imports and action: a share of them is enough."""
    kill(sqlite_worlds, way, seed=1, keep=1 if way.settings else 0.3)


@pytest.mark.postgres
@pytest.mark.parametrize(("way", "seed"), [(way, 11 + n) for n, way in enumerate(WAYS.values())], ids=WAYS)
def test_killed_at_seeded_points_on_postgres(postgres_worlds: Worlds, way: Way, seed: int) -> None:
    kill(postgres_worlds, way, seed=seed, keep=0.1)


@pytest.mark.parametrize("way", [WAYS["imports"], WAYS["small"]], ids=["imports", "small"])
def test_killed_twice_in_a_row(sqlite_worlds: Worlds, way: Way) -> None:
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
