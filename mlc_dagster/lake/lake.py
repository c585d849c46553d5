"""The lake: Parquet files of what was read, by entity, company and day, on any fsspec file system."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.lake import compaction, latest
from mlc_dagster.lake.columns import DAY, SYSTEM, Checked
from mlc_dagster.lake.errors import LakeBusy, LakeOvertaken, LakeWriteFailed
from mlc_dagster.lake.note import DayNote, day_metadata, month_metadata
from mlc_dagster.lake.partitions import Listing, month_of
from mlc_dagster.lake.spool import Spool
from mlc_dagster.lake.storage import File, LastLook, Storage

if TYPE_CHECKING:
    import duckdb

Result = TypeVar("Result")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# A reading is repeated when files were replaced under it; more often than this is a writer gone wild.
READ_ATTEMPTS = 50
# No entity can have this name.
SPOOLS = ".sweeps"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a record: key, day of the partition, the ERP's stamp, when it was read (UTC)."""

    key: str
    day: date
    stamp: str | None
    read_at: datetime
    deleted: bool


class Lake:
    """Deltas as read: `<url>/<entity>/<company>/<YYYY-MM-DD>.parquet`, and one file for each closed month.

    Tables have the columns of `lake.columns.SYSTEM` and the entity's own. Files are replaced as a whole: a
    reader sees a partition before or after a replacement, never half of it. It is derived state: delete it,
    backfill, and it is back.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.storage = Storage(url)

    def read_day(
        self, entity: str, company: str, day: date, columns: Sequence[str] | None = None
    ) -> pa.Table | None:
        """The rows of one day as last written, or some columns of them; None when it was never written."""

        def read(listings: Mapping[str, Listing]) -> pa.Table | None:
            return self._read_day(listings[entity], day, columns)

        return self.steady([entity], company, read)

    def find(self, entity: str, company: str, day: date, keys: pa.Array) -> pa.Table | None:
        """The rows of one day with some keys; None when the day was never written."""

        def read(listings: Mapping[str, Listing]) -> pa.Table | None:
            listing = listings[entity]
            if day in listing.days:
                return plain(self.storage.find(listing.days[day].path, "_key", keys))
            table = self._read_day(listing, day)
            return None if table is None else table.filter(pc.is_in(table.column("_key"), keys))

        return self.steady([entity], company, read)

    def day_parts(self, entity: str, company: str, day: date) -> Iterator[pa.Table]:
        """The rows of one day, a part at a time, so that a large day does not fill the memory."""
        listing = self._listing(entity, company)
        if day in listing.days:
            yield from map(plain, self.storage.parts(listing.days[day].path))
        elif (table := self.read_day(entity, company, day)) is not None:
            yield table

    def count(self, entity: str, company: str, day: date) -> int:
        """How many rows a day holds."""
        table = self.read_day(entity, company, day, ["_key"])
        return 0 if table is None else len(table)

    def write_day(
        self,
        entity: str,
        company: str,
        day: date,
        rows: pa.Table | Iterable[pa.Table],
        note: DayNote,
        *,
        last_look: LastLook = lambda: None,
    ) -> int:
        """Replace one day as a whole, and return how many rows it has. The rows may come in parts.

        Whether there is anything new to write is the caller's question: an equal day is written all the same.
        So is whether it still may be: `last_look` raises if not, directly before the file is replaced.

        Raises:
            TableRefused: a system column is missing, a key stands there twice, or a type is new.
            LakeWriteFailed: the file system refused. In either case the previous file is intact.
        """
        listing = self._listing(entity, company)
        parts = [rows] if isinstance(rows, pa.Table) else rows
        bare = SYSTEM.with_metadata(day_metadata(note))
        return self._write(listing, listing.day_path(day), parts, bare, last_look)

    def file(self, entity: str, company: str, day: date) -> File | None:
        """The day's own file as it is now; None when it has none. It differs when its content may differ."""
        return self._listing(entity, company).days.get(day)

    def write_month(
        self, entity: str, company: str, rows: Iterable[pa.Table], notes: Mapping[date, DayNote]
    ) -> int:
        """Write the days of a month of which the lake holds nothing yet as one file; returns its rows.

        `notes` names the days; `rows` have a first column `_day` more than those of a day. It is what
        `write_day` for each of them and `compact` would leave, for half the work.

        Raises:
            TableRefused, LakeWriteFailed: as `write_day`; nothing was written.
            ValueError: the days are of several months, or the lake holds some of that month.
        """
        listing, months = self._listing(entity, company), set(map(month_of, notes))
        held = months & {*listing.months, *map(month_of, listing.days)}
        if held or len(months) != 1:
            raise ValueError(f"{entity} of {company}: {min(notes)} to {max(notes)} is no month without days.")
        [month] = months
        bare = pa.schema([DAY, *SYSTEM], month_metadata(notes))
        return self._write(listing, listing.month_path(month), rows, bare)

    def _write(
        self,
        listing: Listing,
        path: str,
        rows: Iterable[pa.Table],
        bare: pa.Schema,
        last_look: LastLook = lambda: None,
    ) -> int:
        """Check the rows on their way to a file; `bare` is its schema without any, and has its metadata."""
        *_, entity, company, name = path.split("/")
        partition = name.removesuffix(".parquet")
        old = None
        if listing.files:
            old = self.storage.schema(max(listing.files, key=lambda file: file.name).path)
        schema, parts = _with_schema(iter(rows), bare)
        checked = Checked(parts, f"{entity} of {company}, {partition}", old)
        with writing(self.storage.address(path), entity, company, partition):
            self.storage.replace(path, schema.with_metadata(bare.metadata), checked, last_look)
        return checked.rows

    def spool(self, entity: str, company: str, reading: Mapping[str, Any], now: datetime) -> Spool:
        """Where a reading puts its pages until their days are written; if it was cut off, the one it had."""
        self._listing(entity, company)
        return Spool.of(self.storage, self.storage.path(SPOOLS, entity, company), reading, now)

    def note(self, entity: str, company: str, day: date) -> DayNote | None:
        """What the day's file says about its own reading, without reading rows; None when never written."""
        return self.steady([entity], company, lambda listings: listings[entity].note(day))

    def days(self, entity: str, company: str) -> list[date]:
        """Every day that was written, in order, days without rows included."""
        return list(self.notes(entity, company))

    def notes(self, entity: str, company: str) -> dict[date, DayNote]:
        """The note of every day that was written, in order; no row is read."""
        return self.steady([entity], company, lambda listings: listings[entity].notes())

    def latest(self, entity: str, company: str, keys: Collection[str] | None = None) -> pa.Table | None:
        """The newest version of each key, or of some keys; tombstones are there with `_deleted` true.

        Newest is the latest `_stamp` (nulls last), then the latest `_read_at`. None without any file.
        """
        return self.steady(
            [entity], company, lambda listings: latest.newest_rows(self.storage, listings[entity], keys)
        )

    def versions(self, entity: str, company: str, field: str, value: str) -> list[Version]:
        """Every version in the lake of the records whose field has this value, oldest reading first.

        `field` may reach into a section by dots, such as `account.number`.
        """

        def read(listings: Mapping[str, Listing]) -> list[Version]:
            scan = listings[entity].scan()
            if scan is None:
                return []
            column = ".".join(f'"{part}"' for part in field.split("."))
            query = (
                f"select _key, _day, _stamp_text, _read_at, _deleted from ({scan}) "
                f"where cast({column} as varchar) = ? order by _read_at, _day"
            )
            with self.connect() as connection:
                return [Version(*row) for row in connection.execute(query, [value]).fetchall()]

        return self.steady([entity], company, read)

    def fingerprint(self, entity: str, company: str) -> str:
        """Changes whenever a file of the entity came, went or was replaced. Nothing is read but a listing."""
        return self._listing(entity, company).fingerprint

    def compact(self, entity: str, company: str, *, before: date) -> int:
        """Turn the days of every month that ended before a day into one file a month; how many it wrote.

        Every version of every day stays, and a day written later wins over its month. A month that another
        process compacts meanwhile is left to it.

        Raises:
            LakeWriteFailed: the file system refused. The days' files are intact.
        """
        listing, written = self._listing(entity, company), 0
        for month, days in compaction.closed_months(listing, before).items():
            with suppress(LakeOvertaken):
                self._compact_month(listing, month, days)
                written += 1
        self.storage.sweep(listing.folder, before=before)
        return written

    def _compact_month(self, listing: Listing, month: str, days: list[date]) -> None:
        """Turn the days of one month into its file. Raises LakeWriteFailed, and LakeOvertaken."""
        path = listing.month_path(month)
        *_, entity, company, _ = path.split("/")

        def last_look() -> None:
            if self._listing(entity, company).months.get(month) != listing.months.get(month):
                raise LakeOvertaken(entity, company, month)

        with writing(self.storage.address(path), entity, company, month):
            try:
                schema, parts = compaction.month_parts(self.storage, listing, month, days)
                self.storage.replace(path, schema, parts, last_look)
            except FileNotFoundError:  # a day that is in its month's file already
                raise LakeOvertaken(entity, company, month) from None
        # A crash here leaves both: the days' own files win, and the next compaction goes on.
        compaction.remove_days(self.storage, listing, days)

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A private DuckDB that can read the lake's files. The caller closes it."""
        return latest.connect(self.storage)

    def steady(
        self, entities: Collection[str], company: str, read: Callable[[Mapping[str, Listing]], Result]
    ) -> Result:
        """Call `read` with the listings of some entities, and again when their files changed meanwhile.

        Raises:
            LakeBusy: they changed every time.
        """
        before = {entity: self._listing(entity, company) for entity in entities}
        for _ in range(READ_ATTEMPTS):
            failure: Exception | None = None
            try:
                result = read(before)
            except Exception as error:  # noqa: BLE001  (a file that moves can break a reading anywhere)
                failure = error
            after = {entity: self._listing(entity, company) for entity in entities}
            if all(after[entity].files == before[entity].files for entity in entities):
                if failure is not None:
                    raise failure
                return result
            before = after
        raise LakeBusy(f"{', '.join(entities)} of {company}", READ_ATTEMPTS)

    def _listing(self, entity: str, company: str) -> Listing:
        for name in (entity, company):
            if not NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} cannot be a folder of the lake: use letters, digits, '_', '.' and '-'."
                )
        return Listing.of(self.storage, entity, company)

    def _read_day(self, listing: Listing, day: date, columns: Sequence[str] | None = None) -> pa.Table | None:
        if day in listing.days:
            return plain(self.storage.read(listing.days[day].path, columns))
        month = listing.months.get(month_of(day))
        if month is None or listing.note(day) is None:
            return None
        table = self.storage.read(month.path, None if columns is None else [DAY.name, *columns])
        return plain(compaction.rows_of_days(table, [day]).drop_columns([DAY.name]))


@contextmanager
def writing(address: str, entity: str, company: str, partition: str) -> Iterator[None]:
    """Say what could not be written, and where."""
    try:
        yield
    except OSError as error:
        raise LakeWriteFailed(address, entity, company, partition, error) from error


def _with_schema(parts: Iterator[pa.Table], bare: pa.Schema) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Return the first part's schema, and all parts; without any, `bare`."""
    first = next(parts, bare.remove_metadata().empty_table())
    return first.schema, chain([first], parts)


def plain(table: pa.Table) -> pa.Table:
    """The table without its file's metadata."""
    return table.replace_schema_metadata(None)


def read_keys(
    connection: duckdb.DuckDBPyConnection, listing: Listing, days: Collection[date] | None
) -> set[str]:
    """The source keys in some days (None: all) of a listing."""
    scan = listing.scan(days)
    if scan is None:
        return set()
    return {str(row[0]) for row in connection.execute(f"select distinct _key from ({scan})").fetchall()}
