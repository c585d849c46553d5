"""Which of two versions counts, and whether they differ at all."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from mlc_dagster.visma.entities import ENTITIES
from mlc_dagster.visma.merge import changed, conform, in_order, joined, newer, newest, unite

JOURNALS, SUPPLIERS = ENTITIES["journal_transactions"], ENTITIES["suppliers"]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def batch(minutes: int, *lines: int) -> dict[str, Any]:
    return {
        "_key": "ModuleGL|1",
        "_stamp": NOON + timedelta(minutes=minutes),
        "journalTransactionLines": [{"lineNumber": n} for n in lines],
    }


def supplier(key: str, name: str, minutes: int | None = 0, read: int = 0) -> dict[str, Any]:
    stamp = None if minutes is None else NOON + timedelta(minutes=minutes)
    system = {"_key": key, "_stamp": stamp, "_stamp_text": stamp and stamp.isoformat()}
    return {**system, "_read_at": NOON + timedelta(hours=read), "name": name}


def journals(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=JOURNALS.schema)


def suppliers(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SUPPLIERS.schema)


def lines(table: pa.Table) -> list[list[int]]:
    return [
        [line["lineNumber"] for line in row] for row in table.column("journalTransactionLines").to_pylist()
    ]


def test_parts_of_a_split_batch_are_joined_each_line_once_in_order():
    assert lines(joined(JOURNALS, journals(batch(0, 3, 4), batch(0, 1, 2, 3)))) == [[1, 2, 3, 4]]


def test_lines_of_an_older_version_never_mix_with_the_newer():
    assert lines(newest(JOURNALS, journals(batch(0, 1, 2, 3), batch(5, 1, 2)))) == [[1, 2]]
    assert lines(
        joined(JOURNALS, unite(JOURNALS, journals(batch(5, 1)), journals(batch(0, 3), batch(5, 2))))
    ) == [[1, 2]]


def test_within_a_pass_the_newest_stamp_counts_and_between_passes_the_later_pass():
    old, new = supplier("1", "old", 0), supplier("1", "new", 5)
    assert newest(SUPPLIERS, suppliers(old, new, old)).column("name").to_pylist() == ["new"]
    united = unite(SUPPLIERS, suppliers(new, supplier("2", "kept")), suppliers(old))
    assert united.column("name").to_pylist() == ["old", "kept"]


def test_only_real_differences_count():
    held = suppliers(supplier("1", "a"), supplier("2", "b"), supplier("3", "c", None), supplier("4", "d"))
    came = suppliers(
        supplier("5", "new"),
        supplier("1", "a", read=1),
        supplier("2", "other"),
        supplier("3", "c", None),
        supplier("4", "d", 1),
    )
    assert changed(came, held).to_pylist() == [True, False, True, False, True]
    assert changed(came, SUPPLIERS.schema.empty_table()).to_pylist() == [True] * 5
    assert changed(SUPPLIERS.schema.empty_table(), held).to_pylist() == []


def test_an_older_stamp_replaces_nothing():
    held = suppliers(supplier("1", "a", 5), supplier("2", "b", 5), supplier("3", "c", None))
    came = suppliers(
        supplier("1", "x", 4), supplier("2", "x", 5), supplier("3", "x", 0), supplier("4", "x", 0)
    )
    assert newer(came, held).to_pylist() == [False, True, True, True]


def test_of_equal_stamps_and_without_any_an_earlier_reading_replaces_nothing():
    held = suppliers(supplier("1", "a", 5), supplier("2", "b", None), supplier("3", "c", 5))
    waited = suppliers(
        supplier("1", "x", 5, read=-1), supplier("2", "x", None, read=-1), supplier("3", "x", 6, read=-1)
    )
    assert newer(waited, held).to_pylist() == [False, False, True]


def test_a_stamp_that_goes_back_is_put_behind_the_one_held_when_it_was_read_later():
    held = suppliers(*(supplier(key, "held", 5) for key in "123"))
    came = suppliers(
        supplier("1", "an edit", 4, read=1),
        supplier("2", "a page that waited", 4, read=-1),
        supplier("3", "a later edit", 6, read=1),
    )
    ordered = in_order(came, held)
    assert newer(ordered, held).to_pylist() == [True, False, True]
    assert ordered.column("_stamp_text").equals(came.column("_stamp_text"))
    assert in_order(came, ordered).equals(ordered), "the same versions keep the place they were given"


def test_a_file_from_before_a_field_was_declared_fits_after_it():
    few = pa.table({"_key": ["1"], "name": ["a"]})
    assert conform(few, SUPPLIERS.schema).schema == SUPPLIERS.schema
