"""Doing something again: from what somebody names to what has to run, and the list of what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from mlc_dagster.database import reading
from mlc_dagster.database.schema import replays
from mlc_dagster.delivery.clock import Clock


class By(StrEnum):
    """What a replay is named by."""

    NUMBER = "number"
    BATCH = "batch"
    RUN = "run"
    WINDOW = "window"
    ENTRY = "quarantine"


class State(StrEnum):
    """Where a replay that was asked for stands. READY: its rows are marked, its runs are about to start."""

    ASKED = "asked"
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class NotAReplay(Exception):
    """Something that cannot be done again as it was asked for."""


@dataclass(frozen=True, slots=True)
class What:
    """What is to be done again. value: by `by`, a business number, a batch's id, a run's id, the id of an
    entry in quarantine, or "NO01 2026-11-01 2026-11-20". pair: only this one; None is every pair concerned.
    """

    by: By
    value: str
    pair: str | None = None

    @classmethod
    def window(cls, company: str, first: date, last: date, pair: str | None = None) -> What:
        """Some days of a company. Raises NotAReplay when they end before they begin."""
        if last < first:
            raise NotAReplay(f"{first} to {last} are no days: the last one is before the first.")
        return cls(By.WINDOW, f"{company} {first} {last}", pair)

    @property
    def days(self) -> tuple[str, date, date]:
        """Company, first and last day of a window. Raises NotAReplay."""
        try:
            company, first, last = self.value.split(" ")
            return company, date.fromisoformat(first), date.fromisoformat(last)
        except ValueError:
            raise NotAReplay(f"{self.value!r} is no window: name a company and two days.") from None

    def __str__(self) -> str:
        only = f" to {self.pair} only" if self.pair else ""
        return f"{self.by} {self.value}{only}"


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay that was asked for. runs: the ids of its Dagster runs; said: what came of it, in words."""

    id: int
    asked_at: datetime
    asked_by: str
    what: What
    state: State
    runs: tuple[str, ...]
    said: str | None
    ended_at: datetime | None


class Replays:
    """What was asked for from outside Dagster. The sensor `replays` makes runs of it, once each."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def ask(self, what: What, *, by: str) -> int:
        """Write down that somebody wants this done again; returns its number.

        While the same is asked for and not done yet, no second one is made: its number is returned.
        """
        row: dict[str, Any] = {"by": what.by.value, "value": what.value, "pair": what.pair}
        same = [replays.c[name].is_not_distinct_from(value) for name, value in row.items()]
        waiting = sa.select(replays.c.id).where(*same, replays.c.ended_at.is_(None))
        row |= {"asked_at": self._clock.now(), "asked_by": by, "state": State.ASKED.value, "runs": ""}
        with self._engine.begin() as connection:
            if (found := connection.execute(waiting).scalars().first()) is not None:
                return int(found)
            inserted = connection.execute(replays.insert().returning(replays.c.id), row)
            return int(inserted.scalar_one())

    def recent(self, limit: int = 50) -> list[Replay]:
        """What was asked for last, newest first."""
        with reading(self._engine) as connection:
            query = sa.select(replays).order_by(replays.c.id.desc()).limit(limit)
            return [_replay(row) for row in connection.execute(query)]

    def open(self) -> list[Replay]:
        """What is not done yet, oldest first."""
        with reading(self._engine) as connection:
            query = sa.select(replays).where(replays.c.ended_at.is_(None)).order_by(replays.c.id)
            return [_replay(row) for row in connection.execute(query)]

    def ready(self, replay: Replay, said: str) -> None:
        """Note that what has to go again is marked: runs may start."""
        self._set(replay, state=State.READY, said=said)

    def running(self, replay: Replay, runs: Sequence[str]) -> None:
        """Note the runs that carry it out."""
        self._set(replay, state=State.RUNNING, runs=" ".join(runs))

    def ended(self, replay: Replay, state: State, said: str) -> None:
        """Note what came of it: DONE or FAILED, in words."""
        self._set(replay, state=state, said=said, ended_at=self._clock.now())

    def _set(self, replay: Replay, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(replays.update().where(replays.c.id == replay.id).values(values))


def _replay(row: sa.Row[Any]) -> Replay:
    return Replay(
        id=row.id,
        asked_at=row.asked_at,
        asked_by=row.asked_by,
        what=What(By(row.by), row.value, row.pair),
        state=State(row.state),
        runs=tuple(row.runs.split()),
        said=row.said,
        ended_at=row.ended_at,
    )
