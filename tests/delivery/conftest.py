"""A ledger on each database, a shelf to deliver to, and a clock that stands still."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mlc_dagster.database import connect, migrate
from mlc_dagster.delivery import Ledger, Report, Row, deliver
from tests.support.manual_clock import ManualClock
from tests.support.postgres import database_url, postgres_url, sqlite_url
from tests.support.shelf import Shelf

__all__ = ["database_url", "postgres_url", "sqlite_url"]

Deliver = Callable[..., Report]


def row(key: str, amount: str = "100.00", *, source: str | None = None, number: str | None = None) -> Row:
    source = source or key
    return Row(key, source, number or f"INV-{source}", {"code": key, "amount": Decimal(amount)})


def sources(*rows: Row) -> set[str]:
    return {row.source_key for row in rows}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = connect(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(engine: sa.Engine, clock: ManualClock) -> Ledger:
    return Ledger(engine, clock)


@pytest.fixture
def shelf_file(tmp_path: Path) -> Path:
    return tmp_path / "shelf.db"


@pytest.fixture
def shelf(shelf_file: Path) -> Shelf:
    return Shelf(shelf_file)


@pytest.fixture
def run(ledger: Ledger, clock: ManualClock) -> Deliver:
    """Deliver rows to a shelf; without a scope, the rows' own records and those still outstanding."""

    def deliver_rows(shelf: Shelf, *rows: Row, scope: set[str] | None = None, **options: Any) -> Report:
        outstanding = ledger.outstanding(shelf.name, "NO01")
        asked: dict[str, Any] = {"run_id": "run-1", "fingerprint": "f1", "refused": ()} | options
        return deliver(
            shelf,
            "NO01",
            rows,
            (sources(*rows) if scope is None else scope) | outstanding,
            ledger=ledger,
            clock=clock,
            **asked,
        )

    return deliver_rows
