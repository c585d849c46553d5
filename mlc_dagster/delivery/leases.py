"""One writer per name, over all processes and machines: leases in the database, with a rising fence."""

import logging
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.database import insert_missing, reading
from mlc_dagster.database.schema import leases
from mlc_dagster.delivery.errors import LeaseHeld, LeaseLost

# A crashed holder blocks its successor for at most this long.
LEASE_SECONDS = 60
# Longer than a lease lasts: whoever follows a crashed process waits it out instead of failing.
PATIENCE_SECONDS = 90.0
_RETRY_SECONDS = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hold:
    """The leases a process holds, with the fence each had when it was taken."""

    fences: dict[str, int]

    def check(self, connection: sa.Connection) -> None:
        """Make sure, inside the caller's transaction, that no other process has taken over.

        The rows stay locked until the transaction ends, so nobody can take over in between. Raises LeaseLost.
        """
        query = sa.select(leases.c.name).where(self.mine).order_by(leases.c.name).with_for_update()
        ours = connection.execute(query).scalars().all()
        if lost := sorted(self.fences.keys() - set(ours)):
            raise LeaseLost(
                f"The lease {', '.join(lost)} expired and another process took it. Nothing was written. "
                "The other process finishes the work; if this one was stalled, look for a suspended machine."
            )

    @property
    def mine(self) -> sa.ColumnElement[bool]:
        """The condition that finds our lease rows, and only while they are ours."""
        return sa.or_(
            *(sa.and_(leases.c.name == name, leases.c.fence == fence) for name, fence in self.fences.items())
        )


class Leases:
    """Takes, renews and gives back leases."""

    def __init__(self, engine: sa.Engine, clock: Clock, *, seconds: float = LEASE_SECONDS) -> None:
        self._engine, self._clock, self._life = engine, clock, timedelta(seconds=seconds)

    @contextmanager
    def hold(
        self, names: Sequence[str], run_id: str, *, patience: float = PATIENCE_SECONDS
    ) -> Iterator[Hold]:
        """Hold all the names for the length of a `with` block, renewed in the background.

        Waits up to `patience` seconds while somebody else holds one. Raises LeaseHeld, naming the holder.
        """
        hold = self._acquire(sorted(set(names)), run_id, patience)
        ended = threading.Event()
        renewing = threading.Thread(target=self._keep_renewing, args=(hold, ended), daemon=True, name="lease")
        renewing.start()
        try:
            yield hold
        finally:
            ended.set()
            renewing.join()
            self._release(hold)

    def renew(self, hold: Hold) -> None:
        """Prolong the leases from now on. Raises LeaseLost."""
        with self._engine.begin() as connection:
            hold.check(connection)
            connection.execute(
                leases.update().where(hold.mine).values(expires_at=self._clock.now() + self._life)
            )

    def _acquire(self, names: Sequence[str], run_id: str, patience: float) -> Hold:
        # Counted in tries: a clock that is set back must not prolong the wait.
        for _ in range(round(patience / _RETRY_SECONDS)):
            if (hold := self._try(names, run_id)) is not None:
                return hold
            self._clock.sleep(_RETRY_SECONDS)
        if (hold := self._try(names, run_id)) is None:
            raise LeaseHeld(self._who(names))
        return hold

    def _try(self, names: Sequence[str], run_id: str) -> Hold | None:
        """Take all the names or none."""
        now = self._clock.now()
        holder = f"{socket.gethostname()}, process {os.getpid()}, run {run_id}"
        free = sa.or_(leases.c.holder.is_(None), leases.c.expires_at <= now)
        taken = {
            "holder": holder,
            "fence": leases.c.fence + 1,
            "acquired_at": now,
            "expires_at": now + self._life,
        }
        fences: dict[str, int] = {}
        with self._engine.connect() as connection, connection.begin() as transaction:
            self._make(connection, names)
            for name in names:
                take = (
                    leases.update().where(leases.c.name == name, free).values(taken).returning(leases.c.fence)
                )
                fence = connection.execute(take).scalar_one_or_none()
                if fence is None:
                    transaction.rollback()
                    return None
                fences[name] = fence
        return Hold(fences)

    def _make(self, connection: sa.Connection, names: Sequence[str]) -> None:
        now = self._clock.now()
        rows = [
            {"name": name, "holder": None, "fence": 0, "acquired_at": now, "expires_at": now}
            for name in names
        ]
        insert_missing(connection, leases, rows)

    def _who(self, names: Sequence[str]) -> str:
        query = sa.select(leases).where(leases.c.name.in_(names), leases.c.holder.is_not(None))
        with reading(self._engine) as connection:
            held = connection.execute(query.order_by(leases.c.expires_at.desc())).first()
        if held is None:
            return f"{', '.join(names)} was held by another process until just now. Run again."
        return (
            f"{held.name} is held by {held.holder} since {held.acquired_at:%Y-%m-%d %H:%M:%S} UTC. "
            "Wait until that run has ended; if its process is gone, the lease ends by itself "
            f"at {held.expires_at:%H:%M:%S} UTC."
        )

    def _keep_renewing(self, hold: Hold, ended: threading.Event) -> None:
        while not ended.wait(self._life.total_seconds() / 3):
            try:
                self.renew(hold)
            except LeaseLost:
                logger.warning("Lease %s was lost to another process", ", ".join(hold.fences))
                return
            except sa.exc.DBAPIError:
                logger.warning("Lease %s could not be renewed; trying again", ", ".join(hold.fences))

    def _release(self, hold: Hold) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                leases.update().where(hold.mine).values(holder=None, expires_at=self._clock.now())
            )
