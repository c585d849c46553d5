"""A range of days is one run and one sweep; what Dagster would cut short fails instead."""

from datetime import timedelta

import pytest

from mlc_dagster.graph.partitions import RANGE_END, RANGE_START, key, range_tags, split
from tests.graph.conftest import MakeHouse
from tests.support.house import House, failure, tries


def sweeps(house: House) -> int:
    """Lists of suppliers read so far, as the ERP counted them."""
    return house.sandbox.log.count("visma", method="GET", match=r"/supplier\?")


def test_a_range_over_many_days_is_one_run_and_one_sweep(make_house: MakeHouse) -> None:
    house = make_house(destinations=["suppliers"], days=8)
    assert house.read("suppliers").success
    assert len(house.days) == 8
    assert sweeps(house) == 1
    assert house.partitions("visma/suppliers") == {key("NO01", day) for day in house.days}
    assert len(house.instance.get_runs()) == 1


def test_a_range_over_several_companies_reads_each_once(house: House) -> None:
    first, last = house.days[0], house.days[-1]
    tags = {RANGE_START: key("NO01", first), RANGE_END: key("SE01", last)}
    assert house.materialize("visma/suppliers", tags=tags).success
    assert sweeps(house) == 2
    days = house.days
    assert house.partitions("visma/suppliers") == {
        key(company, day) for company in ("NO01", "SE01") for day in days
    }
    assert house.suite().lake.days("suppliers", "SE01") == days


def test_a_single_partition_reads_its_day_alone(house: House) -> None:
    day = house.today - timedelta(days=2)
    assert house.materialize("visma/supplier_invoices", tags={"dagster/partition": key("NO01", day)}).success
    assert house.suite().lake.days("supplier_invoices", "NO01") == [day]
    assert house.partitions("visma/supplier_invoices") == {key("NO01", day)}


def test_a_single_partition_of_master_data_reads_what_was_never_read_before_it_too(house: House) -> None:
    day = house.today - timedelta(days=2)
    assert house.materialize("visma/suppliers", tags={"dagster/partition": key("NO01", day)}).success
    assert house.suite().lake.days("suppliers", "NO01") == [each for each in house.days if each <= day]
    assert house.partitions("visma/suppliers") == {key("NO01", day)}, "what was asked for"
    assert sweeps(house) == 1


@pytest.mark.parametrize("asset", ["visma/suppliers", "anaplan/rows/suppliers", "anaplan/suppliers"])
def test_a_reversed_range_fails_and_is_not_tried_again(house: House, asset: str) -> None:
    result = house.materialize(asset, tags=range_tags("NO01", house.days[-1], house.days[0]))
    assert not result.success
    assert "is empty: its start is after its end" in failure(result, asset)
    assert tries(result, asset) == 1
    assert house.partitions(asset) == set()


def test_a_backfill_of_a_job_fails_where_dagster_would_do_one_day_and_call_it_done(house: House) -> None:
    # So every run of such a backfill looks: its tags hold the range, and the first key, which wins.
    first = {"dagster/partition/company": "NO01", "dagster/partition/modified_day": str(house.days[0])}
    tags = {**first, **range_tags("NO01", house.days[0], house.days[-1])}
    result = house.materialize("visma/suppliers", tags=tags)
    assert "Start backfills from assets, not from a job." in failure(result, "visma/suppliers")
    assert sweeps(house) == 0


@pytest.mark.parametrize("wrong", ["2026-11-20|NO01", "NO01", "NO01|today", ""])
def test_only_company_and_day_make_a_partition_key(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"it looks like NO01\|2026-11-20"):
        split(wrong)
