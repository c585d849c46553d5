"""What is refused on the way is kept with its reason, blocks nobody, and is released when it passes."""

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa

from mlc_dagster.database.schema import events, quarantine
from mlc_dagster.delivery import Audit, Kind, Ledger, Quarantine, Refused
from mlc_dagster.delivery.quarantine import Visit, settle
from tests.delivery.conftest import Deliver, row
from tests.support.manual_clock import ManualClock
from tests.support.shelf import Shelf, wanted

SOURCE: dict[str, Any] = {
    "stage": "visma",
    "place": "supplier_invoices",
    "company": "NO01",
    "run_id": "run-1",
}


@dataclass(frozen=True)
class BadRow:
    source_key: str
    key: str | None = None
    number: str | None = None
    reason: str = "amount: 'abc' is not a number"
    row: dict[str, Any] = field(default_factory=lambda: {"amount": "abc"})


@pytest.fixture
def kept(engine: sa.Engine, clock: ManualClock) -> Quarantine:
    return Quarantine(engine, clock)


def test_rows_the_contract_refused_are_kept_and_the_rest_is_delivered(
    shelf: Shelf, run: Deliver, kept: Quarantine
) -> None:
    report = run(shelf, row("a"), refused=[BadRow("b", "b", "INV-b")], scope={"a", "b"})
    assert (report.read, report.created, report.quarantined, report.complete) == (2, 1, 1, True)
    assert shelf.content() == wanted([row("a")])
    entry = kept.open("shelf/items", "NO01")[0]
    assert (entry.stage, entry.key, entry.number) == ("contract", "b", "INV-b")
    assert entry.reason == "amount: 'abc' is not a number"
    assert entry.raw == '{"amount": "abc"}'


@pytest.mark.parametrize("key", ["a", None])
def test_a_refused_row_never_deletes_its_last_good_version(
    shelf: Shelf, run: Deliver, key: str | None
) -> None:
    run(shelf, row("a"), row("a|2", source="a"))
    report = run(shelf, refused=[BadRow("a", key)], scope={"a"})
    assert report.deleted == 0
    assert len(shelf.content()) == 2


def test_a_refused_row_keeps_its_last_good_version_though_it_comes_from_another_record_by_now(
    shelf: Shelf, run: Deliver
) -> None:
    """A row that adds up records goes by one of them; when that one is deleted, by the next."""
    run(shelf, row("k", source="first"))
    assert run(shelf, refused=[BadRow("next", "k")], scope={"first", "next"}).deleted == 0
    assert run(shelf, scope={"first", "next"}).deleted == 1


def test_a_record_is_released_when_a_later_version_passes(
    shelf: Shelf, run: Deliver, kept: Quarantine
) -> None:
    run(shelf, refused=[BadRow("a", "a", "INV-a")], scope={"a"})
    run(shelf, row("a"))
    assert kept.open() == []
    assert shelf.content() == wanted([row("a")])


def test_a_record_not_looked_at_stays(shelf: Shelf, run: Deliver, kept: Quarantine, ledger: Ledger) -> None:
    run(shelf, refused=[BadRow("a", "a")], scope={"a"})
    assert ledger.outstanding("shelf/items", "NO01") == {"a"}
    run(shelf, row("b"), refused=[BadRow("a", "a")])
    assert [entry.key for entry in kept.open()] == ["a"]


def test_the_same_refusal_again_writes_nothing_and_a_new_reason_is_noted(
    shelf: Shelf, run: Deliver, kept: Quarantine, engine: sa.Engine
) -> None:
    for _ in range(3):
        run(shelf, refused=[BadRow("a", "a")], scope={"a"})
    run(shelf, refused=[BadRow("a", "a", reason="code: longer than 60")], scope={"a"})
    assert [entry.reason for entry in kept.open()] == ["code: longer than 60"]
    with engine.connect() as connection:
        told = connection.execute(sa.select(events.c.kind).where(events.c.kind == "quarantined")).all()
    assert len(told) == 2


def test_rows_without_a_key_do_not_hide_each_other(shelf: Shelf, run: Deliver, kept: Quarantine) -> None:
    bad = [BadRow("a", row={"line": line}) for line in (1, 2)]
    report = run(shelf, refused=bad, scope={"a"})
    assert report.quarantined == 2
    assert len(kept.open()) == 2


def test_of_two_records_with_one_key_each_waits_until_it_passes_itself(
    shelf: Shelf, run: Deliver, kept: Quarantine, ledger: Ledger
) -> None:
    run(shelf, refused=[BadRow("a", "k"), BadRow("b", "k")], scope={"a", "b"})
    assert ledger.outstanding("shelf/items", "NO01") == {"a", "b"}
    run(shelf, row("k", source="b"), refused=[BadRow("a", "a")])
    assert [entry.source_key for entry in kept.open()] == ["a"]


def test_rows_the_destination_can_never_take_are_kept_apart_from_failures(
    shelf: Shelf, run: Deliver, kept: Quarantine
) -> None:
    shelf.unfit = {"b": "The code has 61 characters"}
    report = run(shelf, row("a"), row("b"))
    assert (report.created, report.quarantined, shelf.batch_sizes()) == (1, 1, [1])
    assert [(entry.stage, entry.reason) for entry in kept.open()] == [
        ("preflight", "The code has 61 characters")
    ]
    shelf.unfit = {}
    assert run(shelf, row("a"), row("b")).created == 1
    assert kept.open() == []


def test_a_record_of_the_source_that_does_not_parse_is_kept_raw(kept: Quarantine) -> None:
    bad = [
        Refused.at_source("visma", "10023", "10023", "amount is text", '{"amount": "abc"}'),
        Refused.at_source("visma", None, None, "no reference number", "{}"),
    ]
    kept.settle(**SOURCE, refused=bad, passed=[])
    assert [entry.raw for entry in kept.open("supplier_invoices", "NO01")] == ['{"amount": "abc"}', "{}"]
    assert [entry.key for entry in kept.open(number="10023")] == ["10023"]
    assert kept.open("supplier_invoices", "SE01") == []
    assert kept.settle(**SOURCE, refused=[], passed=["10023", "10024"]) == 1
    assert [entry.key[:7] for entry in kept.open()] == ["sha256:"]


def test_only_records_refused_at_the_same_stage_are_released(
    shelf: Shelf, run: Deliver, kept: Quarantine
) -> None:
    run(shelf, refused=[BadRow("a", "a")], scope={"a"})
    assert kept.settle(**{**SOURCE, "place": "shelf/items"}, refused=[], passed=["a"]) == 0


def test_a_released_record_may_be_refused_again(kept: Quarantine, engine: sa.Engine) -> None:
    for _ in range(2):
        kept.settle(**SOURCE, refused=[Refused.at_source("visma", "7", None, "no name", "{}")], passed=[])
        kept.settle(**SOURCE, refused=[], passed=["7"])
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(quarantine)).scalar_one() == 2


def _refuse(kept: Quarantine, raw: str = '{"amount": "abc"}', reason: str = "amount is text") -> None:
    kept.settle(**SOURCE, refused=[Refused.at_source("visma", "7", "10023", reason, raw)], passed=[])


def _dismiss(kept: Quarantine) -> None:
    assert kept.dismiss(kept.open()[0], by="controller", reason="Test data of 2019.")


def test_what_changed_since_a_person_saw_it_is_not_dismissed(kept: Quarantine, clock: ManualClock) -> None:
    _refuse(kept)
    [shown] = kept.open()
    clock.pass_time(1)
    _refuse(kept, reason="no date")
    assert not kept.dismiss(shown, by="controller", reason="Test data of 2019.")
    assert [entry.reason for entry in kept.open()] == ["no date"]


def test_a_record_that_two_refuse_at_once_is_kept_once(
    kept: Quarantine, engine: sa.Engine, clock: ManualClock
) -> None:
    visit = Visit(SOURCE["place"], SOURCE["company"], "run-2", clock.now())
    refused = Refused.at_source("visma", "7", "10023", "amount is text", '{"amount": "abc"}')
    with ThreadPoolExecutor(1) as other, engine.begin() as connection:
        settle(connection, visit, [refused], lambda _: False)
        second = other.submit(_refuse, kept)
        wait([second], timeout=0.2)
        connection.commit()
        second.result()
    assert len(kept.open()) == 1


def test_a_dismissed_record_stays_settled_while_it_is_refused_as_it_was(kept: Quarantine) -> None:
    _refuse(kept)
    _dismiss(kept)
    _refuse(kept)
    assert kept.open() == []
    (entry,) = kept.open(dismissed=True)
    assert (entry.dismissed_by, entry.dismissal) == ("controller", "Test data of 2019.")


@pytest.mark.parametrize("change", [{"raw": '{"amount": "x"}'}, {"reason": "no date"}])
def test_a_dismissed_record_comes_back_when_it_changes(kept: Quarantine, change: dict[str, str]) -> None:
    _refuse(kept)
    _dismiss(kept)
    _refuse(kept, **change)
    (entry,) = kept.open()
    assert entry.dismissed_by is None
    assert kept.open(dismissed=True) == [entry]


def test_a_dismissed_record_that_passed_once_is_no_longer_dismissed(kept: Quarantine) -> None:
    _refuse(kept)
    _dismiss(kept)
    kept.settle(**SOURCE, refused=[], passed=["7"])
    _refuse(kept)
    assert [entry.key for entry in kept.open()] == ["7"]


def test_a_record_without_a_readable_key_can_be_dismissed(kept: Quarantine) -> None:
    kept.settle(**SOURCE, refused=[Refused.at_source("visma", None, None, "no key", "{}")], passed=[])
    _dismiss(kept)
    assert kept.open() == []


def test_the_trail_says_who_dismissed_and_why(kept: Quarantine, engine: sa.Engine) -> None:
    _refuse(kept)
    [entry] = kept.open()
    _dismiss(kept)
    assert not kept.dismiss(entry, by="auditor", reason="again"), "what is settled is not settled twice"
    told = [event for event in Audit(engine).history("10023") if event.kind is Kind.DISMISSED]
    assert [(event.detail["by"], event.detail["because"]) for event in told] == [
        ("controller", "Test data of 2019.")
    ]


def test_a_dismissed_row_is_no_work_for_the_next_delivery(
    shelf: Shelf, run: Deliver, kept: Quarantine, ledger: Ledger
) -> None:
    run(shelf, refused=[BadRow("a", "a", "INV-a")], scope={"a"})
    _dismiss(kept)
    assert ledger.outstanding("shelf/items", "NO01") == set()
    run(shelf, refused=[BadRow("a", "a", "INV-a")], scope={"a"})
    assert kept.open() == []
