"""Writes and reads .hyper files with tableauhyperapi (vendors/tableau.md section 13).

Rows go from the ledger's texts to Arrow (texts.py), piece by piece, and from there as Arrow streams into an
explicitly created table: exact types, checks before anything is sent, flat memory. One hyperd a process,
without log and telemetry.
"""

import atexit
import tempfile
import threading
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj, disk_usage
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mlc_dagster.tableau import scratch
from mlc_dagster.tableau.shape import Column, Shape
from mlc_dagster.tableau.texts import tables

if TYPE_CHECKING:
    from tableauhyperapi import Connection, Endpoint, HyperProcess

# The names that samples and older servers expect (section 5).
SCHEMA, TABLE = "Extract", "Extract"


class Unusable(Exception):
    """Hyper does not start, or refuses the rows or the file; the text says why."""


@dataclass(frozen=True)
class Content:
    """The rows of one table: JSON that `delivery.rows.encode` wrote, by the contract's names.

    A text holds a row, or several in lines. mixed: of several companies, whose keys may meet; a company has
    a key once.
    """

    table: str
    columns: Sequence[Column]
    key: Column
    rows: Iterable[str]
    mixed: bool = False


def write(path: Path, contents: Sequence[Content]) -> int:
    """Write a new file with these tables; the number of rows of the first one.

    Raises:
        Unusable: a key stands in more than one row, or Hyper refuses a value.
    """
    from tableauhyperapi import CreateMode  # noqa: PLC0415 - heavy, and only deliveries need it

    with (
        tempfile.TemporaryDirectory(prefix="mlc-hyper-", dir=path.parent) as folder,
        _connected(path, CreateMode.CREATE_AND_REPLACE) as connection,
    ):
        connection.execute_command(f"CREATE SCHEMA {quoted(SCHEMA)}")
        for content in contents:
            _create(connection, content)
            _fill(connection, content, Path(folder))
            if content.mixed:
                _check(connection, content)
        return int(connection.execute_scalar_query(f"SELECT COUNT(*) FROM {_qualified(contents[0].table)}"))


def rows(downloaded: Path, shape: Shape) -> Iterator[dict[str, Any]]:
    """The rows of a .hyper, or of a .tdsx around one, by the contract's column names, as a stream.

    Raises:
        Unusable: it has not our table, or not all our columns.
    """
    from tableauhyperapi import CreateMode  # noqa: PLC0415

    names = ", ".join(quoted(column.name) for column in shape.columns)
    with (
        _connected(_unpacked(downloaded), CreateMode.NONE) as connection,
        connection.execute_query(f"SELECT {names} FROM {_qualified(TABLE)}") as found,
    ):
        for values in found:
            yield {column.source: _read(value) for column, value in zip(shape.columns, values, strict=True)}


class _Hyperd:
    """The one hyperd of this process, started when it is first needed; it ends with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: HyperProcess | None = None
        self._running = ExitStack()

    def endpoint(self) -> "Endpoint":
        """Where it listens. Raises HyperException."""
        with self._lock:
            if self._process is None or not self._process.is_open:
                self._end()
                self._process = self._started()
            return self._process.endpoint

    def close(self) -> None:
        """End it."""
        with self._lock:
            self._end()

    def _started(self) -> "HyperProcess":
        from tableauhyperapi import HyperProcess, Telemetry  # noqa: PLC0415

        with ExitStack() as stack:
            quiet = {
                # Empty: no log in the working directory.
                "log_config": "",
                # What all servers of today read.
                "default_database_version": "2",
                # Where it is killed it leaves a folder for its sockets.
                "domain_socket_dir": str(stack.enter_context(scratch.folder())),
            }
            hyperd = HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=quiet)
            stack.enter_context(hyperd)
            self._running = stack.pop_all()
        atexit.register(self._running.close)
        return hyperd

    def _end(self) -> None:
        atexit.unregister(self._running.close)
        self._running.close()
        self._process = None


_HYPERD = _Hyperd()


def close() -> None:
    """End the hyperd of this process, if there is one; the next file starts another."""
    _HYPERD.close()


def quoted(name: str) -> str:
    """An SQL name."""
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _qualified(table: str) -> str:
    return f"{quoted(SCHEMA)}.{quoted(table)}"


@contextmanager
def _connected(path: Path, mode: Any) -> Iterator["Connection"]:
    from tableauhyperapi import Connection, HyperException  # noqa: PLC0415

    try:
        # A connection of its own for each file: they are not made for several threads.
        with Connection(_HYPERD.endpoint(), str(path), mode) as connection:
            yield connection
    except HyperException as error:
        raise Unusable(str(error).partition("\n")[0].rstrip(".: ")) from error


def _create(connection: "Connection", content: Content) -> None:
    declared = ", ".join(
        f"{quoted(column.name)} {column.sql}" + (" NOT NULL" if column == content.key else "")
        for column in content.columns
    )
    connection.execute_command(f"CREATE TABLE {_qualified(content.table)} ({declared})")
    for column in content.columns:
        place = f"{_qualified(content.table)}.{quoted(column.name)}"
        connection.execute_command(f"COMMENT ON COLUMN {place} IS {_literal(column.comment)}")


def _fill(connection: "Connection", content: Content, folder: Path) -> None:
    """Hyper takes in one piece while the next one is written and others are parsed."""
    with ThreadPoolExecutor(1) as hyperd:
        taken: Future[Any] | None = None
        for number, piece in enumerate(tables(content.columns, content.rows)):
            file = folder / f"{number % 2}.arrow"
            _store(file, piece, content.key)
            if taken:
                taken.result()
            copy = f"COPY {_qualified(content.table)} FROM {_literal(str(file))} WITH (FORMAT arrowstream)"
            taken = hyperd.submit(connection.execute_command, copy)
        if taken:
            taken.result()


def _store(file: Path, piece: pa.Table, key: Column) -> None:
    """Hyper takes into a NOT NULL column only what the stream says is never null, and believes it.

    A row without a key is one of before another column became the key: it goes again under its new one.
    """
    piece = piece.filter(piece[key.name].is_valid())
    told = pa.schema([field.with_nullable(field.name != key.name) for field in piece.schema])
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, told) as stream:
        stream.write_table(piece.cast(told))


def _check(connection: "Connection", content: Content) -> None:
    key = quoted(content.key.name)
    twice = connection.execute_list_query(
        f"SELECT {key} FROM {_qualified(content.table)} GROUP BY {key} HAVING COUNT(*) > 1 LIMIT 1"
    )
    if twice:
        raise Unusable(f"two companies have a row {twice[0][0]!r}: put the company into the key")


def _unpacked(path: Path) -> Path:
    """The one .hyper file inside a .tdsx; a .hyper is itself."""
    if not zipfile.is_zipfile(path):
        return path
    with zipfile.ZipFile(path) as archive:
        inside = [name for name in archive.namelist() if name.lower().endswith(".hyper")]
        if len(inside) != 1:
            raise Unusable(f"it holds {len(inside)} .hyper files, not one")
        if archive.getinfo(inside[0]).file_size > disk_usage(path.parent).free:
            raise Unusable("it is larger than the disk has room for")
        made = path.with_suffix(".unpacked.hyper")
        with archive.open(inside[0]) as source, made.open("wb") as target:
            copyfileobj(source, target)
    return made


def _read(value: Any) -> Any:
    """Hyper's dates and times as Python's."""
    if hasattr(value, "to_datetime"):
        return value.to_datetime()
    return value.to_date() if hasattr(value, "to_date") else value
