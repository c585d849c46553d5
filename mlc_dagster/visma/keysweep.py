"""A look at all keys of an entity: what vanished, got another number, or came with a stamp that was over.

The ERP shows no tombstones (vendors/visma.md section 13.2), and no parameter cuts a list down to ids
(section 5). The cheapest look is the list itself on the largest pages, without its optional sections, of
which only keys, stamps and ids are taken in. Pages may drift, so what one pass misses is asked for once more.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.clock import Clock
from mlc_dagster.lake import Lake, Spool
from mlc_dagster.lake.latest import NEWEST_FIRST
from mlc_dagster.lake.partitions import Listing
from mlc_dagster.visma.client import Page, VismaClient
from mlc_dagster.visma.deletes import BELIEVED_COUNT, BELIEVED_SHARE, is_there
from mlc_dagster.visma.entity import Entity
from mlc_dagster.visma.fields import moments
from mlc_dagster.visma.merge import newest, without
from mlc_dagster.visma.pages import Kept, Pages
from mlc_dagster.visma.parallel import in_parallel
from mlc_dagster.visma.records import to_rows
from mlc_dagster.visma.sweep import sweep
from mlc_dagster.visma.wall import ZONE, days_of


class TooMuchGone(Exception):
    """More is missing than is believed without a person's word. Nothing was deleted or written."""

    def __init__(self, entity: str, company: str, *, held: int, missing: int) -> None:
        super().__init__(
            f"{entity} of {company}: the ERP no longer lists {missing} of the {held} records in the lake. "
            "Nothing was deleted. Check the company's tenant and rights: a list over a wrong company is "
            "empty, not refused. If they are really gone, say so: "
            f"mlc sweep --company {company} --entity {entity} --confirm {missing}"
        )
        self.held, self.missing = held, missing


@dataclass(frozen=True)
class Limit:
    """How much may be missing: `share` of what the lake holds, or as many as a person has confirmed.

    Of a short list a few may be more than the share, so some are believed while half of it is there. A share
    of nothing asks about each record.
    """

    share: float = BELIEVED_SHARE
    confirmed: int = 0

    def check(self, entity: Entity, company: str, *, held: int, missing: int) -> None:
        """Raise TooMuchGone when more is missing; everything never goes without a person's word."""
        few = min(BELIEVED_COUNT, held / 2) if self.share else 0
        believed = max(few, held * self.share) if missing < held else 0
        if missing > max(believed, self.confirmed):
            raise TooMuchGone(entity.name, company, held=held, missing=missing)


@dataclass(frozen=True)
class Looked:
    """What a look found that ``begun`` then.

    ``held`` and ``listed`` count the records alive in the lake and in the ERP's list. ``vanished`` are keys
    the ERP has no more; ``renumbered`` names the new key of those whose own id it has under another. ``back``
    are keys the lake holds as deleted and the ERP lists, or lists with an older stamp than the lake's: the
    ERP was set back. ``late`` are the days of those, and days that count as wholly read, of which the ERP has
    versions that the lake lacks.
    """

    begun: datetime
    held: int
    listed: int
    vanished: tuple[str, ...]
    renumbered: Mapping[str, str]
    back: frozenset[str]
    late: tuple[date, ...]
    _spools: tuple[Spool, ...] = field(repr=False)

    def forget(self) -> None:
        """Let the pages go: what was found is written. Until then the same look goes on with them."""
        for spool in self._spools:
            spool.clear()


def look(
    client: VismaClient,
    lake: Lake,
    entity: Entity,
    company: str,
    *,
    clock: Clock,
    first_day: date,
    limit: Limit,
    zone: str = ZONE,
    unread: Collection[str] = (),
    elsewhere: Collection[str] = (),
) -> Looked:
    """Compare all keys of the ERP's list with the lake. Writes nothing but its own pages.

    ``unread`` are keys of records that do not parse: the lake lacks them for a reason. ``elsewhere`` are keys
    of records that are known and that the lake may have never seen: destinations hold them, or they did not
    parse. A look that was cut off, by a crash or a lockout, is gone on with.

    Raises what the transport raises (Closed when the budget is used up), NeverSettled, TooMuchGone.
    """
    return _Look(client, lake, entity, company, clock, first_day, limit, zone).run(unread, elsewhere)


def spools(
    client: VismaClient, lake: Lake, entity: Entity, company: str, now: datetime
) -> tuple[Spool, Spool]:
    """Where the pages of a look wait, and those of a second one that settles what the first did not list."""

    def spool(which: str) -> Spool:
        reading = {"keys": which, "page_size": client.page_size, "company": client.company.tenant_id}
        reading |= {"path": entity.path, "columns": str(entity.keys_only.schema)}
        return lake.spool(entity.name, company, reading, now)

    return spool("first"), spool("second")


def pages_kept(client: VismaClient, lake: Lake, entity: Entity, company: str, now: datetime) -> int:
    """How many pages of a look that was cut off are there."""
    return sum(len(spool.notes()) for spool in spools(client, lake, entity, company, now))


@dataclass(frozen=True)
class _Look:
    client: VismaClient
    lake: Lake
    entity: Entity
    company: str
    clock: Clock
    first_day: date
    limit: Limit
    zone: str

    def run(self, unread: Collection[str], elsewhere: Collection[str]) -> Looked:
        both = spools(self.client, self.lake, self.entity, self.company, self.clock.now())
        pages = Pages(self.entity.keys_only, both[0], None, self.clock.now())
        listed, unreadable = self._list(pages)
        known = self.lake.steady([self.entity.name], self.company, self._versions)
        alive = known.filter(pc.invert(known.column("_deleted")))
        begun = pa.scalar(pages.begun, known.schema.field("_read_at").type)
        unknown = without(pa.table({"_key": pa.array(sorted(elsewhere), pa.string())}), known.column("_key"))
        before = alive.filter(pc.less(alive.column("_read_at"), begun)).select(["_key"])
        missing = without(pa.concat_tables([before, unknown]), listed.column("_key"))
        missing = without(missing, [key for key in unreadable if key is not None])
        # A record without a key may be any of the missing ones, so none is judged then.
        vanished: list[str] = []
        if len(missing) and None not in unreadable:
            try:
                held = len(alive) + len(unknown)
                self.limit.check(self.entity, self.company, held=held, missing=len(missing))
            except TooMuchGone:
                both[0].clear()  # What was received is not believed: the next look begins anew.
                raise
            vanished = self._settled(missing.column("_key").to_pylist(), both[1])
        back, late = self._lacking(without(listed, unread), known, begun)
        return Looked(
            begun=pages.begun,
            held=len(alive),
            listed=pc.count_distinct(listed.column("_key")).as_py(),
            vanished=tuple(vanished),
            renumbered=self._renumbered(vanished, known, pages, listed),
            back=back,
            late=late,
            _spools=both,
        )

    def _list(self, pages: Pages) -> tuple[pa.Table, set[str | None]]:
        """One pass over the list: its light index, and the keys of what did not parse, None without one."""
        entity = self.entity.keys_only
        pages.pass_begun(1, self.clock.now())

        def take(page: Page) -> Kept:
            now = self.clock.now()
            rows = to_rows(entity, self.company, page.listed, read_at=now, zone=self.zone)
            return pages.keep(1, page, rows)

        kept = self.client.pages(entity, take, held=pages.held(1))
        index = pa.concat_tables([one.index for one in kept]).combine_chunks()
        return newest(entity, index), {bad.key for one in kept for bad in one.bad}

    def _versions(self, listings: Mapping[str, Listing]) -> pa.Table:
        """The newest version of each key in the lake, narrow: also the ERP's own id, as text."""
        own = f'cast("{self.entity.internal}" as varchar)' if self.entity.internal else "null::varchar"
        columns = f"_key, _stamp_text, _read_at, _deleted, {own} as internal"
        scan = listings[self.entity.name].scan()
        if scan is None:
            names = ("_key", "_stamp_text", "_read_at", "_deleted")
            fields = [self.entity.schema.field(name) for name in names]
            return pa.schema([*fields, ("internal", pa.string())]).empty_table()
        newest_first = f"row_number() over (partition by _key order by {NEWEST_FIRST}) = 1"
        with self.lake.connect() as connection:
            table: pa.Table = connection.sql(
                f"select {columns} from ({scan}) qualify {newest_first}"
            ).to_arrow_table()
        return table

    def _settled(self, missing: Sequence[str], spool: Spool) -> list[str]:
        """Return the missing records that are really gone: the pages may have shifted while they were read.

        A few are asked for by their address; many, and those without one of their own, by a sweep that is
        trusted.
        """
        if self.entity.addressed and len(missing) <= BELIEVED_COUNT:
            answers = in_parallel(lambda key: is_there(self.client, self.entity, key), missing)
            return [key for key, there in zip(missing, answers, strict=True) if there is False]
        swept = sweep(
            self.client, self.entity.keys_only, since=None, clock=self.clock, zone=self.zone, spool=spool
        )
        return sorted(set(missing).difference(swept.keys.to_pylist()))

    def _renumbered(
        self, vanished: Sequence[str], known: pa.Table, pages: Pages, listed: pa.Table
    ) -> Mapping[str, str]:
        """Return the new key of each vanished record whose own id the ERP lists under another key."""
        if not vanished or self.entity.internal is None:
            return {}
        gone = known.filter(pc.is_in(known.column("_key"), pa.array(vanished, pa.string())))
        ids = dict(zip(gone.column("internal").to_pylist(), gone.column("_key").to_pylist(), strict=True))
        found: dict[str, list[str]] = defaultdict(list)
        for key, own in self._ids(pages, listed):
            if own in ids and key != ids[own]:
                found[ids[own]].append(key)
        return {old: keys[0] for old, keys in found.items() if len(keys) == 1}

    def _ids(self, pages: Pages, listed: pa.Table) -> Iterator[tuple[str, str]]:
        for table in pages.tables(listed):
            keys, ids = table.column("_key").to_pylist(), table.column(self.entity.internal).to_pylist()
            yield from ((key, str(own)) for key, own in zip(keys, ids, strict=True) if own is not None)

    def _lacking(
        self, listed: pa.Table, known: pa.Table, begun: pa.Scalar
    ) -> tuple[frozenset[str], tuple[date, ...]]:
        """Return the keys that are back, and the days to be read again for what the lake lacks."""
        place = pc.index_in(listed.column("_key"), known.column("_key").combine_chunks())
        stamp, held = listed.column("_stamp"), known.take(place)
        # By its text: the lake's own stamp may be in order with an earlier version.
        told = moments(held.column("_stamp_text").combine_chunks(), self.zone)
        newer = pc.fill_null(pc.greater(stamp, told), fill_value=False)
        older = pc.and_(pc.less(stamp, told), pc.less(held.column("_read_at"), begun))
        back = pc.fill_null(pc.or_kleene(held.column("_deleted"), older), fill_value=False)
        lacking = pc.or_(pc.or_(place.is_null(), newer), back)
        notes = self.lake.notes(self.entity.name, self.company)
        over = [day for day, note in notes.items() if note.complete]
        first = pa.scalar(self.first_day, pa.date32())
        days = pc.max_element_wise(days_of(stamp, self.zone), first, skip_nulls=False)
        due = pc.or_(pc.is_in(days, pa.array(over, pa.date32())), back)
        found = pc.unique(days.filter(pc.and_(lacking, due))).to_pylist()
        late = sorted(day for day in found if day in notes)
        return frozenset(listed.column("_key").filter(back).to_pylist()), tuple(late)
