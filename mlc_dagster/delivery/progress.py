"""How far deliveries have come: a crash costs what was under way, never what was finished."""

from collections.abc import Mapping
from datetime import date, datetime

import sqlalchemy as sa

from mlc_dagster.database import reading, upsert
from mlc_dagster.database.schema import sent_days


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
