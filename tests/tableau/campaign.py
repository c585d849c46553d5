"""Kills deliveries to Tableau at chosen points, and compares what the next run makes of it.

It runs in a process of its own that never uses tableauhyperapi itself: a library with threads does not
survive a fork, so every piece of work is done in a forked child.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from mlc_dagster.database import connect
from mlc_dagster.delivery.memory import Memory
from tests.support import worlds
from tests.support.kill import count, http_points, kill_anywhere, ledger_points, method_points
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


def in_a_process(campaign: Callable[..., None], *arguments: object) -> None:
    """Run one to its end; its own error is on stderr."""
    child = multiprocessing.get_context("spawn").Process(target=campaign, args=arguments)
    child.start()
    child.join()
    assert child.exitcode == 0, "the campaign failed, see above"


def on_sqlite(folder: Path, published: bool, keep: float) -> None:
    with (
        _site() as site,
        worlds.on_sqlite(folder, site, partial(_first_day, site, folder, published)) as copies,
    ):
        _kill(copies, site, folder, seed=1, keep=keep)


def on_postgres(folder: Path, keep: float) -> None:
    with _site() as site, worlds.on_postgres(site, partial(_first_day, site, folder, True)) as copies:
        _kill(copies, site, folder, seed=11, keep=keep)


@contextmanager
def _site() -> Iterator[process.Site]:
    with process.running() as site:
        os.environ.update(site.secrets)
        yield site


def _first_day(site: process.Site, folder: Path, published: bool, url: str) -> None:
    if published:
        count(World(url, site.url, folder).yesterday, [])


def _kill(copies: worlds.Copy, site: process.Site, folder: Path, *, seed: int, keep: float) -> None:
    kill_anywhere(
        lambda: World(copies(), site.url, folder),
        World.today,
        lambda world, where: count(partial(world.restarted, where), []),
        INSTRUMENTS,
        at_least={"Session.send": 11, "ledger": 11},
        seed=seed,
        keep=keep,
    )
