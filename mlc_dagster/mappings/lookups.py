"""Lookups: CSV files beside the models, every value a text."""

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from mlc_dagster.problems import Problem, ProblemsFound, decoded


@dataclass(frozen=True)
class Lookup:
    """One CSV file as a table of texts. An empty cell is null."""

    name: str
    table: pa.Table
    digest: str


def read_lookup(path: Path, file: str) -> tuple[Lookup | None, list[Problem]]:
    """The lookup in a file, or None, and everything wrong with it. `file` is its name in messages."""
    data = path.read_bytes()
    try:
        rows = list(_numbered(decoded(data, file, "Save it as 'CSV UTF-8'.")))
    except ProblemsFound as found:
        return None, [*found.problems]
    problems = list(_problems(file, rows))
    if problems:
        return None, problems
    header = [name.strip() for name in rows[0][1]]
    columns = [[row[index] or None for _, row in rows[1:]] for index in range(len(header))]
    table = pa.table(
        {name: pa.array(column, pa.string()) for name, column in zip(header, columns, strict=True)}
    )
    return Lookup(path.stem, table, hashlib.sha256(data).hexdigest()), []


def _numbered(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    for row in reader:
        if row:
            yield reader.line_num, row


def _problems(file: str, rows: list[tuple[int, list[str]]]) -> Iterator[Problem]:
    if not rows:
        yield Problem(file, 1, "The file is empty.", "Its first line names the columns.")
        return
    header = [name.strip() for name in rows[0][1]]
    if len(header) == 1 and ";" in header[0]:
        yield Problem(file, 1, "The columns are separated by semicolons.", "Save it with commas.")
        return
    for index, name in enumerate(header):
        if not name:
            yield Problem(file, 1, f"Column {index + 1} has no name.", "Name every column.")
        elif name in header[:index]:
            yield Problem(file, 1, f"The column `{name}` stands there twice.", "Rename or remove one.")
    for line, row in rows[1:]:
        if len(row) != len(header):
            message = f"{len(row)} values, but the header names {len(header)} columns."
            yield Problem(file, line, message, "Put a value with a comma in double quotes.")
