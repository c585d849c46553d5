"""The last comparison of each destination with its target: what people see without reading it again."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.database import reading, upsert
from mlc_dagster.database.schema import UtcDateTime, batches, comparisons
from mlc_dagster.delivery.reconcile import Comparison

COUNTS = ("expected", "found", "missing", "different", "extra")


@dataclass(frozen=True, slots=True)
class Unlike:
    """One difference as text. column: empty where the whole row is missing or nobody's."""

    key: str
    words: str
    column: str
    delivered: str
    shown: str


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison found for one company. waiting: rows that were not compared, in words. totals: of
    amounts that differ, by column, delivered and shown. differences: the first few of each kind. stale: rows
    the lake has otherwise, and that no run would send.
    """

    destination: str
    company: str
    at: datetime
    run_id: str
    expected: int
    found: int
    missing: int
    different: int
    extra: int
    waiting: Mapping[str, int]
    totals: Mapping[str, tuple[str, str]]
    differences: Sequence[Unlike]
    stale: int = 0

    @property
    def equal(self) -> bool:
        """Whether the target showed every row as it was delivered, none besides, and none was stale."""
        return not (self.missing or self.different or self.extra or self.stale)


class Comparisons:
    """The table of last comparisons, one a destination and company."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def keep(self, found: Comparison, run_id: str) -> None:
        """Keep what a comparison found, in place of the one before."""
        totals = {name: both for name, both in found.totals.items() if both[0] != both[1]}
        detail = {
            "stale": found.stale,
            "waiting": dict(found.waiting),
            "totals": {name: (f"{ours:f}", f"{theirs:f}") for name, (ours, theirs) in totals.items()},
            "differences": list(_lines(found)),
        }
        row = {
            "destination": found.destination,
            "company": found.company,
            "at": self._clock.now(),
            "run_id": run_id,
            **{name: getattr(found, name) for name in COUNTS},
            "detail": json.dumps(detail, ensure_ascii=False),
        }
        with self._engine.begin() as connection:
            upsert(connection, comparisons, row)

    def uncompared_since(self, destination: str, company: str) -> datetime | None:
        """When a destination was compared last, or its first batch was made; None where nothing was sent."""
        with reading(self._engine) as connection:
            for table, time in ((comparisons, comparisons.c.at), (batches, batches.c.created_at)):
                query = sa.select(sa.func.min(time, type_=UtcDateTime)).where(
                    table.c.destination == destination, table.c.company == company
                )
                since: datetime | None = connection.execute(query).scalar()
                if since is not None:
                    return since
        return None

    def all(self) -> list[Compared]:
        """All of them, by destination and company."""
        query = sa.select(comparisons).order_by(comparisons.c.destination, comparisons.c.company)
        with reading(self._engine) as connection:
            return [_compared(row) for row in connection.execute(query)]


def _lines(found: Comparison) -> Iterator[tuple[str, str, str, str, str]]:
    for difference in chain.from_iterable(found.by_kind().values()):
        columns = difference.columns or {"": (None, None)}
        for name, (ours, theirs) in columns.items():
            yield difference.key, difference.words, name, _text(ours), _text(theirs)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _compared(row: sa.Row[Any]) -> Compared:
    detail = json.loads(row.detail)
    return Compared(
        destination=row.destination,
        company=row.company,
        at=row.at,
        run_id=row.run_id,
        **{name: getattr(row, name) for name in COUNTS},
        stale=detail.get("stale", 0),
        waiting=detail["waiting"],
        totals={name: tuple(both) for name, both in detail["totals"].items()},
        differences=[Unlike(*line) for line in detail["differences"]],
    )
