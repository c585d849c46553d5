"""The changes of a delivery: a sequence like any other, which is not in memory."""

import gc
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlc_dagster.delivery.changes import CHANGES_IN_A_PAGE, Changes
from mlc_dagster.delivery.rows import Change, Op, Row
from mlc_dagster.delivery.spool import SMALL_BYTES, Spool

COUNT, MANY = 20, 20 * CHANGES_IN_A_PAGE + 1
bounds = st.none() | st.integers(-COUNT - 5, COUNT + 5)


def made(count: int, name: str = "Åse \u2028") -> Iterator[Change]:
    for number in range(count):
        row = Row(f"k{number}", f"s{number}", "", {"amount": Decimal(number) / 4, "name": name})
        yield Change.of(list(Op)[number % 3], row, "t", str(number) if number % 2 else None)


EVERY = list(made(COUNT))
# Three pages of different sizes, in three spools.
CHANGES = Changes.of(EVERY[:7]) + Changes.of(EVERY[7:9]) + Changes.of(EVERY[9:])


@pytest.fixture(scope="module")
def many() -> Changes:
    """More than may stay in memory, in several pages of one spool."""
    return Changes.of(made(MANY, "x" * 1_000))


def test_they_come_back_as_they_were_in_their_order() -> None:
    assert list(CHANGES) == EVERY
    assert (len(CHANGES), CHANGES[0], CHANGES[-1]) == (COUNT, EVERY[0], EVERY[-1])
    assert list(CHANGES.sizes()) == [len(change.text.encode()) for change in EVERY]
    assert not Changes.of([])


def test_there_is_none_beyond_the_end() -> None:
    with pytest.raises(IndexError):
        CHANGES[COUNT]


@settings(deadline=None)
@given(bounds, bounds, bounds, bounds)
def test_pieces_and_sums_are_those_of_a_list(
    first: int | None, last: int | None, begin: int | None, end: int | None
) -> None:
    piece, other = CHANGES[first:last], CHANGES[begin:end]
    assert list(piece + other) == EVERY[first:last] + EVERY[begin:end]
    assert list((piece + other)[1:-1]) == (EVERY[first:last] + EVERY[begin:end])[1:-1]


def test_threads_read_them_side_by_side(many: Changes) -> None:
    with ThreadPoolExecutor(4) as pool:
        keys = list(pool.map(lambda _: [change.row.key for change in many], range(4)))
    assert keys == [[f"k{number}" for number in range(MANY)]] * 4


def test_memory_does_not_grow_with_them(many: Changes) -> None:
    tracemalloc.start()
    try:
        last = [change.row.payload["amount"] for change in many][-1]
        again = Changes.of(many)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert last == Decimal(MANY - 1) / 4
    assert len(again) == MANY
    assert peak < 4 * SMALL_BYTES < sum(many.sizes())


@pytest.mark.filterwarnings("error::ResourceWarning")
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_spool_goes_with_its_last_holder() -> None:
    spool = Spool(b"ab")
    assert spool.add(b"x" * SMALL_BYTES) == 2
    assert (spool.read(1, 2), spool.size) == (b"bx", SMALL_BYTES + 2)
    assert b"".join(spool.pieces(1_000_000)) == spool.whole()
    del spool
    gc.collect()
