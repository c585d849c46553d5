"""How far reads and deliveries have come: a crash costs what was under way, never what was finished."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from mlc_dagster.database import reading, upsert
from mlc_dagster.database.schema import sent_days, sweeps
from mlc_dagster.transport.clock import Clock

# A read that was cut off longer ago is not gone on with: whoever asks for its days then wants them read anew.
RESUMED_WITHIN = timedelta(hours=24)


@dataclass(frozen=True)
class Sweep:
    """A read of several days under way; `reached` is the last day the same read had finished before."""

    engine: sa.Engine
    entity: str
    company: str
    first: date
    last: date
    reached: date | None = None

    def finished(self, day: date) -> None:
        """Note that all days up to this one are in the lake."""
        with self.engine.begin() as connection:
            connection.execute(sweeps.update().where(*self._mine).values(reached=day))

    def end(self) -> None:
        """Note that the whole read has ended: the next one of these days begins anew."""
        with self.engine.begin() as connection:
            connection.execute(sweeps.delete().where(*self._mine))

    @property
    def _mine(self) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            sweeps.c.entity == self.entity,
            sweeps.c.company == self.company,
            sweeps.c.first_day == self.first,
            sweeps.c.last_day == self.last,
        )


class Sweeps:
    """The reads that have begun and not ended."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def begin(self, entity: str, company: str, first: date, last: date) -> Sweep:
        """Note that a read begins, or goes on: the same one that was cut off within the last 24 hours."""
        key = {"entity": entity, "company": company, "first_day": first, "last_day": last}
        now = self._clock.now()
        mine = [sweeps.c[name] == value for name, value in key.items()]
        with self._engine.begin() as connection:
            connection.execute(sweeps.delete().where(*mine[:2], sweeps.c.started_at < now - RESUMED_WITHIN))
            found = connection.execute(sa.select(sweeps.c.reached).where(*mine)).first()
            if found is None:
                connection.execute(sweeps.insert().values(**key, reached=None, started_at=now))
        return Sweep(self._engine, entity, company, first, last, found.reached if found else None)


class SentDays:
    """Which reading of each day a destination has received.

    Whatever kept a delivery from happening after a read, the days that were read are still to be sent: the
    next delivery takes them along, whatever days it was asked for.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def missing(self, destination: str, company: str, held: Mapping[date, datetime]) -> list[date]:
        """The days of the lake, given with the time of their newest reading, that have not been sent so."""
        sent = self._sent(destination, company)
        return [day for day, read_at in held.items() if sent.get(day) != read_at]

    def newest(self, destination: str, company: str) -> date | None:
        """The last day a destination has received anything of; None before its first delivery."""
        return max(self._sent(destination, company), default=None)

    def note(self, destination: str, company: str, held: Mapping[date, datetime]) -> None:
        """Note that the destination has received everything that was read of these days until then."""
        sent = self._sent(destination, company)
        here = {"destination": destination, "company": company}
        rows = [
            {**here, "day": day, "read_at": read_at}
            for day, read_at in held.items()
            if sent.get(day) != read_at
        ]
        if rows:
            with self._engine.begin() as connection:
                upsert(connection, sent_days, rows)

    def _sent(self, destination: str, company: str) -> dict[date, datetime]:
        query = sa.select(sent_days.c.day, sent_days.c.read_at).where(
            sent_days.c.destination == destination, sent_days.c.company == company
        )
        with reading(self._engine) as connection:
            return {row.day: row.read_at for row in connection.execute(query)}
