"""What vendors called for, kept until somebody has looked. Losing it loses nothing: we also look by time."""

import hashlib
from datetime import timedelta

import sqlalchemy as sa

from mlc_dagster.database import insert_missing, reading
from mlc_dagster.database.schema import signals
from mlc_dagster.delivery.clock import Clock

# As long as a vendor may repeat a delivery.
KEPT = timedelta(days=7)


class Signals:
    """The table of signals. A source is a vendor, a place the id in the path it called."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def keep(self, source: str, place: str, body: bytes) -> None:
        """Keep that a delivery came; the same one again, handled or not, changes nothing."""
        digest = hashlib.sha256(b"\0".join((source.encode(), place.encode(), body))).hexdigest()
        row = {"source": source, "place": place, "received_at": self._clock.now(), "digest": digest}
        with self._engine.begin() as connection:
            insert_missing(connection, signals, row)

    def newest(self, source: str) -> int | None:
        """The id of the newest signal nobody has handled; None when all are."""
        query = sa.select(sa.func.max(signals.c.id)).where(*_waiting(source))
        with reading(self._engine) as connection:
            newest: int | None = connection.execute(query).scalar_one()
        return newest

    def handled(self, source: str, newest: int | None) -> None:
        """Somebody has looked since this signal and all before it. Old ones are forgotten."""
        if newest is None:
            return
        now = self._clock.now()
        mine = (*_waiting(source), signals.c.id <= newest)
        with self._engine.begin() as connection:
            connection.execute(signals.update().where(*mine).values(handled_at=now))
            connection.execute(signals.delete().where(signals.c.handled_at < now - KEPT))


def _waiting(source: str) -> tuple[sa.ColumnElement[bool], ...]:
    return signals.c.source == source, signals.c.handled_at.is_(None)
