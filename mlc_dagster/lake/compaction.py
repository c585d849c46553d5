"""Compaction: the days of a closed month become one file, and no version is lost."""

from collections import defaultdict
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.lake.columns import DAY
from mlc_dagster.lake.note import DayNote, day_note, month_metadata, month_notes
from mlc_dagster.lake.partitions import Listing, month_of
from mlc_dagster.lake.storage import Storage


def closed_months(listing: Listing, before: date) -> dict[str, list[date]]:
    """The days with a file of their own, by month, for the months that ended before a day."""
    open_month = month_of(before)
    months: dict[str, list[date]] = defaultdict(list)
    for day in sorted(listing.days):
        if month_of(day) < open_month:
            months[month_of(day)].append(day)
    return dict(months)


def month_table(storage: Storage, listing: Listing, month: str, days: list[date]) -> pa.Table:
    """All versions of a month by day, and the notes of its days: what its file holds and `days` on top."""
    parts: list[pa.Table] = []
    notes: dict[date, DayNote] = {}
    if file := listing.months.get(month):
        table = storage.read(file.path)
        notes = month_notes(table.schema.metadata)
        parts.append(rows_of_days(table, [day for day in notes if day not in listing.days]))
    for day in days:
        table = storage.read(listing.days[day].path)
        notes[day] = day_note(table.schema.metadata)
        parts.append(table.add_column(0, DAY, pa.repeat(pa.scalar(day, DAY.type), len(table))))
    whole = pa.concat_tables(
        [part.replace_schema_metadata(None) for part in parts], promote_options="permissive"
    )
    return whole.sort_by([("_day", "ascending"), ("_key", "ascending")]).replace_schema_metadata(
        month_metadata(notes)
    )


def remove_days(storage: Storage, listing: Listing, days: list[date]) -> None:
    """Remove the files of days that are in their month's file now.

    A day that was written again meanwhile keeps its file, which wins over the month.
    """
    now = {file.path: file for file in storage.list(listing.folder)}
    for day in days:
        file = listing.days[day]
        if now.get(file.path) == file:
            storage.remove(file.path)


def rows_of_days(table: pa.Table, days: list[date]) -> pa.Table:
    """The rows of a month's table that belong to some of its days."""
    return table.filter(pc.is_in(table.column("_day"), pa.array(days, DAY.type)))
