"""The polling sensor's cheap question: does the ERP hold versions that the lake has not read?"""

from collections.abc import Collection
from datetime import date, timedelta

from mlc_dagster.lake import Lake
from mlc_dagster.transport import Clock
from mlc_dagster.visma.client import VismaClient
from mlc_dagster.visma.entity import Entity
from mlc_dagster.visma.merge import changed, conform, one_per_key
from mlc_dagster.visma.records import to_rows
from mlc_dagster.visma.wall import ZONE, day_begin


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
    """Whether the ERP's newest rows differ from the lake's; one call, none when nothing was read yet.

    `refused` is the raw JSON of the records in quarantine: the same ones again are no news. Where to look
    from is what the last sweep left in the lake, so no change can be skipped. Entities without a change
    filter have no cheap question; the schedule reads them.
    """
    days = lake.days(entity.name, company)
    if not days:
        return True
    if not entity.has_filter:
        return False
    page = client.page(entity, 1, since=_since(lake, entity, company, days[-1]))
    if page.total is not None and page.total > len(page.records) and not entity.lines:
        return True  # more than one page came since: no need to look at each
    rows = to_rows(entity, company, page.records, read_at=clock.now(), zone=zone)
    if any(bad.raw not in refused for bad in rows.bad):
        return True
    latest = lake.latest(entity.name, company)
    if latest is None or not len(rows.table):
        return bool(len(rows.table))
    held = conform(latest, entity.schema).select(entity.schema.names)
    return bool(changed(one_per_key(entity, rows.table), held).to_numpy(zero_copy_only=False).any())


def _since(lake: Lake, entity: Entity, company: str, newest: date) -> str | None:
    note = lake.note(entity.name, company, newest)
    if note is None or note.complete:
        return day_begin(newest + timedelta(days=1))
    return note.next_from
