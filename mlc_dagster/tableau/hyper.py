"""Writes and reads .hyper files with tableauhyperapi (vendors/tableau.md section 13).

Rows go from the ledger's texts to Arrow and Parquet, piece by piece, and from there by SQL into an explicitly
created table: exact types, checks before anything is sent, flat memory. One hyperd a process, without log and
telemetry.
"""

import atexit
import tempfile
import threading
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from shutil import copyfileobj, disk_usage
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow.json import ParseOptions, ReadOptions, read_json

from mlc_dagster.delivery.rows import decode
from mlc_dagster.tableau.shape import Column, Shape

if TYPE_CHECKING:
    from tableauhyperapi import Connection, Endpoint, HyperProcess

# The names that samples and older servers expect (section 5).
SCHEMA, TABLE = "Extract", "Extract"
ROWS_A_PIECE = 20_000
# Of JSON text that a thread parses; no row is as long.
BLOCK = 2**20
# A piece is read once, right after it was written.
PLAIN: Mapping[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False}


class Unusable(Exception):
    """Hyper does not start, or refuses the rows or the file; the text says why."""


@dataclass(frozen=True)
class Content:
    """The rows of one table, as JSON texts that `delivery.rows.encode` wrote, by the contract's names."""

    table: str
    columns: Sequence[Column]
    key: Column
    rows: Iterable[str]


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

    def endpoint(self) -> "Endpoint":
        """Where it listens. Raises HyperException."""
        from tableauhyperapi import HyperProcess, Telemetry  # noqa: PLC0415

        # An empty log_config: no log in the working directory. Version 2 is what all servers of today read.
        quiet = {"log_config": "", "default_database_version": "2"}
        with self._lock:
            if self._process is None or not self._process.is_open:
                self._process = HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=quiet)
                atexit.register(self._process.close)
            return self._process.endpoint

    def close(self) -> None:
        """End it."""
        with self._lock:
            if self._process is not None:
                atexit.unregister(self._process.close)
                self._process.close()
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
    """Hyper takes in one piece while the next one is made: at most two are in memory."""
    file = folder / "piece.parquet"
    with ThreadPoolExecutor(1) as hand:
        taken: Future[None] | None = None
        for piece in tables(content.columns, content.rows):
            if taken is not None:
                taken.result()
            taken = hand.submit(_insert, connection, content, piece, file)
        if taken is not None:
            taken.result()


def _insert(connection: "Connection", content: Content, piece: pa.Table, file: Path) -> None:
    pq.write_table(piece, file, **PLAIN)
    names = ", ".join(quoted(column.name) for column in content.columns)
    connection.execute_command(
        f"INSERT INTO {_qualified(content.table)} ({names}) SELECT {names} "
        f"FROM external({_literal(str(file))}, format => 'parquet')"
    )


def _check(connection: "Connection", content: Content) -> None:
    key = quoted(content.key.name)
    twice = connection.execute_list_query(
        f"SELECT {key} FROM {_qualified(content.table)} GROUP BY {key} HAVING COUNT(*) > 1 LIMIT 1"
    )
    if twice:
        raise Unusable(f"two companies have a row {twice[0][0]!r}: put the company into the key")


def tables(columns: Sequence[Column], rows: Iterable[str]) -> Iterator[pa.Table]:
    """Rows as the ledger keeps them, some at a time, with Tableau's names of columns."""
    left = iter(rows)
    while some := list(islice(left, ROWS_A_PIECE)):
        try:
            yield _parsed(columns, some)
        except pa.ArrowInvalid:
            yield _picked(columns, some)


def schema(columns: Sequence[Column]) -> pa.Schema:
    """Columns by Tableau's names."""
    return pa.schema([pa.field(column.name, column.type.arrow) for column in columns])


def _parsed(columns: Sequence[Column], rows: Sequence[str]) -> pa.Table:
    """By Arrow's own parser: exact, and several times quicker than by Python's objects.

    Raises:
        pyarrow.ArrowInvalid: a value has not its column's type.
    """
    shape = pa.schema([pa.field(column.source, _encoded(column)) for column in columns])
    options = ParseOptions(explicit_schema=shape, unexpected_field_behavior="ignore")
    found = read_json(pa.BufferReader("\n".join(rows).encode()), ReadOptions(block_size=BLOCK), options)
    return pa.table([_decoded(found[column.source], column) for column in columns], schema=schema(columns))


def _encoded(column: Column) -> pa.DataType:
    """The type of a column's values in the ledger's JSON: `{"$decimal": "1.0000"}` (delivery/rows.py)."""
    kind, arrow = column.type.kind, column.type.arrow
    tagged = {
        "decimal": ("$decimal", arrow),
        "date": ("$date", pa.string()),
        "timestamp": ("$time", pa.string()),
    }
    return pa.struct([tagged[kind]]) if kind in tagged else arrow


def _decoded(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    plain = pc.struct_field(values, [0]) if pa.types.is_struct(values.type) else values
    return pc.cast(plain, column.type.arrow)


def _picked(columns: Sequence[Column], rows: Sequence[str]) -> pa.Table:
    """Value by value. What does not fit is of before the contract changed its column's type and is left out:
    its new version follows in this delivery.
    """
    payloads = [decode(row) for row in rows]
    arrays = [
        pa.array([_fitting(payload.get(column.source), column) for payload in payloads], column.type.arrow)
        for column in columns
    ]
    return pa.table(arrays, schema=schema(columns))


def _fitting(value: Any, column: Column) -> Any:
    try:
        pa.scalar(value, column.type.arrow)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
    return value


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
