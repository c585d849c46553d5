"""A round over real processes: all pairs at one sandbox, days of trouble, calm, and what targets hold.

What happens follows from the seed. When it happens to a process does not: processes share a machine, so a
seed that failed is repeated in its changes, faults and kills, and nearly in its timing.
"""

import json
import multiprocessing
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mlc_dagster.database import connect
from tests.prove import faults
from tests.prove.equal import differences
from tests.prove.erp import Office
from tests.prove.worker import ENDED_BADLY, ENDED_WELL, Order, work
from tests.prove.world import PAIRS, World, world
from tests.support.postgres import drop_postgres, fresh_postgres

CALM_RUNS = 6
# Eight invoices and four orders a company to begin with.
SCALE = "0.02"
# A process that has not ended by then hangs, and that is a difference.
LONGEST_RUN = 900
# A kill falls into this time after a wave's start, in seconds.
LATEST_KILL = 30.0
# Enough for the database of a small ERP to begin with, and not to go on.
FULL_DISK = (200_000, 3_000_000)


@dataclass
class Round:
    """One round in a world of its own."""

    world: World
    seed: int
    postgres: bool
    waves: int = 2
    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._office = Office(self.world, self._chance)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.prove.worker"])

    def live(self) -> None:
        """The whole of it; `done` and `wrong` tell what came of it."""
        self._task("set up")
        for _ in range(self.waves):
            self._wave()
        self._calm()
        if not self.wrong:
            self._compare()

    def _wave(self) -> None:
        """The ERP changes, people work, faults wait; the pairs run, and some of their processes die."""
        for _ in range(self._chance.randint(2, 6)):
            if name := self._office.work():
                self.done[name] += 1
        armed: Counter[str] = Counter()
        for _ in range(self._chance.randint(2, 8)):
            armed += faults.arm(self.world, self._chance)
        if self._chance.random() < 0.2:
            state = self._chance.choice(["LOCKED", "MAINTENANCE"])
            self.world.control("PATCH", "/anaplan/control/model", {"active_state": state})
            self.done["model locked"] += 1
        running = [self._start(self._order(pair)) for pair in self._pairs()]
        self._disturb(running)
        for process in running:
            self._end(process)
        for name, count in (armed - faults.disarm(self.world)).items():
            self.done[f"fault: {name}"] += count
        self.world.control("PATCH", "/anaplan/control/model", {"active_state": "UNLOCKED"})
        # Leases of the dead end after a minute; the rest is what closed windows are made of.
        self.world.advance(self._chance.choice([70, 300, 4000]))

    def _pairs(self) -> list[str]:
        """Those that run now; one of them twice."""
        pairs = [pair for pair in self.world.pairs if self._chance.random() < 0.85]
        if self._chance.random() < 0.4:
            pairs.append(self._chance.choice(self.world.pairs))
            self.done["second run"] += len(set(pairs)) < len(pairs)
        return pairs

    def _order(self, pair: str) -> Order:
        limit, skew = None, 0.0
        if self._chance.random() < 0.1:
            limit = self._chance.randint(*FULL_DISK)
            self.done["full disk"] += 1
        if self._chance.random() < 0.2:
            skew = self._chance.uniform(-20, 20)
            self.done["wrong clock"] += 1
        return Order(
            pair, self.world.url, self.world.environment, self._log(pair), skew=skew, file_limit=limit
        )

    def _disturb(self, running: list[BaseProcess]) -> None:
        """Kill some processes while they work; restart the database under them."""
        victims = [process for process in running if self._chance.random() < 0.35]
        moments = sorted((self._chance.uniform(1, LATEST_KILL), process.name) for process in victims)
        begun = time.monotonic()
        restart = self.postgres and self._chance.random() < 0.5
        for moment, name in moments:
            time.sleep(max(0.0, begun + moment - time.monotonic()))
            victim = next(process for process in running if process.name == name)
            if victim.is_alive():
                victim.kill()
                self.done["killed"] += 1
            if restart:
                self._restart_database()
                restart = False

    def _restart_database(self) -> None:
        """Every connection to the database breaks, as when PostgreSQL restarts."""
        engine = connect(self.world.environment["MLC_DATABASE_URL"])
        with engine.begin() as connection:
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            connection.execute(
                sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
            )
        engine.dispose()
        self.done["database restart"] += 1

    def _calm(self) -> None:
        """Nothing goes wrong any more; the pairs run until nothing is left to do."""
        faults.heal(self.world)
        if self.done["task edited by people"] or self.done["task put into the trash"]:
            self._task("resend asana")
        for _ in range(CALM_RUNS):
            orders = [
                Order(pair, self.world.url, self.world.environment, self._log(pair))
                for pair in self.world.pairs
            ]
            ends = [self._end(process) for process in [self._start(order) for order in orders]]
            self._told = self._task("verify") or {}
            if set(ends) == {ENDED_WELL} and not self._left():
                return
            self.world.advance(4000)
        self.wrong += [f"still left after {CALM_RUNS} calm runs: {each}" for each in self._left()]
        self.wrong += [
            f"the last run of {self.world.pairs[n]} failed" for n, end in enumerate(ends) if end != ENDED_WELL
        ]

    def _left(self) -> list[str]:
        """What the product says is not done. What is refused is done: quarantine explains it."""
        left = {
            f"{place}: {count} {state}"
            for place, states in self._told.get("left", {"everything": {"unknown": 1}}).items()
            for state, count in states.items()
            if state != "quarantined" and not place.startswith("cleo/")
        }
        return sorted(left) + self._told.get("waiting", [])

    def _compare(self) -> None:
        count, found = differences(self.world, self._told["refused"])
        self.wrong += found + self._told["unlike"]
        self.done["rows compared with the ERP"] += count
        self.done["rows compared with the ledger"] += self._told["rows"]
        self.done["rows in quarantine"] += len(self._told["refused"])

    def _task(self, name: str) -> Any:
        """Do one of the worker's tasks; what it tells."""
        told = self.world.folder / "told.json"
        told.unlink(missing_ok=True)
        order = Order(name, self.world.url, self.world.environment, self._log(name), told)
        if self._end(self._start(order)) != ENDED_WELL:
            self.wrong.append(f"{name} failed: see its log")
        return json.loads(told.read_text()) if told.exists() else None

    def _log(self, name: str) -> Path:
        return self.world.folder / f"{name.replace(' ', '-')}.log"

    def _start(self, order: Order) -> BaseProcess:
        process = self._context.Process(target=work, args=(order,), daemon=True)
        process.start()
        self.done["processes"] += 1
        return process

    def _end(self, process: BaseProcess) -> int:
        process.join(LONGEST_RUN)
        if process.is_alive():
            process.kill()
            process.join()
            self.wrong.append(f"a process did not end within {LONGEST_RUN} s")
        if process.exitcode == ENDED_BADLY:
            self.done["runs that failed"] += 1
        return process.exitcode or 0


def rounds(
    folder: Path,
    seed: int,
    count: int,
    *,
    postgres: bool = False,
    companies: tuple[str, ...] = ("NO01", "SE01"),
    pairs: tuple[str, ...] = PAIRS,
) -> Iterator[tuple[int, Counter[str], list[str]]]:
    """Rounds with rising seeds: each one's seed, what happened, and what was wrong in the end.

    The folder of a round that went wrong stays, with the logs of its processes.
    """
    for number in range(seed, seed + count):
        room = folder / f"round-{number}"
        database = fresh_postgres() if postgres else f"sqlite:///{room}/mlc.db"
        try:
            made = world(room, seed=number, scale=SCALE, companies=companies, pairs=pairs, database=database)
            with made as held:
                lived = Round(held, number, postgres)
                lived.live()
                yield number, lived.done, lived.wrong
                if not lived.wrong:
                    shutil.rmtree(room)
        finally:
            if postgres:
                drop_postgres(database)
