"""A running mailbox of the sandbox at its first state, and installations that send to it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from mlc_dagster.cli.main import app
from mlc_sandbox.cleo import CleoVendor
from mlc_sandbox.cleo.world import World
from mlc_sandbox.core import CallLog, Faults, SandboxClock
from mlc_sandbox.server import Sandbox, serving
from tests.cleo.dock import COMPANY as DOCKED
from tests.cleo.dock import Dock, open_dock
from tests.cleo.tenant import Installation
from tests.support.house import running_sandbox
from tests.support.postgres import engine
from tests.support.sandbox_time import SandboxTime, from_noon

__all__ = ["engine"]

COMPANIES = {"MLCNO01": "NO01", "MLCSE01": "SE01"}


@pytest.fixture(scope="session")
def server() -> Iterator[Sandbox]:
    clock, faults, log = SandboxClock(real_now=from_noon), Faults(), CallLog()
    sandbox = Sandbox([CleoVendor(clock, faults, log=log)], clock, faults, log, seed=1)
    sandbox.cleo.world.companies = dict(COMPANIES)
    with serving(sandbox):
        yield sandbox


@pytest.fixture(scope="session")
def empty(server: Sandbox) -> Any:
    return server.cleo.dump()


@pytest.fixture
def sandbox(server: Sandbox, empty: Any) -> Sandbox:
    server.cleo.load(empty)
    server.faults.clear()
    server.log.reset()
    return server


@pytest.fixture(scope="module")
def dock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dock]:
    """An ERP with its mailbox; files of tests that need it otherwise have one of their own."""
    with (
        running_sandbox(seed=3, scale=0.5, companies=(DOCKED,)) as sandbox,
        open_dock(sandbox, tmp_path_factory.mktemp("dock")) as dock,
    ):
        yield dock


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    return sandbox.cleo.world


@pytest.fixture
def install(
    sandbox: Sandbox, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Installation]:
    """Makes an installation; `way` are other settings of the mailbox, `partners` what is agreed otherwise."""
    for name, value in sandbox.cleo.secrets().items():
        monkeypatch.setenv(name, value)

    def made(way: Any = None, **partners: Any) -> Installation:
        rest = {"rest": {"base_url": f"{sandbox.url}/cleo"}}
        return Installation(way or rest, engine, SandboxTime(sandbox.clock), partners)

    return made


@pytest.fixture
def commands(ours: Installation, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `mlc cleo ...` on our installation, which has no mlc.yaml and no ERP."""
    monkeypatch.setattr("mlc_dagster.cli.partners.load_settings", lambda: None)
    monkeypatch.setattr("mlc_dagster.cli.partners.Suite", lambda _: ours)

    def mlc(*words: str) -> Result:
        return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["cleo", *words])

    return mlc


@pytest.fixture
def ours(install: Callable[..., Installation]) -> Installation:
    return install()
