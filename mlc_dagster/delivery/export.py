"""The audit trail as files for an auditor: exact texts, with the chain's digests, readable without us."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa

from mlc_dagster.database import reading
from mlc_dagster.database.schema import events
from mlc_dagster.delivery.seals import Seals, columns_of, digests_of, text_of

if TYPE_CHECKING:
    import pyarrow as pa

EVENTS = ("id", "at", "run_id", "destination", "company", "source_key", "key", "number", "batch_id", "kind",
          "detail", "digest")  # fmt: skip
SEALS = ("number", "sealed_at", "events", "before", "digest")
DIGESTS = ("seal", "event", "digest")
_NUMBERS = frozenset({"id", "events", "seal", "event"})
_AT_ONCE = 5_000

README = """The audit trail of mlc, {first} to {last} (days in UTC, both included).

events   One row for each thing that happened: to a record (key is filled) or to a batch (key is empty).
         at is in UTC. detail is JSON. kind says what happened; docs/audit.md explains each.
seals    The chain over the trail: from the first exported event to the newest there is.
digests  Number and digest of every event that a seal covers, in order; of those that retention removed too.
{csv}
To verify without mlc:
1. An event's digest is the SHA-256 of its columns from id to detail as one JSON list, in UTF-8, without
   spaces between values and without escapes for letters: [17,"2026-11-20 06:00:01.000000","...",...,null]
2. A seal's digest is the SHA-256 of: the digest of the seal before as text (nothing for the first), a line
   feed, its number, a line feed, sealed_at, a line feed, and then for each of its events, in order, eight
   bytes of its number (big endian) and the 32 bytes of its digest.
3. `before` of a seal is `digest` of the one before it. The newest has to be the one that was kept elsewhere.
4. Every event stands in digests, unless its number is greater than all there: it was written meanwhile. Any
   other was inserted later.
An event that is in digests and not in the trail was removed; a later event of the kind "removed by
retention" has to name it in one of its runs.

Exported {now} UTC. Events: {events}. Newest seal: {head}
"""
_CSV = """
In the CSV files every value stands in double quotes; a value that is missing has none. Import them as text.
"""


class FolderNotEmpty(Exception):
    """An export would mix with files that are there."""


class Sheet(Protocol):
    """A table that is being written."""

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Append rows."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


@dataclass(frozen=True)
class Exported:
    """What was written."""

    events: int
    seals: int


def export(
    engine: sa.Engine, chain: Seals, folder: Path, *, first: date, last: date, form: str, now: datetime
) -> Exported:
    """Write the events of some days (UTC) and the seals over them into a folder that is new or empty.

    form: csv or parquet. Memory does not grow with the trail. Raises FolderNotEmpty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FolderNotEmpty(f"{folder} holds files. Name a folder that is new or empty.")
    chain.seal()
    with _sheet(folder / f"events.{form}", EVENTS) as sheet:
        count, oldest = _events(engine, sheet, first, last)
    with (
        _sheet(folder / f"seals.{form}", SEALS) as seals,
        _sheet(folder / f"digests.{form}", DIGESTS) as digests,
    ):
        number, head = _seals(chain, seals, digests, oldest)
    words = {"first": first, "last": last, "now": text_of(now)[:19], "events": count, "head": head}
    text = README.format(**words, csv=_CSV if form == "csv" else "")
    (folder / "README.txt").write_text(text, "utf-8")
    return Exported(count, number)


def _events(engine: sa.Engine, sheet: Sheet, first: date, last: date) -> tuple[int, int | None]:
    """Write the events; how many, and the number of the first."""
    begin, end = (datetime.combine(day, time(), UTC) for day in (first, last + timedelta(days=1)))
    count, oldest = 0, None
    with reading(engine) as connection:
        query = sa.select(*columns_of(connection.dialect)).where(events.c.at >= begin, events.c.at < end)
        found = connection.execute(query.order_by(events.c.id).execution_options(yield_per=_AT_ONCE))
        for rows in found.partitions():
            told = list(map(tuple, rows))
            sheet.add([(*row, digest.hex()) for row, (_, digest) in zip(told, digests_of(told), strict=True)])
            oldest = rows[0][0] if oldest is None else oldest
            count += len(rows)
    return count, oldest


def _seals(chain: Seals, seals: Sheet, digests: Sheet, oldest: int | None) -> tuple[int, str]:
    """Write the seals from the one over an event on; how many, and the newest one."""
    before, count, head = "", 0, "none"
    for seal in chain.all():
        listed = seal.digests()
        if oldest is not None and max(listed) >= oldest:
            seals.add([(seal.number, text_of(seal.sealed_at), len(listed), before, seal.digest)])
            digests.add([(seal.number, event, digest.hex()) for event, digest in listed.items()])
            count += 1
        before, head = seal.digest, f"{seal.number}:{seal.digest}"
    return count, head


@contextmanager
def _sheet(file: Path, columns: Sequence[str]) -> Iterator[Sheet]:
    sheet: Sheet = _Csv(file, columns) if file.suffix == ".csv" else _Parquet(file, columns)
    try:
        yield sheet
    finally:
        sheet.close()


class _Csv:
    """RFC 4180, but what is missing and what is empty are told apart."""

    def __init__(self, file: Path, columns: Sequence[str]) -> None:
        self._file = file.open("w", encoding="utf-8", newline="")
        self.add([columns])

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        self._file.writelines(f"{','.join(map(_quoted, row))}\r\n" for row in rows)

    def close(self) -> None:
        self._file.close()


def _quoted(value: Any) -> str:
    return "" if value is None else '"' + str(value).replace('"', '""') + '"'


class _Parquet:
    """Texts and whole numbers; no other types."""

    def __init__(self, file: Path, columns: Sequence[str]) -> None:
        import pyarrow as pa  # noqa: PLC0415 - only who writes Parquet needs it
        from pyarrow import parquet  # noqa: PLC0415

        # A seal's number stands in `number`, and so does an invoice's, which is a text.
        numbers = _NUMBERS | ({"number"} if columns == SEALS else set())
        self._schema: pa.Schema = pa.schema(
            [(name, pa.int64() if name in numbers else pa.string()) for name in columns]
        )
        self._writer = parquet.ParquetWriter(file, self._schema)
        self._table = pa.table

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        columns = dict(zip(self._schema.names, map(list, zip(*rows, strict=True)), strict=True))
        self._writer.write_table(self._table(columns, self._schema))

    def close(self) -> None:
        self._writer.close()
