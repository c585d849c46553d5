"""One writer per destination and company: the second waits or is refused, a stalled one can write nothing."""

import os
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from mlc_dagster.database import connect
from mlc_dagster.database.schema import budgets, leases
from mlc_dagster.delivery import Leases, Ledger, deliver
from mlc_dagster.delivery.errors import LeaseHeld, LeaseLost
from mlc_dagster.delivery.leases import LEASE_SECONDS, Hold
from tests.delivery.conftest import Deliver, row, sources
from tests.support.manual_clock import START, ManualClock
from tests.support.shelf import Shelf, wanted


@pytest.fixture
def lease(engine: sa.Engine, clock: ManualClock) -> Leases:
    return Leases(engine, clock)


def test_a_second_holder_is_refused_and_told_who_holds_it_since_when(
    lease: Leases, clock: ManualClock
) -> None:
    with (
        lease.hold(["shelf"], "run-1"),
        pytest.raises(LeaseHeld) as raised,
        lease.hold(["shelf"], "run-2", patience=5),
    ):
        pass
    assert f"process {os.getpid()}, run run-1 since 2026-11-20 12:00:00 UTC" in str(raised.value)
    assert clock.slept == 5


def test_a_released_lease_is_free_at_once(lease: Leases, clock: ManualClock) -> None:
    for run_id in ("run-1", "run-2"):
        with lease.hold(["shelf"], run_id, patience=0):
            pass
    assert clock.slept == 0


def test_whoever_follows_a_crashed_holder_waits_its_lease_out(
    engine: sa.Engine, lease: Leases, clock: ManualClock
) -> None:
    dead = Leases(engine, clock)._try(["shelf"], "run-1")
    assert dead is not None
    with lease.hold(["shelf"], "run-2"):
        assert clock.slept == LEASE_SECONDS


def test_renewing_keeps_the_lease(lease: Leases, clock: ManualClock) -> None:
    with lease.hold(["shelf"], "run-1") as hold:
        clock.pass_time(LEASE_SECONDS - 1)
        lease.renew(hold)
        clock.pass_time(LEASE_SECONDS - 1)
        with pytest.raises(LeaseHeld), lease.hold(["shelf"], "run-2", patience=0):
            pass


def test_a_held_lease_is_renewed_in_the_background(engine: sa.Engine) -> None:
    renewed = threading.Event()
    sa.event.listen(engine, "before_cursor_execute", lambda *args: _tell(str(args[2]), renewed))
    with Leases(engine, ManualClock(), seconds=0.03).hold(["shelf"], "run-1"):
        assert renewed.wait(30)


def test_all_names_are_taken_or_none(engine: sa.Engine, lease: Leases) -> None:
    with lease.hold(["model"], "run-1"):
        with (
            pytest.raises(LeaseHeld, match="model is held"),
            lease.hold(["alone", "model"], "run-2", patience=0),
        ):
            pass
        with lease.hold(["alone"], "run-3", patience=0):
            pass


def test_a_stalled_holder_writes_nothing_once_another_took_over(
    engine: sa.Engine, lease: Leases, clock: ManualClock
) -> None:
    stalled = lease._try(["shelf"], "run-1")
    assert stalled is not None
    clock.pass_time(LEASE_SECONDS)
    with lease.hold(["shelf"], "run-2"):
        with pytest.raises(LeaseLost, match="Nothing was written"):
            _write_then_check(engine, stalled)
        with pytest.raises(LeaseLost):
            lease.renew(stalled)
    with engine.connect() as connection:
        assert connection.execute(sa.select(budgets)).all() == []


def test_a_stalled_holder_does_not_release_its_successors_lease(lease: Leases, clock: ManualClock) -> None:
    with lease.hold(["shelf"], "run-1"):
        clock.pass_time(LEASE_SECONDS)
        successor = lease._try(["shelf"], "run-2")
    assert successor is not None
    with pytest.raises(LeaseHeld, match="run run-2"), lease.hold(["shelf"], "run-3", patience=0):
        pass


def test_the_fence_rises_with_every_holder(engine: sa.Engine, lease: Leases) -> None:
    for _ in range(3):
        with lease.hold(["shelf"], "run"):
            pass
    with engine.connect() as connection:
        assert connection.execute(sa.select(leases.c.fence)).scalar_one() == 3


def test_a_delivery_holds_what_its_destination_shares_with_others(
    shelf_file: Path, run: Deliver, lease: Leases
) -> None:
    shelf = Shelf(shelf_file, exclusive=("model:1",))
    held = pytest.raises(LeaseHeld, match=r"model:1 is held by .*someone")
    with lease.hold(["model:1"], "someone"), held:
        run(shelf, row("a"), patience=0)
    assert run(shelf, row("a"), patience=0).created == 1


def test_of_two_processes_delivering_at_once_only_one_sends(database_url: str, shelf_file: Path) -> None:
    """The first stands inside its call while the second asks for the lease."""
    calling, told = os.pipe()
    wait, go_on = os.pipe()

    class Slow(Shelf):
        def send(self, batch):  # type: ignore[no-untyped-def]
            os.write(told, b"x")
            os.read(wait, 1)
            return super().send(batch)

    child = os.fork()
    if child == 0:
        os._exit(_deliver_alone(database_url, Slow(shelf_file)))
    os.read(calling, 1)
    with pytest.raises(LeaseHeld, match=f"process {child}"):
        _deliver(database_url, Shelf(shelf_file), patience=0)
    os.write(go_on, b"x")
    assert os.waitpid(child, 0)[1] == 0
    shelf = Shelf(shelf_file)
    assert shelf.content() == wanted([row("a")])
    assert shelf.count("send") == 1


def _write_then_check(engine: sa.Engine, hold: Hold) -> None:
    with engine.begin() as connection:
        connection.execute(budgets.insert(), {"name": "x", "state": "", "updated_at": START})
        hold.check(connection)


def _tell(statement: str, renewed: threading.Event) -> None:
    if statement.startswith("UPDATE leases SET expires_at"):
        renewed.set()


def _deliver(url: str, shelf: Shelf, patience: float = 60) -> None:
    engine, clock = connect(url), ManualClock()
    options = {"ledger": Ledger(engine, clock), "run_id": "run", "fingerprint": "f", "clock": clock}
    try:
        deliver(shelf, "NO01", [row("a")], sources(row("a")), (), patience=patience, **options)  # type: ignore[arg-type]
    finally:
        engine.dispose()


def _deliver_alone(url: str, shelf: Shelf) -> int:
    try:
        _deliver(url, shelf)
    except BaseException:  # noqa: BLE001 - a forked child must never return into pytest
        return 1
    return 0
