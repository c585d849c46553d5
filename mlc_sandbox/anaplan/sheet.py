"""Reads an uploaded file by its definition: rows with line numbers, columns bound by header."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import Any

from mlc_sandbox.anaplan.model import DataSource

_CODECS = {"UTF-8": "utf-8-sig", "UTF-16LE": "utf-16-le", "ISO-8859-1": "iso-8859-1"}


class ImportFailed(Exception):
    """The whole import fails; `kind` is a detail type of vendors/anaplan.md section 7."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(slots=True)
class Row:
    """One row of the file; `line` counts from 1 and includes the header."""

    line: int
    cells: list[str]


@dataclass(slots=True)
class Sheet:
    """The file as read; `position` is column name -> index into a row's cells."""

    headers: tuple[str, ...]
    position: dict[str, int] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    def cell(self, row: Row, column: str) -> str:
        """A cell's text; a column the file does not have, or a short row, gives empty text."""
        index = self.position.get(column, -1)
        return row.cells[index] if 0 <= index < len(row.cells) else ""


def read_sheet(content: bytes, source: DataSource, switches: dict[str, Any]) -> Sheet:
    """Decode, split and bind; ImportFailed when the file does not fit its definition."""
    try:
        text = content.decode(_CODECS[source.encoding])
    except UnicodeDecodeError as error:
        raise ImportFailed("importFailedGeneralError", f"The file is not {source.encoding} text.") from error
    rows = _split(text, source, by_record=switches["dump_line"] == "record")
    headers = tuple(rows[source.header_row - 1].cells) if len(rows) >= source.header_row else ()
    sheet = Sheet(headers, rows=rows[source.first_data_row - 1 :])
    sheet.position = _bind(headers, source.headers, switches["header_check"])
    return sheet


def _split(text: str, source: DataSource, *, by_record: bool) -> list[Row]:
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=source.separator, quotechar=source.delimiter, strict=True
    )
    rows: list[Row] = []
    line = 0
    try:
        for cells in reader:
            rows.append(Row(len(rows) + 1 if by_record else line + 1, cells))
            line = reader.line_num
    except csv.Error as error:
        raise ImportFailed(
            "unmatchedTextDelimiter", f"Unmatched text delimiter from line {line + 1}."
        ) from error
    return rows


def _bind(headers: tuple[str, ...], expected: tuple[str, ...], check: str) -> dict[str, int]:
    missing = [name for name in expected if name not in headers]
    if check == "position":
        if len(headers) < len(expected):
            raise ImportFailed("missingFields", f"The file has {len(headers)} of {len(expected)} columns.")
        return {name: index for index, name in enumerate(expected)}
    if missing:
        raise ImportFailed("missingFields", f"Columns not found in the file: {', '.join(missing)}")
    if check == "exact" and headers != expected:
        raise ImportFailed("missingFields", "The columns of the file differ from those of the data source.")
    return {name: headers.index(name) for name in expected}
