"""Opens .hyper files for real: one hyperd for the sandbox, started when first needed (section 13)."""

from __future__ import annotations

import shutil
import weakref
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlc_sandbox.tableau import actions
from mlc_sandbox.tableau.actions import Table

if TYPE_CHECKING:
    from tableauhyperapi import Connection, HyperProcess

TARGET, PAYLOAD = "target", "payload"


class Unusable(Exception):
    """The file, or what was asked of it, cannot be used; the text says why."""


class Hyper:
    """One server process, a connection for each piece of work. Callers hold the world's lock.

    tableauhyperapi is imported here and only when needed: it is heavy, and most sandboxes never need it.
    """

    def __init__(self) -> None:
        self._process: HyperProcess | None = None

    def inspect(self, path: Path) -> list[Table]:
        """The tables of a file that may be published. Raises Unusable.

        Several tables need ASSUMED FOREIGN KEYs that make one tree of them, with one fact table at its root.
        """
        with self._attached({TARGET: path}) as connection:
            tables = _tables(connection, TARGET)
            if not tables:
                raise Unusable("The file holds no table.")
            if len(tables) > 1:
                _check_model(connection, len(tables))
            return tables

    def rows(self, path: Path, schema: str | None, table: str | None) -> list[dict[str, Any]]:
        """All rows of a table (of the only one without a name), decimals and times as exact text.

        Raises:
            Unusable: there is no such table.
        """
        with self._attached({TARGET: path}) as connection:
            found = [
                one
                for one in _tables(connection, TARGET)
                if table in (None, one.name) and schema in (None, one.schema)
            ]
            if len(found) != 1:
                raise Unusable(f"There are {len(found)} tables {schema or '*'}.{table or '*'}, not one.")
            names = list(found[0].columns)
            columns = ", ".join(_exact(name, kind) for name, kind in found[0].columns.items())
            query = f"SELECT {columns} FROM {actions.qualified(TARGET, found[0].schema, found[0].name)}"
            values = connection.execute_list_query(query)
            return [dict(zip(names, map(_plain, row), strict=True)) for row in values]

    def apply(
        self, path: Path, payload: Path | None, steps: Sequence[Mapping[str, Any]], rules: actions.Rules
    ) -> None:
        """Run the actions of a data update on a file.

        Raises:
            actions.ActionFailed: with the words for the job. What came before the action that failed stays:
                callers work on a copy of the file, and decide whether to keep it.
        """
        from tableauhyperapi import HyperException  # noqa: PLC0415

        attached = {TARGET: path} | ({PAYLOAD: payload} if payload else {})
        with self._attached(attached) as connection:
            source = {(one.schema, one.name): one for one in _tables(connection, PAYLOAD)} if payload else {}
            target = {(one.schema, one.name): one for one in _tables(connection, TARGET)}
            for step in steps:
                connection.execute_command("BEGIN")
                try:
                    _run(connection, step, target, source, rules)
                except (HyperException, actions.ActionFailed) as error:
                    connection.execute_command("ROLLBACK")
                    raise actions.ActionFailed(str(error)) from error
                connection.execute_command("COMMIT")

    def from_parquet(self, path: Path, made: Path) -> None:
        """The .hyper file that publishing a Parquet file makes. Raises Unusable."""
        with self._attached({}) as connection, _unusable():
            connection.catalog.create_database(str(made))
            connection.catalog.attach_database(str(made), TARGET)
            connection.execute_command(f'CREATE SCHEMA "{TARGET}"."Extract"')
            connection.execute_command(
                f'CREATE TABLE "{TARGET}"."Extract"."Extract" AS '
                f"SELECT * FROM external({actions.literal(str(path))}, format => 'parquet')"
            )

    def close(self) -> None:
        """End the server process."""
        if self._process is not None:
            self._finish()
            self._process = None

    def _start(self) -> HyperProcess:
        if self._process is None or not self._process.is_open:
            from tableauhyperapi import HyperProcess, Telemetry  # noqa: PLC0415

            quiet = {"log_config": "", "default_database_version": "2"}  # no log file anywhere
            self._process = HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=quiet)
            self._finish = weakref.finalize(self, self._process.close)  # also when Python ends
        return self._process

    @contextmanager
    def _attached(self, files: Mapping[str, Path]) -> Iterator[Connection]:
        from tableauhyperapi import Connection  # noqa: PLC0415

        with Connection(self._start().endpoint) as connection, _unusable():
            for alias, path in files.items():
                connection.catalog.attach_database(str(path), alias)
            yield connection


@contextmanager
def _unusable() -> Iterator[None]:
    from tableauhyperapi import HyperException  # noqa: PLC0415

    try:
        yield
    except HyperException as error:
        raise Unusable(str(error).partition("\n")[0]) from error


def _run(
    connection: Connection,
    step: actions.Action,
    target: actions.Tables,
    source: actions.Tables,
    rules: actions.Rules,
) -> None:
    for check in actions.checks(step, target, source, rules):
        if connection.execute_scalar_query(check):
            raise actions.ActionFailed("The source has several rows with one key.")
    for command in actions.commands(step, target, source, rules):
        connection.execute_command(command)


def _tables(connection: Connection, database: str) -> list[Table]:
    catalog = connection.catalog
    found: list[Table] = []
    for schema in catalog.get_schema_names(database):
        for name in catalog.get_table_names(schema):
            columns = catalog.get_table_definition(name).columns
            types = {column.name.unescaped: str(column.type) for column in columns}
            found.append(Table(schema.name.unescaped, name.name.unescaped, types))
    return found


def _check_model(connection: Connection, tables: int) -> None:
    """One connected tree: every table but the fact table is pointed to, once. Raises Unusable."""
    keys = f"SELECT conrelid, confrelid FROM \"{TARGET}\".pg_catalog.pg_constraint WHERE contype = 'f'"
    links = connection.execute_list_query(keys)
    pointed_to = [target for _, target in links]
    roots = {source for source, _ in links} - set(pointed_to)
    reached, grown = set(roots), True
    while grown:
        more = {target for source, target in links if source in reached} - reached
        reached |= more
        grown = bool(more)
    if len(pointed_to) != len(set(pointed_to)) or len(roots) != 1 or len(reached) != tables:
        raise Unusable("The tables' foreign keys make no tree with one fact table at its root.")


def _exact(name: str, kind: str) -> str:
    """A column such that Python receives it exactly: times as text, as their types have no JSON form."""
    column = actions.quoted(name)
    return f"CAST({column} AS TEXT)" if kind.startswith(("TIME", "INTERVAL", "NUMERIC")) else column


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, str | int | float | bool | None) else _text(value)


def _text(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def unpack(path: Path, made: Path) -> None:
    """The one .hyper file inside a .tdsx. Raises Unusable."""
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [name for name in archive.namelist() if name.lower().endswith(".hyper")]
            if len(inside) != 1:
                raise Unusable(f"The .tdsx holds {len(inside)} .hyper files, not one.")
            with archive.open(inside[0]) as source, made.open("wb") as target:
                shutil.copyfileobj(source, target)
    except zipfile.BadZipFile as error:
        raise Unusable("The .tdsx is not a zip file.") from error
