"""The last comparison of each destination is kept, with its first differences, exactly as it was found."""

from collections import Counter
from decimal import Decimal

from mlc_dagster.database import connect, migrate
from mlc_dagster.delivery import Comparison, Comparisons, Difference
from mlc_dagster.delivery.reconcile import NAMED, Kind
from tests.transport.clocks import ManualClock


def test_the_newest_comparison_takes_the_place_of_the_one_before(database_url: str) -> None:
    engine = connect(database_url)
    migrate(engine)
    clock = ManualClock()
    kept = Comparisons(engine, clock)
    wrong = Comparison("anaplan/suppliers", "NO01", expected=3, found=3, different=1, missing=1)
    wrong.waiting["pending"] = 2
    wrong.totals = {"amount": (Decimal("10.1000"), Decimal("10.1001")), "open": (Decimal(1), Decimal(1))}
    wrong.differences = [
        Difference("50001", Kind.DIFFERENT, "differs", {"amount": (Decimal("5.1000"), Decimal("5.1001"))}),
        Difference("50002", Kind.MISSING, "was delivered and is not shown"),
    ]
    kept.keep(wrong, "run 1")
    kept.keep(Comparison("anaplan/suppliers", "SE01", expected=2, found=2), "run 1")
    found, other = kept.all()
    assert (found.at, found.run_id, found.waiting) == (clock.now(), "run 1", {"pending": 2})
    assert found.totals == {"amount": ("10.1000", "10.1001")}, "exact text, and only what differs"
    assert [(line.key, line.column, line.delivered, line.shown) for line in found.differences] == [
        ("50002", "", "", ""),
        ("50001", "amount", "5.1000", "5.1001"),
    ], "kind by kind"
    assert not found.equal
    assert other.equal
    kept.keep(Comparison("anaplan/suppliers", "NO01", expected=3, found=3), "run 2")
    assert [each.equal for each in kept.all()] == [True, True]
    engine.dispose()


def test_the_first_differences_of_each_kind_are_kept_however_many_are_named(database_url: str) -> None:
    engine = connect(database_url)
    migrate(engine)
    kept, wrong = Comparisons(engine, ManualClock()), Comparison("anaplan/suppliers", "NO01", named=100)
    for kind in (Kind.EXTRA, Kind.DIFFERENT, Kind.MISSING):
        for number in range(30):
            setattr(wrong, kind, number + 1)
            wrong.add(Difference(f"{number:02}", kind, kind.value))
    kept.keep(wrong, "run 1")
    [found] = kept.all()
    assert Counter(line.words for line in found.differences) == dict.fromkeys(
        ["missing", "different", "extra"], NAMED
    )
    engine.dispose()
