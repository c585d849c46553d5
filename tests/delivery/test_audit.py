"""The audit trail tells the life of a record, in order, over all destinations."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mlc_dagster.delivery import Audit, Event, Kind, Quarantine, Refused
from tests.delivery.conftest import Deliver, row
from tests.delivery.test_quarantine import BadRow
from tests.support.manual_clock import START, ManualClock
from tests.support.shelf import Shelf


@pytest.fixture
def audit(engine: sa.Engine) -> Audit:
    return Audit(engine)


def kinds(history: list[Event]) -> list[Kind]:
    return [event.kind for event in history]


def test_a_record_is_created_updated_and_deleted(shelf: Shelf, run: Deliver, audit: Audit) -> None:
    run(shelf, row("a"), row("b"))
    run(shelf, row("a", "2.00"), row("b"))
    run(shelf, scope={"a"})
    history = audit.history("INV-a")
    assert [kind for kind in kinds(history) if kind not in (Kind.INTENDED, Kind.LANDED)] == [
        Kind.CREATED,
        Kind.UPDATED,
        Kind.DELETED,
    ]
    assert {event.company for event in history} == {"NO01"}
    assert history[0].at == START


def test_the_batches_that_carried_a_record_belong_to_its_life(
    shelf: Shelf, run: Deliver, doubt: Deliver, audit: Audit
) -> None:
    shelf.faults.append("lose answer")
    doubt(shelf, row("a"), run_id="run-1")
    assert kinds(audit.history("INV-a")) == [Kind.INTENDED, Kind.IN_DOUBT]
    run(shelf, row("a"), run_id="run-2")
    history = audit.history("INV-a")
    assert kinds(history) == [Kind.INTENDED, Kind.IN_DOUBT, Kind.RESUMED, Kind.CREATED, Kind.LANDED]
    assert [event.run_id for event in history] == ["run-1", "run-1", "run-2", "run-2", "run-2"]
    assert history[1].detail == {"reason": "the connection broke while waiting"}
    assert history[-1].detail == {"rows": 1, "taken": 1}


def test_failures_and_second_tries_are_told_with_their_reasons(
    shelf: Shelf, run: Deliver, audit: Audit
) -> None:
    shelf.faults.append("nothing happened")
    run(shelf, row("a"))
    shelf.refuse = {"a": "Supplier is closed"}
    run(shelf, row("a"))
    told = {event.kind: event.detail for event in audit.history("INV-a") if event.key}
    assert told[Kind.PENDING] == {"reason": "the shelf is out of order"}
    assert told[Kind.FAILED] == {"op": "create", "reason": "Supplier is closed"}


def test_quarantine_is_part_of_a_record_s_life(shelf: Shelf, run: Deliver, audit: Audit) -> None:
    run(shelf, refused=[BadRow("a", "a", "INV-a")], scope={"a"})
    run(shelf, row("a"))
    assert [kind for kind in kinds(audit.history("INV-a")) if kind != Kind.INTENDED] == [
        Kind.QUARANTINED,
        Kind.RELEASED,
        Kind.CREATED,
        Kind.LANDED,
    ]


def test_what_the_source_quarantined_without_a_number_is_found_by_its_key(
    shelf: Shelf, run: Deliver, audit: Audit, engine: sa.Engine, clock: ManualClock
) -> None:
    run(shelf, row("a"))
    where: dict[str, Any] = {
        "stage": "visma",
        "place": "supplier_invoices",
        "company": "NO01",
        "run_id": "run-2",
    }
    bad = [Refused.at_source("visma", "a", None, "amount is text", "{}")]
    Quarantine(engine, clock).settle(**where, refused=bad, passed=[])
    last = audit.history("INV-a")[-1]
    assert (last.kind, last.destination) == (Kind.QUARANTINED, "supplier_invoices")
    assert last.detail == {"stage": "visma", "reason": "amount is text"}


def test_all_destinations_are_told_together(shelf_file: Path, run: Deliver, audit: Audit) -> None:
    for name in ("shelf/items", "shelf/copies"):
        run(Shelf(shelf_file, name=name), row("a"))
    assert {event.destination for event in audit.history("INV-a")} == {"shelf/items", "shelf/copies"}


def test_a_dropped_record_that_never_landed_is_closed_in_the_trail(
    shelf: Shelf, run: Deliver, audit: Audit
) -> None:
    shelf.faults.append("nothing happened")
    run(shelf, row("a"))
    run(shelf, scope=set())
    last = audit.history("INV-a")[-1]
    assert (last.kind, last.batch_id) == (Kind.DELETED, None)


def test_an_unknown_number_has_no_history(audit: Audit) -> None:
    assert audit.history("INV-404") == []
