"""A running site of the sandbox at its first state, and an installation that delivers to it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mlc_sandbox.core import CallLog, Faults, SandboxClock
from mlc_sandbox.server import Sandbox, serving
from mlc_sandbox.tableau import TableauVendor, World
from tests.support.postgres import engine
from tests.support.sandbox_time import SandboxTime, from_noon
from tests.tableau.site import Installation

__all__ = ["engine"]


@pytest.fixture(scope="package")
def server() -> Iterator[tuple[Sandbox, Any]]:
    clock, faults, log = SandboxClock(real_now=from_noon), Faults(), CallLog()
    vendor = TableauVendor(clock, faults)
    vendor.switches.update({"job_polls": 0})
    sandbox = Sandbox([vendor], clock, faults, log, seed=1)
    first = vendor.dump(), clock.offset
    with serving(sandbox):
        yield sandbox, first


@pytest.fixture
def sandbox(server: tuple[Sandbox, Any]) -> Sandbox:
    running, (state, offset) = server
    running.clock.offset, running.clock.advanced = offset, timedelta(0)
    running.tableau.load(state)
    running.faults.clear()
    running.log.reset()
    return running


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    return sandbox.tableau.world


@pytest.fixture
def install(
    sandbox: Sandbox, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Installation]:
    for name, secret in sandbox.tableau.secrets().items():
        monkeypatch.setenv(name, secret)

    def made(**options: Any) -> Installation:
        return Installation(sandbox.url, engine, SandboxTime(sandbox.clock), tmp_path, options)

    return made


@pytest.fixture
def ours(install: Callable[..., Installation]) -> Installation:
    return install()
