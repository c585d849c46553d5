"""One sweep over a list that may change while it is read: nothing lost, nothing twice.

Pages are offsets over a changing set without snapshot or order (vendors/visma.md section 13.1). A row that
is re-stamped, inserted or deleted shifts the pages after it, so that a row may be seen twice or not at all.
A pass over all pages is trusted when nothing hints at such a shift; else passes are repeated and united.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.clock import Clock
from mlc_dagster.lake import Spool
from mlc_dagster.transport import decimal_json
from mlc_dagster.visma.client import Page, VismaClient
from mlc_dagster.visma.deletes import is_there, unreleased_in
from mlc_dagster.visma.entity import Entity
from mlc_dagster.visma.merge import newest, unite, without
from mlc_dagster.visma.pages import Kept, Pages
from mlc_dagster.visma.parallel import in_parallel
from mlc_dagster.visma.records import BadRecord, to_rows
from mlc_dagster.visma.wall import from_wall, has_ended, wall_text

# A list in another order with each page hides a third of its rows from each pass: 100,000 rows need this.
MOST_PASSES = 16
# So far our clock may be ahead of the ERP's.
CLOCKS_APART = timedelta(seconds=30)
# A pass that missed no more than this share and brought nothing old is calm. After so many calm passes in a
# row a list that keeps growing is complete as of the first look: a miss has the chance share ** passes.
SMALL_SHORTFALL = 0.02
CALM_PASSES = 3


@dataclass(frozen=True)
class Swept:
    """What a sweep brought. ``index`` is light: one row a key, or one for each part of a split record.

    ``newest`` is the largest stamp received (UTC), ``since`` from when on changes were asked for (wall time),
    ``started`` when the sweep began; one that was cut off and ``resumed`` keeps what it began with.
    """

    index: pa.Table
    bad: tuple[BadRecord, ...]
    total: int
    newest: datetime | None
    pages: int
    passes: int
    since: str | None
    started: datetime
    seconds: float
    resumed: bool
    _pages: Pages = field(repr=False)

    @property
    def keys(self) -> pa.ChunkedArray:
        """Return the keys received."""
        return self.index.column("_key")

    def tables(self, index: pa.Table) -> Iterator[pa.Table]:
        """Return the rows of a part of the index, in pieces; those of one record stand together in it."""
        return self._pages.tables(index)


class NeverSettled(Exception):
    """The list changed so much during every pass that no result could be trusted. Nothing was written."""

    def __init__(self, entity: str, company: str, passes: int, why: str) -> None:
        super().__init__(
            f"{entity} of {company} changed during each of {passes} passes over its pages ({why}). "
            "Nothing was written. Run it again when the ERP is less busy, or ask for fewer days."
        )


def sweep(
    client: VismaClient,
    entity: Entity,
    *,
    since: str | None,
    clock: Clock,
    zone: str,
    spool: Spool,
    passes: int = MOST_PASSES,
) -> Swept:
    """Read all records changed at or after ``since`` (ERP wall time; None: all). Raises NeverSettled.

    Pages wait in ``spool``. A sweep that left some there because it was cut off is gone on with, as it began.
    """
    return _Sweep(client, entity, Pages(entity, spool, since, clock.now()), clock, zone).run(passes)


@dataclass(frozen=True)
class _Pass:
    """One pass over all pages: the newest versions in it, all totals that were told, the lines received."""

    index: pa.Table
    bad: tuple[BadRecord, ...]
    totals: frozenset[int]
    lines: int
    pages: int
    started: datetime

    @property
    def newest(self) -> datetime | None:
        return pc.max(self.index.column("_stamp")).as_py()  # type: ignore[no-any-return]

    @property
    def keys(self) -> set[str]:
        return set(self.index.column("_key").to_pylist())


class _Sweep:
    def __init__(self, client: VismaClient, entity: Entity, pages: Pages, clock: Clock, zone: str) -> None:
        self._client, self._entity, self._pages, self._clock, self._zone = client, entity, pages, clock, zone
        self._began = clock.monotonic()

    def run(self, most_passes: int) -> Swept:
        united: _Pass | None = None
        horizon: datetime | None = None
        calm, doubt = 0, ""
        for number in range(1, most_passes + 1):
            seen = self._read(number)
            doubt = self._doubt(seen)
            if not doubt:
                return self._swept(seen, number)
            if united is None:
                united, horizon = seen, seen.newest
                continue
            united, surprised = self._united(united, seen, horizon)
            calm = 0 if surprised or self._shortfall(seen) > SMALL_SHORTFALL else calm + 1
            if calm < CALM_PASSES and not self._complete(united):
                continue
            united = self._without_gone(united, seen)
            if calm == CALM_PASSES or self._complete(united):
                return self._swept(united, number)
        raise NeverSettled(self._entity.name, self._client.company.code, most_passes, doubt)

    def _read(self, number: int) -> _Pass:
        started = self._pages.pass_begun(number, self._clock.now())

        def take(page: Page) -> Kept:
            code, now = self._client.company.code, self._clock.now()
            rows = to_rows(self._entity, code, page.listed, read_at=now, zone=self._zone)
            return self._pages.keep(number, page, rows)

        pages = self._client.pages(self._entity, take, since=self._pages.since, held=self._pages.held(number))
        index = pa.concat_tables([kept.index for kept in pages]).combine_chunks()
        bad = tuple(record for kept in pages for record in kept.bad)
        totals = frozenset(kept.told.total for kept in pages if kept.told.total is not None)
        merged = newest(self._entity, index)
        return _Pass(merged, _distinct(bad, merged), totals, _raw_lines(index), len(pages), started)

    def _doubt(self, seen: _Pass) -> str:
        """Return why a pass cannot be trusted, empty when it can. One page is one moment."""
        if seen.pages == 1:
            return ""
        if len(seen.totals) > 1:
            return f"the total went from {min(seen.totals)} to {max(seen.totals)}"
        if seen.totals and self._units(seen) != max(seen.totals):
            return f"{self._units(seen)} distinct where {max(seen.totals)} were reported"
        if self._entity.lines and seen.lines != _lines(seen.index):
            return "lines came twice"
        if seen.newest is not None and seen.newest > self._first_look(seen):
            return "records changed after the first look"
        return self._closing_doubt(seen)

    def _first_look(self, seen: _Pass) -> datetime:
        """Return when a pass looked first, by the ERP's clock at the earliest.

        What a pass over open days loses, as that one is behind ours, is read again when they end.
        """
        since, begun = self._pages.since, self._pages.begun
        lasting = since is None or has_ended(date.fromisoformat(since[:10]), begun, self._zone)
        return seen.started - CLOCKS_APART if lasting else seen.started

    def _closing_doubt(self, seen: _Pass) -> str:
        """Ask, for one row, how many lines are as new as the newest: more than we saw came meanwhile.

        Only lists of lines need it. Where pages count records, as many distinct ones as there are, all the
        while, are all there are, unless one of them was deleted and a newer one came for it: that one bears
        a fresh stamp. A record of a list of lines may lose some, and shift others, with a stamp we never saw.
        """
        if seen.newest is None or not self._entity.lines:
            return ""
        text = wall_text(seen.newest, self._zone)
        page = self._client.page(self._entity, 1, since=text, size=1)
        recent = pc.greater_equal(seen.index.column("_stamp"), from_wall(text, self._zone))
        if (page.told.total or 0) > _lines(seen.index.filter(recent)) + len(seen.bad):
            return "records were added at the end"
        return ""

    def _units(self, seen: _Pass) -> int:
        """Return what the reported total counts: records, or lines where pages count lines."""
        if self._entity.lines:
            return _lines(seen.index) + sum(_bad_lines(self._entity, bad) for bad in seen.bad)
        return len(seen.index) + len(seen.bad)

    def _complete(self, united: _Pass) -> bool:
        return self._units(united) >= max(united.totals, default=0)

    def _shortfall(self, seen: _Pass) -> float:
        """Return the share of the reported total that a pass did not see."""
        total = max(seen.totals, default=0)
        return max(0.0, 1 - self._units(seen) / total) if total else 0.0

    def _united(self, before: _Pass, after: _Pass, horizon: datetime | None) -> tuple[_Pass, bool]:
        """Return both passes as one, and whether the later one brought anything old that was not known."""
        index = unite(self._entity, before.index, after.index)
        united = replace(after, index=index, bad=_distinct((*before.bad, *after.bad), index))
        if self._entity.lines:
            return united, self._units(united) > self._units(before)
        return united, bool(_old_keys(after.index, before.keys, horizon))

    def _without_gone(self, united: _Pass, seen: _Pass) -> _Pass:
        """Drop documents that were deleted meanwhile: unreleased, not in the last pass, and 404.

        Where an address proves nothing they stay: the next read looks for what is unreleased.
        """
        if not self._entity.addressed:
            return united
        suspects = sorted(unreleased_in(self._entity, united.index) - seen.keys)
        answers = in_parallel(lambda key: is_there(self._client, self._entity, key), suspects)
        gone = [key for key, there in zip(suspects, answers, strict=True) if there is False]
        return replace(united, index=without(united.index, gone))

    def _swept(self, seen: _Pass, passes: int) -> Swept:
        # A sweep that was cut off lasted all the while; our own clock may be set back meanwhile.
        lasted = (self._clock.now() - self._pages.begun).total_seconds()
        return Swept(
            index=seen.index,
            bad=seen.bad,
            total=max(seen.totals, default=len(seen.index) + len(seen.bad)),
            newest=seen.newest,
            pages=seen.pages,
            passes=passes,
            since=self._pages.since,
            started=self._pages.begun,
            seconds=max(lasted, self._clock.monotonic() - self._began),
            resumed=self._pages.resumed,
            _pages=self._pages,
        )


def _old_keys(table: pa.Table, known: set[str], horizon: datetime | None) -> set[str]:
    """Return the keys not known before whose stamp is not after the horizon: rows an earlier pass missed."""
    stamps = table.column("_stamp").to_pylist()
    keys: Sequence[str] = table.column("_key").to_pylist()
    return {
        key
        for key, stamp in zip(keys, stamps, strict=True)
        if key not in known and (stamp is None or horizon is None or stamp <= horizon)
    }


def _raw_lines(index: pa.Table) -> int:
    """Return how many lines came; 0 where lines do not count."""
    if "_lines" not in index.column_names:
        return 0
    return pc.sum(pc.list_value_length(index.column("_lines"))).as_py() or 0


def _lines(index: pa.Table) -> int:
    """Return how many lines there are: of a record that came in parts each line number once."""
    keys, lists = index.column("_key"), index.column("_lines")
    if pc.count_distinct(keys).as_py() == len(keys):
        return _raw_lines(index)
    parents = pc.list_parent_indices(lists)
    pairs = pa.table({"key": keys.take(parents), "number": pc.list_flatten(lists)})
    return len(pairs.group_by(["key", "number"]).aggregate([]))


def _bad_lines(entity: Entity, bad: BadRecord) -> int:
    record = decimal_json(bad.raw)
    lines = record.get(entity.lines) if isinstance(record, dict) else None
    return len(lines) if isinstance(lines, list) else 0


def _distinct(bad: Iterable[BadRecord], table: pa.Table) -> tuple[BadRecord, ...]:
    """Return each bad record once, and none whose key came in good order."""
    newest = {record.key or record.raw: record for record in bad}
    good = set(table.column("_key").to_pylist()) if newest else set()
    return tuple(record for record in newest.values() if record.key not in good)
