"""What Anaplan's documentation leaves open: whichever way it is, the model ends equal."""

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from mlc_dagster.anaplan.auth import BasicLogin
from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.delivery import Comparison, Ledger, Report, deliver, reconcile
from mlc_dagster.delivery.errors import Closed
from mlc_dagster.delivery.spool import Spool
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.server import Sandbox
from tests.anaplan.conftest import PROCESS, SMALL, TOMBSTONE, invoice_feed
from tests.anaplan.rows import LIST, MODULE
from tests.anaplan.test_readback import NAME, VIEW, read_back, row
from tests.transport.clocks import ManualClock

Connect = Callable[..., AnaplanClient]
COLLEAGUE = "colleague@nordfjell.example", "sandbox-Anaplan-2"
OTHER_WAYS: dict[str, Any] = {
    "dump_line": "record",
    "empty_cells": "clear",
    "task_start_polls": 2,
    "text_collision": "first",
    "token_minutes": 6,
    "wire_time": "sandbox",
}


class Delivering:
    """Deliveries of one installation, and what the model holds after them."""

    def __init__(self, client: AnaplanClient, ledger: Ledger, clock: ManualClock) -> None:
        self._client, self._ledger, self._clock = client, ledger, clock

    def deliver(self, *rows: Any, gone: tuple[str, ...] = (), **options: Any) -> Report:
        return deliver(
            invoice_feed(self._client, **options),
            "NO01",
            rows,
            {row.source_key for row in rows} | set(gone) | self._ledger.outstanding(NAME, "NO01"),
            ledger=self._ledger,
            run_id="run",
            fingerprint="f",
            clock=self._clock,
        )

    def compared(self) -> Comparison:
        shown = read_back(self._client, VIEW)
        return reconcile(self._ledger, shown, NAME, "NO01", tombstone=TOMBSTONE)


@pytest.fixture
def ours(client: AnaplanClient, ledger: Ledger, clock: ManualClock) -> Delivering:
    return Delivering(client, ledger, clock)


@pytest.mark.parametrize("header_check", ["name", "position"])
@pytest.mark.parametrize("options", [{}, PROCESS, SMALL], ids=["imports", "process", "small"])
def test_rows_that_come_change_are_refused_and_go_leave_the_model_equal(
    ours: Delivering, world: World, clock: ManualClock, options: dict[str, Any], header_check: str
) -> None:
    world.switches.update(OTHER_WAYS, header_check=header_check)
    first, second, third = row("1001"), row("1002", supplier="NO01|nobody"), row("1003")
    assert ours.deliver(first, second, third, **options).failed == 1
    clock.advance(20 * 60)
    emptied = row("1001", due_date=None, vat_amount=None, supplier_reference=None, amount=Decimal("0.10"))
    second = row("1002", description="One\nTwo")
    report = ours.deliver(emptied, second, gone=(third.source_key,), **options)
    assert (report.deleted, report.failed, report.complete) == (1, 0, True)
    assert ours.compared().equal
    assert TOMBSTONE.items() <= world.module_rows(MODULE)[third.key].items()
    assert set(world.list_items(LIST)) == {first.key, second.key, third.key}


@pytest.mark.parametrize("rolled_back", [True, False])
def test_rows_whose_import_a_person_cancels_arrive_with_the_next_delivery(
    ours: Delivering, sandbox: Sandbox, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, rolled_back: bool
) -> None:
    world = sandbox.anaplan.world
    world.switches["cancel_rolls_back"] = rolled_back
    data = world.import_named("Supplier Invoices data")
    sandbox.faults.arm("anaplan", "slow_model", match=data.name, polls=5)
    sleep = clock.sleep

    def cancelling(seconds: float) -> None:
        sleep(seconds)
        with world.lock:
            for task in world.tasks.tasks.values():
                if task.object_id == data.id:
                    world.tasks.cancel(task)

    rows = row("1001"), row("1002")
    with monkeypatch.context() as patch:
        patch.setattr(clock, "sleep", cancelling)
        first = ours.deliver(*rows)
    assert first.created == (0 if rolled_back else 2)
    assert ours.deliver(*rows).created == 2 - first.created
    assert ours.compared().equal


@pytest.mark.parametrize("private", [True, False])
def test_an_import_a_colleague_runs_is_never_taken_for_ours(
    ours: Delivering, world: World, sandbox: Sandbox, connect: Connect, private: bool
) -> None:
    """Ours did not arrive; theirs came before it. Whether we see theirs is not known."""
    world.switches["task_privacy"] = private
    with world.lock:
        email, password = COLLEAGUE
        world.directory.add_user(email, password, exception_user=True)
    theirs = connect(BasicLogin(email, password))
    listed = world.import_named("Supplier Invoices list")
    theirs.files.upload(listed.source_id, Spool(b"code,name\nNO01|Invoice|9,9\n"))
    theirs.tasks.start("imports", listed.id)
    sandbox.faults.arm("anaplan", "drop_connection", match="POST .*/tasks", when="before")
    with suppress(Closed):
        ours.deliver(row("1001"))
    with world.lock:
        world.tasks.drain()
    ours.deliver(row("1001"))
    assert ours.deliver(row("1001")).complete
    found = ours.compared()
    assert (found.missing, found.different, found.extra) == (0, 0, 1)
