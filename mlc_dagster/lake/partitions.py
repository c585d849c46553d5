"""Which files hold the days of one entity and company, and how they are read: in parts, or by SQL."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.lake.columns import DAY
from mlc_dagster.lake.note import DayNote, day_note, month_notes
from mlc_dagster.lake.storage import File, Storage

DAY_FILE = re.compile(r"(\d{4}-\d{2}-\d{2})\.parquet")
MONTH_FILE = re.compile(r"(\d{4}-\d{2})\.parquet")


@dataclass(frozen=True)
class Listing:
    """The files of one entity and company at one moment. A day's own file wins over its month's."""

    storage: Storage
    folder: str
    days: Mapping[date, File]
    months: Mapping[str, File]

    @classmethod
    def of(cls, storage: Storage, entity: str, company: str) -> "Listing":
        """List the files now."""
        folder = storage.path(entity, company)
        days: dict[date, File] = {}
        months: dict[str, File] = {}
        for file in storage.list(folder):
            if match := DAY_FILE.fullmatch(file.name):
                days[date.fromisoformat(match[1])] = file
            elif match := MONTH_FILE.fullmatch(file.name):
                months[match[1]] = file
        return cls(storage, folder, days, months)

    @property
    def files(self) -> list[File]:
        """Months first, then days, each in order of time."""
        return [*self.months.values(), *self.days.values()]

    @property
    def fingerprint(self) -> str:
        """Changes whenever a file came, went or was replaced."""
        text = "\n".join(f"{file.name} {file.size} {file.version}" for file in self.files)
        return hashlib.sha256(text.encode()).hexdigest()

    def notes(self) -> dict[date, DayNote]:
        """The note of every day, in order."""
        found: dict[date, DayNote] = {}
        for file in self.months.values():
            found.update(month_notes(self.storage.metadata(file)))
        found.update({day: day_note(self.storage.metadata(file)) for day, file in self.days.items()})
        return dict(sorted(found.items()))

    def note(self, day: date) -> DayNote | None:
        """The note of a day; None when it was never written."""
        if day in self.days:
            return day_note(self.storage.metadata(self.days[day]))
        month = self.months.get(month_of(day))
        return None if month is None else month_notes(self.storage.metadata(month)).get(day)

    def day_path(self, day: date) -> str:
        """Where a day's own file is, or would be."""
        return f"{self.folder}/{day.isoformat()}.parquet"

    def month_path(self, month: str) -> str:
        """Where a month's file is, or would be. `month` is YYYY-MM."""
        return f"{self.folder}/{month}.parquet"

    def parts(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns and `_day` of every version in the files, a part at a time."""
        names = [DAY.name, *columns]
        own = pa.array(self.days, DAY.type)
        for file in self.months.values():
            for part in self.storage.parts(file.path, names):
                yield part.filter(pc.invert(pc.is_in(part.column(DAY.name), own))).select(names)
        for day, file in self.days.items():
            for part in self.storage.parts(file.path, columns):
                yield part.add_column(0, DAY, pa.repeat(pa.scalar(day, DAY.type), len(part)))

    def scan(self, days: Collection[date] | None = None) -> str | None:
        """SQL for every version in the files, or in some days only: the file's columns and
        `_day`, `_file`, `file_row_number`. Only the columns a query uses are read. None: no file holds them.
        """
        own = self.days if days is None else {day: self.days[day] for day in days if day in self.days}
        months = self.months
        if days is not None:
            asked = {month_of(day) for day in days if day not in self.days}
            months = {month: file for month, file in months.items() if month in asked}
        files = [*months.values(), *own.values()]
        if not files:
            return None
        return self._select(files, months, days)

    def _select(self, files: list[File], months: Mapping[str, File], days: Collection[date] | None) -> str:
        relation = read_parquet([self.storage.address(file.path) for file in files])
        file_day = r"cast(regexp_extract(_file, '(\d{4}-\d{2}-\d{2})\.parquet$', 1) as date)"
        if not months:
            return f"select *, {file_day} as _day from {relation}"
        overruled = [day for day in self.days if month_of(day) in months]
        wanted = ["true"]
        if overruled:
            wanted.append(f"_day not in ({_dates(overruled)})")
        if days is not None:
            wanted.append(f"_day in ({_dates(days)})")
        # Only month files carry _day: a null one is a row of a day's own file.
        return (
            f"select * exclude (_day), coalesce(_day, try_{file_day}) as _day from {relation} "
            f"where _day is null or ({' and '.join(wanted)})"
        )


def month_of(day: date) -> str:
    """YYYY-MM."""
    return day.isoformat()[:7]


def read_parquet(addresses: Sequence[str]) -> str:
    """The SQL relation of some files, columns by name, with `_file` and `file_row_number`."""
    listed = ", ".join(quote(address) for address in addresses)
    return (
        f"read_parquet([{listed}], union_by_name=true, filename='_file', file_row_number=true, "
        "hive_partitioning=false)"
    )


def quote(text: str) -> str:
    """The text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _dates(days: Iterable[date]) -> str:
    return ", ".join(f"date '{day.isoformat()}'" for day in sorted(days))
