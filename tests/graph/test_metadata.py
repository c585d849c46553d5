"""The numbers, reasons and previews that a run leaves in Dagster's UI."""

from datetime import date
from decimal import Decimal
from typing import Any

import dagster as dg

from mlc_dagster.graph import metadata
from mlc_dagster.graph.partitions import key, range_tags
from mlc_dagster.operations.overview import overview
from tests.support.house import House


def test_a_run_tells_what_was_read_mapped_and_sent_and_what_it_cost(house: House) -> None:
    suppliers = len(house.sandbox.visma.truth("NO01", "supplier"))
    assert house.run().success
    read = house.shown("visma/suppliers")
    assert (read["read"], read["changed"], read["quarantined"], read["deleted"]) == (
        suppliers,
        suppliers,
        0,
        0,
    )
    assert (read["calls"], read["retries"]) == (2, 0), "a token and a page"
    assert read["bytes_in"] > 10_000
    assert read["covers"] == f"NO01 {house.days[0]} to {house.today}"
    mapped = house.shown("anaplan/rows/suppliers")
    assert (mapped["dagster/row_count"], mapped["records"], mapped["quarantined"]) == (
        suppliers,
        suppliers,
        0,
    )
    assert mapped["preview"].startswith("| code | company | supplier_number | name |")
    sent = house.shown("anaplan/suppliers")
    assert (sent["read"], sent["created"], sent["unchanged"], sent["failed"]) == (suppliers, suppliers, 0, 0)
    assert (sent["pending"], sent["in_doubt"], sent["batches"]) == (0, 0, 1)
    calls, looks = house.sandbox.log.count("anaplan"), house.sandbox.log.count("anaplan", match="/views")
    assert looks
    assert sent["calls"] == calls - looks - 1, "the proof's calls, a login among them, are the check's own"
    sums = house.suite().tallies.all()
    delivered = {name: tally.count for name, tally in sums["anaplan/suppliers", "NO01"].items()}
    assert (delivered["created"], delivered["steps_succeeded"]) == (suppliers, 1)
    assert delivered["calls"] == calls, "those of the proof are among them"
    assert sums["visma/suppliers", "NO01"]["calls"].count == read["calls"]
    [glance] = [one for one in overview(house.suite(), house.clock.now()) if one.company == "NO01"][1:]
    assert (glance.held, glance.pending, glance.stale) == (suppliers, 0, False)
    assert glance.lag is not None


def test_each_partition_tells_its_own_rows(house: House) -> None:
    assert house.read("suppliers").success
    lake = house.suite().lake
    rows = {day: house.shown("visma/suppliers", day)["dagster/partition_row_count"] for day in house.days}
    held = {day: lake.read_day("suppliers", "NO01", day) for day in house.days}
    assert rows == {day: len(table) for day, table in held.items() if table is not None}
    assert sum(rows.values()) == len(house.sandbox.visma.truth("NO01", "supplier"))


def test_a_run_over_two_companies_names_both(house: House) -> None:
    tags = {
        "dagster/asset_partition_range_start": key("NO01", house.today),
        "dagster/asset_partition_range_end": key("SE01", house.today),
    }
    assert house.materialize("visma/suppliers", tags=tags).success
    covered = house.shown("visma/suppliers", company="SE01")["covers"]
    assert covered == f"NO01 {house.today} to {house.today}; SE01 {house.today} to {house.today}"


def test_checks_tell_how_many_rows_fail(house: House) -> None:
    assert house.run().success
    record, *_ = house.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(["anaplan", "rows", "suppliers"]), "status_accepted_values"), limit=5
    )
    assert record.event is not None
    evaluation = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
    assert (evaluation.passed, evaluation.metadata["failing_rows"].value) == (True, 0)
    assert evaluation.description == "All rows pass."


def test_a_preview_is_a_small_table_that_the_values_cannot_break() -> None:
    rows: list[dict[str, Any]] = [
        {"code": "NO01|50000", "amount": Decimal("1834.0800"), "date": date(2026, 11, 20), "text": None},
        {"code": "NO01|50001", "amount": Decimal("1E+3"), "date": None, "text": "two\nlines " + "x" * 50},
    ]
    assert metadata.preview(rows).value == "\n".join(
        [
            "| code | amount | date | text |",
            "| --- | --- | --- | --- |",
            r"| NO01\|50000 | 1834.08 | 2026-11-20 |  |",
            r"| NO01\|50001 | 1000 |  | two lines xxxxxxxxxxxxxxxxxxxxxxxxxxxxx… |",
        ]
    )
    assert metadata.preview(rows * 9).value.count("\n") == 1 + metadata.PREVIEW_ROWS
    assert metadata.preview([]).value == "No rows."


def test_only_the_first_reasons_are_shown() -> None:
    found = [(f"record {number}", "amount: 'abc' is no number") for number in range(9)]
    table = metadata.reasons(found)["quarantine"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["record"] for record in table.records] == [f"record {number}" for number in range(5)]
    assert metadata.reasons([]) == {}


def test_a_range_of_rows_alone_needs_no_call(house: House) -> None:
    assert house.run().success
    house.sandbox.log.reset()
    tags = range_tags("NO01", house.days[0], house.today)
    assert house.materialize("anaplan/rows/suppliers", tags=tags).success
    assert house.sandbox.log.count() == 0
