"""One sweep over a list that may change while it is read: nothing lost, nothing twice.

Pages are offsets over a changing set without snapshot or order (vendors/visma.md section 13.1). A row that
is re-stamped, inserted or deleted shifts the pages after it, so that a row may be seen twice or not at all.
A pass over all pages is trusted when nothing hints at such a shift; else passes are repeated and united.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.transport import Clock, decimal_json
from mlc_dagster.visma.client import Page, VismaClient, in_parallel
from mlc_dagster.visma.deletes import unreleased_in
from mlc_dagster.visma.entity import Entity
from mlc_dagster.visma.merge import one_per_key, unite, without
from mlc_dagster.visma.records import BadRecord, Rows, to_rows
from mlc_dagster.visma.wall import from_wall, wall_text

MOST_PASSES = 12
# A pass that missed no more than this share and brought nothing old is calm. After so many calm passes in a
# row a list that keeps growing is complete as of the first look: a miss has the chance share ** passes.
SMALL_SHORTFALL = 0.02
CALM_PASSES = 3


@dataclass(frozen=True)
class Swept:
    """What a sweep brought, one row a key. ``newest`` is the largest stamp received (UTC)."""

    table: pa.Table
    bad: tuple[BadRecord, ...]
    total: int
    newest: datetime | None
    pages: int
    passes: int
    seconds: float

    @property
    def keys(self) -> set[str]:
        """Return the keys received."""
        return set(self.table.column("_key").to_pylist())


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
    passes: int = MOST_PASSES,
) -> Swept:
    """Read all records changed at or after ``since`` (ERP wall time; None: all). Raises NeverSettled."""
    return _Sweep(client, entity, since, clock, zone).run(passes)


@dataclass(frozen=True)
class _Pass:
    """One pass over all pages, duplicates still in it or already merged."""

    table: pa.Table
    bad: tuple[BadRecord, ...]
    totals: frozenset[int]
    lines: int
    pages: int
    started: datetime

    @property
    def newest(self) -> datetime | None:
        return pc.max(self.table.column("_stamp")).as_py()  # type: ignore[no-any-return]

    @property
    def keys(self) -> set[str]:
        return set(self.table.column("_key").to_pylist())


class _Sweep:
    def __init__(
        self, client: VismaClient, entity: Entity, since: str | None, clock: Clock, zone: str
    ) -> None:
        self._client, self._entity, self._since, self._clock, self._zone = client, entity, since, clock, zone
        self._started = clock.monotonic()

    def run(self, most_passes: int) -> Swept:
        united: _Pass | None = None
        horizon: datetime | None = None
        calm, doubt = 0, ""
        for number in range(1, most_passes + 1):
            seen = self._read()
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

    def _read(self) -> _Pass:
        started = self._clock.now()
        answers = self._client.pages(self._entity, self._taken, since=self._since)
        table = pa.concat_tables([rows.table for rows, _ in answers])
        bad = tuple(record for rows, _ in answers for record in rows.bad)
        totals = frozenset(total for _, total in answers if total is not None)
        lines = _line_count(self._entity, table)
        merged = one_per_key(self._entity, table)
        return _Pass(merged, _distinct(bad, merged), totals, lines, len(answers), started)

    def _taken(self, page: Page) -> tuple[Rows, int | None]:
        code, now = self._client.company.code, self._clock.now()
        rows = to_rows(self._entity, code, page.listed, read_at=now, zone=self._zone)
        return rows, page.told.total

    def _doubt(self, seen: _Pass) -> str:
        """Return why a pass cannot be trusted, empty when it can. One page is one moment."""
        if seen.pages == 1:
            return ""
        if len(seen.totals) > 1:
            return f"the total went from {min(seen.totals)} to {max(seen.totals)}"
        if seen.totals and self._units(seen) != max(seen.totals):
            return f"{self._units(seen)} distinct where {max(seen.totals)} were reported"
        if self._entity.lines and seen.lines != _line_count(self._entity, seen.table):
            return "lines came twice"
        if seen.newest is not None and seen.newest > seen.started:
            return "records changed after the first look"
        return self._closing_doubt(seen)

    def _closing_doubt(self, seen: _Pass) -> str:
        """Ask, for one row, how many are as new as the newest: more than we saw came meanwhile."""
        if seen.newest is None or not self._entity.has_filter:
            return ""
        text = wall_text(seen.newest, self._zone)
        page = self._client.page(self._entity, 1, since=text, size=1)
        recent = seen.table.filter(pc.greater_equal(seen.table.column("_stamp"), from_wall(text, self._zone)))
        known = _line_count(self._entity, recent) if self._entity.lines else len(recent)
        if (page.told.total or 0) > known + len(seen.bad):
            return "records were added at the end"
        return ""

    def _units(self, seen: _Pass) -> int:
        """Return what the reported total counts: records, or lines where pages count lines."""
        if self._entity.lines:
            return _line_count(self._entity, seen.table) + sum(
                _bad_lines(self._entity, bad) for bad in seen.bad
            )
        return len(seen.table) + len(seen.bad)

    def _complete(self, united: _Pass) -> bool:
        return self._units(united) >= max(united.totals, default=0)

    def _shortfall(self, seen: _Pass) -> float:
        """Return the share of the reported total that a pass did not see."""
        total = max(seen.totals, default=0)
        return max(0.0, 1 - self._units(seen) / total) if total else 0.0

    def _united(self, before: _Pass, after: _Pass, horizon: datetime | None) -> tuple[_Pass, bool]:
        """Return both passes as one, and whether the later one brought anything old that was not known."""
        table = unite(self._entity, before.table, after.table)
        united = replace(after, table=table, bad=_distinct((*before.bad, *after.bad), table))
        if self._entity.lines:
            return united, self._units(united) > self._units(before)
        return united, bool(_old_keys(after.table, before.keys, horizon))

    def _without_gone(self, united: _Pass, seen: _Pass) -> _Pass:
        """Drop documents that were deleted meanwhile: unreleased, not in the last pass, and 404."""
        suspects = sorted(unreleased_in(self._entity, united.table) - seen.keys)
        answers = in_parallel(lambda key: self._client.single(self._entity, key), suspects)
        gone = [key for key, answer in zip(suspects, answers, strict=True) if answer is None]
        return replace(united, table=without(united.table, gone))

    def _swept(self, seen: _Pass, passes: int) -> Swept:
        total = max(seen.totals, default=len(seen.table) + len(seen.bad))
        seconds = self._clock.monotonic() - self._started
        return Swept(seen.table, seen.bad, total, seen.newest, seen.pages, passes, seconds)


def _old_keys(table: pa.Table, known: set[str], horizon: datetime | None) -> set[str]:
    """Return the keys not known before whose stamp is not after the horizon: rows an earlier pass missed."""
    stamps = table.column("_stamp").to_pylist()
    keys: Sequence[str] = table.column("_key").to_pylist()
    return {
        key
        for key, stamp in zip(keys, stamps, strict=True)
        if key not in known and (stamp is None or horizon is None or stamp <= horizon)
    }


def _line_count(entity: Entity, table: pa.Table) -> int:
    if entity.lines is None:
        return 0
    return pc.sum(pc.list_value_length(table.column(entity.lines))).as_py() or 0


def _bad_lines(entity: Entity, bad: BadRecord) -> int:
    record = decimal_json(bad.raw)
    lines = record.get(entity.lines) if isinstance(record, dict) else None
    return len(lines) if isinstance(lines, list) else 0


def _distinct(bad: Iterable[BadRecord], table: pa.Table) -> tuple[BadRecord, ...]:
    """Return each bad record once, and none whose key came in good order."""
    newest = {record.key or record.raw: record for record in bad}
    good = set(table.column("_key").to_pylist()) if newest else set()
    return tuple(record for record in newest.values() if record.key not in good)
