"""The way in from Cleo in Dagster: the job with the check after it, and a schedule for one look at a time."""

from collections.abc import Iterator
from datetime import timedelta
from unittest.mock import patch

import dagster as dg
import pytest

from mlc_dagster.definitions import defs
from mlc_dagster.graph.answers import NAME
from mlc_dagster.graph.mailbox import JOB
from mlc_dagster.outlook import today
from mlc_dagster.suite import Suite
from mlc_dagster.tallies import ALL
from tests.cleo.dock import COMPANY, Dock, open_dock
from tests.support.house import QUIET, running_sandbox
from tests.support.sandbox_time import SandboxTime

ORDERS = "cleo/purchase_orders"


@pytest.fixture(scope="module")
def dock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dock]:
    with running_sandbox(seed=3, scale=0.5, companies=(COMPANY,)) as sandbox:
        clock = SandboxTime(sandbox.clock)
        with (
            patch("mlc_dagster.graph.resource.Suite", lambda settings: Suite(settings, clock)),
            open_dock(sandbox, tmp_path_factory.mktemp("dock")) as dock,
        ):
            yield dock


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def change(dock: Dock, order: str, **fields: str) -> None:
    """The ERP changes an order."""
    dock.sandbox.visma.change(COMPANY, "purchaseorder", f"RegularOrder|{order}", fields)


def run(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = defs().get_job_def(JOB)
    return job.execute_in_process(instance=instance, run_config=QUIET, raise_on_error=False)


def tick(instance: dg.DagsterInstance) -> dg.RunRequest | str:
    """The run the schedule asks for, or why it asks for none."""
    schedule = next(each for each in defs().schedules or () if each.name == JOB)
    told = schedule(dg.build_schedule_context(instance=instance))  # type: ignore[operator]
    return told if isinstance(told, dg.RunRequest) else str(told.skip_message)


def test_a_run_takes_the_mailbox_in_and_shows_what_it_did(dock: Dock, instance: dg.DagsterInstance) -> None:
    notice = dock.ship(dock.order())
    result = run(instance)
    assert result.success
    (output,) = [event for event in result.all_events if event.is_successful_output]
    shown = {name: value.value for name, value in output.step_output_data.metadata.items()}
    assert (shown["files"], shown["posted"]) == (1, 1)
    assert len(dock.receipts(notice.number)) == 1
    tallies = dock.suite().tallies.all()["cleo/inbox", ALL]
    assert tallies["calls"].count > 0
    assert tallies["steps_succeeded"].count == 1


def test_a_mailbox_that_cannot_be_reached_fails_the_run_and_the_next_goes_on(
    dock: Dock, instance: dg.DagsterInstance
) -> None:
    notice = dock.ship(dock.order())
    dock.sandbox.faults.arm("cleo", "server_error", times=None, match="GET .*download")
    assert not run(instance).success
    dock.sandbox.faults.clear()
    assert run(instance).success
    assert len(dock.receipts(notice.number)) == 1


@pytest.fixture
def waiting(dock: Dock) -> Iterator[str]:
    """The number of an order that was told, and whose cancellation waits for the answer in the mailbox."""
    dock.settle(destinations={"purchase_orders": {}, "suppliers": {}})
    dock.deliver(ORDERS)
    dock.receive()
    number = dock.order()
    change(dock, number, description="Lever til port 7")
    dock.deliver(ORDERS)
    change(dock, number, status="Cancelled")
    dock.deliver(ORDERS)
    yield number
    for each in dock.suite().deferrals.waiting():
        dock.suite().deferrals.taken(each)


def test_the_pair_runs_once_for_the_answer_that_a_change_waits_for(
    dock: Dock, instance: dg.DagsterInstance, waiting: str
) -> None:
    suite = dock.suite()
    (reason,) = suite.ledger.pending(ORDERS, COMPANY).values()
    assert "goes with the first run after the answer" in reason
    assert suite.deferrals.due("cleo") == []
    assert run(instance).success
    (due,) = suite.deferrals.due("cleo")
    day = today(suite)
    assert (due.company, due.first_day, due.last_day, due.config) == (COMPANY, day, day, None)
    suite.deferrals.taken(due)
    assert run(instance).success
    assert suite.deferrals.due("cleo") == [], "that run may have left the row as it was"
    dock.deliver(ORDERS)
    orders = dock.world.receiver.view["850"].values()
    assert [order["status"] for order in orders if order["number"] == waiting] == ["cancelled"]


def test_what_waits_for_a_window_is_left_to_it(
    dock: Dock, instance: dg.DagsterInstance, waiting: str
) -> None:
    suite = dock.suite()
    later, day = suite.clock.now() + timedelta(hours=2), today(suite)
    suite.deferrals.store(
        pair="cleo", company=COMPANY, first_day=day, last_day=day, opens_at=later, reason="closed"
    )
    assert run(instance).success
    [window] = suite.deferrals.waiting("cleo")
    assert window.opens_at == later
    suite.deferrals.taken(window)
    assert run(instance).success
    assert len(suite.deferrals.due("cleo")) == 1


def test_another_file_that_cannot_be_worked_off_keeps_no_answer_back(
    dock: Dock, instance: dg.DagsterInstance, waiting: str
) -> None:
    dock.ship(dock.order())
    dock.sandbox.faults.arm("visma", "server_error", times=None)
    assert not run(instance).success
    dock.sandbox.faults.clear()
    assert len(dock.suite().deferrals.due("cleo")) == 1
    assert run(instance).success


def test_a_missing_acknowledgment_is_told_though_nobody_delivers_any_more(
    dock: Dock, instance: dg.DagsterInstance
) -> None:
    dock.settle(destinations={"purchase_orders": {}, "suppliers": {}})
    dock.deliver(ORDERS)
    dock.receive()
    change(dock, dock.order(), status="Cancelled")
    dock.sandbox.cleo.switches["partner_answer"] = "silent"
    dock.deliver(ORDERS)
    assert run(instance).success
    assert acknowledged(instance) == (True, dg.AssetCheckSeverity.WARN)
    dock.sandbox.clock.advance(timedelta(hours=25))
    assert run(instance).success
    assert acknowledged(instance) == (False, dg.AssetCheckSeverity.WARN)


def acknowledged(instance: dg.DagsterInstance) -> tuple[bool, dg.AssetCheckSeverity]:
    """The check of orders as the UI and whoever alerts see it: its newest evaluation."""
    key = dg.AssetCheckKey(dg.AssetKey(["cleo", "purchase_orders"]), NAME)
    newest = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    evaluation = newest.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
    return evaluation.passed, evaluation.severity


def test_the_schedule_starts_one_look_at_a_time(dock: Dock) -> None:
    # A schedule's context opens the instance anew, so this one has to be on disk.
    with dg.instance_for_test() as instance:
        assert isinstance(tick(instance), dg.RunRequest)
        job = defs().get_job_def(JOB)
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        assert "is under way" in str(tick(instance))


def test_without_the_pair_there_is_no_job(dock: Dock) -> None:
    from mlc_dagster.graph.mailbox import mailbox
    from mlc_dagster.settings import load_settings

    settings = load_settings(dock.file)
    off = settings.model_copy(update={"pairs": settings.pairs.model_copy(update={"cleo": None})})
    assert not list(mailbox(off).jobs or ())
