"""A running sandbox tenant, and the pieces that speak to it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster.anaplan.auth import BasicLogin, Login, open_token_service, token_auth
from mlc_dagster.anaplan.client import AnaplanClient, open_http
from mlc_dagster.anaplan.destination import AnaplanFeed
from mlc_dagster.anaplan.taskrun import Pace
from mlc_dagster.database import connect as open_database
from mlc_dagster.database import migrate
from mlc_dagster.delivery import Ledger
from mlc_dagster.settings.anaplan import AnaplanDestination
from mlc_sandbox.anaplan import hub
from mlc_sandbox.anaplan.vendor import AnaplanVendor
from mlc_sandbox.anaplan.world import PASSWORD, USER, World
from mlc_sandbox.core import CallLog, Faults, SandboxClock
from mlc_sandbox.server import Sandbox, serving
from tests.support.postgres import engine
from tests.transport.clocks import ManualClock

__all__ = ["engine"]

INVOICES = next(feed for feed in hub.FEEDS if feed.key == "supplier_invoices")
TOMBSTONE = {"status": "Deleted", "amount": 0}
IMPORTS = {"list_import": "Supplier Invoices list", "data_import": "Supplier Invoices data"}
PROCESS = {"process": "Supplier Invoices load"}
SMALL: dict[str, Any] = {
    "small_changes": {
        "up_to": 5,
        "list": "#Supplier Invoices",
        "module": "DAT01 Supplier Invoices",
        "name_property": hub.DISPLAY_NAME,
    }
}


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    clock, faults, log = SandboxClock(), Faults(), CallLog()
    sandbox = Sandbox([AnaplanVendor(clock, faults)], clock, faults, log, seed=1)
    with serving(sandbox):
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    """The tenant as it starts: an empty hub, no faults, no calls."""
    fresh = AnaplanVendor(server.clock, server.faults)
    server.anaplan.load(fresh.dump())
    # The rate limit runs on real time and would outlive a test; tests that want a 429 arm the fault.
    server.anaplan.switches["rate_per_minute"] = 0
    server.faults.clear()
    server.log.reset()
    return server


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    return sandbox.anaplan.world


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def ledger(tmp_path: Path, clock: ManualClock) -> Iterator[Ledger]:
    engine = open_database(f"sqlite:///{tmp_path}/mlc.db")
    migrate(engine)
    yield Ledger(engine, clock)
    engine.dispose()


@pytest.fixture
def connect(sandbox: Sandbox, clock: ManualClock) -> Callable[..., AnaplanClient]:
    def connected(login: Login | None = None, **options: Any) -> AnaplanClient:
        tokens = open_token_service(f"{sandbox.url}/anaplan/auth", clock=clock)
        auth = token_auth(tokens, login or BasicLogin(USER, PASSWORD))
        http = open_http(f"{sandbox.url}/anaplan/2/0", auth=auth, clock=clock)
        return AnaplanClient(http, hub.WORKSPACE_ID, hub.MODEL_ID, **options)

    return connected


@pytest.fixture
def client(connect: Callable[..., AnaplanClient]) -> AnaplanClient:
    return connect()


@pytest.fixture
def invoices(client: AnaplanClient) -> AnaplanFeed:
    return invoice_feed(client)


def invoice_feed(client: AnaplanClient, *, pace: Pace | None = None, **options: Any) -> AnaplanFeed:
    """The supplier invoices' feed; `options` are settings of the destination, or columns and tombstone."""
    given: dict[str, Any] = {"columns": INVOICES.headers, "tombstone": TOMBSTONE}
    given |= {name: options.pop(name) for name in given.keys() & options.keys()}
    settings = IMPORTS | options if "process" not in options else options
    wanted = AnaplanDestination(**{"item_name": "reference_number"} | settings)
    return AnaplanFeed("anaplan/supplier_invoices", client, wanted, pace=pace, **given)
