"""What measures find is compared with the ledger row by row: lost, changed and foreign rows are named."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from mlc_dagster.delivery import Comparison, Row, reconcile
from mlc_dagster.delivery.errors import Closed
from mlc_dagster.powerbi import readback
from mlc_dagster.transport.errors import Again
from tests.powerbi.tenant import DAY, DIMENSION, FACT, Installation, invoice, supplier

BOTH = pytest.mark.parametrize("mode", ["slots", "log"])


def compare(ours: Installation, name: str = FACT, company: str = "NO01") -> Comparison:
    read_back = ours.powerbi.read_back(name.split("/")[1])
    assert read_back is not None
    return reconcile(ours.ledger, read_back, name, company, tombstone=None)


@pytest.fixture
def installed(install: Callable[..., Installation]) -> Callable[..., Installation]:
    def made(mode: str = "auto", **options: Any) -> Installation:
        ours = install(modes={"supplier_invoices": mode}, **options)
        ours.set_up()
        return ours

    return made


@BOTH
def test_what_was_delivered_is_read_back_equal(installed, mode):
    ours = installed(mode)
    rows = [invoice("1", "0.0001"), invoice("2", "-7"), invoice("3", "5", description=None)]
    ours.deliver(rows)
    ours.deliver([invoice("2", "12345678901234567.89"), rows[2]], gone=rows[:1])
    found = compare(ours)
    assert found.equal, found.differences
    assert (found.expected, found.found, found.unseen) == (2, 2, set())
    assert found.totals["amount"] == (Decimal("12345678901234572.89"),) * 2


def test_a_dimension_is_read_back_equal(ours):
    ours.deliver([supplier("1"), supplier("2", "Æ ø 'å' \"x\"")], name=DIMENSION)
    assert compare(ours, DIMENSION).equal
    assert compare(ours, DIMENSION).found == 2


def test_days_are_keys_too(ours, monkeypatch):
    monkeypatch.setattr(readback, "ANSWER_ROWS", 3)
    payload = dict.fromkeys(("year", "quarter", "month", "week", "weekday", "weekday_number"))
    days = [DAY + timedelta(days=number) for number in range(8)]
    ours.deliver([Row(str(day), "p", "p", {"day": day, **payload}) for day in days], name="powerbi/dates")
    found = compare(ours, "powerbi/dates")
    assert (found.found, found.equal) == (8, True)


def test_lost_rows_of_a_dimension_are_noticed(ours, world):
    ours.deliver([supplier("1"), supplier("2")], name=DIMENSION)
    ours.powerbi.client.clear(ours.powerbi.dataset.id, "Suppliers")
    found = compare(ours, DIMENSION)
    assert (found.missing, found.extra) == (2, 0)
    ours.deliver([supplier("3")], name=DIMENSION)
    world.clock.advance(timedelta(seconds=5))
    assert compare(ours, DIMENSION).equal


def post(ours: Installation, table: str, **values: Any) -> None:
    """Rows somebody else posts."""
    body = json.dumps({"rows": [values]}).encode()
    ours.powerbi.client.post_rows(ours.powerbi.dataset.id, table, body)
    ours.clock.sleep(5)


def test_rows_posted_by_somebody_else_are_named(ours):
    ours.deliver([supplier("1")], name=DIMENSION)
    for code in ("NO01|1", "NO01|9"):
        post(ours, "Suppliers", Code=code, Supplier="Blåbær AS")
    found = compare(ours, DIMENSION)
    assert found.extra == 2
    assert {named.key for named in found.differences if named.kind == "extra"} == {"NO01|1", "NO01|9"}


def test_a_fact_changed_by_somebody_else_is_told_by_column(installed):
    ours = installed("log")
    ours.deliver([invoice("1", "5"), invoice("2", "6")])
    post(
        ours, "Supplier invoices A",
        **{"Code": "NO01|Invoice|1", "Amount": 50, "_version": 10**6, "_deleted": 0},
    )  # fmt: skip
    found = compare(ours)
    assert (found.different, found.missing, found.extra) == (1, 0, 0)
    assert found.columns["amount"] == 1
    assert found.totals["amount"] == (Decimal(11), Decimal(56))


def test_rows_below_the_floor_do_not_count_as_measures_do_not_count_them(ours):
    ours.deliver([invoice("1")])
    post(ours, "Supplier invoices A", **{"Code": "NO01|Invoice|9", "_version": 0, "_deleted": 0})
    assert compare(ours).equal


def test_a_table_of_many_pages_is_read_whole(installed, monkeypatch):
    monkeypatch.setattr(readback, "ANSWER_ROWS", 3)
    ours = installed("log")
    rows = [invoice(f"{number}", str(number)) for number in range(1, 9)]
    ours.deliver(rows)
    ours.deliver([invoice("4", "44"), invoice("7", "77")])
    found = compare(ours)
    assert (found.expected, found.found, found.equal) == (8, 8, True)


@pytest.mark.parametrize("place", ["table", "result", "response"])
@pytest.mark.parametrize("limit", [("query_rows", 3), ("query_values", 100), ("query_bytes", 3_000)])
def test_an_answer_that_was_cut_is_asked_for_in_smaller_pages(ours, sandbox, limit, place):
    ours.deliver([supplier(f"{number}") for number in range(9)], name=DIMENSION)
    sandbox.powerbi.switches.update({limit[0]: limit[1], "over_limit_error_at": place})
    found = compare(ours, DIMENSION)
    assert (found.found, found.equal) == (9, True)


def test_texts_that_differ_by_case_only_are_one_to_power_bi_and_no_difference(ours):
    ours.deliver([supplier("1", "Blåbær as"), supplier("2", "BLÅBÆR AS"), supplier("3", "x")], name=DIMENSION)
    assert compare(ours, DIMENSION).equal


def test_companies_are_compared_each_with_its_own_rows(ours):
    ours.deliver([invoice("1")])
    ours.deliver([invoice("1", company="SE01")], company="SE01")
    assert compare(ours).equal
    assert compare(ours, company="SE01").found == 1


def test_a_switch_that_does_not_show_yet_is_waited_for(ours):
    ours.deliver([invoice("1", "1")])
    ours.deliver([invoice("1", "2")])  # its control row shows two seconds later
    assert compare(ours).equal


def test_while_a_dimension_is_being_loaded_nothing_is_claimed(ours, sandbox):
    ours.deliver([supplier("1")], name=DIMENSION)
    read_back = ours.powerbi.read_back("suppliers")
    reading = read_back.rows("NO01")
    next(reading)
    ours.deliver([supplier("1", "New")], name=DIMENSION)
    with pytest.raises(Again, match="being loaded"):
        list(reading)
    sandbox.faults.arm("powerbi", "drop_connection", match="POST .*/rows", when="before")
    with pytest.raises(Closed):
        ours.deliver([supplier("1", "Newer")], name=DIMENSION)
    with pytest.raises(Again, match="being loaded"):
        next(read_back.rows("NO01"))


def test_a_dimension_that_nobody_loads_any_more_is_told_as_lost(ours, sandbox):
    """Power BI refused its new rows, and then the former ones too."""
    ours.deliver([supplier("1"), supplier("2")], name=DIMENSION)
    sandbox.faults.arm("powerbi", "server_error", match="POST .*/rows", status=400, times=2)
    assert ours.deliver([supplier("1", "New")], name=DIMENSION).pending == 1
    assert compare(ours, DIMENSION).wrong == {"NO01|2"}
    ours.deliver([supplier("1", "New")], name=DIMENSION)
    ours.clock.sleep(5)
    assert compare(ours, DIMENSION).equal


def test_without_queries_nothing_is_read_back(install, sandbox):
    assert install(verify="off").powerbi.read_back("suppliers") is None
    sandbox.powerbi.switches["execute_queries"] = "tenant_off"
    ours = install()
    ours.set_up()
    assert ours.powerbi.read_back("suppliers") is None


def test_times_are_compared_in_the_steps_power_bi_keeps():
    third = datetime(2026, 11, 20, 9, 15, 7, 3_400, UTC)
    assert readback._kept(third) == datetime.fromisoformat("2026-11-20T09:15:07.003333")


def test_the_forecast_of_calls_is_kept(ours, sandbox):
    ours.deliver([invoice("1")])
    read_back = ours.powerbi.read_back("supplier_invoices")
    ours.clock.sleep(5)
    list(read_back.rows("NO01"))
    sandbox.log.reset()
    list(read_back.rows("NO01"))
    assert sandbox.log.count("powerbi", match="executeQueries") == read_back.calls(1)
