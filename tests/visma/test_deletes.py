"""What the lake knows of documents that may be deleted: their newest versions, whatever files hold them."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mlc_dagster.lake import DayNote, Lake
from mlc_dagster.visma.deletes import Held, held
from mlc_dagster.visma.entities import ENTITIES

INVOICES = ENTITIES["supplier_invoices"]
NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
OCTOBER, LATER, NOVEMBER = date(2026, 10, 5), date(2026, 10, 6), date(2026, 11, 1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


def version(key: str, status: str, hours: int | None = 0, *, read: int = 0, **more: Any) -> dict[str, Any]:
    stamp = None if hours is None else NOON + timedelta(hours=hours)
    read_at = NOON + timedelta(hours=read)
    return {
        "_key": key,
        "_stamp": stamp,
        "_stamp_text": "",
        "_read_at": read_at,
        "_deleted": False,
        "status": status,
        **more,
    }


def write(lake: Lake, day: date, *versions: dict[str, Any]) -> None:
    table = pa.Table.from_pylist(versions, schema=INVOICES.schema)
    lake.write_day(INVOICES.name, "NO01", day, table, DayNote(None, NOON, complete=True, total=len(table)))


def known(lake: Lake) -> Held:
    return held(lake, INVOICES, "NO01")


def test_a_lake_without_files_knows_nothing(lake: Lake) -> None:
    assert known(lake) == Held()


@pytest.mark.parametrize("compacted", [False, True])
def test_the_newest_version_says_whether_a_document_is_unreleased(lake: Lake, compacted: bool) -> None:
    write(lake, OCTOBER, version("Invoice|1", "Balanced"), version("Invoice|2", "Open"))
    write(lake, LATER, version("Invoice|1", "Open", 24), version("Invoice|3", "Hold", 24))
    write(lake, NOVEMBER, version("Invoice|2", "Balanced", 700))
    if compacted:
        lake.compact(INVOICES.name, "NO01", before=NOVEMBER)
    assert known(lake).unreleased == {"Invoice|2", "Invoice|3"}


def test_a_tombstone_ends_the_version_with_its_stamp_and_a_later_reading_ends_the_tombstone(
    lake: Lake,
) -> None:
    write(lake, OCTOBER, version("Invoice|1", "Balanced"), version("Invoice|2", "Balanced"))
    write(lake, LATER, *(version(f"Invoice|{n}", "Balanced", read=1, _deleted=True) for n in (1, 2)))
    write(lake, NOVEMBER, version("Invoice|2", "Balanced", read=2))
    assert (known(lake).deleted, known(lake).unreleased) == ({"Invoice|1"}, {"Invoice|2"})


def test_a_version_without_a_stamp_is_the_oldest(lake: Lake) -> None:
    write(lake, OCTOBER, version("Invoice|1", "Open"))
    write(lake, LATER, version("Invoice|1", "Balanced", None, read=5))
    assert known(lake).unreleased == set()


def test_a_day_that_was_written_again_wins_over_its_month(lake: Lake) -> None:
    write(lake, OCTOBER, version("Invoice|1", "Balanced", 5))
    lake.compact(INVOICES.name, "NO01", before=NOVEMBER)
    write(lake, OCTOBER, version("Invoice|1", "Open", 1))
    assert known(lake).unreleased == set()


def test_witnesses_are_the_first_and_last_document_of_each_type_that_cannot_be_deleted(lake: Lake) -> None:
    write(lake, OCTOBER, version("Invoice|1", "Closed"), version("Invoice|2", "Open"))
    write(lake, LATER, version("Invoice|3", "Hold"), version("Invoice|4", "Closed", _deleted=True))
    write(lake, NOVEMBER, version("CreditAdj|8", "Balanced"), version("CreditAdj|7", "Closed"))
    assert known(lake).witnesses == ("CreditAdj|7", "Invoice|1", "Invoice|2")


def test_a_document_that_was_released_may_be_the_witness(lake: Lake) -> None:
    write(lake, OCTOBER, version("Invoice|1", "Balanced"))
    write(lake, LATER, version("Invoice|1", "Open", 24))
    assert known(lake).witnesses == ("Invoice|1",)
