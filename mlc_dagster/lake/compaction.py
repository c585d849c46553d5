"""Compaction: the days of a closed month become one file, and no version is lost."""

from collections import defaultdict
from collections.abc import Iterator
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


def month_parts(
    storage: Storage, listing: Listing, month: str, days: list[date]
) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """All versions of a month, part by part, and their schema with the notes of the month's days.

    They are what the month's file holds, without the days written again, and then the files of `days`.
    """
    notes: dict[date, DayNote] = {}
    schemas = []
    if file := listing.months.get(month):
        schemas.append(storage.schema(file.path))
        notes = month_notes(schemas[0].metadata)
    kept = [day for day in notes if day not in listing.days]
    for day in days:
        schemas.append(storage.schema(listing.days[day].path))
        notes[day] = day_note(schemas[-1].metadata)
    empty = [schema.remove_metadata().empty_table() for schema in schemas]
    like = pa.concat_tables([pa.schema([DAY]).empty_table(), *empty], promote_options="permissive")

    def parts() -> Iterator[pa.Table]:
        if file:
            yield from (rows_of_days(part, kept) for part in storage.parts(file.path))
        for day in days:
            for part in storage.parts(listing.days[day].path):
                yield part.add_column(0, DAY, pa.repeat(pa.scalar(day, DAY.type), len(part)))

    def conformed() -> Iterator[pa.Table]:
        for part in parts():
            bare = part.replace_schema_metadata(None)
            yield pa.concat_tables([like, bare], promote_options="permissive")

    return like.schema.with_metadata(month_metadata(notes)), conformed()


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
