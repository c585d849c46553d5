"""Alembic reads, compiles and runs all revisions for every new database; here only for the first of its kind.

The statements of that first one are repeated for others. tests/database holds the migrations themselves to
what they do, without this.
"""

from typing import Any

import sqlalchemy as sa

from mlc_dagster.database import engine

migrations = engine._upgrade
_recorded: dict[str, list[tuple[str, Any]]] = {}


def recorded_migrations(connection: sa.Connection) -> None:
    """Stands for mlc_dagster.database.engine._upgrade."""
    kind = connection.dialect.name
    if sa.inspect(connection).get_table_names():
        migrations(connection)
    elif kind in _recorded:
        for statement, parameters in _recorded[kind]:
            connection.exec_driver_sql(statement, parameters or None)
    else:
        _recorded[kind] = _record(connection)


def _record(connection: sa.Connection) -> list[tuple[str, Any]]:
    statements: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        if not statement.startswith(("SELECT", "PRAGMA")):
            statements.append((statement, parameters))

    sa.event.listen(connection, "before_cursor_execute", note)
    migrations(connection)
    sa.event.remove(connection, "before_cursor_execute", note)
    return statements
