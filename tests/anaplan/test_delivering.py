"""Deliveries by the engine into the sandbox: whatever happens between two runs, the model ends up equal."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.destination import AnaplanFeed
from mlc_dagster.anaplan.taskrun import Pace
from mlc_dagster.delivery import Audit, Kind, Ledger, Report, Row, State
from mlc_dagster.delivery import deliver as deliver_rows
from mlc_dagster.delivery.errors import Closed, Stop
from mlc_dagster.transport import errors as transport
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.server import Sandbox
from tests.anaplan.conftest import PROCESS, TOMBSTONE, invoice_feed
from tests.anaplan.rows import LIST, MODULE, arrived, change
from tests.transport.clocks import ManualClock

HURRIED = Pace(deadline=-1)
NAME = "anaplan/supplier_invoices"
Connect = Callable[..., AnaplanClient]
Deliver = Callable[..., Report]


def row(number: str, company: str = "NO01", **values: Any) -> Row:
    made = change(number, code=f"{company}|Invoice|{number}", company=company, **values).row
    return Row(made.payload["code"], made.source_key, number, made.payload)


def held(*rows: Row) -> dict[str, dict[str, Any]]:
    return {row.key: arrived(row.payload) for row in rows}


@pytest.fixture
def ledger(engine: sa.Engine, clock: ManualClock) -> Ledger:
    return Ledger(engine, clock)


@pytest.fixture
def deliver(ledger: Ledger, clock: ManualClock, client: AnaplanClient) -> Deliver:
    """Deliver rows; the scope is their records, what is still outstanding, and `gone`."""

    def run(
        *rows: Row, gone: tuple[str, ...] = (), company: str = "NO01", feed: AnaplanFeed | None = None
    ) -> Report:
        scope = {row.source_key for row in rows} | set(gone) | ledger.outstanding(NAME, company)
        return deliver_rows(
            feed or invoice_feed(client),
            company,
            rows,
            scope,
            ledger=ledger,
            run_id="run",
            fingerprint="f",
            clock=clock,
        )

    return run


def doubtful(deliver: Deliver, *rows: Row, **options: Any) -> Report:
    """Deliver and end in doubt."""
    with pytest.raises(Closed) as raised:
        deliver(*rows, **options)
    assert raised.value.report is not None
    return raised.value.report


def assert_deleted(world: World, number: str) -> None:
    """The item has its tombstone's cells and nothing of what was refused."""
    assert set(world.list_items(LIST)) == set(world.module_rows(MODULE))
    assert world.module_rows(MODULE)[f"NO01|Invoice|{number}"] == TOMBSTONE


def test_an_item_whose_cells_were_refused_is_deleted_with_its_record(deliver: Deliver, world: World) -> None:
    assert deliver(row("1001", supplier="NO01|nobody")).failed == 1
    assert deliver(gone=("Invoice|1001",)).deleted == 1
    assert_deleted(world, "1001")


@pytest.mark.parametrize(
    ("fault", "params"),
    [
        ("task_cancelled", {}),
        ("import_fails_whole", {}),
        ("import_fails_whole", {"type": "moduleImportNoWriteAccess"}),
        ("ignore_rows", {}),
    ],
)
def test_an_item_whose_data_import_failed_is_deleted_with_its_record(
    deliver: Deliver, world: World, sandbox: Sandbox, fault: str, params: dict[str, str]
) -> None:
    sandbox.faults.arm("anaplan", fault, match="Supplier Invoices data", **params)
    try:
        assert deliver(row("1001")).pending == 1
    except Stop:
        assert params
    assert "NO01|Invoice|1001" in world.list_items(LIST)
    assert deliver(gone=("Invoice|1001",)).deleted == 1
    assert_deleted(world, "1001")


def test_a_record_that_the_list_refused_and_that_vanishes_costs_no_call(
    deliver: Deliver, world: World, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.faults.arm("anaplan", "reject_rows", match="Supplier Invoices list", matching="1001")
    deliver(row("1001"))
    assert deliver(gone=("Invoice|1001",)).batches == 0
    assert ledger.counts(NAME, "NO01") == {State.DELETED: 1}
    assert world.list_items(LIST) == {}


def test_a_cell_that_did_not_load_is_visible_and_goes_again(deliver: Deliver, world: World) -> None:
    world.switches["bad_cell"] = "warn"
    assert deliver(row("1001", supplier="NO01|nobody")).failed == 1
    report = deliver(row("1001"))
    assert (report.retried, report.created) == (1, 1)
    assert world.module_rows(MODULE) == held(row("1001"))


def test_the_rows_of_one_company_are_not_taken_for_anothers(
    deliver: Deliver, world: World, sandbox: Sandbox, client: AnaplanClient
) -> None:
    """Both feed one import. The start of the first never arrived, and the second starts the same import."""
    sandbox.faults.arm("anaplan", "drop_connection", match="POST .*/tasks", when="before")
    hurried = invoice_feed(client, pace=HURRIED)
    assert doubtful(deliver, row("1001"), feed=hurried).in_doubt == 1
    assert deliver(row("1001", "SE01"), company="SE01").recovered == 1
    assert deliver(row("1001")).created == 1
    assert world.module_rows(MODULE) == held(row("1001"), row("1001", "SE01"))


def test_while_an_import_may_still_run_nothing_else_is_uploaded(
    deliver: Deliver, world: World, sandbox: Sandbox, client: AnaplanClient
) -> None:
    world.switches["task_polls"] = 1000
    hurried = invoice_feed(client, pace=HURRIED)
    report = doubtful(deliver, row("1001"), feed=hurried)
    assert (report.in_doubt, report.complete) == (1, False)
    uploads = sandbox.log.count("anaplan", match="/chunks/")
    report = doubtful(deliver, row("1001"), row("1002"), feed=hurried)
    assert (report.in_doubt, report.pending) == (1, 1)
    assert "has not ended" in str(report.stopped)
    assert sandbox.log.count("anaplan", match="/chunks/") == uploads
    with world.lock:
        world.tasks.drain()
    world.switches["task_polls"] = 1
    assert deliver(row("1001"), row("1002")).complete
    assert world.module_rows(MODULE) == held(row("1001"), row("1002"))


def test_a_lockout_while_an_import_runs_tells_when_to_go_on(
    deliver: Deliver, world: World, client: AnaplanClient, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens_at = clock.now() + timedelta(hours=1)

    def locked_out(*_: str) -> None:
        raise transport.Closed("Anaplan", opens_at)

    with monkeypatch.context() as patch:
        patch.setattr(client.tasks, "one", locked_out)
        with pytest.raises(Closed) as raised:
            deliver(row("1001"))
    assert raised.value.opens_at == opens_at
    assert deliver(row("1001")).recovered == 1
    assert world.module_rows(MODULE) == held(row("1001"))


def test_an_anaplan_that_is_down_says_nothing_about_a_batch_in_doubt(
    deliver: Deliver, world: World, sandbox: Sandbox, client: AnaplanClient
) -> None:
    doubtful(deliver, row("1001"), feed=invoice_feed(client, pace=HURRIED))
    sandbox.faults.arm("anaplan", "server_error", match="GET .*/models/", times=None)
    assert doubtful(deliver, row("1001")).in_doubt == 1
    sandbox.faults.clear()
    assert deliver(row("1001")).recovered == 1
    assert [ran.import_name for ran in world.history] == ["Supplier Invoices list", "Supplier Invoices data"]


def test_a_result_that_is_no_longer_kept_after_days_goes_again(
    deliver: Deliver, world: World, sandbox: Sandbox, client: AnaplanClient
) -> None:
    """48 hours after the list import Anaplan has neither its dump nor our file any more."""
    sandbox.faults.arm("anaplan", "reject_rows", match="Supplier Invoices list", matching="1002")
    doubtful(deliver, row("1001"), row("1002"), feed=invoice_feed(client, pace=HURRIED))
    sandbox.clock.advance(timedelta(hours=49))
    deliver(row("1001"), row("1002"))
    assert deliver(row("1001"), row("1002")).complete
    assert world.module_rows(MODULE) == held(row("1001"), row("1002"))


def test_a_layout_that_changed_under_a_running_import_is_not_read_by_line(
    deliver: Deliver, world: World, client: AnaplanClient
) -> None:
    doubtful(deliver, row("1001"), row("1002"), feed=invoice_feed(client, pace=HURRIED))
    for part in ("list", "data"):
        world.model.files[world.import_named(f"Supplier Invoices {part}").source_id].separator = ";"
    report = deliver(row("1001"), row("1002"))
    assert (report.not_landed, report.created) == (1, 2)
    assert world.module_rows(MODULE) == held(row("1001"), row("1002"))


def test_another_model_gets_everything(
    deliver: Deliver, world: World, client: AnaplanClient, sandbox: Sandbox
) -> None:
    deliver(row("1001"))
    world.model.named("modules", MODULE).cells.clear()
    feed = invoice_feed(client)
    feed.target = feed.target.replace(client.model_id, "F" * 32)
    assert deliver(row("1001"), feed=feed).updated == 1
    assert world.module_rows(MODULE) == held(row("1001"))


def test_a_database_restored_from_yesterday_ends_equal(
    deliver: Deliver, world: World, engine: sa.Engine, tmp_path: Path
) -> None:
    deliver(row("1001"), row("1002"))
    engine.dispose()
    shutil.copy(tmp_path / "mlc.db", tmp_path / "backup.db")
    deliver(row("1001", status="Closed"), row("1003"), gone=("Invoice|1002",))
    engine.dispose()
    for file in tmp_path.glob("mlc.db*"):
        file.unlink()
    shutil.copy(tmp_path / "backup.db", tmp_path / "mlc.db")
    deliver(row("1001", status="Closed"), row("1003"), gone=("Invoice|1002",))
    deleted = row("1002")
    assert world.module_rows(MODULE) == held(
        row("1001", status="Closed"), row("1003"), replace(deleted, payload={**deleted.payload, **TOMBSTONE})
    )


def test_a_very_long_text_is_delivered_and_a_refused_one_is_read_from_the_dump(
    deliver: Deliver, world: World
) -> None:
    long = "x" * 200_000
    report = deliver(row("1001", description=long), row("1002", description=long, supplier="NO01|nobody"))
    assert (report.created, report.failed) == (1, 1)


def test_an_operator_finds_the_import_by_its_task(
    deliver: Deliver, world: World, engine: sa.Engine, sandbox: Sandbox
) -> None:
    sandbox.faults.arm("anaplan", "task_cancelled", match="Supplier Invoices data")
    deliver(row("1001"))
    deliver(row("1001"))
    told = {event.kind: event.detail for event in Audit(engine).history("1001") if event.key is None}
    listed, cancelled, again, loaded = world.tasks.tasks
    assert f"task {cancelled}" in told[Kind.ABANDONED]["reason"]
    assert (told[Kind.LANDED]["list task"], told[Kind.LANDED]["data task"]) == (again, loaded)
    assert listed != again


@pytest.mark.parametrize("matching", ["exact", "folded"])
@pytest.mark.parametrize("way", [{}, PROCESS])
def test_a_code_that_changes_its_case_only_ends_with_its_new_values_whether_it_is_another_code_or_not(
    deliver: Deliver, client: AnaplanClient, world: World, matching: str, way: dict[str, Any]
) -> None:
    """With two imports the list takes the first of both, which is the delete; in a process nothing would."""
    world.switches["code_matching"] = matching
    feed = invoice_feed(client, **way)
    old, new = row("inv-7", amount=Decimal(5)), row("INV-7", amount=Decimal(7))
    deliver(old, feed=feed)
    assert deliver(new, gone=(old.source_key,), feed=feed).deleted == 1
    assert deliver(new, feed=feed).complete
    cells = world.module_rows(MODULE)
    wanted = {"exact": {old.key: Decimal(0), new.key: Decimal(7)}, "folded": {new.key: Decimal(7)}}
    assert {code: values["amount"] for code, values in cells.items()} == wanted[matching]
