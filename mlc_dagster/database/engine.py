"""Opens the database, SQLite or PostgreSQL, and brings its tables up to date."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from sqlite3 import Connection as SQLiteConnection
from sqlite3 import OperationalError
from typing import Any

import sqlalchemy as sa
import tenacity
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import ConnectionPoolEntry

from mlc_dagster.database.schema import REVISION

BUSY_SECONDS = 30
CHOICES = "Use sqlite:///path or postgresql://..."
# Any number works, as long as nobody else in the database uses it for an advisory lock.
_MIGRATION_LOCK = 7_261_001
_TURNS = 7_261_002
_READ_ONLY = "mlc_read_only"


class NoDatabase(Exception):
    """The database cannot be opened."""


class DatabaseTooNew(Exception):
    """The database was migrated by a newer version of this package."""


def connect(url: str) -> sa.Engine:
    """Open a database by its URL: sqlite:///path or postgresql://...

    SQLite: the folder is made, write-ahead log on, a transaction takes the write lock when it begins
    and waits up to 30 seconds for it. PostgreSQL is spoken to through psycopg2, whatever the URL says.

    Raises NoDatabase: that is no such URL, or the folder cannot be made.
    """
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError:
        raise NoDatabase(f"MLC_DATABASE_URL is no URL. {CHOICES}") from None
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed)
    if parsed.get_backend_name() == "postgresql":
        return sa.create_engine(
            parsed.set(drivername="postgresql+psycopg2"),
            pool_pre_ping=True,
            executemany_mode="values_plus_batch",
        )
    raise NoDatabase(f"MLC_DATABASE_URL begins with {parsed.drivername!r}. {CHOICES}")


def migrate(engine: sa.Engine) -> None:
    """Bring the tables to the newest revision. Many processes may call it at once.

    At the newest it costs one read.

    Raises:
        NoDatabase: nobody answers, or what is there is no database.
        DatabaseTooNew: a newer version of this package was here.
    """
    try:
        with reading(engine) as connection:
            if _revision(connection) == REVISION:
                return
    except sa.exc.DatabaseError as error:
        if error.statement is not None:
            raise
        raise _not_opened(engine.url, str(error.orig)) from error
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        if _revision(connection) != REVISION:
            _upgrade(connection)


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that only reads: on SQLite it takes no write lock and sees one state of the database."""
    with engine.execution_options(**{_READ_ONLY: True}).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        yield connection


def take_turns(connection: sa.Connection, name: str) -> None:
    """Let transactions of one name go on from here one after the other. On SQLite all writers do."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_TURNS, sa.func.hashtext(name))))


def upsert(
    connection: sa.Connection,
    table: sa.Table,
    rows: Mapping[str, Any] | Sequence[Mapping[str, Any]] | sa.SelectBase,
) -> None:
    """Insert rows, given as values or as a query; where the primary key exists, set all other columns."""
    insert = _insert(connection, table)
    keys = [column.name for column in table.primary_key]
    if isinstance(rows, sa.SelectBase):
        names = [column.name for column in rows.selected_columns]
        statement, parameters = insert.from_select(names, rows), None
    else:
        parameters = [rows] if isinstance(rows, Mapping) else rows
        if not parameters:
            return
        names = list(parameters[0])
        statement = insert
    changes = {name: statement.excluded[name] for name in names if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes), parameters)


def add_up(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], count: str) -> None:
    """Insert rows; where the primary key exists, add to the column `count` and set all others."""
    insert = _insert(connection, table)
    keys = [column.name for column in table.primary_key]
    changes: dict[str, Any] = {name: insert.excluded[name] for name in rows[0] if name not in keys}
    changes[count] = table.c[count] + insert.excluded[count]
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changes), rows)


def insert_missing(
    connection: sa.Connection, table: sa.Table, rows: Mapping[str, Any] | Sequence[Mapping[str, Any]]
) -> None:
    """Insert the rows whose primary key does not exist yet; the others stay as they are."""
    connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def _insert(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def _not_opened(url: URL, why: str) -> NoDatabase:
    # A query may hold a password too.
    place = url.set(query={}).render_as_string()
    words = " ".join(why.split())
    return NoDatabase(
        f"The database {place} cannot be opened ({words}). Check MLC_DATABASE_URL, or `home` in mlc.yaml."
    )


def _open_sqlite(url: URL) -> sa.Engine:
    if url.database and url.database != ":memory:":
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _not_opened(url, str(error)) from error
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: SQLiteConnection, _: ConnectionPoolEntry) -> None:
    # The driver would begin a transaction at the first write, too late to be safe; _begin_sqlite does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    # A restored copy has no such log, and SQLite refuses at once to make one while somebody else writes.
    for attempt in tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_busy),
        wait=tenacity.wait_fixed(0.05),
        stop=tenacity.stop_after_delay(BUSY_SECONDS),
        reraise=True,
    ):
        with attempt:
            cursor.execute("PRAGMA journal_mode=WAL")
    # A batch must be on disk before the vendor is called, also when the power fails.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _is_busy(error: BaseException) -> bool:
    # Of several kinds, such as SQLITE_BUSY_RECOVERY; errors that are Python's own have no name.
    return isinstance(error, OperationalError) and getattr(error, "sqlite_errorname", "").startswith(
        "SQLITE_BUSY"
    )


def _begin_sqlite(connection: sa.Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _upgrade(connection: sa.Connection) -> None:
    # Imported here, because a process that has nothing to migrate need not wait for it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option(
        "script_location", str(files("mlc_dagster.database") / "migrations").replace("%", "%%")
    )
    config.attributes["connection"] = connection
    current = _revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise DatabaseTooNew(
            f"The database is at revision {current}; this installation knows revisions up to {REVISION}. "
            "Install the version of mlc-dagster that made the database, or a newer one."
        )
    command.upgrade(config, "head")
