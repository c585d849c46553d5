"""What is noted of deliveries survives the process, on both databases."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from mlc_dagster.database import connect, migrate
from mlc_dagster.database.schema import sent_days
from mlc_dagster.delivery.progress import SentDays
from tests.support.manual_clock import START
from tests.support.postgres import database_url, postgres_url, sqlite_url

__all__ = ["database_url", "postgres_url", "sqlite_url"]

MONDAY, TUESDAY = date(2026, 11, 16), date(2026, 11, 17)
HERE = ("anaplan/suppliers", "NO01")


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = connect(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


def count(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


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
