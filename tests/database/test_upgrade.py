"""A database that the first release wrote is migrated by today's code and runs on, and nothing is sent again.

first_release/ holds such a database of both kinds, the lake beside it, and the recipe that made them.
"""

import multiprocessing
import shutil
import sqlite3
from ast import Attribute, Call, parse, walk
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import mlc_dagster.database
from mlc_dagster import flow
from mlc_dagster.database import connect, migrate, reading
from mlc_dagster.database.schema import REVISION, metadata
from mlc_dagster.delivery import Ledger, Report, State, reconcile
from mlc_dagster.delivery.audit import Audit
from mlc_dagster.operations import replay, sweeps
from mlc_dagster.operations.overview import overview
from mlc_dagster.outlook import days_to_read
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.visma.entities import ENTITIES
from mlc_sandbox.server import Sandbox
from tests.database.first_release.recipe import BEGIN, FEEDS, KEY
from tests.support.house import House, open_house, running_sandbox
from tests.support.manual_clock import ManualClock
from tests.support.sandbox_time import SandboxTime

FIXTURES = Path(__file__).parent / "first_release"
VERSIONS = Path(mlc_dagster.database.__file__).parent / "migrations" / "versions"
RENAMED = "Renamed at the last moment AS"
SUPPLIERS, INVOICES = (f"anaplan/{feed}" for feed in FEEDS)


def write_first_release(url: str) -> None:
    """Fill an empty database as the first release left it."""
    place = sa.make_url(url)
    kind = place.get_backend_name()
    statements = (FIXTURES / f"{kind}.sql").read_text("utf-8")
    if kind == "sqlite":
        Path(str(place.database)).parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(str(place.database)) as connection:
            connection.executescript(statements)
    else:
        with connect(url).begin() as connection:
            connection.exec_driver_sql(statements.replace("%", "%%"))


@pytest.fixture
def old(database_url: str) -> str:
    write_first_release(database_url)
    return database_url


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The ERP as it was then, two hours later."""
    with (
        patch("tests.support.sandbox_time.SHIFT", datetime.now(UTC) - BEGIN),
        running_sandbox(companies=("NO01",), scale=0.02) as sandbox,
    ):
        sandbox.clock.advance(timedelta(hours=2))
        yield sandbox


@pytest.fixture(scope="module")
def delivered(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What Anaplan holds of the first release's delivery; its tasks of then are forgotten."""
    with open_house(sandbox, tmp_path_factory.mktemp("then"), destinations=FEEDS, days=8) as house:
        run(house)
        sandbox.anaplan.world.tasks.tasks.clear()
        return sandbox.anaplan.dump()


@pytest.fixture
def house(sandbox: Sandbox, old: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """Today's installation at the old database, without the lake of then."""
    monkeypatch.setenv("MLC_DATABASE_URL", old)
    monkeypatch.setenv("MLC_VAULT_KEY", KEY)
    # Waiting for a task that may still appear passes here, too.
    monkeypatch.setattr(SandboxTime, "monotonic", lambda clock: clock.now().timestamp())
    with open_house(sandbox, tmp_path, destinations=FEEDS, days=8) as house:
        for feed in FEEDS:
            view = f"DAT01 {feed.replace('_', ' ').title()}.All"
            house.set("pairs", "anaplan", "destinations", feed, "read_back", value=view)
        yield house


def run(house: House) -> dict[str, Report]:
    """Read and deliver what the first release knew, as a run of today does."""
    suite, days = Suite(load_settings(), house.clock), house.days
    for feed in FEEDS:
        due = days_to_read(suite, ENTITIES[feed], "NO01", days, anew=False)
        flow.read(suite, ENTITIES[feed], "NO01", due, run_id="run")
    return {name: flow.send(suite, name, "NO01", days, run_id="run") for name in (SUPPLIERS, INVOICES)}


def rows_of(engine: sa.Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, by the columns it had before."""
    with engine.connect() as connection:
        found = sa.inspect(connection)
        return {
            name: sorted(map(tuple, connection.execute(sa.text(f'SELECT * FROM "{name}"'))), key=repr)
            for name in found.get_table_names()
        }


def test_migrating_keeps_every_row_and_makes_the_declared_tables(old: str) -> None:
    engine = connect(old)
    before = rows_of(engine)
    migrate(engine)
    after = rows_of(engine)
    assert after.pop("alembic_version") == [(REVISION,)]
    del before["alembic_version"], before["sweeps"]
    for name, rows in before.items():
        width = len(rows[0]) if rows else 0
        assert [row[:width] for row in after[name]] == rows, name
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_two_processes_may_migrate_it_at_once(old: str) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    processes = [context.Process(target=_migrate_alone, args=(old, barrier)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert Ledger(connect(old), ManualClock()).counts(SUPPLIERS, "NO01")[State.DELIVERED] == 24


def test_a_copy_without_a_write_ahead_log_is_opened_while_another_process_writes_into_it(
    tmp_path: Path,
) -> None:
    file = tmp_path / "restored.db"
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("CREATE TABLE copied (number INTEGER)")
    other.execute("BEGIN IMMEDIATE")
    # SQLite waits for nobody here, so it is our waiting that lets the other one end.
    waiting = patch("tenacity.nap.time.sleep", lambda _: other.execute("COMMIT"))
    with waiting, reading(connect(f"sqlite:///{file}")) as connection:
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
    other.close()


def _migrate_alone(url: str, barrier: Any) -> None:
    barrier.wait()
    migrate(connect(url))


def test_what_was_kept_then_is_read(house: House) -> None:
    suite = house.suite()
    history = Audit(suite.engine).history("50000")
    assert {event.kind.value for event in history} == {"intended", "created", "landed"}
    suite.seals.seal()
    assert (suite.seals.verify().broken, suite.seals.verify().events) == (0, 37)
    assert suite.vault.read("anaplan").text == "what a run received"  # type: ignore[union-attr]
    assert {health.pair for health in overview(suite, house.clock.now())} >= {"anaplan"}
    assert [(work.reason, work.config) for work in suite.deferrals.due("anaplan")] == [("a lockout", None)]
    batch = next(event.batch_id for event in history if event.batch_id)
    planned = replay.plan(suite, replay.What(replay.By.BATCH, str(batch)))
    assert sum(map(len, planned.rows.values())) == 24


def test_it_runs_on_and_sends_nothing_again_but_what_was_in_doubt(house: House, delivered: Any) -> None:
    house.sandbox.anaplan.load(delivered)
    suite, erp = house.suite(), house.sandbox.visma
    number = min(str(row["number"]) for row in erp.truth("NO01", "supplier"))
    erp.change("NO01", "supplier", number, {"name": RENAMED})
    assert len(suite.ledger.keys_in_doubt(SUPPLIERS, "NO01")) == 1
    assert len(suite.quarantine.open("visma/supplier_invoices", "NO01")) == 1
    told = run(house)[SUPPLIERS]
    assert (told.unchanged, told.updated, told.created, told.deleted) == (23, 1, 0, 0)
    assert suite.ledger.keys_in_doubt(SUPPLIERS, "NO01") == set()
    assert suite.quarantine.open("visma/supplier_invoices", "NO01") == []
    assert_equal(house)


def assert_equal(house: House) -> None:
    """Anaplan shows what it was sent."""
    today = Suite(load_settings(), house.clock)
    for name in (SUPPLIERS, INVOICES):
        read_back = today.read_back(name)
        assert read_back is not None
        assert reconcile(today.ledger, read_back, name, "NO01", tombstone=None).equal, name


def test_with_the_lake_of_then_it_reads_only_what_changed_since_and_sends_only_that(
    house: House, delivered: Any
) -> None:
    shutil.copytree(FIXTURES / "lake", house.settings.lake_url)
    house.sandbox.anaplan.load(delivered)
    suite, erp = house.suite(), house.sandbox.visma
    number = min(str(row["number"]) for row in erp.truth("NO01", "supplier"))
    erp.change("NO01", "supplier", number, {"name": RENAMED})
    [refused] = suite.quarantine.open("visma/supplier_invoices", "NO01")
    erp.change("NO01", "supplierInvoice", str(refused.key), {"description": "Corrected"})
    house.sandbox.log.reset()
    told = run(house)
    lists = [call.path for call in house.sandbox.log.calls("visma", match=r"/supplier(Invoice)?\?")]
    whole = [path for path in lists if "lastModifiedDateTime=" not in path]
    assert len(whole) < len(lists)
    assert all("released=" in path.lower() or "status=" in path for path in whole), whole
    named = [row for row in erp.truth("NO01", "supplierInvoice") if row["supplier"]["number"] == number]
    assert [(report.updated, report.deleted) for report in told.values()] == [(1, 0), (len(named), 0)]
    assert [report.created for report in told.values()] == [0, 1], "what the first release could not read"
    assert suite.quarantine.open("visma/supplier_invoices", "NO01") == []
    assert_equal(house)


def test_a_look_at_all_keys_compares_with_the_lake_of_then(house: House) -> None:
    shutil.copytree(FIXTURES / "lake", house.settings.lake_url)
    suite, erp = house.suite(), house.sandbox.visma
    gone = max(erp.truth("NO01", "supplier"), key=lambda row: str(row["number"]))
    erp.delete("NO01", "supplier", str(gone["number"]))
    swept = sweeps.sweep(suite, ENTITIES["suppliers"], "NO01", run_id="sweep")
    left = len(erp.truth("NO01", "supplier"))
    assert (swept.held, swept.listed, swept.vanished, swept.renumbered) == (24, left, 24 - left, 0)


# What a process of the old version still reads or writes must stay while it runs beside the new one.
TAKES_AWAY = {"drop_table", "drop_column", "drop_constraint", "rename_table", "alter_column", "execute"}
# Reads under way, which no process of that time could lose more by than a page read twice.
ALLOWED = {("0005_reads_wait_in_the_lake.py", "drop_table")}


def test_no_migration_takes_anything_away() -> None:
    found = {
        (file.name, call.func.attr)
        for file in VERSIONS.glob("0*.py")
        for call in walk(parse(file.read_text("utf-8")))
        if isinstance(call, Call) and isinstance(call.func, Attribute) and call.func.attr in TAKES_AWAY
    }
    assert found == ALLOWED


def test_a_process_of_the_first_release_may_still_write_after_the_migration(old: str) -> None:
    """Its inserts name the columns of then: every column that came since may be left out."""
    before = sa.MetaData()
    engine = connect(old)
    before.reflect(engine)
    migrate(engine)
    now = sa.inspect(engine)
    kept = set(before.tables) - {"sweeps"}
    new = {
        (name, column["name"])
        for name in kept
        for column in now.get_columns(name)
        if column["name"] not in before.tables[name].columns
        and not (column["nullable"] or column["default"] is not None)
    }
    assert new == set()
