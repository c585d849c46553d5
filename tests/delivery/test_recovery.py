"""A batch left in doubt is judged by asking the destination, and never sent a second time before that."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from mlc_dagster.database.schema import batches
from mlc_dagster.delivery import Batch, Ledger, Outcome, Row, State, deliver, distrust
from mlc_dagster.delivery.engine import ASK_AGAIN
from mlc_dagster.delivery.errors import Closed, InDoubtError, LeaseLost
from tests.delivery.conftest import Deliver, row
from tests.support.manual_clock import START, ManualClock
from tests.support.shelf import Shelf, wanted

ROWS = [row("a"), row("b"), row("c")]


def in_doubt(ledger: Ledger) -> int:
    return len(ledger.unresolved("shelf/items", "NO01"))


def test_a_batch_that_landed_without_an_answer_is_adopted(
    shelf: Shelf, ledger: Ledger, run: Deliver, doubt: Deliver
) -> None:
    shelf.faults.append("lose answer")
    report = doubt(shelf, *ROWS)
    assert (report.in_doubt, report.created, report.complete) == (3, 0, False)
    report = run(shelf, *ROWS)
    assert (report.recovered, report.unchanged, shelf.count("send")) == (1, 3, 1)
    assert shelf.content() == wanted(ROWS)
    assert in_doubt(ledger) == 0


def test_a_large_batch_in_doubt_is_rebuilt_in_its_order(
    shelf: Shelf, ledger: Ledger, doubt: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlc_dagster.delivery.writer._CHANGES_AT_ONCE", 3)
    rows = [row(f"k{n}") for n in range(10)]
    shelf.faults.append("lose answer")
    doubt(shelf, *rows)
    (batch,) = ledger.unresolved("shelf/items", "NO01")
    assert [change.row for change in batch.changes] == rows


def test_the_ids_of_an_adopted_batch_are_known_to_later_updates(
    shelf: Shelf, run: Deliver, doubt: Deliver
) -> None:
    shelf.faults.append("lose answer")
    doubt(shelf, *ROWS)
    assert run(shelf, row("a", "2.00"), *ROWS[1:]).updated == 1
    assert shelf.content() == wanted([row("a", "2.00"), *ROWS[1:]])


def test_a_batch_that_never_arrived_is_sent_again(shelf: Shelf, run: Deliver, doubt: Deliver) -> None:
    shelf.faults.append("lose request")
    doubt(shelf, *ROWS)
    report = run(shelf, *ROWS)
    assert (report.created, shelf.count("send")) == (3, 2)
    assert shelf.content() == wanted(ROWS)


def test_after_a_lost_answer_the_run_sends_nothing_more(
    shelf_file: Path, ledger: Ledger, doubt: Deliver
) -> None:
    shelf = Shelf(shelf_file, max_rows=1, faults=["lose answer"])
    report = doubt(shelf, *ROWS)
    assert (report.in_doubt, report.pending, shelf.count("send")) == (1, 2, 1)
    assert ledger.outstanding("shelf/items", "NO01") == {"a", "b", "c"}


def test_rows_in_doubt_are_held_back_and_others_go(
    shelf: Shelf, ledger: Ledger, run: Deliver, doubt: Deliver
) -> None:
    shelf.faults.append("late")
    doubt(shelf, *ROWS)
    report = doubt(shelf, *ROWS, row("d"))
    assert (report.in_doubt, report.created, report.recovered) == (3, 1, 0)
    assert in_doubt(ledger) == 1
    shelf.arrive()
    report = run(shelf, *ROWS, row("d"))
    assert (report.in_doubt, report.unchanged) == (0, 4)
    assert shelf.content() == wanted([*ROWS, row("d")])


def test_rows_that_are_to_go_again_do_so_though_their_batch_in_doubt_turns_out_to_have_landed(
    shelf: Shelf, ledger: Ledger, run: Deliver, doubt: Deliver
) -> None:
    run(shelf, *ROWS[:2])
    rows = [row("a", "2.00"), *ROWS[1:]]
    shelf.faults.append("lose answer")
    doubt(shelf, *rows)
    assert distrust(shelf, "NO01", ledger=ledger, run_id="run-2", reason="The shelf was set back.") == 3
    assert ledger.outstanding("shelf/items", "NO01") == {"a", "b", "c"}
    report = run(shelf, *rows)
    assert (report.recovered, report.updated, report.unchanged) == (1, 3, 0)
    assert shelf.content() == wanted(rows)
    assert run(shelf, *rows).unchanged == 3


def test_a_row_deleted_while_its_creation_is_in_doubt_is_deleted_once_that_is_known(
    shelf: Shelf, run: Deliver, doubt: Deliver
) -> None:
    shelf.faults.append("late")
    doubt(shelf, row("a"))
    assert doubt(shelf, scope={"a"}).deleted == 0
    shelf.arrive()
    assert run(shelf, scope=set()).deleted == 1
    assert shelf.content() == []


def test_a_row_changed_while_in_doubt_is_updated_once_that_is_known(
    shelf: Shelf, run: Deliver, doubt: Deliver
) -> None:
    shelf.faults.append("late")
    doubt(shelf, row("a", "1.00"))
    doubt(shelf, row("a", "2.00"))
    shelf.arrive()
    assert run(shelf, row("a", "2.00")).updated == 1
    assert shelf.content() == wanted([row("a", "2.00")])


@pytest.mark.parametrize("now", [[row("a", "2.00")], []], ids=["changed", "gone"])
def test_a_delivery_that_holds_rows_back_does_not_vouch_for_them(
    shelf: Shelf, ledger: Ledger, run: Deliver, doubt: Deliver, now: list[Row]
) -> None:
    """Whoever judges the batch may die before the row is compared, and then nothing else would name it."""
    shelf.faults.append("late")
    doubt(shelf, row("a"), fingerprint="f1")
    doubt(shelf, *now, row("b"), scope={"a", "b"}, whole=True, fingerprint="f2")
    assert ledger.seen("shelf/items", "NO01") is None
    shelf.arrive()
    run(shelf, *now, row("b"), whole=True, fingerprint="f2")
    assert ledger.seen("shelf/items", "NO01") == "f2"
    assert shelf.content() == wanted([*now, row("b")])


def test_the_destination_finds_its_checkpoint_and_exact_values_again(
    shelf_file: Path, run: Deliver, doubt: Deliver, ledger: Ledger
) -> None:
    found: list[Batch] = []

    class Forgetful(Shelf):
        def resolve(self, batch: Batch) -> Outcome | None:
            found.append(batch)
            return super().resolve(batch)

    shelf = Forgetful(shelf_file, faults=["lose answer"])
    doubt(shelf, *ROWS)
    run(shelf, *ROWS)
    assert found[0].checkpoint == {"started": True}
    assert [change.row for change in found[0].changes] == ROWS


def test_a_destination_may_forbid_everything_until_it_can_judge(
    shelf_file: Path, run: Deliver, doubt: Deliver
) -> None:
    class Careful(Shelf):
        judge = False

        def resolve(self, batch: Batch) -> Outcome | None:
            if not self.judge:
                raise InDoubtError("the import is still queued")
            return super().resolve(batch)

    shelf = Careful(shelf_file, faults=["lose answer"])
    doubt(shelf, *ROWS)
    report = doubt(shelf, *ROWS, row("d"))
    assert (report.in_doubt, report.pending, shelf.count("send")) == (3, 1, 1)
    assert report.stopped == "the import is still queued"
    shelf.judge = True
    run(shelf, *ROWS, row("d"))
    assert shelf.content() == wanted([*ROWS, row("d")])


def test_a_closed_window_during_recovery_leaves_the_batch_in_doubt(
    shelf_file: Path, ledger: Ledger, run: Deliver, doubt: Deliver
) -> None:
    class Shut(Shelf):
        def resolve(self, batch: Batch) -> Outcome | None:
            raise Closed("the shelf is closed", START + timedelta(hours=1))

    doubt(Shelf(shelf_file, faults=["lose answer"]), *ROWS)
    with pytest.raises(Closed) as raised:
        run(Shut(shelf_file), *ROWS, row("d"))
    assert raised.value.report is not None
    assert (raised.value.report.in_doubt, raised.value.report.pending) == (3, 1)
    assert in_doubt(ledger) == 1


def test_a_batch_taken_in_part_is_finished_row_by_row(shelf_file: Path, run: Deliver) -> None:
    class Tripping(Shelf):
        def _commit(self, token, changes):  # type: ignore[no-untyped-def]
            if changes[0].row.key == "b":
                raise ConnectionResetError
            return super()._commit(token, changes)

    with pytest.raises(ConnectionResetError):
        run(Tripping(shelf_file, piecemeal=True), *ROWS)
    shelf = Shelf(shelf_file, piecemeal=True)
    assert shelf.content() == wanted([row("a")])
    assert run(shelf, *ROWS).recovered == 1
    assert shelf.content() == wanted(ROWS)


def test_a_sender_that_lost_its_lease_can_neither_save_nor_confirm(
    shelf_file: Path, engine: sa.Engine, ledger: Ledger, run: Deliver
) -> None:
    class Stalled(Shelf):
        def send(self, batch: Batch) -> Outcome:
            ledger.clock.sleep(3_600)
            other = Shelf(shelf_file)
            run(other, *ROWS, run_id="run-2")
            with pytest.raises(LeaseLost):
                batch.save(too="late")
            return Outcome()

    with pytest.raises(LeaseLost, match="another process took it"):
        run(Stalled(shelf_file), *ROWS)
    with engine.connect() as connection:
        states = connection.execute(sa.select(batches.c.state, batches.c.run_id).order_by("created_at")).all()
    assert [tuple(state) for state in states] == [("abandoned", "run-1"), ("landed", "run-2")]
    assert Shelf(shelf_file).content() == wanted(ROWS)


def test_a_batch_that_did_not_land_is_closed_with_the_destinations_reason(
    shelf: Shelf, engine: sa.Engine, run: Deliver, doubt: Deliver
) -> None:
    shelf.faults.append("lose request")
    doubt(shelf, *ROWS)
    report = run(shelf, *ROWS)
    assert (report.recovered, report.not_landed, report.retried) == (1, 1, 3)
    with engine.connect() as connection:
        reasons = connection.execute(sa.select(batches.c.reason)).scalars().all()
    # Both were made at one moment of our clock, so they have no order.
    assert set(reasons) == {"the shelf took nothing of it", None}


def test_a_doubt_is_no_failure_and_says_when_it_is_asked_about_again(shelf: Shelf, run: Deliver) -> None:
    shelf.faults.append("late")
    for _ in range(2):
        with pytest.raises(Closed) as raised:
            run(shelf, *ROWS)
        assert raised.value.opens_at == START + ASK_AGAIN


def test_a_delete_in_doubt_is_not_taken_for_done(shelf: Shelf, run: Deliver, doubt: Deliver) -> None:
    run(shelf, row("a"))
    shelf.faults.append("late")
    assert doubt(shelf, scope={"a"}).undeleted == 1
    report = doubt(shelf, scope=set())
    assert (report.undeleted, report.complete) == (1, False)


def test_a_window_that_closes_while_a_batch_is_under_way_says_when_it_opens(
    shelf_file: Path, ledger: Ledger, run: Deliver
) -> None:
    opens_at = START + timedelta(hours=1)

    class LockedOut(Shelf):
        def send(self, batch: Batch) -> Outcome:
            super().send(batch)
            raise InDoubtError("locked out while the import ran", opens_at=opens_at)

    with pytest.raises(Closed, match="locked out while the import ran") as raised:
        run(LockedOut(shelf_file, max_rows=2), *ROWS)
    assert raised.value.opens_at == opens_at
    assert raised.value.report is not None
    assert (raised.value.report.in_doubt, raised.value.report.pending) == (2, 1)
    assert in_doubt(ledger) == 1
    run(Shelf(shelf_file), *ROWS)
    assert Shelf(shelf_file).content() == wanted(ROWS)


def test_what_companies_share_is_free_of_doubt_before_another_company_uses_it(
    shelf_file: Path, ledger: Ledger, clock: ManualClock, doubt: Deliver
) -> None:
    shelf = Shelf(shelf_file, exclusive=("model:1",), faults=["late"])
    doubt(shelf, *ROWS)
    shelf.arrive()
    options = {"ledger": ledger, "run_id": "run-2", "fingerprint": "f", "clock": clock}
    report = deliver(shelf, "SE01", [row("s")], {"s"}, **options)  # type: ignore[arg-type]
    assert (report.recovered, report.created) == (1, 1)
    assert ledger.counts("shelf/items", "NO01") == {State.DELIVERED: 3}
    assert in_doubt(ledger) == 0


def test_another_company_waits_while_a_shared_thing_is_in_doubt(
    shelf_file: Path, ledger: Ledger, clock: ManualClock, doubt: Deliver
) -> None:
    class Careful(Shelf):
        def resolve(self, batch: Batch) -> Outcome:
            raise InDoubtError(f"{batch.company}: the import is still queued")

    shelf = Careful(shelf_file, exclusive=("model:1",), faults=["late"])
    doubt(shelf, *ROWS)
    options = {"ledger": ledger, "run_id": "run-2", "fingerprint": "f", "clock": clock}
    with pytest.raises(Closed) as raised:
        deliver(shelf, "SE01", [row("s")], {"s"}, **options)  # type: ignore[arg-type]
    report = raised.value.report
    assert report is not None
    assert (report.pending, report.stopped) == (1, "NO01: the import is still queued")
    assert shelf.count("send") == 1


def test_an_answer_of_recovery_about_unknown_rows_is_not_trusted(
    shelf_file: Path, ledger: Ledger, run: Deliver, doubt: Deliver
) -> None:
    class Confused(Shelf):
        def resolve(self, batch: Batch) -> Outcome:
            return Outcome(refused={"A": "wrong case"})

    doubt(Shelf(shelf_file, faults=["lose answer"]), *ROWS)
    with pytest.raises(ValueError, match="'A', which the batch does not hold"):
        run(Confused(shelf_file), *ROWS)
    assert in_doubt(ledger) == 1
