"""Work that waits for a vendor's window to open: written down when the window closes, taken when it opens."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.database import reading
from mlc_dagster.database.schema import deferrals


@dataclass(frozen=True, slots=True)
class Deferral:
    """The days of a company that a pair still has to carry, and from when on it may (UTC).

    config: how the run that goes on differs from the pair's usual one, as JSON of whoever stored it; None
    when it does not.
    """

    id: int
    pair: str
    company: str
    first_day: date
    last_day: date
    opens_at: datetime
    reason: str
    config: str | None


class Deferrals:
    """The waiting work of all pairs."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def store(
        self,
        *,
        pair: str,
        company: str,
        first_day: date,
        last_day: date,
        opens_at: datetime,
        reason: str,
        config: str | None = None,
    ) -> None:
        """Write work down. The same work waiting already only gets the new opening time."""
        values = {"opens_at": opens_at, "reason": reason}
        same = sa.and_(
            deferrals.c.pair == pair,
            deferrals.c.company == company,
            deferrals.c.first_day == first_day,
            deferrals.c.last_day == last_day,
            deferrals.c.config.is_not_distinct_from(config),
            deferrals.c.taken_at.is_(None),
        )
        with self._engine.begin() as connection:
            if connection.execute(deferrals.update().where(same).values(values)).rowcount == 0:
                work = {"pair": pair, "company": company, "first_day": first_day, "last_day": last_day}
                work |= {"config": config, "created_at": self._clock.now()}
                connection.execute(deferrals.insert().values(**work, **values))

    def due(self, pair: str) -> list[Deferral]:
        """The waiting work of a pair whose window is open now, oldest first."""
        now = self._clock.now()
        return [deferral for deferral in self.waiting(pair) if deferral.opens_at <= now]

    def taken(self, deferral: Deferral) -> None:
        """Note that a run carries the work on: it waits no more, unless that run has put it off again."""
        with self._engine.begin() as connection:
            own = sa.and_(deferrals.c.id == deferral.id, deferrals.c.opens_at == deferral.opens_at)
            connection.execute(deferrals.update().where(own).values(taken_at=self._clock.now()))

    def waiting(self, pair: str | None = None) -> list[Deferral]:
        """All work not taken yet, whether its window is open or not."""
        query = sa.select(deferrals).where(deferrals.c.taken_at.is_(None)).order_by(deferrals.c.id)
        if pair is not None:
            query = query.where(deferrals.c.pair == pair)
        with reading(self._engine) as connection:
            return [_deferral(row) for row in connection.execute(query)]


def _deferral(row: sa.Row[Any]) -> Deferral:
    return Deferral(
        row.id, row.pair, row.company, row.first_day, row.last_day, row.opens_at, row.reason, row.config
    )
