"""Work that waits for a window to open is taken once, when it is open."""

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from mlc_dagster.delivery import Deferrals
from tests.support.manual_clock import START, ManualClock

WORK = {"pair": "visma_anaplan", "company": "NO01", "reason": "503 until 13:00"}
DAYS = {"first_day": date(2026, 11, 19), "last_day": date(2026, 11, 20)}
HOUR = timedelta(hours=1)


@pytest.fixture
def deferrals(engine: sa.Engine, clock: ManualClock) -> Deferrals:
    return Deferrals(engine, clock)


def test_work_waits_until_its_window_opens_and_until_a_run_carries_it_on(
    deferrals: Deferrals, clock: ManualClock
) -> None:
    deferrals.store(**WORK, **DAYS, opens_at=START + HOUR)  # type: ignore[arg-type]
    assert deferrals.due("visma_anaplan") == []
    clock.pass_time(3_600)
    [work] = deferrals.due("visma_anaplan")
    assert (work.company, work.first_day, work.last_day, work.opens_at) == (
        "NO01",
        date(2026, 11, 19),
        date(2026, 11, 20),
        START + HOUR,
    )
    assert deferrals.due("visma_anaplan") == [work]
    deferrals.taken(work)
    assert deferrals.due("visma_anaplan") == []


def test_the_same_work_stored_again_only_waits_longer(deferrals: Deferrals) -> None:
    for hours in (1, 2):
        deferrals.store(**WORK, **DAYS, opens_at=START + hours * HOUR)  # type: ignore[arg-type]
    assert [work.opens_at for work in deferrals.waiting()] == [START + 2 * HOUR]


def test_work_that_its_run_put_off_again_is_not_ticked_off_with_that_run(
    deferrals: Deferrals,
) -> None:
    deferrals.store(**WORK, **DAYS, opens_at=START)  # type: ignore[arg-type]
    [work] = deferrals.due("visma_anaplan")
    deferrals.store(**WORK, **DAYS, opens_at=START + HOUR)  # type: ignore[arg-type]
    deferrals.taken(work)
    assert [work.opens_at for work in deferrals.waiting()] == [START + HOUR]


def test_the_same_days_asked_for_otherwise_are_other_work(deferrals: Deferrals) -> None:
    for config in ("whole", None, "whole"):
        deferrals.store(**WORK, **DAYS, opens_at=START, config=config)  # type: ignore[arg-type]
    assert [work.config for work in deferrals.waiting()] == ["whole", None]


def test_work_of_another_pair_is_not_due(deferrals: Deferrals) -> None:
    deferrals.store(**WORK, **DAYS, opens_at=START)  # type: ignore[arg-type]
    assert deferrals.due("visma_asana") == []
    assert len(deferrals.waiting("visma_anaplan")) == 1
