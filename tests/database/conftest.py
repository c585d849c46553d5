"""Fixtures of the database tests."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from tests.support.migrations import migrations
from tests.support.postgres import database_url, postgres_url, sqlite_url

__all__ = ["database_url", "postgres_url", "sqlite_url"]


@pytest.fixture(scope="package", autouse=True)
def real_migrations() -> Iterator[None]:
    """Here the migrations themselves are looked at."""
    with patch("mlc_dagster.database.engine._upgrade", migrations):
        yield
