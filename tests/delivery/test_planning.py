"""The plan compares rows with the ledger and writes nothing."""

import weakref
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from mlc_dagster.database.schema import metadata
from mlc_dagster.delivery import Ledger, Op, Row, plan
from mlc_dagster.delivery.errors import DuplicateKeys
from tests.delivery.conftest import Deliver, row, sources
from tests.support.shelf import Shelf


def test_new_changed_and_vanished_rows_are_told_apart(ledger: Ledger, shelf: Shelf, run: Deliver) -> None:
    run(shelf, row("a"), row("b"), row("c"))
    found = plan(ledger, shelf, "NO01", [row("a"), row("b", "7.00"), row("d")], {"a", "b", "c", "d"})
    assert [(change.op, change.row.key) for change in found.changes] == [
        (Op.DELETE, "c"),
        (Op.UPDATE, "b"),
        (Op.CREATE, "d"),
    ]
    assert (found.creates, found.updates, found.deletes, found.unchanged) == (1, 1, 1, 1)


def test_a_record_outside_the_scope_is_left_alone(ledger: Ledger, shelf: Shelf, run: Deliver) -> None:
    run(shelf, row("a"), row("b"))
    assert not plan(ledger, shelf, "NO01", [row("a")], {"a"}).changes


def test_a_record_may_have_many_rows_and_lose_one(ledger: Ledger, shelf: Shelf, run: Deliver) -> None:
    run(shelf, row("1|1", source="1"), row("1|2", source="1"))
    found = plan(ledger, shelf, "NO01", [row("1|1", source="1")], {"1"})
    assert [(change.op, change.row.key) for change in found.changes] == [(Op.DELETE, "1|2")]


def test_a_row_that_moved_to_another_record_is_updated_and_never_deleted(
    ledger: Ledger, shelf: Shelf, run: Deliver
) -> None:
    run(shelf, row("k", source="old"))
    run(shelf, row("k", source="new"), scope={"old", "new"})
    assert not plan(ledger, shelf, "NO01", [], {"old"}).changes
    assert plan(ledger, shelf, "NO01", [], {"new"}).deletes == 1


def test_companies_and_destinations_do_not_mix(ledger: Ledger, shelf: Shelf, run: Deliver) -> None:
    run(shelf, row("a"))
    assert plan(ledger, shelf, "SE01", [row("a")], {"a"}).creates == 1
    assert not plan(ledger, shelf, "SE01", [], {"a"}).changes


def test_two_rows_with_one_key_are_refused_with_a_remedy(ledger: Ledger, shelf: Shelf) -> None:
    with pytest.raises(DuplicateKeys, match=r"'a'.*unique test"):
        plan(ledger, shelf, "NO01", [row("a"), row("a", "2.00")], {"a"})


def test_planning_writes_nothing_and_calls_nobody(
    ledger: Ledger, engine: sa.Engine, shelf: Shelf, run: Deliver
) -> None:
    run(shelf, row("a"), row("b"))
    before = _everything(engine)
    calls = shelf.count("send")
    plan(ledger, shelf, "NO01", [row("a", "2.00"), row("c")], {"a", "b", "c"})
    assert _everything(engine) == before
    assert shelf.count("send") == calls


def test_large_and_small_plans_agree(
    ledger: Ledger, shelf: Shelf, run: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(shelf, *(row(f"k{n}") for n in range(20)))
    rows = [row(f"k{n}", "5.00") for n in range(10)]
    by_key = plan(ledger, shelf, "NO01", rows, {f"k{n}" for n in range(15)})
    monkeypatch.setattr(Ledger, "FEW", 0)
    at_once = plan(ledger, shelf, "NO01", rows, {f"k{n}" for n in range(15)})
    assert list(at_once.changes) == list(by_key.changes)
    assert (at_once.updates, at_once.deletes) == (10, 5)


def test_a_thousand_unchanged_rows_need_a_handful_of_statements(
    ledger: Ledger, engine: sa.Engine, shelf: Shelf, run: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "FEW", 100)
    rows = [row(f"k{n}") for n in range(1_000)]
    run(shelf, *rows)
    statements: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert plan(ledger, shelf, "NO01", rows, sources(*rows)).unchanged == 1_000
    assert sum(statement.startswith("SELECT") for statement in statements) == 2


def test_unchanged_rows_are_let_go_as_they_pass(
    ledger: Ledger, shelf: Shelf, run: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "FEW", 10)
    known = [row(f"k{n}") for n in range(100)]
    run(shelf, *known)
    alive: weakref.WeakSet[Payload] = weakref.WeakSet()
    most = 0

    def passing() -> Iterator[Row]:
        nonlocal most
        for one in known:
            payload = Payload(one.payload)
            alive.add(payload)
            yield Row(one.key, one.source_key, one.number, payload)
            most = max(most, len(alive))

    assert plan(ledger, shelf, "NO01", passing(), sources(*known)).unchanged == 100
    assert most < 20


class Payload(dict[str, object]):
    """A dict that can be watched while it lives."""

    __hash__ = object.__hash__  # type: ignore[assignment]


def test_a_key_that_comes_again_far_behind_is_refused(
    ledger: Ledger, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "FEW", 10)
    rows = [*(row(f"k{n}") for n in range(100)), row("k1", "2.00"), row("k1", "3.00")]
    with pytest.raises(DuplicateKeys, match=r"^1 keys.*'k1'"):
        plan(ledger, shelf, "NO01", rows, sources(*rows))


def _everything(engine: sa.Engine) -> dict[str, list[tuple[object, ...]]]:
    with engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
            for table in metadata.sorted_tables
        }
