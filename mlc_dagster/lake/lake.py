"""The lake: Parquet files of what was read, by entity, company and day, on any fsspec file system."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

import duckdb
import pyarrow as pa

from mlc_dagster.lake import compaction, latest
from mlc_dagster.lake.columns import check_table, check_types
from mlc_dagster.lake.errors import LakeBusy, LakeWriteFailed
from mlc_dagster.lake.note import DayNote, day_metadata, day_note, month_notes
from mlc_dagster.lake.partitions import Listing, month_of
from mlc_dagster.lake.storage import Storage

Result = TypeVar("Result")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# A reading is repeated when files were replaced under it; more often than this is a writer gone wild.
READ_ATTEMPTS = 50


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

    def read_day(self, entity: str, company: str, day: date) -> pa.Table | None:
        """The rows of one day as last written; None when the day was never written."""

        def read(listings: Mapping[str, Listing]) -> pa.Table | None:
            return self._read_day(listings[entity], day)

        return self.steady([entity], company, read)

    def write_day(self, entity: str, company: str, day: date, table: pa.Table, note: DayNote) -> bool:
        """Replace one day as a whole.

        False, and nothing is written, when the day holds the same rows and the same note already. A later
        `_read_at` alone is no difference, unless it would make an older version the newest of its key.

        Raises:
            TableRefused: a system column is missing, a key stands there twice, or a type is new.
            LakeWriteFailed: the file system refused. The previous file is intact.
        """
        where = f"{entity} of {company}, {day}"
        check_table(table, where)
        table = table.sort_by("_key").replace_schema_metadata(None)
        listing = self._listing(entity, company)
        if listing.files:
            newest_file = max(listing.files, key=lambda file: file.name)
            check_types(table.schema, self.storage.schema(newest_file.path), where)
        if self._holds(listing, day, table, note):
            return False
        self._replace(
            listing.day_path(day),
            table.replace_schema_metadata(day_metadata(note)),
            entity,
            company,
            str(day),
        )
        return True

    def note(self, entity: str, company: str, day: date) -> DayNote | None:
        """What the day's file says about its own reading, without reading rows; None when never written."""
        return self.steady([entity], company, lambda listings: self._note(listings[entity], day))

    def days(self, entity: str, company: str) -> list[date]:
        """Every day that was written, in order, days without rows included."""

        def read(listings: Mapping[str, Listing]) -> list[date]:
            listing = listings[entity]
            found = set(listing.days)
            for file in listing.months.values():
                found.update(month_notes(self.storage.schema(file.path).metadata))
            return sorted(found)

        return self.steady([entity], company, read)

    def notes(self, entity: str, company: str) -> dict[date, DayNote]:
        """The note of every day that was written, in order; no row is read."""

        def read(listings: Mapping[str, Listing]) -> dict[date, DayNote]:
            listing = listings[entity]
            found: dict[date, DayNote] = {}
            for file in listing.months.values():
                found.update(month_notes(self.storage.schema(file.path).metadata))
            for day, file in listing.days.items():
                found[day] = day_note(self.storage.schema(file.path).metadata)
            return dict(sorted(found.items()))

        return self.steady([entity], company, read)

    def keys(self, entity: str, company: str, days: Collection[date] | None = None) -> set[str]:
        """The source keys in some days (None: all), tombstones included. Reads those files' `_key` only."""

        def read(listings: Mapping[str, Listing]) -> set[str]:
            with self.connect() as connection:
                return read_keys(connection, listings[entity], days)

        return self.steady([entity], company, read)

    def latest(self, entity: str, company: str) -> pa.Table | None:
        """The newest version of each key; tombstones are there with `_deleted` true. None without any file.

        Newest is the latest `_stamp` (nulls last), then the latest `_read_at`.
        """
        return self.steady(
            [entity], company, lambda listings: latest.newest_rows(self.storage, listings[entity])
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

        Every version of every day stays, and a day written later wins over its month.

        Raises:
            LakeWriteFailed: the file system refused. The days' files are intact.
        """
        listing = self._listing(entity, company)
        months = compaction.closed_months(listing, before)
        for month, days in months.items():
            table = compaction.month_table(self.storage, listing, month, days)
            self._replace(listing.month_path(month), table, entity, company, month)
            # A crash here leaves both: the days' own files win, and the next compaction goes on.
            compaction.remove_days(self.storage, listing, days)
        self.storage.sweep(listing.folder, before=before)
        return len(months)

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

    def _read_day(self, listing: Listing, day: date) -> pa.Table | None:
        if day in listing.days:
            return self.storage.read(listing.days[day].path).replace_schema_metadata(None)
        month = listing.months.get(month_of(day))
        if month is None:
            return None
        table = self.storage.read(month.path)
        if day not in month_notes(table.schema.metadata):
            return None
        rows = compaction.rows_of_days(table, [day])
        return rows.drop_columns(["_day"]).replace_schema_metadata(None)

    def _note(self, listing: Listing, day: date) -> DayNote | None:
        if day in listing.days:
            return day_note(self.storage.schema(listing.days[day].path).metadata)
        if month := listing.months.get(month_of(day)):
            return month_notes(self.storage.schema(month.path).metadata).get(day)
        return None

    def _holds(self, listing: Listing, day: date, table: pa.Table, note: DayNote) -> bool:
        if not note.says_the_same(self._note(listing, day)):
            return False
        old = self._read_day(listing, day)
        if old is None or not table.drop_columns(["_read_at"]).equals(old.drop_columns(["_read_at"])):
            return False
        return not latest.overtakes(self.storage, listing, day, old, table)

    def _replace(self, path: str, table: pa.Table, entity: str, company: str, partition: str) -> None:
        try:
            self.storage.replace(path, table)
        except OSError as error:
            raise LakeWriteFailed(self.storage.address(path), entity, company, partition, error) from error


def read_keys(
    connection: duckdb.DuckDBPyConnection, listing: Listing, days: Collection[date] | None
) -> set[str]:
    """The source keys in some days (None: all) of a listing."""
    scan = listing.scan(days)
    if scan is None:
        return set()
    return {str(row[0]) for row in connection.execute(f"select distinct _key from ({scan})").fetchall()}
