"""Looks for secrets in what a run leaves behind: files, tables, compressed values, Parquet; any spelling."""

import base64
import html
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import pyarrow.parquet as pq


def spellings(secret: str) -> set[bytes]:
    """A secret as it is, percent-encoded, escaped, and as any part of a longer base64 text."""
    plain = {
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        html.escape(secret),
        json.dumps(secret)[1:-1],
    }
    return {text.encode() for text in plain} | set(_within_base64(secret.encode()))


def leaks(places: Iterable[tuple[str, bytes]], secrets: Mapping[str, str]) -> list[str]:
    """Which secret is where, by its name, in words without the secret."""
    wanted = {name: spellings(secret) for name, secret in secrets.items()}
    return [
        f"{name} in {place}"
        for place, content in places
        for name, found in wanted.items()
        if any(spelling in content for spelling in found)
    ]


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder, and what databases and Parquet files hold when they are opened."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        yield str(path), content
        if content.startswith(b"SQLite format 3"):
            yield from _rows(path)
        elif content.startswith(b"PAR1"):
            table = pq.read_table(path)
            yield f"{path} (rows)", str(table.to_pylist()).encode()
            yield f"{path} (schema)", str(table.schema.metadata).encode()


def _rows(path: Path) -> Iterator[tuple[str, bytes]]:
    with sqlite3.connect(path) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        for table in tables:
            values = (value for row in connection.execute(f'SELECT * FROM "{table}"') for value in row)
            yield f"{path} ({table})", b"\n".join(map(_open, values))


def _open(value: object) -> bytes:
    """A value as bytes; Dagster keeps its snapshots compressed."""
    if not isinstance(value, bytes):
        return str(value).encode()
    try:
        return zlib.decompress(value)
    except zlib.error:
        return value


def _within_base64(secret: bytes) -> Iterator[bytes]:
    """The characters that only the secret decides, for each of three places it may begin at."""
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(secret)) * 8 // 6
        encoded = base64.b64encode(b"\0" * before + secret)[first:last]
        yield from (encoded, encoded.replace(b"+", b"-").replace(b"/", b"_"))
