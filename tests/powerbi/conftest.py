"""A running tenant of the sandbox at its first state, and an installation with its dataset set up."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from mlc_sandbox.core import CallLog, Faults, SandboxClock
from mlc_sandbox.powerbi import PowerBIVendor, World
from mlc_sandbox.server import Sandbox, serving
from tests.powerbi.tenant import Installation
from tests.support.postgres import engine
from tests.support.sandbox_time import SandboxTime, from_noon

__all__ = ["engine"]


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    clock, faults, log = SandboxClock(real_now=from_noon), Faults(), CallLog()
    sandbox = Sandbox([PowerBIVendor(clock, faults)], clock, faults, log, seed=1)
    with serving(sandbox):
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    server.powerbi.load(PowerBIVendor(server.clock, server.faults).dump())
    server.faults.clear()
    server.log.reset()
    return server


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    return sandbox.powerbi.world


@pytest.fixture
def install(
    sandbox: Sandbox, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Installation]:
    principal = sandbox.powerbi.world.principal
    monkeypatch.setenv("POWERBI_CLIENT_ID", principal.client_id)
    monkeypatch.setenv("POWERBI_CLIENT_SECRET", principal.secret)

    def made(**options: Any) -> Installation:
        return Installation(
            sandbox.url,
            engine,
            SandboxTime(sandbox.clock),
            {"tenant": principal.tenant_id},
            sandbox.powerbi.world.workspace_id,
            options,
        )

    return made


@pytest.fixture
def ours(install: Callable[..., Installation]) -> Installation:
    """An installation whose dataset is set up."""
    installation = install()
    installation.set_up()
    return installation


@pytest.fixture
def value(world: World) -> Callable[[str], Any]:
    """What a measure shows, or any scalar of DAX, once everything posted is seen."""

    def asked(dax: str) -> Any:
        world.clock.advance(timedelta(seconds=5))
        (row,) = world.query("Visma ERP", f'EVALUATE ROW ( "x", {dax} )')
        return row["[x]"]

    return asked
