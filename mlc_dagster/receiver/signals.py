"""What vendors called for, kept until somebody has looked. Losing it loses nothing: we also look by time."""

import hashlib
from datetime import timedelta

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.database import insert_missing, reading
from mlc_dagster.database.schema import signals

# As long as a vendor may repeat a delivery.
KEPT = timedelta(days=7)
# Signals of a source that wait: when nobody takes them, more of them say nothing more.
WAITING = 10_000


class Signals:
    """The table of signals. A source is a vendor, a place what a signal is about."""

    def __init__(self, engine: sa.Engine, clock: Clock, *, room: int = WAITING) -> None:
        self._engine, self._clock, self._room = engine, clock, room

    def keep(self, source: str, place: str, delivery: bytes) -> None:
        """Keep that a delivery came; the same one again, handled or not, changes nothing.

        Nor does one beyond the room for those that wait: there are looks to come enough.
        """
        digest = hashlib.sha256(b"\0".join((source.encode(), delivery))).hexdigest()
        row = {"source": source, "place": place, "received_at": self._clock.now(), "digest": digest}
        waiting = sa.select(signals.c.id).where(*_waiting(source)).limit(self._room).subquery()
        with self._engine.begin() as connection:
            if connection.execute(sa.select(sa.func.count()).select_from(waiting)).scalar_one() < self._room:
                insert_missing(connection, signals, row)

    def newest(self, source: str) -> int | None:
        """The id of the newest signal nobody has handled; None when all are."""
        return max(self.waiting(source).values(), default=None)

    def waiting(self, source: str) -> dict[str, int]:
        """The id of the newest signal nobody has handled, by what they are about."""
        query = sa.select(signals.c.place, sa.func.max(signals.c.id)).where(*_waiting(source))
        with reading(self._engine) as connection:
            return {row[0]: row[1] for row in connection.execute(query.group_by(signals.c.place))}

    def handled(self, source: str, newest: int | None, *, place: str | None = None) -> None:
        """Somebody has looked since this signal and all before it, of a place or of all. Old ones go."""
        if newest is None:
            return
        now = self._clock.now()
        mine = [*_waiting(source), signals.c.id <= newest]
        mine += [signals.c.place == place] if place is not None else []
        with self._engine.begin() as connection:
            connection.execute(signals.update().where(*mine).values(handled_at=now))
            connection.execute(signals.delete().where(signals.c.handled_at < now - KEPT))


def _waiting(source: str) -> tuple[sa.ColumnElement[bool], ...]:
    return signals.c.source == source, signals.c.handled_at.is_(None)
