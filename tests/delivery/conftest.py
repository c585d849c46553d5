"""A ledger on each database, a shelf to deliver to, and a clock that stands still."""

import shutil
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mlc_dagster.database import connect, migrate
from mlc_dagster.database.schema import metadata
from mlc_dagster.delivery import Ledger, Report, Row, deliver
from mlc_dagster.delivery.errors import Closed
from tests.support.manual_clock import ManualClock
from tests.support.postgres import fresh_postgres
from tests.support.shelf import Shelf

Deliver = Callable[..., Report]


def row(key: str, amount: str = "100.00", *, source: str | None = None, number: str | None = None) -> Row:
    source = source or key
    return Row(key, source, number or f"INV-{source}", {"code": key, "amount": Decimal(amount)})


def sources(*rows: Row) -> set[str]:
    return {row.source_key for row in rows}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with its tables, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "mlc.db"
    _make_tables(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def migrated_postgres() -> str:
    """A PostgreSQL database with its tables, to be emptied."""
    url = fresh_postgres()
    _make_tables(url)
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{shutil.copy(request.getfixturevalue('migrated'), tmp_path / 'mlc.db')}"
    url = str(request.getfixturevalue("migrated_postgres"))
    engine = connect(url)
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    engine.dispose()
    return url


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


def _make_tables(url: str) -> None:
    engine = connect(url)
    migrate(engine)
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


@pytest.fixture
def doubt(run: Deliver) -> Deliver:
    """Deliver rows and end in doubt; the report of it."""

    def deliver_rows(*rows: Any, **options: Any) -> Report:
        with pytest.raises(Closed) as raised:
            run(*rows, **options)
        assert raised.value.report is not None
        return raised.value.report

    return deliver_rows
