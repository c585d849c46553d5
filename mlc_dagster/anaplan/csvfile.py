"""Rows to the bytes of a CSV file, written the way an import's data source expects them."""

import codecs
import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mlc_dagster.anaplan.answers import FileFormat
from mlc_dagster.delivery.spool import Spool

# Anaplan counts lines of the file, so a value must not make a line. Zero bytes end a text in some readers.
LINE_BREAKS = re.compile("[\x00\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")
LINES_AT_ONCE = 1_000


class Unwritable(Exception):
    """A value cannot be written in this file. The text is the reason shown with the record."""


@dataclass(frozen=True, slots=True)
class CsvFile:
    """One file to upload: its bytes, the key of each data line in order, and the rows it could not hold."""

    content: Spool
    keys: Sequence[str]
    refused: Mapping[str, str]
    first_line: int

    def key_of(self, line: int) -> str | None:
        """The key of the row on a line, counted from 1; None for the header and beyond the end."""
        index = line - self.first_line
        return self.keys[index] if 0 <= index < len(self.keys) else None


class CsvWriter:
    """Writes a header, then a line for each row."""

    def __init__(self, columns: Sequence[str], layout: FileFormat) -> None:
        self._columns, self._layout, self._writer = columns, layout, _LineWriter(layout)
        self._content, self._lines = Spool(), [self._writer.line(columns)]
        self._keys: list[str] = []
        self._refused: dict[str, str] = {}

    def add(self, key: str, values: Mapping[str, Any]) -> bool:
        """Write a row of values by column; returns whether the file can hold it.

        A row that it cannot, such as one with a character the encoding lacks, is left out and named in
        `refused`: a question mark in its place would be a silent loss.
        """
        try:
            self._lines.append(self._writer.line(self._cells(values)))
        except Unwritable as reason:
            self._refused[key] = str(reason)
            return False
        self._keys.append(key)
        if len(self._lines) == LINES_AT_ONCE:
            self._write()
        return True

    def file(self) -> CsvFile:
        """The file, when all rows are written."""
        self._write()
        return CsvFile(self._content, self._keys, self._refused, self._layout.first_data_row)

    def _cells(self, values: Mapping[str, Any]) -> list[str]:
        layout, row = self._layout, [values.get(name) for name in self._columns]
        try:
            return [_WRITERS[type(value)](value, layout) for value in row]
        except KeyError:
            return [text(value, layout) for value in row]

    def _write(self) -> None:
        self._content.add(b"".join(self._lines))
        self._lines.clear()


def render(
    rows: Iterable[tuple[str, Mapping[str, Any]]], columns: Sequence[str], layout: FileFormat
) -> CsvFile:
    """The file of some rows, each given as its key and its values by column."""
    writer = CsvWriter(columns, layout)
    for key, values in rows:
        writer.add(key, values)
    return writer.file()


def text(value: Any, layout: FileFormat) -> str:
    """One value as its cell's text: plain decimals, ISO dates, true and false, nothing for None.

    Raises:
        Unwritable: a Decimal that is no number.
        TypeError: a type no contract has. Floats are among them: money is never one.
    """
    write = _WRITERS.get(type(value))
    if write is None:
        raise TypeError(f"a value of type {type(value).__name__} has no place in a file for Anaplan")
    return write(value, layout)


def _text(value: str, _: FileFormat) -> str:
    # What is printable has no line break; asking costs a tenth of looking for one.
    return value if value.isprintable() else LINE_BREAKS.sub(" ", value)


def _number(value: Decimal, layout: FileFormat) -> str:
    if not value.is_finite():
        raise Unwritable(f"{value} is not a number")
    if not value:
        return "0"
    digits = format(value, "f")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return digits.replace(".", layout.decimal_separator)


_WRITERS: Mapping[type, Callable[[Any, FileFormat], str]] = {
    type(None): lambda _, __: "",
    str: _text,
    bool: lambda value, _: "true" if value else "false",
    int: lambda value, _: str(value),
    Decimal: _number,
    datetime: lambda value, _: value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    date: lambda value, _: value.isoformat(),
}


class _LineWriter:
    """The csv module's quoting, one encoded line at a time."""

    def __init__(self, layout: FileFormat) -> None:
        self._layout = layout
        # One encoder for the whole file: UTF-16 begins with a mark, once.
        self._encoder = codecs.getincrementalencoder(layout.encoding)()
        self._line = ""
        self._csv = csv.writer(
            self,
            delimiter=layout.separator,
            quotechar=layout.delimiter or None,
            quoting=csv.QUOTE_MINIMAL if layout.delimiter else csv.QUOTE_NONE,
            lineterminator="\n",
        )

    def write(self, line: str) -> None:
        self._line = line

    def line(self, cells: Sequence[str]) -> bytes:
        try:
            self._csv.writerow(cells)
            return self._encoder.encode(self._line)
        except UnicodeEncodeError as error:
            character = error.object[error.start]
            raise Unwritable(
                f"the character {character!a} does not exist in {self._layout.encoding}, the encoding of the "
                f"import's file. Ask the model builder to set the data source to UTF-8"
            ) from None
        except csv.Error:
            raise Unwritable(
                f"a value contains the column separator {self._layout.separator!r} and the import's file has "
                f"no text delimiter. Ask the model builder to set one"
            ) from None
