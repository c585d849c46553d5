"""Counts that outlive a run: what each step did, added up by place and company. They only ever rise."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.database import reading
from mlc_dagster.database.engine import add_up
from mlc_dagster.database.schema import tallies

Calls = Callable[[], Mapping[str, int]]
# The company of what is done for all of them at once.
ALL = "*"
# Steps that ended well, that failed, and that a vendor's closed window put off.
SUCCEEDED, FAILED, DEFERRED = "steps_succeeded", "steps_failed", "steps_deferred"


@dataclass(frozen=True, slots=True)
class Tally:
    """A sum since the first run, and when (UTC) something was last added."""

    count: int
    at: datetime


@dataclass
class Step:
    """One company's part of a step: what it did, and how it ended."""

    end: str = FAILED
    counts: dict[str, int] = field(default_factory=dict)

    def succeeded(self, counts: Mapping[str, int]) -> None:
        """It ended well and did this."""
        self.end, self.counts = SUCCEEDED, dict(counts)

    def deferred(self) -> None:
        """A vendor's window closed."""
        self.end = DEFERRED


class Tallies:
    """The sums of all places: visma/suppliers, anaplan/suppliers, anaplan/rows/suppliers and so on.

    Jobs without assets have places too, such as cleo/inbox, of the company ALL.
    """

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def add(self, place: str, company: str, counts: Mapping[str, int]) -> None:
        """Add counts; those of nothing are left out."""
        here = {"place": place, "company": company, "at": self._clock.now()}
        rows = [{**here, "name": name, "count": count} for name, count in sorted(counts.items()) if count > 0]
        if rows:
            with self._engine.begin() as connection:
                add_up(connection, tallies, rows, "count")

    @contextmanager
    def step(self, place: str, company: str, calls: Calls) -> Iterator[Step]:
        """Add what a step does for one company, its calls with it, however it ends.

        A step that is killed adds nothing: these are figures for people, the ledger is what is exact.
        """
        step, before = Step(), calls()
        try:
            yield step
        finally:
            self.add(place, company, {**step.counts, **_since(before, calls()), step.end: 1})

    @contextmanager
    def calls(self, place: str, company: str, calls: Calls) -> Iterator[None]:
        """Add the calls that are made meanwhile, as `Suite.calls` counts them."""
        before = calls()
        try:
            yield
        finally:
            self.add(place, company, _since(before, calls()))

    def all(self) -> dict[tuple[str, str], dict[str, Tally]]:
        """Every sum by name, by place and company."""
        found: dict[tuple[str, str], dict[str, Tally]] = {}
        with reading(self._engine) as connection:
            columns = (tallies.c.place, tallies.c.company, tallies.c.name, tallies.c["count"], tallies.c.at)
            for place, company, name, count, at in connection.execute(sa.select(*columns)):
                found.setdefault((place, company), {})[name] = Tally(count, at)
        return found


def _since(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    return {name: count - before.get(name, 0) for name, count in now.items()}
