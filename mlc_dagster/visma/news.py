"""The polling sensor's cheap question: does the ERP hold versions that the lake has not read?"""

from collections.abc import Collection
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.lake import Lake
from mlc_dagster.transport import Clock
from mlc_dagster.visma.client import EVER, VismaClient
from mlc_dagster.visma.entity import Entity
from mlc_dagster.visma.records import to_rows
from mlc_dagster.visma.wall import ZONE, day_begin, days_of, from_wall


def has_news(
    client: VismaClient,
    lake: Lake,
    entity: Entity,
    company: str,
    *,
    clock: Clock,
    refused: Collection[str] = (),
    zone: str = ZONE,
) -> bool:
    """Whether the ERP's newest versions are not all in the lake; one call, none when nothing was read yet.

    `refused` is the raw JSON of the records in quarantine: the same ones again are no news. Where to look
    from is what the last sweep left in the lake, so no change can be skipped. Entities without a change
    filter have no cheap question; the schedule reads them.
    """
    days = lake.days(entity.name, company)
    if not days:
        return True
    if not entity.has_filter:
        return False
    since, now = _since(lake, entity, company), clock.now()
    held = _held(lake, entity, company, since, zone)
    page = client.page(entity, since=since)
    rows = to_rows(entity, company, page.listed, read_at=now, zone=zone)
    come = _come(rows.table, now, zone)
    if any(bad.raw not in refused for bad in rows.bad) or not _versions(come) <= _versions(held):
        return True
    # Versions on further pages, of a re-stamped table say, are news when they are more than the lake holds.
    total, to_come = page.told.total, _units(entity, rows.table) - _units(entity, come)
    return total is not None and total > _units(entity, held) + to_come + len(refused)


def _since(lake: Lake, entity: Entity, company: str) -> str:
    newest = lake.days(entity.name, company)[-1]
    note = lake.note(entity.name, company, newest)
    if note is None or note.complete:
        return day_begin(newest + timedelta(days=1))
    return note.next_from or EVER


def _held(lake: Lake, entity: Entity, company: str, since: str, zone: str) -> pa.Table:
    """Which versions the lake holds from a moment on; no other column of theirs is read."""
    begin = from_wall(since, zone)
    names = ["_key", "_stamp", "_stamp_text", "_deleted", *([entity.lines] if entity.lines else [])]
    tables = [pa.schema([entity.schema.field(name) for name in names]).empty_table()]
    for day in lake.days(entity.name, company):
        if day.isoformat() < since[:10]:
            continue
        table = lake.read_day(entity.name, company, day, names)
        if table is not None:
            alive = pc.invert(table.column("_deleted"))
            recent = pc.greater_equal(table.column("_stamp"), begin)
            tables.append(table.filter(pc.and_(alive, recent)))
    return pa.concat_tables(tables, promote_options="permissive")


def _come(table: pa.Table, now: datetime, zone: str) -> pa.Table:
    """Return the rows of days that have begun by our clock: those of tomorrow no run can read today."""
    stamps = table.column("_stamp")
    [today] = days_of(pa.chunked_array([[now]], stamps.type), zone)
    return table.filter(pc.fill_null(pc.less_equal(days_of(stamps, zone), today), fill_value=True))


def _versions(table: pa.Table) -> set[tuple[str, str]]:
    keys, stamps = (table.column(name).to_pylist() for name in ("_key", "_stamp_text"))
    return set(zip(keys, stamps, strict=True))


def _units(entity: Entity, table: pa.Table) -> int:
    """What the list's total counts: records, or lines where pages count lines."""
    if entity.lines is None:
        return len(table)
    return pc.sum(pc.list_value_length(table.column(entity.lines))).as_py() or 0
