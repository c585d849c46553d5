"""The ledger's JSON texts (delivery/rows.py) as Arrow tables: a piece at a time, exactly, on several threads.

DuckDB takes the texts apart, several times quicker than Python's objects would be and at half of what Arrow's
own parser costs, and leaves every value the text it is. Arrow turns texts into types, and refuses what would
lose a digit.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.tableau.shape import Column

# Characters that are parsed at once, some 15,000 rows: fewer cost more in statements, more cost memory.
PIECE = 4_500_000
PARSERS = 2
# Pieces that are parsed ahead. Hyper compresses now and then, which takes as long as several pieces.
AHEAD = 3
# One thread a piece, and no way out: it parses what it is given.
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "enable_external_access": False,
}
NEWLINE = ord("\n")
TAGS = {"decimal": "$decimal", "date": "$date", "timestamp": "$time"}


def schema(columns: Sequence[Column]) -> pa.Schema:
    """Columns by Tableau's names."""
    return pa.schema([pa.field(column.name, column.type.arrow) for column in columns])


def tables(columns: Sequence[Column], rows: Iterable[str]) -> Iterator[pa.Table]:
    """Rows by Tableau's names of columns, in their order. Each text is a row, or several in lines.

    A column that a row does not have is empty. So is a value that does not read as its column's type: it is
    of before the contract changed that type, and its new version follows in this delivery.
    """
    under_way: deque[Future[pa.Table]] = deque()
    with closing(_Parser(columns)) as parser, ThreadPoolExecutor(PARSERS) as threads:
        for piece in _pieces(rows):
            under_way.append(threads.submit(parser.parse, piece))
            if len(under_way) > AHEAD:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _pieces(rows: Iterable[str]) -> Iterator[bytes]:
    some: list[str] = []
    size = 0
    for text in rows:
        some.append(text)
        size += len(text)
        if size >= PIECE:
            yield "\n".join([*some, ""]).encode()
            some, size = [], 0
    if some:
        yield "\n".join([*some, ""]).encode()


class _Parser:
    """Takes pieces apart, several at once."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._query = _query(columns)
        self._duckdb = duckdb.connect(":memory:", config=SETTINGS)

    def close(self) -> None:
        self._duckdb.close()

    def parse(self, piece: bytes) -> pa.Table:
        lines = _lines(piece)
        with closing(self._duckdb.cursor()) as cursor:
            cursor.register("lines", pa.table({"line": lines}))
            found = cursor.sql(self._query).to_arrow_table()
        typed = [_typed(found[column.source], column, lines) for column in self._columns]
        return pa.table(typed, schema=schema(self._columns))


def _lines(piece: bytes) -> pa.Array:
    """Each with its end, so that they lie in memory as they lie in the piece: none is copied."""
    ends = np.flatnonzero(np.frombuffer(piece, np.uint8) == NEWLINE)
    offsets = np.concatenate(([0], ends + 1)).astype(np.int32)
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(piece))


def _query(columns: Sequence[Column]) -> str:
    """SQL that gives every column's values as texts.

    A list of places is a sixth to a third cheaper than `from_json`. Names are plain: a contract's.
    """
    tags = {column.source: TAGS.get(column.type.kind) for column in columns}
    places = [f"/{name}/{tag}" if tag else f"/{name}" for name, tag in tags.items()]
    values = [f'row[{number}] as "{name}"' for number, name in enumerate(tags, 1)]
    return f"select {', '.join(values)} from (select json_extract_string(line, {places!r}) as row from lines)"


def _typed(texts: pa.ChunkedArray, column: Column, lines: pa.Array) -> pa.ChunkedArray:
    if column.type.kind == "text":
        return _words(texts, column, lines)
    try:
        return pc.cast(texts, column.type.arrow)
    except pa.ArrowInvalid:
        return pa.chunked_array([[_fitting(text, column.type.arrow) for text in texts]], column.type.arrow)


def _fitting(text: pa.StringScalar, wanted: pa.DataType) -> Any:
    try:
        return text.cast(wanted).as_py()
    except pa.ArrowInvalid:
        return None


def _words(texts: pa.ChunkedArray, column: Column, lines: pa.Array) -> pa.ChunkedArray:
    """Without decimals, dates and times, which have become JSON: people may write what looks like it."""
    if not pc.any(pc.starts_with(texts, '{"$')).as_py():
        return texts
    values = [json.loads(line.as_py()).get(column.source) for line in lines]
    words = [
        None if isinstance(value, dict) else text.as_py() for text, value in zip(texts, values, strict=True)
    ]
    return pa.chunked_array([words], pa.string())
