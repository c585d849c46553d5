"""Deletes by the model's delete action: marked by the data import, removed by the action, once a batch."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.destination import AnaplanFeed
from mlc_dagster.delivery import errors
from mlc_dagster.delivery.rows import Change, Op
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.server import Sandbox
from tests.anaplan.conftest import INVOICES, PROCESS, SMALL, invoice_feed
from tests.anaplan.rows import LIST, MODULE, Books, batch, change
from tests.anaplan.tenant import DELETE, with_delete_column

ACTION = f"Delete from {LIST}"
MARK = {"tombstone": {DELETE: True}, "columns": (*INVOICES.headers, DELETE)}
BY_ACTION: dict[str, Any] = {"delete_action": ACTION, **MARK}
WAYS = [{}, PROCESS, SMALL]


@pytest.fixture(autouse=True)
def prepared(world: World) -> None:
    with_delete_column(world)


@pytest.fixture
def invoices(client: AnaplanClient) -> AnaplanFeed:
    return invoice_feed(client, **BY_ACTION)


def kept(number: str, op: Op = Op.CREATE, **values: Any) -> Change:
    return change(number, op, **{DELETE: False} | values)


def gone(number: str, **values: Any) -> Change:
    return change(number, Op.DELETE, **{DELETE: True} | values)


def items(world: World) -> set[str]:
    return {code.rpartition("|")[2] for code in world.list_items(LIST)}


def deletions(sandbox: Sandbox) -> int:
    return sandbox.log.count("anaplan", method="POST", match="/actions/.*/tasks")


@pytest.mark.parametrize("way", WAYS)
def test_a_deleted_row_takes_its_item_along_and_no_other(
    client: AnaplanClient, world: World, way: Mapping[str, Any]
) -> None:
    feed = invoice_feed(client, **BY_ACTION, **way)
    feed.preflight([kept("1001")])
    feed.send(batch(kept("1001"), kept("1002"), kept("1003")))
    feed.preflight([gone("1002")])
    assert feed.send(batch(kept("1001", Op.UPDATE, amount=Decimal(7)), gone("1002"))).refused == {}
    assert items(world) == {"1001", "1003"}
    assert set(world.module_rows(MODULE)) == {"NO01|Invoice|1001", "NO01|Invoice|1003"}


@pytest.mark.parametrize("way", WAYS)
def test_a_deleted_row_goes_although_what_it_names_has_gone_before_it(
    client: AnaplanClient, world: World, way: Mapping[str, Any]
) -> None:
    """Such as the lines of an invoice, whose items are removed after the invoice's."""
    feed = invoice_feed(client, **BY_ACTION, **way)
    suppliers = world.model.named("lists", "Suppliers").id
    client.cells.add_items(suppliers, [{"code": "NO01|50001"}])
    feed.send(batch(kept("1001", supplier="NO01|50001"), kept("1002")))
    client.cells.delete_items(suppliers, ["NO01|50001"])
    assert feed.send(batch(gone("1001", supplier="NO01|50001"))).refused == {}
    assert items(world) == {"1002"}


@pytest.mark.parametrize("way", WAYS)
def test_a_row_that_comes_back_is_a_new_item(
    client: AnaplanClient, world: World, way: Mapping[str, Any]
) -> None:
    feed = invoice_feed(client, **BY_ACTION, **way)
    for changes in ([kept("1001")], [gone("1001")], [kept("1001")]):
        assert feed.send(batch(*changes)).refused == {}
    assert items(world) == {"1001"}
    assert world.module_rows(MODULE)["NO01|Invoice|1001"][DELETE] is False


def test_the_action_runs_once_for_a_batch_with_deletes_and_not_for_others(
    sandbox: Sandbox, invoices: AnaplanFeed
) -> None:
    invoices.send(batch(kept("1001"), kept("1002"), kept("1003")))
    assert deletions(sandbox) == 0
    outcome = invoices.send(batch(gone("1001"), gone("1002")))
    assert deletions(sandbox) == 1
    assert outcome.detail["delete task"]


def test_small_deletes_are_one_call_and_no_task(
    client: AnaplanClient, sandbox: Sandbox, world: World
) -> None:
    feed = invoice_feed(client, **BY_ACTION, **SMALL)
    feed.send(batch(kept("1001")))
    assert feed.send(batch(gone("1001"))).detail["items deleted"] == 1
    assert (items(world), world.tasks.tasks) == (set(), {})


def test_a_small_delete_of_an_item_that_is_gone_is_settled_by_import_and_action(
    client: AnaplanClient, world: World
) -> None:
    feed = invoice_feed(client, **BY_ACTION, **SMALL)
    outcome = feed.send(batch(gone("1001")))
    assert (outcome.refused, items(world)) == ({}, set())
    assert "0 of 1 items" in outcome.detail["small changes"]


def test_nothing_selected_is_a_success(invoices: AnaplanFeed, world: World, sandbox: Sandbox) -> None:
    """Somebody has deleted the item, or the action ran twice."""
    sandbox.faults.arm("anaplan", "reject_rows", match="Supplier Invoices list", matching="1001")
    assert list(invoices.send(batch(gone("1001"))).refused) == ["NO01|Invoice|1001"]
    assert items(world) == set()


def test_a_delete_whose_action_fails_goes_again(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World
) -> None:
    invoices.send(batch(kept("1001")))
    sandbox.faults.arm("anaplan", "task_cancelled", match=ACTION)
    with pytest.raises(errors.NotLanded, match=f"action '{ACTION}', task [0-9A-F]+: it was cancelled"):
        invoices.send(batch(gone("1001")))
    assert items(world) == {"1001"}
    assert invoices.send(batch(gone("1001"))).refused == {}
    assert items(world) == set()


def test_after_a_crash_between_import_and_action_the_action_still_runs(
    invoices: AnaplanFeed, world: World
) -> None:
    books = Books()
    invoices.send(batch(kept("1001")))
    invoices.send(books.batch([gone("1001")]))
    before = next(note for note in books.seen if note.get("data", {}).get("state") == "done")
    assert "delete" not in before
    invoices.send(batch(kept("1001")))
    invoices.send(batch(kept("1001", Op.UPDATE, **{DELETE: True})))
    assert items(world) == {"1001"}
    assert invoices.resolve(books.batch([gone("1001")], before)).refused == {}
    assert items(world) == set()


def test_an_action_whose_answer_is_lost_is_adopted(
    sandbox: Sandbox, invoices: AnaplanFeed, world: World
) -> None:
    invoices.send(batch(kept("1001")))
    sandbox.faults.arm("anaplan", "drop_connection", match="POST .*/actions/.*/tasks")
    assert invoices.send(batch(gone("1001"))).refused == {}
    assert (deletions(sandbox), items(world)) == (1, set())


def test_a_refused_delete_is_no_delete(sandbox: Sandbox, invoices: AnaplanFeed, world: World) -> None:
    invoices.send(batch(kept("1001"), kept("1002")))
    sandbox.faults.arm("anaplan", "reject_rows", match="Supplier Invoices data", matching="1001")
    outcome = invoices.send(batch(gone("1001"), gone("1002")))
    assert list(outcome.refused) == ["NO01|Invoice|1001"]
    assert items(world) == {"1001"}


def test_an_unknown_action_is_explained(client: AnaplanClient) -> None:
    feed = invoice_feed(client, delete_action="Delete all", **MARK)
    with pytest.raises(errors.Stop, match="has no delete action 'Delete all'"):
        feed.preflight([gone("1001")])
    with pytest.raises(errors.Stop, match="has no delete action 'Delete all'"):
        feed.preflight([])


def test_without_a_mark_a_delete_is_kept_in_sight(client: AnaplanClient) -> None:
    feed = invoice_feed(client, delete_action=ACTION, tombstone=None, columns=MARK["columns"])
    assert "`deleted` values" in feed.preflight([gone("1001")])["NO01|Invoice|1001"]
