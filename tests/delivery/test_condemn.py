"""Rows that a target shows and should not be there are deleted with the next delivery, whatever its scope."""

from decimal import Decimal

from mlc_dagster.delivery import Audit, Kind, Ledger, Row, Surplus, condemn
from tests.delivery.conftest import Deliver, row
from tests.support.shelf import Shelf, wanted


def put(shelf: Shelf, key: str, amount: str) -> Surplus:
    """Somebody lays an item on the shelf; returns it as a comparison finds it."""
    payload = {"code": key, "amount": Decimal(amount)}
    return Surplus(key, payload, shelf.lay(key, payload))


def judged(ledger: Ledger, shelf: Shelf, *rows: Surplus) -> int:
    return condemn(shelf, "NO01", rows, ledger=ledger, run_id="by hand", reason="nobody sent it")


def test_a_row_nobody_sent_is_deleted_whatever_the_next_delivery_is_about(
    run: Deliver, shelf: Shelf, ledger: Ledger
) -> None:
    run(shelf, row("a"), row("b"))
    assert judged(ledger, shelf, put(shelf, "stray", "5.00")) == 1
    report = run(shelf, row("a"), scope={"a"})
    assert (report.deleted, report.created, report.updated) == (1, 0, 0)
    assert shelf.content() == wanted([row("a"), row("b")])
    assert run(shelf, row("a"), scope={"a"}).batches == 0


def test_a_deleted_row_that_is_there_again_is_deleted_again(
    run: Deliver, shelf: Shelf, ledger: Ledger
) -> None:
    run(shelf, row("a"), row("b"))
    run(shelf, scope={"a"})
    judged(ledger, shelf, put(shelf, "a", "100.00"))
    assert run(shelf, row("b"), scope={"a", "b"}).deleted == 1
    assert shelf.content() == wanted([row("b")])


def test_a_row_that_was_delivered_meanwhile_is_left_alone(run: Deliver, shelf: Shelf, ledger: Ledger) -> None:
    found = put(shelf, "a", "5.00")
    run(shelf, row("a"))
    assert judged(ledger, shelf, found) == 0
    assert run(shelf, row("a")).deleted == 0


def test_a_row_a_model_makes_after_all_is_delivered_in_place_of_deleted(
    run: Deliver, shelf: Shelf, ledger: Ledger
) -> None:
    judged(ledger, shelf, put(shelf, "a", "5.00"))
    report = run(shelf, row("a"))
    assert (report.deleted, report.complete) == (0, True)
    assert ledger.known(shelf.name, "NO01", keys=["a"], source_keys=())["a"].source_key == "a"


def test_while_it_is_refused_it_stays(run: Deliver, shelf: Shelf, ledger: Ledger) -> None:
    judged(ledger, shelf, put(shelf, "stray", "5.00"))
    shelf.refuse["stray"] = "somebody is looking at it"
    run(shelf)
    assert [key for key, _ in shelf.content()] == ["stray"]
    shelf.refuse.clear()
    assert run(shelf).deleted == 1
    assert shelf.content() == []


def test_the_audit_trail_says_who_asked_and_that_it_went(run: Deliver, shelf: Shelf, ledger: Ledger) -> None:
    judged(ledger, shelf, put(shelf, "stray", "5.00"))
    run(shelf)
    asked, *_, gone = [event for event in Audit(ledger.engine).history("stray") if event.key]
    assert (asked.run_id, asked.kind, asked.detail["reason"]) == ("by hand", Kind.PENDING, "nobody sent it")
    assert (gone.run_id, gone.kind) == ("run-1", Kind.DELETED)


def test_a_thousand_rows_go_in_batches_like_all_others(run: Deliver, shelf: Shelf, ledger: Ledger) -> None:
    rows = [Surplus(f"{number:04}", {"code": f"{number:04}"}) for number in range(2_500)]
    assert judged(ledger, shelf, *rows) == 2_500
    report = run(shelf, row("a"))
    assert (report.deleted, report.created, shelf.batch_sizes()) == (2_500, 1, [1_000, 1_000, 501])


def test_rows_of_another_company_are_not_touched(run: Deliver, shelf: Shelf, ledger: Ledger) -> None:
    other = Row("b", "b", "b", {"code": "b", "amount": Decimal("1.00")})
    run(shelf, other)
    stray = put(shelf, "stray", "5.00")
    assert condemn(shelf, "SE01", [stray], ledger=ledger, run_id="r", reason="nobody sent it") == 1
    assert run(shelf, other).deleted == 0
    assert [key for key, _ in shelf.content()] == ["b", "stray"]
