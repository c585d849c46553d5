"""A delivery makes the destination equal to the rows, whatever the destination answers."""

import logging
import shutil
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from mlc_dagster.database.schema import batch_members, batches, events
from mlc_dagster.delivery import Ledger, State, distrust
from mlc_dagster.delivery.errors import Closed, Overtaken, Stop
from mlc_dagster.delivery.rows import decode
from tests.delivery.conftest import Deliver, row
from tests.support.manual_clock import START, ManualClock
from tests.support.shelf import Lost, Shelf, wanted

ROWS = [row("a"), row("b"), row("c"), row("d")]


def test_the_destination_becomes_equal_to_the_rows(shelf: Shelf, run: Deliver) -> None:
    assert run(shelf, *ROWS).created == 4
    changed = [row("a"), row("b", "7.50"), row("e")]
    report = run(shelf, *changed, scope={"a", "b", "c", "d", "e"})
    assert shelf.content() == wanted(changed)
    assert (report.read, report.created, report.updated, report.unchanged, report.deleted) == (3, 1, 1, 1, 2)
    assert report.complete


def test_unchanged_rows_cost_no_call_and_no_write(shelf: Shelf, engine: sa.Engine, run: Deliver) -> None:
    run(shelf, *ROWS, whole=True)
    written: list[str] = []

    def note(*args: object) -> None:
        if str(args[2]).startswith(("INSERT", "UPDATE", "DELETE")):
            written.append(str(args[2]))

    sa.event.listen(engine, "before_cursor_execute", note)
    report = run(shelf, *ROWS, whole=True)
    assert (report.unchanged, report.batches, shelf.count("send")) == (4, 0, 1)
    assert [statement for statement in written if "leases" not in statement] == []


def test_batches_keep_to_the_rows_the_destination_takes(shelf_file: Path, run: Deliver) -> None:
    shelf = Shelf(shelf_file, max_rows=3)
    run(shelf, *ROWS)
    assert shelf.batch_sizes() == [3, 1]


def test_batches_keep_to_the_bytes_and_a_larger_row_goes_alone(shelf_file: Path, run: Deliver) -> None:
    shelf = Shelf(shelf_file, max_bytes=110)
    run(shelf, row("a"), row("b"), row("c" * 200), row("d"))
    assert shelf.batch_sizes() == [2, 1, 1]


def test_a_deleted_row_that_comes_back_is_created_anew(shelf: Shelf, run: Deliver) -> None:
    run(shelf, row("a"))
    assert run(shelf, scope={"a"}).deleted == 1
    assert run(shelf, row("a")).created == 1
    assert shelf.content() == wanted([row("a")])


def test_deleting_twice_costs_nothing(shelf: Shelf, run: Deliver) -> None:
    run(shelf, row("a"))
    run(shelf, scope={"a"})
    report = run(shelf, scope={"a"})
    assert (report.deleted, report.batches) == (0, 0)


def test_a_tombstone_is_laid_over_the_last_payload(shelf_file: Path, run: Deliver) -> None:
    seen = []

    class Marking(Shelf):
        def send(self, batch):  # type: ignore[no-untyped-def]
            seen.extend(batch.changes)
            return super().send(batch)

    shelf = Marking(shelf_file, tombstone={"amount": Decimal("0.00"), "deleted": True})
    run(shelf, row("a"))
    run(shelf, scope={"a"})
    assert seen[-1].row.payload == {"code": "a", "amount": Decimal("0.00"), "deleted": True}


def test_a_refused_row_fails_alone_with_the_destinations_words(
    shelf: Shelf, ledger: Ledger, run: Deliver
) -> None:
    shelf.refuse = {"b": "Supplier is closed"}
    report = run(shelf, *ROWS)
    assert (report.created, report.failed, report.complete) == (3, 1, True)
    assert ledger.counts("shelf/items", "NO01") == {State.DELIVERED: 3, State.FAILED: 1}
    assert ledger.outstanding("shelf/items", "NO01") == {"b"}


def test_a_failed_row_goes_again_and_its_last_good_version_stays(
    shelf: Shelf, ledger: Ledger, run: Deliver
) -> None:
    run(shelf, row("a", "1.00"))
    shelf.refuse = {"a": "Period is closed"}
    assert run(shelf, row("a", "2.00")).failed == 1
    assert [held.row for held in ledger.held("shelf/items", "NO01")] == [row("a", "1.00")]
    shelf.refuse = {}
    assert run(shelf, row("a", "2.00")).updated == 1
    assert shelf.content() == wanted([row("a", "2.00")])


def test_a_failed_row_that_disappears_before_it_ever_landed_needs_no_call(
    shelf: Shelf, ledger: Ledger, run: Deliver
) -> None:
    shelf.refuse = {"a": "Supplier is closed"}
    run(shelf, row("a"))
    report = run(shelf, scope=set())
    assert (report.batches, ledger.outstanding("shelf/items", "NO01")) == (0, set())


def test_a_delete_the_destination_refuses_goes_again(shelf: Shelf, run: Deliver) -> None:
    run(shelf, row("a"))
    shelf.refuse = {"a": "Still in use"}
    report = run(shelf, scope={"a"})
    assert (report.undeletable, report.complete) == (1, True)
    shelf.refuse = {}
    assert run(shelf, scope=set()).deleted == 1
    assert shelf.content() == []


def test_the_whole_set_of_a_batch_that_did_not_land_goes_again(
    shelf: Shelf, ledger: Ledger, run: Deliver
) -> None:
    shelf.faults.append("nothing happened")
    report = run(shelf, *ROWS)
    assert (report.pending, report.complete, shelf.content()) == (4, False, [])
    assert ledger.outstanding("shelf/items", "NO01") == {"a", "b", "c", "d"}
    assert run(shelf, *ROWS).created == 4
    assert shelf.content() == wanted(ROWS)


def test_a_pending_row_goes_again_even_when_it_changed_back(shelf: Shelf, run: Deliver) -> None:
    run(shelf, row("a", "1.00"))
    shelf.faults.append("nothing happened")
    run(shelf, row("a", "2.00"))
    assert run(shelf, row("a", "1.00")).updated == 1


def test_other_batches_go_on_after_one_that_did_not_land(shelf_file: Path, run: Deliver) -> None:
    shelf = Shelf(shelf_file, max_rows=1, faults=["nothing happened"])
    report = run(shelf, *ROWS)
    assert (report.pending, report.created) == (1, 3)


def test_a_destination_that_fails_three_times_in_a_row_is_left_alone(shelf_file: Path, run: Deliver) -> None:
    shelf = Shelf(shelf_file, max_rows=1, faults=["nothing happened"] * 4)
    report = run(shelf, *ROWS, row("e"))
    assert (report.pending, report.batches, shelf.count("send")) == (5, 3, 3)
    assert "out of order" in str(report.stopped)


@pytest.mark.parametrize(("fault", "error"), [("closed", Closed), ("stop", Stop)])
def test_a_closed_window_or_a_wrong_setup_stops_the_delivery_with_the_books_right(
    shelf_file: Path, ledger: Ledger, run: Deliver, fault: str, error: type[Closed] | type[Stop]
) -> None:
    shelf = Shelf(shelf_file, max_rows=1, faults=[None, fault])
    with pytest.raises(error) as raised:
        run(shelf, *ROWS)
    report = raised.value.report
    assert report is not None
    assert (report.created, report.pending, shelf.count("send")) == (1, 3, 2)
    assert ledger.counts("shelf/items", "NO01") == {State.DELIVERED: 1, State.PENDING: 3}
    assert ledger.unresolved("shelf/items", "NO01") == []
    run(shelf, *ROWS)
    assert shelf.content() == wanted(ROWS)


def test_a_closed_window_says_when_it_opens(shelf: Shelf, run: Deliver) -> None:
    shelf.faults.append("closed")
    with pytest.raises(Closed) as raised:
        run(shelf, *ROWS)
    assert raised.value.opens_at == START + timedelta(hours=1)


def test_an_error_before_the_first_batch_leaves_all_rows_pending(shelf: Shelf, run: Deliver) -> None:
    shelf.preflight_error = Stop("The import's header lacks the column Amount; add it.")
    with pytest.raises(Stop) as raised:
        run(shelf, *ROWS)
    assert raised.value.report is not None
    assert (raised.value.report.pending, shelf.count("send")) == (4, 0)


def test_a_defect_in_the_destination_leaves_its_batch_in_doubt_and_no_secret_behind(
    shelf_file: Path, engine: sa.Engine, run: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shelf = Shelf(shelf_file, max_rows=2, faults=["defect"])
    with pytest.raises(Lost) as raised:
        run(shelf, *ROWS)
    assert "in_doubt=2" in raised.value.__notes__[0]
    with engine.connect() as connection:
        told = [connection.execute(sa.select(table)).all() for table in (events, batches)]
    assert "hunter2" not in repr(told) + caplog.text
    run(shelf, *ROWS)
    assert shelf.content() == wanted(ROWS)


def test_closed_batches_leave_no_members_behind(shelf_file: Path, engine: sa.Engine, run: Deliver) -> None:
    shelf = Shelf(shelf_file, max_rows=2, faults=["nothing happened"])
    run(shelf, *ROWS)
    with engine.connect() as connection:
        assert connection.execute(sa.select(batch_members)).all() == []


def test_the_fingerprint_is_kept_only_by_a_delivery_that_ended_well(
    shelf: Shelf, ledger: Ledger, run: Deliver
) -> None:
    assert ledger.seen("shelf/items", "NO01") is None
    run(shelf, row("a"), whole=True, fingerprint="f1")
    assert ledger.seen("shelf/items", "NO01") == "f1"
    shelf.faults.append("closed")
    with pytest.raises(Closed):
        run(shelf, row("a", "2.00"), whole=True, fingerprint="f2")
    assert ledger.seen("shelf/items", "NO01") is None


def test_a_delivery_of_some_records_does_not_vouch_for_all(
    shelf: Shelf, ledger: Ledger, run: Deliver
) -> None:
    run(shelf, row("a"), fingerprint="f1")
    assert ledger.seen("shelf/items", "NO01") is None
    run(shelf, row("a"), fingerprint="f1", whole=True)
    run(shelf, row("b"), fingerprint="f1")
    assert ledger.seen("shelf/items", "NO01") == "f1"
    run(shelf, row("c"), fingerprint="f2")
    assert ledger.seen("shelf/items", "NO01") is None


def test_everything_goes_again_when_the_destination_writes_into_another_target(
    shelf_file: Path, run: Deliver
) -> None:
    run(Shelf(shelf_file), *ROWS)
    moved = Shelf(shelf_file, target="another shelf")
    assert run(moved, *ROWS).updated == 4
    assert run(moved, *ROWS).unchanged == 4


def test_everything_goes_again_when_the_ledger_is_not_to_be_trusted(
    shelf_file: Path, tmp_path: Path, ledger: Ledger, run: Deliver
) -> None:
    """The shelf was set back to yesterday; meanwhile the ERP has taken its change back as well."""
    shelf = Shelf(shelf_file)
    run(shelf, *ROWS)
    shutil.copy(shelf_file, tmp_path / "yesterday")
    changed = [row("a", "2.00"), *ROWS[1:]]
    run(shelf, *changed)
    shutil.copy(tmp_path / "yesterday", shelf_file)
    assert run(shelf, *changed, whole=True).unchanged == 4
    assert distrust(shelf, "NO01", ledger=ledger, run_id="run-2", reason="The shelf was set back.") == 4
    assert ledger.seen("shelf/items", "NO01") is None
    assert ledger.outstanding("shelf/items", "NO01") == {"a", "b", "c", "d"}
    assert run(shelf, *changed).updated == 4
    assert shelf.content() == wanted(changed)


def test_rows_made_before_another_delivery_wrote_are_refused(
    shelf: Shelf, ledger: Ledger, run: Deliver
) -> None:
    generation = ledger.generation("shelf/items", "NO01")
    run(shelf, row("a", "2.00"))
    with pytest.raises(Overtaken, match="Run again"):
        run(shelf, row("a", "1.00"), generation=generation)
    assert shelf.content() == wanted([row("a", "2.00")])
    run(shelf, row("a", "3.00"), generation=ledger.generation("shelf/items", "NO01"))


def test_an_answer_about_unknown_rows_is_not_trusted(shelf_file: Path, ledger: Ledger, run: Deliver) -> None:
    class Confused(Shelf):
        def _take(self, batch, done=None):  # type: ignore[no-untyped-def]
            outcome = super()._take(batch, done)
            outcome.refused["A"] = "wrong case"
            return outcome

    with pytest.raises(ValueError, match="'A', which the batch does not hold"):
        run(Confused(shelf_file), row("a"))
    assert len(ledger.unresolved("shelf/items", "NO01")) == 1


def test_the_ledger_knows_what_the_destination_holds(shelf: Shelf, ledger: Ledger, run: Deliver) -> None:
    run(shelf, *ROWS)
    run(shelf, row("b", "9.00"), scope={"a", "b"})
    held = list(ledger.held("shelf/items", "NO01"))
    assert wanted([item.row for item in held]) == shelf.content()
    assert all(item.target_id for item in held)


def test_what_is_held_is_read_as_lines_in_several_texts(
    shelf: Shelf, ledger: Ledger, run: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlc_dagster.delivery.ledger._ROWS_IN_A_TEXT", 2)
    rows = [row(key, "1.00") for key in ("a", "b\n", "B", "æ", "z")]
    run(shelf, *rows)
    run(shelf, scope={"z"})
    texts = list(ledger.held_lines("shelf/items", "NO01"))
    assert sorted(map(decode, "\n".join(texts).split("\n")), key=str) == sorted(
        (row.payload for row in rows[:-1]), key=str
    )
    assert [text.count("\n") for text in texts] == [1, 1]
    assert list(ledger.held_lines("shelf/items", "SE01")) == []


def test_the_rows_of_a_batch_are_left_out_of_what_is_held(
    shelf: Shelf, ledger: Ledger, run: Deliver, doubt: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlc_dagster.delivery.ledger._ROWS_IN_A_TEXT", 1)
    run(shelf, *ROWS)
    shelf.faults.append("lose answer")
    doubt(shelf, row("b", "9.00"), scope={"a", "b"})
    (batch,) = ledger.unresolved("shelf/items", "NO01")
    texts = ledger.held_lines("shelf/items", "NO01", besides=batch.id)
    assert [decode(text)["code"] for text in texts] == [row.key for row in ROWS if row.key not in "ab"]


def test_delivering_needs_no_waiting(shelf: Shelf, run: Deliver, clock: ManualClock) -> None:
    run(shelf, *ROWS)
    assert clock.slept == 0
