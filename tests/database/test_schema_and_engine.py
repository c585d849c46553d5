"""The database opens on SQLite and PostgreSQL, migrates under competition, and keeps times in UTC."""

import multiprocessing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import mlc_dagster.database
from mlc_dagster.database import connect, migrate, reading, upsert
from mlc_dagster.database.engine import DatabaseTooNew, NoDatabase
from mlc_dagster.database.schema import REVISION, budgets, metadata, records

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> sa.Engine:
    engine = connect(database_url)
    migrate(engine)
    return engine


def _budget(name: str, at: datetime = NOON) -> dict[str, object]:
    return {"name": name, "state": "{}", "closed_until": None, "updated_at": at}


def test_migrations_make_exactly_the_declared_tables(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_declared_revision_is_the_newest_script() -> None:
    folder = Path(mlc_dagster.database.__file__).parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def _migrate_alone(url: str, barrier: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    migrate(connect(url))


def test_many_processes_may_migrate_an_empty_database_at_once(database_url: str) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    processes = [context.Process(target=_migrate_alone, args=(database_url, barrier)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    with connect(database_url).connect() as connection:
        assert sa.inspect(connection).has_table("records")


def test_migrating_again_reads_the_version_and_nothing_else(engine: sa.Engine) -> None:
    statements: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    migrate(engine)
    assert any("alembic_version" in statement for statement in statements)
    assert not any(
        word in statement for statement in statements for word in ("CREATE", "INSERT", "IMMEDIATE")
    )


def test_a_database_of_a_newer_installation_is_refused_with_a_remedy(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseTooNew, match=r"revision 9999.*Install"):
        migrate(engine)


def test_times_come_back_in_utc_from_any_zone(engine: sa.Engine) -> None:
    oslo = timezone(timedelta(hours=2))
    with engine.begin() as connection:
        connection.execute(budgets.insert(), _budget("visma:NO01", NOON.astimezone(oslo)))
        stored = connection.execute(sa.select(budgets.c.updated_at)).scalar_one()
    assert stored == NOON
    assert stored.utcoffset() == timedelta(0)


def test_times_compare_in_the_database(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(budgets.insert(), _budget("visma:NO01", NOON))
        older = sa.select(budgets.c.name).where(budgets.c.updated_at < NOON + timedelta(microseconds=1))
        assert connection.execute(older).scalars().all() == ["visma:NO01"]


def test_a_time_without_zone_is_refused(engine: sa.Engine) -> None:
    naive = NOON.replace(tzinfo=None)
    with engine.begin() as connection, pytest.raises(sa.exc.StatementError, match="no zone"):
        connection.execute(budgets.insert(), _budget("visma:NO01", naive))


def test_upsert_inserts_new_rows_and_sets_all_columns_of_known_ones(engine: sa.Engine) -> None:
    later = NOON + timedelta(days=1)
    with engine.begin() as connection:
        upsert(connection, budgets, _budget("a"))
        upsert(connection, budgets, [_budget("a", later), _budget("b")])
        rows = connection.execute(sa.select(budgets.c.name, budgets.c.updated_at).order_by("name")).all()
    assert [tuple(row) for row in rows] == [("a", later), ("b", NOON)]


def test_upsert_takes_a_query(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(budgets.insert(), [_budget("a"), _budget("b")])
        again = sa.select(
            budgets.c.name, sa.literal("[1]").label("state"), budgets.c.closed_until, budgets.c.updated_at
        ).where(budgets.c.name == "b")
        upsert(connection, budgets, again)
        states = connection.execute(sa.select(budgets.c.state).order_by(budgets.c.name)).scalars().all()
    assert states == ["{}", "[1]"]


def test_a_failed_transaction_leaves_nothing(engine: sa.Engine) -> None:
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(budgets.insert(), [_budget("a"), _budget("a")])
    with reading(engine) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(budgets)).scalar_one() == 0


def test_reading_goes_on_while_another_connection_writes(engine: sa.Engine) -> None:
    with engine.begin() as writer:
        writer.execute(budgets.insert(), _budget("a"))
        with reading(engine) as reader:
            assert reader.execute(sa.select(sa.func.count()).select_from(budgets)).scalar_one() == 0


@pytest.mark.postgres
def test_reading_cannot_write_on_postgresql(postgres_url: str) -> None:
    engine = connect(postgres_url)
    migrate(engine)
    with pytest.raises(sa.exc.InternalError, match="read-only"), reading(engine) as connection:
        connection.execute(budgets.insert(), _budget("a"))


def test_any_postgresql_url_is_spoken_by_psycopg2() -> None:
    for url in ("postgresql://host/db", "postgresql+psycopg://host/db"):
        assert connect(url).url.drivername == "postgresql+psycopg2"


@pytest.mark.parametrize("url", ["mysql://host/db", "localhost/mlc"])
def test_another_database_is_refused_with_the_choices(url: str) -> None:
    with pytest.raises(NoDatabase, match="sqlite:///path or postgresql"):
        connect(url)


def test_a_database_that_cannot_be_opened_is_named_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Dear controller")
    password = "hunter2"
    for url in (
        f"postgresql://mlc:{password}@127.0.0.1:1/mlc?password={password}",
        f"sqlite:///{tmp_path}/letter",
        f"sqlite:///{tmp_path}/letter/mlc.db",
    ):
        with pytest.raises(NoDatabase, match=r"cannot be opened \(.+\)\. Check MLC_DATABASE_URL") as caught:
            migrate(connect(url))
        assert password not in str(caught.value)


def test_sqlite_keeps_a_write_ahead_log_that_survives_power_loss(sqlite_url: str) -> None:
    with connect(sqlite_url).connect() as connection:
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(sa.text("PRAGMA synchronous")).scalar_one() == 2
        assert connection.execute(sa.text("PRAGMA foreign_keys")).scalar_one() == 1


def test_every_record_is_known_once_per_destination_and_company() -> None:
    assert [column.name for column in records.primary_key] == ["destination", "company", "key"]


def test_migrations_are_found_as_packages_so_that_a_wheel_carries_them() -> None:
    folder = Path(mlc_dagster.database.__file__).parent / "migrations"
    assert (folder / "__init__.py").exists()
    assert (folder / "versions" / "__init__.py").exists()
