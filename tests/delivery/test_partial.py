"""What a row that is not delivered left behind at the destination is remembered, and can be deleted."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster.delivery import Batch, Change, Ledger, Op, Outcome, State
from mlc_dagster.delivery.errors import Closed, DeliveryError, NotLanded, Stop
from tests.delivery.conftest import Deliver, row
from tests.support.manual_clock import START
from tests.support.shelf import Shelf

ITEM = {"code": "a"}


class Leaving(Shelf):
    """Takes nothing, and says that it may hold an item of "a" all the same."""

    def __init__(self, file: Path, failure: DeliveryError | None = None) -> None:
        super().__init__(file, tombstone={"amount": Decimal("0.00")})
        self.failure = failure
        self.sent: list[Change] = []

    def send(self, batch: Batch) -> Outcome:
        self.sent.extend(batch.changes)
        left = {change.row.key: ITEM for change in batch.changes if change.row.key == "a"}
        if self.failure is not None:
            self.failure.partial = left
            raise self.failure
        words = {change.row.key: "no such supplier" for change in batch.changes}
        return Outcome(refused=words, partial=left, target_ids=dict.fromkeys(left, "item 7"))


class Taking(Leaving):
    def send(self, batch: Batch) -> Outcome:
        self.sent.extend(batch.changes)
        return Outcome()


FAILURES = [NotLanded("failed whole"), Stop("no access"), Closed("locked out", START)]


@pytest.mark.parametrize("failure", [None, *FAILURES], ids=["refused", "not landed", "stop", "closed"])
def test_a_record_that_may_be_there_is_deleted_when_it_vanishes(
    shelf_file: Path, run: Deliver, ledger: Ledger, failure: DeliveryError | None
) -> None:
    deliver_and_fail(run, Leaving(shelf_file, failure))
    shelf = Taking(shelf_file)
    report = run(shelf, scope=set())
    assert [(change.op, change.row.key) for change in shelf.sent] == [(Op.DELETE, "a")]
    assert shelf.sent[0].row.payload == {"code": "a", "amount": Decimal("0.00")}
    assert report.deleted == 1
    assert ledger.counts("shelf/items", "NO01") == {State.DELETED: 2}


def test_its_id_at_the_destination_is_known_to_the_next_attempt(shelf_file: Path, run: Deliver) -> None:
    run(Leaving(shelf_file), row("a"))
    shelf = Taking(shelf_file)
    run(shelf, row("a"))
    assert [(change.op, change.target_id) for change in shelf.sent] == [(Op.CREATE, "item 7")]


def test_it_is_remembered_through_attempts_that_left_nothing(shelf_file: Path, run: Deliver) -> None:
    run(Leaving(shelf_file), row("a"))
    run(Shelf(shelf_file, faults=["nothing happened"]), row("a"))
    run(Shelf(shelf_file, refuse={"a": "no such supplier"}), row("a"))
    shelf = Taking(shelf_file)
    assert run(shelf, scope=set()).deleted == 1


def test_a_delete_that_fails_is_tried_again(shelf_file: Path, run: Deliver) -> None:
    run(Leaving(shelf_file), row("a"))
    assert run(Leaving(shelf_file), scope=set()).undeletable == 1
    assert run(Taking(shelf_file), scope=set()).deleted == 1


def test_it_does_not_count_as_held(shelf_file: Path, run: Deliver, ledger: Ledger) -> None:
    run(Leaving(shelf_file), row("a"))
    assert list(ledger.held("shelf/items", "NO01")) == []


def test_a_confirmed_version_says_more_than_what_a_failed_update_left(
    shelf_file: Path, run: Deliver, ledger: Ledger
) -> None:
    run(Taking(shelf_file), row("a", "1.00"))
    run(Leaving(shelf_file), row("a", "2.00"))
    assert [held.row for held in ledger.held("shelf/items", "NO01")] == [row("a", "1.00")]


def deliver_and_fail(run: Deliver, shelf: Leaving) -> None:
    try:
        run(shelf, row("a"), row("b"))
    except (Stop, Closed) as stopped:
        report: Mapping[str, Any] = vars(stopped.report)
        assert report["pending"] == 2
