"""Kills deliveries to Tableau at chosen points, and compares what the next run makes of it.

It runs in a process of its own that never uses tableauhyperapi itself: a library with threads does not
survive a fork, so every piece of work is done in a forked child.
"""

import multiprocessing
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from mlc_dagster.database import connect, migrate
from mlc_dagster.delivery.memory import Memory
from tests.support.kill import chosen, count, die, http_points, ledger_points, method_points
from tests.support.postgres import copy_postgres, drop_postgres, fresh_postgres
from tests.tableau import process
from tests.tableau.site import Installation, invoice
from tests.transport.clocks import ManualClock

INSTRUMENTS = [ledger_points, http_points, method_points(Memory, "write")]
LATER = timedelta(hours=1)

OLD = [invoice("1", "0.0001"), invoice("2", "10"), invoice("3", "100")]
NEW = [invoice("1", "0.0001"), invoice("2", "20.0001"), invoice("4", "-99999999999999.9999")]


@dataclass(frozen=True)
class World:
    """A database, and the site that has what it says."""

    database: str
    url: str
    folder: Path

    def yesterday(self) -> None:
        self._with(lambda ours: ours.heal(lambda: ours.deliver(OLD)), timedelta(0))

    def today(self) -> None:
        self._with(lambda ours: ours.heal(lambda: ours.deliver(NEW, gone=OLD)), timedelta(0))

    def restarted(self, where: str) -> None:
        """Equal after the next run."""

        def work(ours: Installation) -> None:
            ours.heal(lambda: ours.deliver(NEW, gone=OLD))
            assert ours.shown() == ours.wanted(NEW), where

        self._with(work, LATER)

    def _with(self, work: Callable[[Installation], object], later: timedelta) -> None:
        engine = connect(self.database)
        try:
            work(Installation(self.url, engine, ManualClock(datetime.now(UTC) + later), self.folder))
        finally:
            engine.dispose()


Copy = Callable[[], World]


def in_a_process(campaign: Callable[..., None], *arguments: object) -> None:
    """Run one to its end; its own error is on stderr."""
    child = multiprocessing.get_context("spawn").Process(target=campaign, args=arguments)
    child.start()
    child.join()
    assert child.exitcode == 0, "the campaign failed, see above"


def on_sqlite(folder: Path, published: bool, keep: float) -> None:
    with process.running() as site:
        os.environ.update(site.secrets)
        _first_day(World(f"sqlite:///{folder}/0.db", site.url, folder), published)
        state, numbers = site.dump(), iter(range(1, 10_000))

        def copy() -> World:
            site.load(state)
            file = shutil.copy(folder / "0.db", folder / f"{next(numbers)}.db")
            return World(f"sqlite:///{file}", site.url, folder)

        _kill(copy, seed=1, keep=keep)


def on_postgres(folder: Path, keep: float) -> None:
    with process.running() as site:
        os.environ.update(site.secrets)
        made = [World(fresh_postgres(), site.url, folder)]
        _first_day(made[0], True)
        state = site.dump()

        def copy() -> World:
            site.load(state)
            made.append(World(copy_postgres(made[0].database), site.url, folder))
            return made[-1]

        _kill(copy, seed=11, keep=keep)
        for world in made:
            drop_postgres(world.database)


def _first_day(world: World, published: bool) -> None:
    engine = connect(world.database)
    migrate(engine)
    engine.dispose()
    if published:
        count(world.yesterday, [])


def _kill(worlds: Copy, seed: int, keep: float) -> None:
    names = count(worlds().today, INSTRUMENTS)
    assert sum("Session.send" in name for name in names) > 10
    assert sum("ledger" in name for name in names) > 10
    numbers = chosen(names, share=0.1, seed=seed)
    for at in random.Random(seed).sample(numbers, max(1, int(len(numbers) * keep))):
        world = worlds()
        assert die(world.today, INSTRUMENTS, at=at) == names[at - 1]
        where = f"killed {names[at - 1]}, point {at} of {len(names)}"
        count(partial(world.restarted, where), [])
