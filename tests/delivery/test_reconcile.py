"""What a target shows, compared with the ledger: every way the two can differ, and what is left out."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from mlc_dagster.delivery import Comparison, Difference, FoundRow, Ledger, Row, deliver, distrust, reconcile
from mlc_dagster.delivery.reconcile import NAMED
from tests.delivery.conftest import Deliver, row
from tests.support.manual_clock import ManualClock
from tests.support.shelf import Shelf

Compare = Callable[..., Comparison]


class ShelfWindow:
    """Looks at a shelf and shows its rows as they lie there, or other rows; numbers are never empty."""

    removes = False

    def __init__(self, shelf: Shelf, *rows: FoundRow, on_row: Callable[[], object] = lambda: None) -> None:
        self.shelf, self.others, self.on_row = shelf, rows, on_row

    def rows(self, company: str) -> Iterator[FoundRow]:
        for key, payload in self.shelf.content():
            self.on_row()
            yield FoundRow(key, self.as_shown(payload))
        yield from self.others

    def calls(self, rows: int) -> int:
        return 1 + rows // 1000

    def to_delete(self, row: FoundRow) -> Mapping[str, Any]:
        return row.values

    def as_shown(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        amount = {"amount": payload["amount"] or Decimal(0)} if "amount" in payload else {}
        return {**payload, **amount}


@pytest.fixture
def compare(ledger: Ledger, shelf: Shelf) -> Compare:
    def compared(
        *rows: FoundRow, target: Shelf = shelf, company: str = "NO01", named: int = NAMED, **options: Any
    ) -> Comparison:
        window = ShelfWindow(target, *rows, **options)
        return reconcile(ledger, window, target.name, company, tombstone=target.tombstone, named=named)

    return compared


def named(comparison: Comparison) -> dict[str, str]:
    return {difference.key: difference.kind.value for difference in comparison.differences}


def edit(shelf: Shelf, statement: str) -> None:
    """What somebody does to the shelf by hand."""
    shelf._run(statement)


def shown(key: str, amount: str) -> FoundRow:
    return FoundRow(key, {"code": key, "amount": Decimal(amount)})


def test_a_target_that_shows_what_was_delivered_is_equal(
    run: Deliver, shelf: Shelf, compare: Compare
) -> None:
    run(shelf, row("a", "10.10"), row("b", "0.20"))
    found = compare()
    assert found.equal
    assert (found.expected, found.found, found.differences) == (2, 2, [])
    assert found.totals == {"amount": (Decimal("10.30"), Decimal("10.30"))}


def test_an_empty_target_of_which_nothing_was_sent_is_equal(compare: Compare) -> None:
    found = compare()
    assert found.equal
    assert (found.expected, found.found, found.totals) == (0, 0, {})


def test_numbers_are_compared_by_value_and_empty_ones_as_the_target_keeps_them(
    run: Deliver, shelf: Shelf, compare: Compare
) -> None:
    run(shelf, row("a", "100.00"), Row("b", "b", "b", {"code": "b", "amount": None}))
    edit(shelf, "UPDATE items SET payload = replace(payload, '100.00', '100')")
    assert compare().equal


def test_a_row_that_vanished_from_the_target_is_missing_and_lacks_in_the_totals(
    run: Deliver, shelf: Shelf, compare: Compare
) -> None:
    run(shelf, row("a", "10.00"), row("b", "0.20"))
    edit(shelf, "DELETE FROM items WHERE key = 'b'")
    found = compare()
    assert (found.expected, found.found, found.missing, found.equal) == (2, 1, 1, False)
    assert found.totals == {"amount": (Decimal("10.20"), Decimal("10.00"))}
    assert found.differences == [Difference("b", "missing", "was delivered and is not shown")]


class GridWindow(ShelfWindow):
    """Shows cells: a row whose amount is nothing is no row there."""

    def rows(self, company: str) -> Iterator[FoundRow]:
        return (found for found in super().rows(company) if found.values)

    def as_shown(self, payload: Mapping[str, Any]) -> Mapping[str, Any] | None:  # type: ignore[override]
        return super().as_shown(payload) if payload.get("amount") else None


def test_a_row_that_is_nothing_at_the_target_need_not_be_shown_and_must_not_show_anything(
    run: Deliver, shelf: Shelf, ledger: Ledger
) -> None:
    run(shelf, row("a", "10.00"), row("b", "0.00"))
    found = reconcile(ledger, GridWindow(shelf), shelf.name, "NO01", tombstone=shelf.tombstone)
    assert (found.equal, found.expected, found.found) == (True, 1, 1)
    edit(shelf, "UPDATE items SET payload = replace(payload, '0.00', '3.00') WHERE key = 'b'")
    found = reconcile(ledger, GridWindow(shelf), shelf.name, "NO01", tombstone=shelf.tombstone)
    assert found.differences == [Difference("b", "different", "was delivered empty and shows values")]
    assert found.totals == {"amount": (Decimal("10.00"), Decimal("13.00"))}


def test_an_emptied_target_misses_everything_with_its_totals(
    run: Deliver, shelf: Shelf, compare: Compare
) -> None:
    run(shelf, row("a", "10.00"), row("b", "0.20"))
    edit(shelf, "DELETE FROM items")
    found = compare()
    assert (found.expected, found.found, found.missing) == (2, 0, 2)
    assert found.totals == {"amount": (Decimal("10.20"), Decimal(0))}


def test_a_value_that_was_edited_by_hand_is_named_with_what_was_delivered(
    run: Deliver, shelf: Shelf, compare: Compare
) -> None:
    run(shelf, row("a", "10.00"), row("b", "0.20"))
    edit(shelf, "UPDATE items SET payload = replace(payload, '0.20', '0.40')")
    found = compare()
    assert (found.different, found.missing, found.extra, found.emptied) == (1, 0, 0, 0)
    assert found.differences[0].columns == {"amount": (Decimal("0.20"), Decimal("0.40"))}
    assert found.columns == {"amount": 1}
    assert found.totals == {"amount": (Decimal("10.20"), Decimal("10.40"))}


def test_a_row_with_nothing_left_but_its_key_is_told_as_emptied(
    run: Deliver, shelf: Shelf, compare: Compare
) -> None:
    run(shelf, row("a", "10.00"))
    edit(shelf, "UPDATE items SET payload = replace(payload, '10.00', '0')")
    found = compare()
    assert (found.different, found.emptied) == (1, 1)
    assert found.differences[0].words == "shows nothing but its key"


def test_a_row_somebody_made_by_hand_is_extra(run: Deliver, shelf: Shelf, compare: Compare) -> None:
    run(shelf, row("a", "10.00"))
    found = compare(shown("hand", "5.00"))
    assert (found.extra, found.different, found.missing, found.equal) == (1, 0, 0, False)
    assert named(found) == {"hand": "extra"}
    assert found.totals == {"amount": (Decimal("10.00"), Decimal("15.00"))}


def test_a_row_that_is_shown_twice_is_extra_once(run: Deliver, shelf: Shelf, compare: Compare) -> None:
    run(shelf, row("a", "10.00"))
    found = compare(shown("a", "10.00"))
    assert (found.expected, found.found, found.extra) == (1, 2, 1)
    assert found.totals == {"amount": (Decimal("10.00"), Decimal("20.00"))}


def test_only_columns_that_are_shown_are_compared_and_added_up(
    run: Deliver, shelf: Shelf, compare: Compare
) -> None:
    run(shelf, row("a", "10.00"), row("b", "0.20"))
    edit(shelf, "DELETE FROM items")
    found = compare(FoundRow("a", {"code": "a", "colour": "red"}))
    assert (found.missing, found.different) == (1, 0)
    assert found.totals == {}


def test_rows_of_another_company_are_neither_extra_nor_counted(
    run: Deliver, shelf: Shelf, ledger: Ledger, clock: ManualClock, compare: Compare
) -> None:
    run(shelf, row("a"))
    deliver(shelf, "SE01", [row("x")], {"x"}, ledger=ledger, run_id="r", fingerprint="f", clock=clock)
    by_hand = FoundRow("hand", {"code": "hand"}, company="SE01")
    assert compare(by_hand).equal
    assert (compare(by_hand).found, compare(by_hand, company="SE01").extra) == (1, 1)


def test_a_row_that_says_it_is_another_companys_is_still_ours_by_the_ledger(
    run: Deliver, shelf: Shelf, compare: Compare
) -> None:
    run(shelf, row("a", "10.00"))
    edit(shelf, "DELETE FROM items")
    found = compare(FoundRow("a", {"code": "a", "amount": Decimal("99.00")}, company="SE01"))
    assert named(found) == {"a": "different"}


def test_a_deleted_row_shows_its_tombstone_or_is_gone(
    run: Deliver, shelf_file: Any, compare: Compare
) -> None:
    marking = Shelf(shelf_file, tombstone={"amount": Decimal(0)})
    run(marking, row("a", "10.00"), row("b", "0.20"), row("c", "3.00"))
    run(marking, row("c", "3.00"), scope={"a", "b"})
    found = compare(shown("a", "0"), target=marking)
    assert found.equal
    assert (found.expected, found.found, found.deleted) == (1, 1, 1)
    assert found.totals == {"amount": (Decimal("3.00"), Decimal("3.00"))}


def test_a_deleted_row_that_shows_old_values_again_is_different(
    run: Deliver, shelf_file: Any, compare: Compare
) -> None:
    marking = Shelf(shelf_file, tombstone={"amount": Decimal(0)})
    run(marking, row("a", "10.00"))
    run(marking, scope={"a"})
    found = compare(shown("a", "10.00"), target=marking)
    assert (named(found), found.revived) == ({"a": "different"}, 1)
    assert found.totals == {"amount": (Decimal(0), Decimal("10.00"))}


def test_where_rows_are_really_deleted_a_deleted_row_that_is_shown_is_told(
    run: Deliver, shelf: Shelf, compare: Compare
) -> None:
    run(shelf, row("a", "10.00"))
    run(shelf, scope={"a"})
    assert compare().equal
    found = compare(shown("a", "10.00"))
    assert (found.equal, found.revived) == (False, 1)
    assert [difference.words for difference in found.differences] == ["was deleted and is still shown"]


def test_failed_and_pending_rows_are_left_out_and_counted(
    run: Deliver, shelf: Shelf, compare: Compare
) -> None:
    run(shelf, row("a", "10.00"), row("b", "1.00"))
    shelf.refuse["a"] = "no"
    run(shelf, row("a", "11.00"), row("b", "1.00"))
    edit(shelf, "UPDATE items SET payload = replace(payload, '10.00', '77.00')")
    shelf.refuse.clear()
    shelf.faults.append("nothing happened")
    run(shelf, row("a", "11.00"), row("b", "2.00"), row("c", "2.00"))
    found = compare()
    assert found.equal
    assert (found.expected, found.waiting) == (0, {"pending": 3})


def test_rows_in_doubt_are_left_out_wherever_they_are(
    run: Deliver, doubt: Deliver, shelf: Shelf, compare: Compare
) -> None:
    run(shelf, row("a", "10.00"))
    shelf.faults.append("lose answer")
    doubt(shelf, row("a", "20.00"), row("b", "1.00"))
    assert [key for key, _ in shelf.content()] == ["a", "b"]
    found = compare()
    assert found.equal
    assert (found.expected, found.found, found.waiting) == (0, 0, {"in doubt": 2})


def test_rows_a_batch_of_another_company_carries_are_not_extra(
    shelf: Shelf, doubt: Deliver, compare: Compare
) -> None:
    shelf.faults.append("lose answer")
    doubt(shelf, row("a"))
    assert compare(company="SE01").equal


def test_distrusted_rows_are_all_waiting(
    run: Deliver, shelf: Shelf, ledger: Ledger, compare: Compare
) -> None:
    run(shelf, row("a"), row("b"))
    distrust(shelf, "NO01", ledger=ledger, run_id="r", reason="restored")
    found = compare()
    assert (found.equal, found.expected, found.waiting) == (True, 0, {"pending": 2})


def test_a_delivery_that_lands_while_we_look_is_no_difference(
    run: Deliver, shelf: Shelf, clock: ManualClock, compare: Compare
) -> None:
    run(shelf, row("a", "10.00"), row("b", "1.00"))

    def another_delivery() -> None:
        clock.pass_time(1)
        run(shelf, row("a", "20.00"), row("b", "1.00"), row("c", "1.00"))

    found = compare(on_row=another_delivery)
    assert found.equal
    assert (found.expected, found.waiting) == (1, {"sent meanwhile": 2})


def test_the_first_differences_are_named_and_all_are_counted(
    run: Deliver, shelf: Shelf, compare: Compare
) -> None:
    many = [row(f"{number:04}") for number in range(1_100)]
    run(shelf, *many)
    assert compare().equal
    edit(shelf, "DELETE FROM items WHERE key >= '0010'")
    found = compare()
    assert (found.missing, len(found.differences)) == (1_090, NAMED)


def test_no_kind_of_difference_hides_another(run: Deliver, shelf: Shelf, compare: Compare) -> None:
    """What is missing is known last, when all was read."""
    run(shelf, *(row(f"{number:02}", "10.00") for number in range(60)))
    edit(shelf, "DELETE FROM items WHERE key >= '30'")
    edit(shelf, "UPDATE items SET payload = replace(payload, '10.00', '11.00')")
    nobodys = [shown(f"hand {number}", "5.00") for number in range(30)]
    found = compare(*nobodys)
    assert (found.missing, found.different, found.extra) == (30, 30, 30)
    assert Counter(each.kind for each in found.differences) == dict.fromkeys(
        ["missing", "different", "extra"], NAMED
    )
    assert len(compare(*nobodys, named=30).differences) == 90
