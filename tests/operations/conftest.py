"""What an operator's views are made from: the house's parts without a vendor, on each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlc_dagster.suite import Suite
from tests.support.desk import open_desk
from tests.support.manual_clock import ManualClock
from tests.support.postgres import database_url, engine, postgres_url, sqlite_url

__all__ = ["database_url", "engine", "postgres_url", "sqlite_url"]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def suite(tmp_path: Path, database_url: str, clock: ManualClock) -> Iterator[Suite]:
    suite = open_desk(tmp_path, database_url, clock)
    yield suite
    suite.engine.dispose()
