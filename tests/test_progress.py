"""What is noted of reads and deliveries under way survives the process, on both databases."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from mlc_dagster.database import connect, migrate
from mlc_dagster.database.schema import sent_days, sweeps
from mlc_dagster.progress import SentDays, Sweep, Sweeps
from tests.support.manual_clock import START, ManualClock
from tests.support.postgres import database_url, postgres_url, sqlite_url

__all__ = ["database_url", "postgres_url", "sqlite_url"]

MONDAY, TUESDAY, SUNDAY = date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 22)
HERE = ("anaplan/suppliers", "NO01")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = connect(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


def begin(engine: sa.Engine, clock: ManualClock, company: str = "NO01", last: date = SUNDAY) -> Sweep:
    return Sweeps(engine, clock).begin("suppliers", company, MONDAY, last)


def count(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_a_read_goes_on_where_it_was_cut_off(engine: sa.Engine, clock: ManualClock) -> None:
    sweep = begin(engine, clock)
    assert sweep.reached is None
    sweep.finished(MONDAY)
    sweep.finished(TUESDAY)
    assert begin(engine, clock).reached == TUESDAY
    assert begin(engine, clock).reached == TUESDAY, "and again, should it be cut off once more"


def test_a_read_that_ended_leaves_nothing_behind(engine: sa.Engine, clock: ManualClock) -> None:
    sweep = begin(engine, clock)
    sweep.finished(TUESDAY)
    sweep.end()
    assert count(engine, sweeps) == 0


def test_other_companies_and_days_are_other_reads(engine: sa.Engine, clock: ManualClock) -> None:
    begin(engine, clock).finished(TUESDAY)
    assert begin(engine, clock, "SE01").reached is None
    assert begin(engine, clock, last=TUESDAY).reached is None
    begin(engine, clock, "SE01").end()
    assert begin(engine, clock).reached == TUESDAY


def test_reads_cut_off_more_than_a_day_ago_are_forgotten(engine: sa.Engine, clock: ManualClock) -> None:
    begin(engine, clock).finished(TUESDAY)
    begin(engine, clock, last=TUESDAY).finished(MONDAY)
    clock.pass_time(24 * 3600)
    assert begin(engine, clock).reached == TUESDAY
    clock.pass_time(1)
    assert begin(engine, clock).reached is None
    assert count(engine, sweeps) == 1, "the other one is gone too"


def test_a_day_is_missing_until_its_newest_reading_was_sent(engine: sa.Engine) -> None:
    days = SentDays(engine)
    held = {MONDAY: START, TUESDAY: START + timedelta(hours=1)}
    assert days.missing(*HERE, held) == [MONDAY, TUESDAY]
    days.note(*HERE, {MONDAY: START})
    assert days.missing(*HERE, held) == [TUESDAY]
    days.note(*HERE, held)
    assert days.missing(*HERE, held) == []
    read_again = {**held, MONDAY: START + timedelta(hours=2)}
    assert days.missing(*HERE, read_again) == [MONDAY]


def test_destinations_and_companies_have_their_own_days(engine: sa.Engine) -> None:
    days = SentDays(engine)
    days.note(*HERE, {MONDAY: START})
    assert days.missing("anaplan/suppliers", "SE01", {MONDAY: START}) == [MONDAY]
    assert days.missing("anaplan/gl_accounts", "NO01", {MONDAY: START}) == [MONDAY]


def test_days_the_lake_lost_are_missing_once_they_are_read_again(engine: sa.Engine) -> None:
    days = SentDays(engine)
    days.note(*HERE, {MONDAY: START})
    assert days.missing(*HERE, {}) == []
    assert days.missing(*HERE, {MONDAY: START + timedelta(days=1)}) == [MONDAY]
    days.note(*HERE, {MONDAY: START + timedelta(days=1)})
    assert count(engine, sent_days) == 1
