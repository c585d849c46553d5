"""What all budgets share: waiting, closing, and one row in the database that every process sees."""

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from mlc_dagster.clock import Clock, SystemClock
from mlc_dagster.database.engine import reading
from mlc_dagster.database.schema import budgets
from mlc_dagster.transport.errors import Closed
from mlc_dagster.transport.retry import retry_after


class BudgetRow:
    """The row of one budget in the table ``budgets``."""

    def __init__(self, engine: sa.Engine, name: str, clock: Clock) -> None:
        self.name, self.clock, self._engine = name, clock, engine
        self._mine = budgets.c.name == name

    def closed_until(self) -> datetime | None:
        """Return until when (UTC) no process may call; None when nothing was ever closed."""
        with reading(self._engine) as connection:
            return connection.execute(
                sa.select(budgets.c.closed_until).where(self._mine)
            ).scalar_one_or_none()

    @contextmanager
    def locked(self) -> Iterator[dict[str, Any]]:
        """Yield the state to change; it is written back with the lock still held."""
        self._ensure()
        with self._engine.begin() as connection:
            query = sa.select(budgets.c.state).where(self._mine).with_for_update()
            before = connection.execute(query).scalar_one()
            state = json.loads(before)
            yield state
            after = json.dumps(state)
            if after != before:
                self._write(connection, state=after)

    def close_until(self, until: datetime) -> None:
        """Close for all processes; a later closing time already known stays."""
        self._ensure()
        with self._engine.begin() as connection:
            known = connection.execute(
                sa.select(budgets.c.closed_until).where(self._mine).with_for_update()
            ).scalar_one()
            self._write(connection, closed_until=max(until, known or until))

    def _write(self, connection: sa.Connection, **values: Any) -> None:
        connection.execute(budgets.update().where(self._mine).values(**values, updated_at=self.clock.now()))

    def _ensure(self) -> None:
        with reading(self._engine) as connection:
            if connection.execute(sa.select(budgets.c.name).where(self._mine)).first():
                return
        try:
            with self._engine.begin() as connection:
                row = {"name": self.name, "state": "{}", "updated_at": self.clock.now()}
                connection.execute(budgets.insert().values(row))
        except IntegrityError:
            # Another process made the row in between: that is all we wanted.
            return


class Waiting(ABC):
    """What all budgets share: wait when short, refuse when long, close when the vendor says so."""

    def __init__(self, name: str, clock: Clock, patience: float) -> None:
        self.name, self._clock, self._patience = name, clock, patience
        self._lock = threading.Lock()

    def acquire(self, amount: int = 1) -> None:
        """Take calls. Waits up to ``patience`` seconds for each, else raises Closed."""
        for _ in range(amount):
            self._wait(self._take)

    def _wait(self, take: Callable[[datetime], datetime | None]) -> None:
        waited = 0.0
        while (opens_at := take(self._clock.now())) is not None:
            # Never zero: a budget that opens "now" still needs the clock to move on.
            wait = max((opens_at - self._clock.now()).total_seconds(), 0.001)
            if waited + wait > self._patience:
                raise Closed(self.name, opens_at)
            self._clock.sleep(wait)
            waited += wait

    def learn(self, response_headers: Mapping[str, str], status: int) -> None:
        """Close the budget when a 429 or 503 names the time to come back."""
        now = self._clock.now()
        wait = retry_after(response_headers, now) if status in (429, 503) else None
        if wait is not None:
            self._close(now + wait)

    @abstractmethod
    def _take(self, now: datetime) -> datetime | None:
        """Take one call; else return when to ask again."""

    @abstractmethod
    def _close(self, until: datetime) -> None:
        """Let no call through before that time."""


class Unlimited(Waiting):
    """No counting; a lockout the vendor reports is still honoured, within this process."""

    def __init__(self, name: str = "vendor", *, clock: Clock | None = None, patience: float = 60) -> None:
        super().__init__(name, clock or SystemClock(), patience)
        self._closed_until: datetime | None = None

    def left(self) -> int | None:
        """Return None: nothing is counted."""
        return None

    def _take(self, now: datetime) -> datetime | None:
        until = self._closed_until
        return until if until is not None and until > now else None

    def _close(self, until: datetime) -> None:
        self._closed_until = max(until, self._closed_until or until)


class Shared(Waiting):
    """A budget with its state in the database and a small lease of permits in this process."""

    def __init__(self, row: BudgetRow, patience: float) -> None:
        super().__init__(row.name, row.clock, patience)
        self._row = row
        self._permits = 0
        self._permits_end = datetime.min.replace(tzinfo=UTC)

    def _take(self, now: datetime) -> datetime | None:
        with self._lock:
            # Read before every call, also with permits in hand: another process may have met the lockout.
            closed_until = self._row.closed_until()
            if closed_until is not None and closed_until > now:
                return closed_until
            if self._permits == 0 or now >= self._permits_end:
                opens_at = self._lease(now)
                if opens_at is not None:
                    return opens_at
            self._permits -= 1
            return None

    def _close(self, until: datetime) -> None:
        self._row.close_until(until)

    @abstractmethod
    def _lease(self, now: datetime) -> datetime | None:
        """Set ``_permits`` to one or more; else return when to ask again."""
