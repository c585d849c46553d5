"""A target's memory outlives the process, and two writers notice each other."""

import pytest

from mlc_dagster.delivery.errors import LeaseLost
from mlc_dagster.delivery.memory import Memory, Remembered


@pytest.fixture
def memory(engine, clock) -> Memory:
    return Memory(engine, clock, "powerbi:one")


def test_what_was_never_written_is_empty(memory):
    assert memory.read("dataset") == Remembered({}, 0)


def test_a_value_is_there_for_the_next_process_and_for_its_own_target_only(memory, engine, clock):
    memory.write("dataset", memory.read("dataset"), {"id": "1", "rows": 3})
    assert Memory(engine, clock, "powerbi:one").read("dataset").value == {"id": "1", "rows": 3}
    assert Memory(engine, clock, "powerbi:two").all() == {}


def test_a_writer_goes_on_from_what_it_wrote(memory):
    first = memory.write("dataset", memory.read("dataset"), {"n": 1})
    memory.write("dataset", first, {"n": 2})
    assert memory.read("dataset") == Remembered({"n": 2}, 2)


@pytest.mark.parametrize("known", [0, 1])
def test_a_writer_that_was_overtaken_writes_nothing(memory, known):
    stale = memory.read("dataset")
    if known:
        stale = memory.write("dataset", stale, {"n": 0})
    memory.write("dataset", memory.read("dataset"), {"n": 1})
    with pytest.raises(LeaseLost, match="dataset of powerbi:one"):
        memory.write("dataset", stale, {"n": 2})
    assert memory.read("dataset").value == {"n": 1}


def test_a_change_that_was_overtaken_is_made_on_what_the_other_left(memory):
    others = iter([{"theirs": 1}])

    def change(now):
        for value in others:
            memory.write("due", memory.read("due"), value)
        return {**now, "ours": 1}

    memory.change("due", change)
    assert memory.read("due") == Remembered({"theirs": 1, "ours": 1}, 2)


def test_a_change_that_changes_nothing_writes_nothing(memory):
    memory.change("due", dict)
    assert memory.read("due").revision == 0


def test_who_is_overtaken_each_time_is_told(memory):
    def change(now):
        memory.write("due", memory.read("due"), {"n": now.get("n", 0) + 1})
        return {"ours": 1}

    with pytest.raises(LeaseLost, match="due of powerbi:one"):
        memory.change("due", change)
