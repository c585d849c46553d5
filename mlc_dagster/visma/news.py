"""The polling sensor's cheap question: does the ERP hold versions that the lake has not read?"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.clock import Clock
from mlc_dagster.lake import DayNote, Lake
from mlc_dagster.visma.client import EVER, VismaClient
from mlc_dagster.visma.entity import Entity
from mlc_dagster.visma.records import to_rows
from mlc_dagster.visma.wall import FINEST, ZONE, day_begin, days_of, from_wall, open_since, wall_text


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
    """Whether the ERP's newest versions are not all in the lake: one call, two where it has many, none before
    the first read.

    `refused` is the raw JSON of the records in quarantine: the same ones again are no news. Where to look
    from is what the last sweep left in the lake, so no change can be skipped. Entities without a change
    filter have no cheap question; the schedule reads them.
    """
    notes = lake.notes(entity.name, company)
    if not notes:
        return True
    if not entity.has_filter:
        return False
    since = _since(notes)
    question = _Question(client, entity, company, _held(lake, entity, company, since, zone), clock, zone)
    found, alone = question.ask(since, refused)
    newest = pc.max(question.held.column("_stamp")).as_py()
    if found or alone or newest is None:
        return found
    # Of a table that was stamped as a whole one page says little: what was stamped later may be on another.
    return question.ask(wall_text(newest + FINEST, zone), refused)[0]


@dataclass(frozen=True)
class _Question:
    client: VismaClient
    entity: Entity
    company: str
    held: pa.Table
    clock: Clock
    zone: str

    def ask(self, since: str, refused: Collection[str]) -> tuple[bool, bool]:
        """Whether the first page of what changed shows news, and whether it is the only page."""
        entity, now = self.entity, self.clock.now()
        page = self.client.page(entity, since=since)
        rows = to_rows(entity, self.company, page.listed, read_at=now, zone=self.zone)
        come = _come(rows.table, now, self.zone)
        news = any(bad.raw not in refused for bad in rows.bad) or not _versions(come) <= _versions(self.held)
        if news or page.alone or page.told.total is None:
            return news, page.alone
        # Versions on further pages are news when they are more than the lake holds.
        held = self.held.filter(pc.greater_equal(self.held.column("_stamp"), from_wall(since, self.zone)))
        to_come = _units(entity, rows.table) - _units(entity, come)
        return page.told.total > _units(entity, held) + to_come + len(refused), False


def _since(notes: Mapping[date, DayNote]) -> str:
    newest = max(notes)
    if not notes[newest].complete:
        return notes[newest].next_from or EVER
    following = newest + timedelta(days=1)
    return open_since(notes, following) or day_begin(following)


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
