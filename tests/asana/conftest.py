"""A running organisation of the sandbox at its first state, and an installation whose fields are set up."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from mlc_sandbox.asana import AsanaVendor
from mlc_sandbox.asana.world import World
from mlc_sandbox.core import CallLog, Faults, SandboxClock
from mlc_sandbox.server import Sandbox, serving
from tests.asana.tenant import Installation
from tests.support.postgres import engine
from tests.support.sandbox_time import SandboxTime, from_noon

__all__ = ["engine"]


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    clock, faults, log = SandboxClock(real_now=from_noon), Faults(), CallLog()
    sandbox = Sandbox([AsanaVendor(clock, faults)], clock, faults, log, seed=1)
    with serving(sandbox):
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    server.asana.load(AsanaVendor(server.clock, server.faults).dump())
    server.faults.clear()
    server.log.reset()
    return server


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    return sandbox.asana.world


def places_of(world: World) -> dict[str, str]:
    """The gids an installation is configured with."""
    return {**world.members, "workspace": world.workspace.gid}


@pytest.fixture
def install(
    sandbox: Sandbox, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Installation]:
    monkeypatch.setenv("ASANA_TOKEN", sandbox.asana.secrets()["ASANA_TOKEN"])

    def made(**options: Any) -> Installation:
        places = places_of(sandbox.asana.world)
        return Installation(sandbox.url, engine, SandboxTime(sandbox.clock), places, options)

    return made


@pytest.fixture
def ours(install: Callable[..., Installation], sandbox: Sandbox) -> Installation:
    """An installation whose fields are set up; calls are counted from here."""
    installation = install()
    installation.set_up()
    sandbox.log.reset()
    return installation
