"""Delivering into the sandbox over HTTP: what arrives, what is refused, and what stops a delivery."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from mlc_dagster.anaplan.answers import Task
from mlc_dagster.anaplan.client import AnaplanClient, Kind, files
from mlc_dagster.anaplan.destination import AnaplanFeed
from mlc_dagster.delivery import errors
from mlc_dagster.delivery.rows import Op
from mlc_sandbox.anaplan.switches import CHOICES
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.server import Sandbox
from tests.anaplan.conftest import INVOICES, PROCESS, SMALL, invoice_feed
from tests.anaplan.rows import LIST, MODULE, arrived, batch, change
from tests.anaplan.tenant import DELETE, with_delete_column
from tests.transport.clocks import ManualClock


def test_a_load_arrives_exactly_in_list_and_module(invoices: AnaplanFeed, world: World) -> None:
    changes = [change("1001"), change("1002", amount=Decimal("999999999999.99"), balance=Decimal("1E+3"))]
    assert invoices.preflight(changes) == {}
    outcome = invoices.send(batch(*changes))
    assert (outcome.refused, outcome.partial) == ({}, {})
    assert {item.code: item.text for item in world.list_items(LIST).values()} == {
        "NO01|Invoice|1001": "1001",
        "NO01|Invoice|1002": "1002",
    }
    assert world.module_rows(MODULE) == {c.row.key: arrived(c.row.payload) for c in changes}


def test_each_import_runs_once_a_batch(invoices: AnaplanFeed, world: World) -> None:
    invoices.send(batch(change("1001")))
    assert [ran.import_name for ran in world.history] == ["Supplier Invoices list", "Supplier Invoices data"]


def test_the_audit_trail_gets_task_and_counts_of_each_import_and_no_zeros(
    invoices: AnaplanFeed, world: World
) -> None:
    world.switches["bad_cell"] = "warn"
    invoices.send(batch(change("1001")))
    changes = [change("1001", Op.UPDATE), change("1002"), change("1003", supplier="NO01|nobody")]
    detail = dict(invoices.send(batch(*changes)).detail)
    assert [detail.pop(name) for name in ("list task", "data task")] == list(world.tasks.tasks)[2:]
    assert detail == {
        "list rows": 3,
        "list created": 2,
        "list updated": 1,
        "data rows": 3,
        "data updated": 3,
        "data warnings": 1,
    }


def test_a_deleted_row_is_marked(invoices: AnaplanFeed, world: World) -> None:
    invoices.send(batch(change("1001")))
    invoices.send(batch(change("1001", Op.DELETE, status="Deleted", amount=Decimal(0))))
    held = world.module_rows(MODULE)["NO01|Invoice|1001"]
    assert (held["status"], held["amount"]) == ("Deleted", 0)


def test_an_update_renames_the_item_when_a_column_names_it(invoices: AnaplanFeed, world: World) -> None:
    invoices.send(batch(change("1001")))
    invoices.send(batch(change("1001", Op.UPDATE, reference_number="1001-B")))
    assert world.list_items(LIST)["NO01|Invoice|1001"].text == "1001-B"


@pytest.mark.parametrize("op", [Op.UPDATE, Op.DELETE])
def test_an_item_that_somebody_removed_in_the_model_comes_back(
    invoices: AnaplanFeed, world: World, op: Op
) -> None:
    assert invoices.send(batch(change("1001", op, status="Closed"))).refused == {}
    assert world.module_rows(MODULE)["NO01|Invoice|1001"]["status"] == "Closed"


def test_codes_that_are_equal_to_anaplan_are_refused_and_not_added_up(
    invoices: AnaplanFeed, world: World
) -> None:
    world.switches["code_matching"] = "folded"
    outcome = invoices.send(batch(change("1a", amount=Decimal(5)), change("1A", amount=Decimal(7))))
    assert "Duplicate key" in outcome.refused["NO01|Invoice|1A"]
    assert [row["amount"] for row in world.module_rows(MODULE).values()] == [5]


def test_a_row_refused_by_the_data_import_carries_anaplans_words_and_the_rest_is_delivered(
    invoices: AnaplanFeed, world: World
) -> None:
    outcome = invoices.send(batch(change("1001"), change("1002", supplier="NO01|nobody"), change("1003")))
    assert list(outcome.refused) == ["NO01|Invoice|1002"]
    assert "Item not located in Suppliers list: NO01|nobody" in outcome.refused["NO01|Invoice|1002"]
    assert sorted(world.module_rows(MODULE)) == ["NO01|Invoice|1001", "NO01|Invoice|1003"]


def test_a_row_refused_by_the_list_import_is_not_sent_to_the_module(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World
) -> None:
    sandbox.faults.arm(
        "anaplan", "reject_rows", match="Supplier Invoices list", matching="1002", text="Not in this list"
    )
    outcome = invoices.send(batch(change("1001"), change("1002")))
    assert outcome.refused == {"NO01|Invoice|1002": "Not in this list"}
    assert outcome.partial == {}
    assert [ran.rows for ran in world.history] == [2, 1]


def test_a_row_with_a_warning_is_not_delivered_because_a_cell_is_missing(
    invoices: AnaplanFeed, world: World
) -> None:
    world.switches["bad_cell"] = "warn"
    outcome = invoices.send(batch(change("1001", supplier="NO01|nobody"), change("1002")))
    assert list(outcome.refused) == ["NO01|Invoice|1001"]
    assert "nobody" in outcome.refused["NO01|Invoice|1001"]


@pytest.mark.parametrize("bad_cell", ["warn", "reject_row"])
def test_what_a_refused_row_left_behind_is_named_so_that_it_can_be_deleted(
    invoices: AnaplanFeed, world: World, bad_cell: str
) -> None:
    world.switches["bad_cell"] = bad_cell
    outcome = invoices.send(batch(change("1001", supplier="NO01|nobody"), change("1002")))
    assert outcome.partial == {"NO01|Invoice|1001": {"code": "NO01|Invoice|1001"}}
    assert "NO01|Invoice|1001" in world.list_items(LIST)


def test_rows_ignored_without_a_dump_leave_no_row_of_the_file_delivered(
    sandbox: Sandbox, invoices: AnaplanFeed
) -> None:
    sandbox.faults.arm("anaplan", "ignore_rows", match="Supplier Invoices data", matching="1002")
    with pytest.raises(errors.NotLanded, match="left out 1 of 2 rows") as failed:
        invoices.send(batch(change("1001"), change("1002")))
    assert sorted(failed.value.partial) == ["NO01|Invoice|1001", "NO01|Invoice|1002"]


def test_a_dump_that_is_gone_leaves_no_row_of_the_file_delivered(
    sandbox: Sandbox, invoices: AnaplanFeed
) -> None:
    sandbox.faults.arm("anaplan", "dump_missing", times=None)
    with pytest.raises(errors.NotLanded, match="failure dump is gone"):
        invoices.send(batch(change("1001"), change("1002", supplier="NO01|nobody")))


def test_a_stale_default_file_read_in_place_of_ours_is_noticed(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World
) -> None:
    world.set_default_file("Supplier Invoices list", b"code,name\nNO01|old,old\nNO01|older,older\n")
    sandbox.faults.arm("anaplan", "file_gone", match="Supplier Invoices list")
    with pytest.raises(errors.NotLanded, match="Anaplan read 2 rows and we sent 1"):
        invoices.send(batch(change("1001")))


def test_a_stale_default_file_of_as_many_rows_is_noticed_by_its_content(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World
) -> None:
    """No result tells. The builder makes no default file (docs/anaplan.md)."""
    old = ",".join(INVOICES.headers) + "\nNO01|Invoice|1001" + "," * (len(INVOICES.headers) - 1) + "\n"
    world.set_default_file("Supplier Invoices data", old.encode())
    sandbox.faults.arm("anaplan", "file_gone", match="Supplier Invoices data")
    with pytest.raises(errors.NotLanded, match="is not the one that was sent"):
        invoices.send(batch(change("1001")))
    assert world.module_rows(MODULE) == {}


def test_a_file_overwritten_under_the_import_is_noticed_by_its_rows(
    sandbox: Sandbox, invoices: AnaplanFeed
) -> None:
    commas = "," * (len(INVOICES.headers) - 1)
    others = [",".join(INVOICES.headers), *(f"NO01|Invoice|{number}{commas}" for number in range(8))]
    sandbox.faults.arm("anaplan", "file_overwritten", match="Invoices data", content="\n".join(others))
    with pytest.raises(errors.NotLanded, match="which the file we sent does not have"):
        invoices.send(batch(change("1001"), change("1002")))
    assert invoices.send(batch(change("1001"), change("1002"))).refused == {}


@pytest.mark.parametrize(
    ("name", "columns"), [("Invoices list", ("code", "name")), ("Invoices data", INVOICES.headers)]
)
def test_a_file_overwritten_by_one_of_as_many_rows_is_noticed_by_its_content(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World, name: str, columns: tuple[str, ...]
) -> None:
    """As when another job loads the documents of another company, of which there are as many."""
    sent = [change(f"100{number}") for number in range(4)]
    commas = "," * (len(columns) - 1)
    others = [",".join(columns), *(f"SE01|Invoice|{number}{commas}" for number in range(4))]
    sandbox.faults.arm("anaplan", "file_overwritten", match=name, content="\n".join(others))
    with pytest.raises(errors.NotLanded, match=r"is not the one that was sent.*no two may share one"):
        invoices.send(batch(*sent))
    assert invoices.send(batch(*sent)).refused == {}
    assert set(world.module_rows(MODULE)) >= {change.row.key for change in sent}


@pytest.mark.parametrize("way", CHOICES["upload_returns"])
def test_a_file_is_known_however_anaplan_slices_and_packs_what_it_gives_back(
    sandbox: Sandbox, client: AnaplanClient, world: World, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(files, "WORTH_PACKING", 0)
    # Its files go in chunks of 200 bytes, and come back in slices of 100: more than ten.
    client.files.chunk_bytes = 200
    sandbox.anaplan.switches["upload_returns"] = way
    sent = [change(f"10{number:02}") for number in range(40)]
    assert invoice_feed(client).send(batch(*sent)).refused == {}
    assert set(world.module_rows(MODULE)) == {change.row.key for change in sent}


def test_a_clear_that_is_too_wide_wipes_other_rows_and_no_import_tells(
    invoices: AnaplanFeed, world: World
) -> None:
    """The API does not show what a builder chose; reading the model back finds the rows that are gone."""
    world.import_named("Supplier Invoices data").clear = "all"
    invoices.send(batch(change("1001")))
    assert invoices.send(batch(change("1002"))).refused == {}
    assert set(world.module_rows(MODULE)) == {"NO01|Invoice|1002"}


def test_a_file_that_does_not_exist_stops_before_an_upload_makes_a_stray_one(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World
) -> None:
    del world.model.files[world.import_named("Supplier Invoices data").source_id]
    files = set(world.model.files)
    with pytest.raises(errors.Stop, match=r"does not exist any more\. The model builder must upload it once"):
        invoices.preflight([change("1001")])
    assert set(world.model.files) == files
    assert sandbox.log.count("anaplan", method="POST", match="/files/") == 0


def test_an_upload_that_grew_old_before_the_start_goes_up_again(
    sandbox: Sandbox, client: AnaplanClient, clock: ManualClock, world: World
) -> None:
    """The process slept for two days between upload and start, and Anaplan has removed the file."""
    feed, current = invoice_feed(client), batch(change("1001"))

    def sleep(checkpoint: Mapping[str, Any]) -> None:
        if [step["state"] for step in checkpoint.values()] == ["starting"]:
            sandbox.clock.advance(timedelta(hours=49))
            clock.advance(49 * 3600)

    current.keep = sleep
    assert feed.send(current).refused == {}
    assert len(world.history) == 2


def test_a_file_anaplan_has_removed_goes_again(sandbox: Sandbox, invoices: AnaplanFeed) -> None:
    sandbox.faults.arm("anaplan", "file_gone", match="Supplier Invoices data")
    with pytest.raises(errors.NotLanded, match="no longer available"):
        invoices.send(batch(change("1001")))
    assert invoices.send(batch(change("1001"))).refused == {}


def test_a_cancelled_import_lands_nothing(sandbox: Sandbox, invoices: AnaplanFeed) -> None:
    sandbox.faults.arm("anaplan", "task_cancelled", match="Supplier Invoices data")
    with pytest.raises(errors.NotLanded, match="cancelled in Anaplan"):
        invoices.send(batch(change("1001")))


def test_an_import_somebody_is_cancelling_is_watched_to_its_end(
    sandbox: Sandbox, invoices: AnaplanFeed, client: AnaplanClient, world: World
) -> None:
    sandbox.faults.arm("anaplan", "slow_model", match="Supplier Invoices data", polls=5)
    look, seen = client.tasks.one, []

    def looked_at(kind: Kind, object_id: str, task_id: str) -> Task | None:
        task = look(kind, object_id, task_id)
        if task is not None and object_id == world.import_named("Supplier Invoices data").id:
            seen.append(task.state)
            if len(seen) == 1:
                with world.lock:
                    world.tasks.cancel(world.tasks.tasks[task_id])
        return task

    client.tasks.one = looked_at  # type: ignore[method-assign]
    with pytest.raises(errors.NotLanded, match=r"cancelled in Anaplan.*history names who"):
        invoices.send(batch(change("1001")))
    assert seen[0] == "IN_PROGRESS"
    assert "CANCELLING" in seen
    assert seen[-1] == "CANCELLED"


def test_a_failure_only_the_model_builder_can_heal_stops(sandbox: Sandbox, invoices: AnaplanFeed) -> None:
    sandbox.faults.arm(
        "anaplan", "import_fails_whole", match="data", type="moduleImportNoWriteAccess", text="No access."
    )
    with pytest.raises(errors.Stop, match="workspace administrator must give our user write access"):
        invoices.send(batch(change("1001")))


def test_a_header_that_lacks_a_column_stops_before_anything_is_sent(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World
) -> None:
    source = world.model.files[world.import_named("Supplier Invoices data").source_id]
    source.headers = tuple(name for name in source.headers if name != "vat_amount")
    with pytest.raises(errors.Stop, match="the import lacks vat_amount"):
        invoices.preflight([change("1001")])
    assert sandbox.log.count("anaplan", match="/files/|/tasks") == 0


@pytest.mark.parametrize(
    ("state", "who"),
    [("ARCHIVED", "unarchive"), ("LOCKED", "unlock")],
)
def test_a_closed_model_stops_and_says_who_must_act(
    invoices: AnaplanFeed, world: World, state: str, who: str
) -> None:
    world.model.active_state = state
    with pytest.raises(errors.Stop, match=who):
        invoices.preflight([change("1001")])


@pytest.mark.parametrize(
    ("status", "who"),
    [
        (422, "unarchive"),
        (423, "unlock"),
        (425, "deployed mode"),
        (404, "NO ACCESS"),
    ],
)
def test_a_model_that_closes_during_a_delivery_stops_it(
    sandbox: Sandbox, invoices: AnaplanFeed, status: int, who: str
) -> None:
    invoices.preflight([change("1001")])
    sandbox.faults.arm("anaplan", "http_status", match="POST .*/files/", status=status)
    with pytest.raises(errors.Stop, match=who):
        invoices.send(batch(change("1001")))


@pytest.mark.parametrize("state", ["MAINTENANCE", "PRODUCTION_MAINTENANCE"])
def test_a_model_in_maintenance_is_asked_again_later_and_nobody_has_to_act(
    invoices: AnaplanFeed, world: World, clock: ManualClock, state: str
) -> None:
    world.model.active_state = state
    with pytest.raises(errors.Closed, match="in maintenance") as closed:
        invoices.preflight([change("1001")])
    assert closed.value.opens_at == clock.now() + timedelta(minutes=15)


def test_a_model_that_goes_offline_during_a_delivery_closes_it_for_a_while(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World
) -> None:
    invoices.preflight([change("1001")])
    sandbox.faults.arm("anaplan", "http_status", match="POST .*/files/", status=424)
    with pytest.raises(errors.Closed, match="in maintenance"):
        invoices.send(batch(change("1001")))
    assert invoices.send(batch(change("1001"))).refused == {}


@pytest.mark.parametrize(("status", "words"), [(409, "model is busy"), (410, "has moved the model")])
def test_a_busy_or_moved_model_is_asked_again_before_the_delivery_gives_up(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World, status: int, words: str
) -> None:
    sandbox.faults.arm("anaplan", "http_status", match="POST .*/tasks", times=2, status=status)
    assert invoices.send(batch(change("1001"))).refused == {}
    assert len(world.history) == 2
    sandbox.faults.arm("anaplan", "http_status", match="POST .*/tasks", times=None, status=status)
    with pytest.raises(errors.NotLanded, match=words):
        invoices.send(batch(change("1002")))


@pytest.mark.parametrize(("form", "seconds"), [("seconds", 40), ("http-date", 39), ("absent", 10)])
def test_a_429_is_waited_out_whatever_form_its_date_has_and_for_10_s_without_one(
    sandbox: Sandbox, invoices: AnaplanFeed, clock: ManualClock, form: str, seconds: float
) -> None:
    sandbox.faults.arm("anaplan", "rate_limit", match="POST .*/tasks", retry_after=40, form=form)
    assert invoices.send(batch(change("1001"))).refused == {}
    assert max(clock.slept) >= seconds


def test_a_token_that_dies_in_the_middle_is_renewed(sandbox: Sandbox, invoices: AnaplanFeed) -> None:
    sandbox.faults.arm("anaplan", "token_expired", match="GET .*/tasks/")
    assert invoices.send(batch(change("1001"))).refused == {}
    assert sandbox.log.count("anaplan", match="/token/authenticate") == 2


def test_a_delete_without_values_to_mark_it_is_kept_in_sight(client: AnaplanClient) -> None:
    feed = invoice_feed(client, tombstone=None)
    unfit = feed.preflight([change("1001", Op.DELETE), change("1002")])
    assert list(unfit) == ["NO01|Invoice|1001"]
    assert "`deleted` values" in unfit["NO01|Invoice|1001"]


def test_codes_anaplan_cannot_take_are_refused_row_by_row(invoices: AnaplanFeed) -> None:
    long, empty = change("2", code="x" * 61), change("3", code="")
    assert invoices.preflight([change("1"), long, empty]) == {
        "x" * 61: "the code has 61 characters and Anaplan takes 60",
        "": "the code is empty",
    }


def test_a_row_from_before_the_contract_changed_its_key_is_never_marked_under_its_new_code(
    invoices: AnaplanFeed,
) -> None:
    gone = change("1001", Op.DELETE)
    before = replace(gone, row=replace(gone.row, key="1001"))
    unfit = invoices.preflight([before, change("1001")])
    assert list(unfit) == ["1001"]
    assert "its code would be 'NO01|Invoice|1001' now" in unfit["1001"]


def test_an_import_somebody_else_is_running_is_left_alone(
    sandbox: Sandbox, invoices: AnaplanFeed, client: AnaplanClient, world: World
) -> None:
    invoices.send(batch(change("1001")))
    sandbox.faults.arm("anaplan", "slow_model", polls=9)
    client.tasks.start("imports", world.import_named("Supplier Invoices list").id)
    with pytest.raises(errors.NotLanded, match="already running"):
        invoices.send(batch(change("1002")))


def test_a_character_the_files_encoding_lacks_is_refused_not_replaced(
    invoices: AnaplanFeed, world: World
) -> None:
    world.model.files[world.import_named("Supplier Invoices data").source_id].encoding = "ISO-8859-1"
    outcome = invoices.send(batch(change("1001"), change("1002", description="Łódź")))
    assert "does not exist in ISO-8859-1" in outcome.refused["NO01|Invoice|1002"]
    assert list(outcome.partial) == ["NO01|Invoice|1002"]
    assert world.module_rows(MODULE)["NO01|Invoice|1001"]["supplier_name"] == "Ærøskøbing Båtbyggeri, Ås"


@pytest.mark.parametrize("way", [{}, PROCESS, SMALL])
@pytest.mark.parametrize("op", [Op.CREATE, Op.DELETE])
def test_the_estimate_covers_the_calls_a_delivery_makes(
    sandbox: Sandbox, connect: Callable[..., AnaplanClient], world: World, way: Mapping[str, Any], op: Op
) -> None:
    with_delete_column(world)
    settings = {
        "delete_action": f"Delete from {LIST}",
        "tombstone": {DELETE: True},
        "columns": (*INVOICES.headers, DELETE),
        **way,
    }
    if op is Op.DELETE:
        yesterday = invoice_feed(connect(), **settings)
        yesterday.send(batch(*(change(number, **{DELETE: False}) for number in ("1001", "1002"))))
        sandbox.log.reset()
    feed = invoice_feed(connect(), **settings)
    changes = [change(number, op, **{DELETE: op is Op.DELETE}) for number in ("1001", "1002")]
    feed.preflight(changes)
    feed.send(batch(*changes))
    made = sandbox.log.count("anaplan", match="/2/0/")
    assert made <= feed.calls(changes) <= made + 4
    assert feed.calls([]) == 0
