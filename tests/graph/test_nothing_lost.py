"""What was read and could not be sent goes with the next delivery, whatever days that one was asked for."""

from datetime import date, timedelta
from unittest.mock import patch

import pytest

from mlc_dagster import flow
from mlc_dagster.graph.partitions import range_tags
from tests.support.house import House
from tests.support.planning import expected

MODULE = "DAT01 Suppliers"


def change_a_supplier(house: House) -> str:
    """Rename one in the ERP; its code."""
    [first, *_] = house.sandbox.visma.truth("NO01", "supplier")
    number = first["number"]
    house.sandbox.visma.change("NO01", "supplier", number, {"name": f"Renamed at {house.clock.now()}"})
    return f"NO01|{number}"


def read_only(house: House) -> None:
    assert house.read("suppliers").success


def equal(house: House) -> bool:
    return house.modules()[MODULE] == expected(house.sandbox, ["NO01"])[MODULE]


def run_of_one_day(house: House, day: date) -> None:
    assert house.run(first=day, last=day).success


@pytest.mark.parametrize("back", [0, 3])
def test_a_change_that_was_read_but_not_sent_goes_with_the_next_run_of_any_day(
    house: House, back: int
) -> None:
    assert house.run().success
    change_a_supplier(house)
    read_only(house)
    assert not equal(house)
    run_of_one_day(house, house.today - timedelta(days=back))
    assert equal(house)


def test_a_delivery_alone_takes_it_along_too_and_the_plan_says_so(house: House) -> None:
    assert house.run().success
    change_a_supplier(house)
    read_only(house)
    plan = flow.forecast(house.suite(), "anaplan/suppliers", "NO01", [house.days[0]]).plan
    assert (plan.updates, plan.creates) == (1, 0)
    assert house.materialize(
        "anaplan/suppliers", tags=range_tags("NO01", house.days[0], house.days[0])
    ).success
    assert equal(house)


def test_a_run_that_dies_while_mapping_loses_nothing(house: House) -> None:
    assert house.run().success
    change_a_supplier(house)
    with patch("mlc_dagster.graph.rows.flow.rows", side_effect=MemoryError):
        assert not house.run().success
    run_of_one_day(house, house.days[0])
    assert equal(house)


def test_what_is_read_while_a_delivery_runs_is_left_for_the_next_one(house: House) -> None:
    assert house.run().success
    suite = house.suite()
    make_rows = flow.rows

    def rows_before_a_late_read(*asked: object) -> object:
        mapped = make_rows(*asked)  # type: ignore[arg-type]
        change_a_supplier(house)
        read_only(house)
        return mapped

    with patch("mlc_dagster.flow.rows", rows_before_a_late_read):
        flow.send(suite, "anaplan/suppliers", "NO01", [house.today], run_id="early")
    assert not equal(house)
    flow.send(suite, "anaplan/suppliers", "NO01", [house.days[0]], run_id="late")
    assert equal(house)


def test_sent_days_are_mapped_once(house: House) -> None:
    assert house.run().success
    mapped = flow.rows(house.suite(), "anaplan/suppliers", "NO01", [house.today])
    assert mapped.scope == frozenset(), "today brought no supplier, and everything before has been sent"
