"""Each pair at a glance, told from the database alone, on both databases."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from mlc_dagster.database.schema import batches, records
from mlc_dagster.delivery.quarantine import Refused
from mlc_dagster.operations.overview import PairHealth, overview
from mlc_dagster.suite import Suite
from mlc_dagster.tallies import SUCCEEDED
from tests.support.manual_clock import START, ManualClock

HOUR = timedelta(hours=1)
NO_CALLS: dict[str, int] = {}


def glance(suite: Suite, pair: str = "anaplan", company: str = "NO01") -> PairHealth:
    [found] = [
        one for one in overview(suite, suite.clock.now()) if (one.pair, one.company) == (pair, company)
    ]
    return found


def delivered(suite: Suite, place: str, company: str = "NO01") -> None:
    with suite.tallies.step(place, company, lambda: NO_CALLS) as step:
        step.succeeded({"created": 2})


def hold(suite: Suite, key: str, state: str, *, sent: bool = True, company: str = "NO01") -> None:
    row = {"destination": "anaplan/suppliers", "company": company, "key": key, "source_key": key}
    row |= {"number": key, "state": state, "updated_at": START}
    row |= {"hash": "h", "payload": "{}"} if sent else {}
    with suite.engine.begin() as connection:
        connection.execute(records.insert(), [row])


def batch(suite: Suite, name: str, state: str, rows: int) -> None:
    row = {"id": name, "destination": "anaplan/suppliers", "company": "NO01", "run_id": "r", "token": name}
    row |= {"state": state, "size": rows, "checkpoint": "{}", "created_at": suite.clock.now()}
    with suite.engine.begin() as connection:
        connection.execute(batches.insert(), [row])


def test_every_pair_that_is_on_is_told_by_company_after_the_reading_of_the_erp(suite: Suite) -> None:
    told = [(one.pair, one.company) for one in overview(suite, START)]
    assert told == [
        ("visma", "NO01"),
        ("visma", "SE01"),
        ("anaplan", "NO01"),
        ("anaplan", "SE01"),
        ("powerbi", "NO01"),
    ]


def test_a_pair_is_as_fresh_as_its_least_fresh_destination(suite: Suite, clock: ManualClock) -> None:
    delivered(suite, "anaplan/suppliers")
    assert glance(suite).last_success is None, "its other destination was never delivered"
    clock.pass_time(3600)
    delivered(suite, "anaplan/gl_accounts")
    clock.pass_time(35 * 3600)
    assert (glance(suite).last_success, glance(suite).lag) == (START, 36 * HOUR)
    assert not glance(suite).stale
    clock.pass_time(1)
    assert glance(suite).stale
    delivered(suite, "anaplan/suppliers")
    assert not glance(suite).stale


def test_a_destination_that_was_never_delivered_does_not_hide_that_the_others_are_stale(
    suite: Suite, clock: ManualClock
) -> None:
    delivered(suite, "anaplan/suppliers")
    assert not glance(suite, "powerbi").stale, "nothing was ever delivered there"
    clock.pass_time(37 * 3600)
    assert glance(suite).last_success is None
    assert glance(suite).stale


def test_a_failed_step_is_no_success_and_keeps_the_time_of_the_last_one(
    suite: Suite, clock: ManualClock
) -> None:
    delivered(suite, "anaplan/suppliers")
    clock.pass_time(3600)
    with pytest.raises(KeyError), suite.tallies.step("anaplan/suppliers", "NO01", lambda: NO_CALLS):
        raise KeyError
    [place, _] = glance(suite).places
    assert (place.last_success, place.last_failure) == (START, START + HOUR)
    assert place.tallies[SUCCEEDED].count == 1


def test_a_row_that_waits_with_a_new_version_is_still_held(suite: Suite) -> None:
    hold(suite, "1", "delivered")
    hold(suite, "2", "pending")
    hold(suite, "3", "pending", sent=False)
    hold(suite, "4", "failed", sent=False)
    hold(suite, "5", "deleted", sent=False)
    hold(suite, "6", "delivered", company="SE01")
    found = glance(suite)
    assert (found.held, found.pending, found.failed) == (2, 2, 1)


def test_batches_in_doubt_are_told_with_the_age_of_the_oldest_and_apart_from_those_under_way(
    suite: Suite, clock: ManualClock
) -> None:
    batch(suite, "a", "in doubt", 40)
    clock.pass_time(60)
    batch(suite, "b", "in doubt", 2)
    batch(suite, "c", "open", 5)
    batch(suite, "d", "landed", 100)
    found = glance(suite)
    assert (found.in_doubt.rows, found.in_doubt.since) == (42, START)
    assert found.places[0].under_way.rows == 5


def test_quarantine_is_told_where_records_were_refused(suite: Suite) -> None:
    for place, stage in (("visma/suppliers", "visma"), ("anaplan/suppliers", "contract")):
        refused = [Refused(stage, f"k{number}", f"k{number}", None, "no", "{}") for number in range(2)]
        suite.quarantine.settle(
            stage=stage, place=place, company="NO01", refused=refused, passed=[], run_id="r"
        )
    suite.quarantine.settle(
        stage="visma", place="visma/suppliers", company="NO01", refused=[], passed=["k0"], run_id="r"
    )
    delivered(suite, "visma/suppliers")
    assert glance(suite).quarantined == 2
    assert glance(suite, "visma").quarantined == 1


def test_work_that_waits_for_a_window_is_told_with_its_time(suite: Suite) -> None:
    for hours in (1, 3, 2):
        suite.deferrals.store(
            pair="anaplan",
            company="NO01",
            first_day=START.date() - timedelta(days=hours),
            last_day=START.date(),
            opens_at=START + hours * HOUR,
            reason="the window is closed",
        )
    waiting = glance(suite).deferred
    assert waiting is not None
    assert waiting.opens_at == START + 3 * HOUR
    assert glance(suite, company="SE01").deferred is None


def test_the_budgets_are_told_without_any_credential(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISMA_CLIENT_SECRET", raising=False)
    found = {(one.pair, one.company): dict(one.budgets_left) for one in overview(suite, START)}
    assert found["visma", "SE01"] == {"visma SE01": None}, "Visma's limit is learnt from its first answer"
    assert found["anaplan", "NO01"].keys() == {"anaplan"}
    assert (found["anaplan", "NO01"]["anaplan"] or 0) > 0


def test_calls_of_a_step_are_added_up_by_place_and_company(suite: Suite) -> None:
    made = {"calls": 10, "retries": 1}
    for company in ("NO01", "SE01"):
        with suite.tallies.step("anaplan/suppliers", company, lambda: dict(made)) as step:
            made["calls"] += 7
            step.deferred()
    sums = suite.tallies.all()["anaplan/suppliers", "SE01"]
    assert {name: tally.count for name, tally in sums.items()} == {"calls": 7, "steps_deferred": 1}


def test_a_glance_asks_each_table_once_however_many_destinations_there_are(suite: Suite) -> None:
    overview(suite, START)
    asked: list[str] = []
    sa.event.listen(suite.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    overview(suite, START)
    for table in ("records", "batches", "quarantine", "deliveries", "tallies", "deferrals"):
        assert len([text for text in asked if f"FROM {table}" in text]) == 1, table
