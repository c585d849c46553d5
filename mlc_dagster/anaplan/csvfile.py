"""Rows to the bytes of a CSV file, written the way an import's data source expects them."""

import codecs
import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mlc_dagster.anaplan.answers import FileFormat

# Anaplan counts lines of the file, so a value must not make a line. Zero bytes end a text in some readers.
LINE_BREAKS = re.compile("[\x00\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")


class Unwritable(Exception):
    """A value cannot be written in this file. The text is the reason shown with the record."""


@dataclass(frozen=True, slots=True)
class CsvFile:
    """One file to upload: its bytes, the key of each data line in order, and the rows it could not hold."""

    content: bytes
    keys: tuple[str, ...]
    refused: Mapping[str, str]
    first_line: int

    def key_of(self, line: int) -> str | None:
        """The key of the row on a line, counted from 1; None for the header and beyond the end."""
        index = line - self.first_line
        return self.keys[index] if 0 <= index < len(self.keys) else None


def render(
    rows: Iterable[tuple[str, Mapping[str, Any]]], columns: Sequence[str], layout: FileFormat
) -> CsvFile:
    """Write the header and one line for each (key, values by column).

    A row that cannot be written, such as one with a character the encoding lacks, is left out of the file and
    named in `refused`: a question mark in its place would be a silent loss.
    """
    writer = _LineWriter(layout)
    lines, keys, refused = [writer.line(columns)], [], {}
    for key, values in rows:
        try:
            lines.append(writer.line([text(values.get(name), layout) for name in columns]))
        except Unwritable as reason:
            refused[key] = str(reason)
        else:
            keys.append(key)
    return CsvFile(b"".join(lines), tuple(keys), refused, first_line=layout.first_data_row)


def text(value: Any, layout: FileFormat) -> str:  # noqa: PLR0911 - one return a type
    """One value as its cell's text: plain decimals, ISO dates, true and false, nothing for None.

    Raises:
        Unwritable: a Decimal that is no number.
        TypeError: a type no contract has. Floats are among them: money is never one.
    """
    match value:
        case None:
            return ""
        case str():
            return LINE_BREAKS.sub(" ", value)
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Decimal():
            return _number(value, layout.decimal_separator)
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case date():
            return value.isoformat()
    raise TypeError(f"a value of type {type(value).__name__} has no place in a file for Anaplan")


def _number(value: Decimal, separator: str) -> str:
    if not value.is_finite():
        raise Unwritable(f"{value} is not a number")
    if not value:
        return "0"
    digits = format(value, "f")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return digits.replace(".", separator)


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
