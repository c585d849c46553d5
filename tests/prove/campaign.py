"""A round over real processes: all pairs at one sandbox, days of trouble, calm, and what targets hold.

What happens follows from the seed. When it happens to a process does not: processes share a machine, so a
seed that failed is repeated in its changes, faults and kills, and nearly in its timing.
"""

import json
import os
import random
import shutil
import sqlite3
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event
from typing import Any

import sqlalchemy as sa

from tests.prove import faults
from tests.prove.equal import differences
from tests.prove.erp import Office
from tests.prove.lives import begin, ended, lives
from tests.prove.worker import ENDED_BADLY, ENDED_WELL, Order, work
from tests.prove.world import PAIRS, World, world
from tests.support.postgres import copy_postgres, drop_postgres, fresh_postgres, let_in, throw_out

CALM_RUNS = 6
DAY_SECONDS = 86_400
# Eight invoices and four orders a company to begin with.
SCALE = "0.02"
COMPANIES = ("NO01", "SE01")
# A process that has not ended by then hangs, and that is a difference.
LONGEST_RUN = 900
# A process dies once it has used so much of a processor, and up to so long after: it works, or it waits.
LIFE_SECONDS, LAST_WAIT_SECONDS = 1.0, 0.3
# When somebody works while processes run, after their begin.
WORK_SECONDS = (0.5, 6.0)
# What Dagster adds to that.
DAGSTER_SECONDS = 2.0
LOOK_SECONDS = 0.02
TICKS = os.sysconf("SC_CLK_TCK")
# Enough for the database of a small ERP to begin with, and not to go on.
FULL_DISK = (200_000, 3_000_000)
# The installations most rounds begin with hold this seed's ERP, loaded once.
LOADED_SEED = 1
# The name of the one that carries all destinations; how much more its pairs have to do, and happens to it.
WHOLE, WHOLE_WORK = "whole", 4


@dataclass
class Round:
    """One round in a world of its own."""

    world: World
    seed: int
    postgres: bool = False
    restored: bool = False
    waves: int = 1
    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        # Its own: what it finds to do depends on how far processes are, and faults and kills must not.
        self._office = Office(self.world, random.Random(f"office {self.seed}"))
        self._more = WHOLE_WORK if self.world.whole else 1

    def live(self, *, first: bool) -> None:
        """The whole of it; `done` and `wrong` tell what came of it. first: nothing is there yet."""
        if first:
            self.done["first loads in trouble"] += 1
            self._begin()
        for number in range(1, self.waves + 1):
            lost = self.restored and number == self.waves
            backup = self._backup() if lost else None
            self._wave()
            if backup is not None:
                self._restore(backup)
        self._calm()
        if not self.wrong:
            self._compare()

    def load(self) -> None:
        """Set up and load everything, as on any good day."""
        self._begin()
        running = [self._start(self._order(pair)) for pair in self.world.pairs]
        ends = [self._end(process) for process in running]
        if set(ends) != {ENDED_WELL}:
            raise RuntimeError(f"The first load failed: see the logs in {self.world.folder}")

    def _begin(self) -> None:
        self._office.orders_come()
        self._task("set up")

    def _wave(self) -> None:
        """The ERP changes, people work, faults wait; the pairs run, and some of their processes die."""
        self._work(self._office.partner_ships)
        for _ in range(self._chance.randint(3, 10) * self._more):
            self._work()
        armed: Counter[str] = Counter()
        for _ in range(self._chance.randint(2, 8)):
            armed += faults.arm(self.world, self._chance)
        if self._chance.random() < 0.2:
            state = self._chance.choice(["LOCKED", "MAINTENANCE"])
            self.world.control("PATCH", "/anaplan/control/model", {"active_state": state})
            self.done["model locked"] += 1
        orders = [self._troubled(pair) for pair in self._pairs()]
        running = [self._start(order) for order in orders]
        self._disturb(orders, running)
        for process in running:
            self._end(process)
        for name, count in (armed - faults.disarm(self.world)).items():
            self.done[f"fault: {name}"] += count
        self.world.control("PATCH", "/anaplan/control/model", {"active_state": "UNLOCKED"})
        # Orders of a first load are at partners only now.
        self._work(self._office.partner_ships)
        # Leases of the dead end after a minute; the rest is what closed windows are made of.
        self.world.advance(self._chance.choice([70, 300, 4000]))

    def _work(self, do: Callable[[], str] | None = None) -> None:
        if name := (do or self._office.work)():
            self.done[name] += 1

    def _pairs(self) -> list[str]:
        """Those that run now, one of them twice; and whoever looks for deleted records meanwhile."""
        pairs = [pair for pair in self.world.pairs if self._chance.random() < 0.85]
        if self._chance.random() < 0.4:
            pairs.append(self._chance.choice(self.world.pairs))
            self.done["second run"] += len(set(pairs)) < len(pairs)
        return pairs + ["sweep"] * (self._chance.random() < 0.4)

    def _order(self, name: str) -> Order:
        return Order(name, self.world.url, dict(self.world.environment), self._log(name))

    def _troubled(self, name: str) -> Order:
        order = replace(self._order(name), hasty=True)
        if self._chance.random() < 0.1:
            order = replace(order, file_limit=self._chance.randint(*FULL_DISK))
            self.done["full disk"] += 1
        if self._chance.random() < 0.2:
            order = replace(order, skew=self._chance.uniform(-20, 20))
            self.done["wrong clock"] += 1
        if name in self.world.pairs and self._chance.random() < 0.7:
            order = replace(order, company=self._chance.choice(self.world.companies))
        if name in self.world.pairs and self._chance.random() < 0.15:
            order = replace(order, in_dagster=True)
            self.done["runs in Dagster"] += 1
        return order

    def _disturb(self, orders: list[Order], running: list[BaseProcess]) -> None:
        """Kill some processes while they work; restart the database under them; the ERP goes on changing."""
        doomed = {}
        for order, process in zip(orders, running, strict=True):
            life = (LIFE_SECONDS + DAGSTER_SECONDS * order.in_dagster) * self._more
            moment = self._chance.uniform(0.0, life), self._chance.uniform(0.0, LAST_WAIT_SECONDS)
            if self._chance.random() < 0.4:
                doomed[process] = moment
        begun, plan = time.monotonic(), self._plan()
        while doomed or plan:
            while plan and time.monotonic() > begun + plan[0][0]:
                plan.pop(0)[1]()
            for process, (life, wait) in list(doomed.items()):
                if not lives(process):
                    del doomed[process]
                elif _processor_seconds(process) >= life:
                    del doomed[process]
                    time.sleep(wait)
                    self.done["killed"] += lives(process)
                    process.kill()
            time.sleep(LOOK_SECONDS)

    def _plan(self) -> list[tuple[float, Callable[[], None]]]:
        """What happens while processes run, by the seconds since: work, and PostgreSQL restarts, at once or
        after seconds in which it lets nobody in.
        """
        plan: list[tuple[float, Callable[[], None]]] = [
            (self._chance.uniform(*WORK_SECONDS), self._work) for _ in range(self._chance.randint(1, 4))
        ]
        if self.postgres and self._chance.random() < 0.6:
            ends, away = self._chance.uniform(0.3, 3.0), self._chance.choice([0, self._chance.uniform(2, 4)])
            if away:
                plan += [(ends, self._database_stops), (ends + away, self._database_starts)]
            else:
                plan.append((ends, self._database_restarts))
        return sorted(plan, key=lambda each: each[0])

    def _database_restarts(self) -> None:
        throw_out(self.world.environment["MLC_DATABASE_URL"])
        self.done["database restart"] += 1

    def _database_stops(self) -> None:
        let_in(self.world.environment["MLC_DATABASE_URL"], anybody=False)
        throw_out(self.world.environment["MLC_DATABASE_URL"])
        self.done["database away for seconds"] += 1

    def _database_starts(self) -> None:
        let_in(self.world.environment["MLC_DATABASE_URL"], anybody=True)

    def _backup(self) -> str:
        """A copy of the database as it is now; its URL."""
        url = self.world.environment["MLC_DATABASE_URL"]
        self._office.note_backup()
        if self.postgres:
            throw_out(url)
            return copy_postgres(url)
        copy, path = self.world.folder / "backup.db", sa.make_url(url).database
        with closing(sqlite3.connect(str(path))) as database, closing(sqlite3.connect(copy)) as target:
            database.backup(target)
        return f"sqlite:///{copy}"

    def _restore(self, backup: str) -> None:
        """From now on the database is the earlier one; then what an operator has to do."""
        self.world.environment["MLC_DATABASE_URL"] = backup
        self.done["database restored from an earlier copy"] += 1
        faults.heal(self.world)
        self._task("recover")

    def _calm(self) -> None:
        """Nothing goes wrong any more; the pairs run until nothing is left to do."""
        faults.heal(self.world)
        # Events that Asana lost are made up for once a day.
        self.world.advance(DAY_SECONDS)
        edited = self.done["task edited by people"] or self.done["task put into the trash"]
        # Drawn whether anybody edited or not: how much they edit depends on how far processes are.
        looked_for = self._chance.random() < 0.5
        if edited and not looked_for:
            self._task("resend asana")
        if edited:
            self.done["edits put right by " + ("reconcile" if looked_for else "resend")] += 1
        if self.done["fault: cleo flow_fails"] or self.done["fault: cleo same_isa13"]:
            self._task("resend cleo")
        self._task("confirmed sweep")
        by_dagster = self._chance.choice(self.world.pairs)
        self._told: dict[str, Any] = {}
        to_repair = self.restored or (edited and looked_for)
        for _ in range(CALM_RUNS):
            received = self._office.receipts()
            orders = [self._order(pair) for pair in self.world.pairs]
            if not self._told and self._chance.random() < 0.3:
                orders = [replace(order, in_dagster=order.pair == by_dagster) for order in orders]
                self.done["runs in Dagster"] += 1
            ends = [self._end(process) for process in [self._start(order) for order in orders]]
            if set(ends) == {ENDED_WELL}:
                self._told = self._task("verify") or {}
                settled = self._told and not self._left() and received == self._office.receipts()
                if settled and not self._unread() and not self._partners_asked_again():
                    if not (to_repair and self._told["unlike"]):
                        return
                    self._task("repair")
                    to_repair = False
                    self.done["repaired after " + ("a restore" if self.restored else "edits of people")] += 1
            self.world.advance(4000)
        self.wrong += [f"still left after {CALM_RUNS} calm runs: {each}" for each in self._left()]
        self.wrong += [
            f"the last run of {self.world.pairs[n]} failed" for n, end in enumerate(ends) if end != ENDED_WELL
        ]

    def _unread(self) -> bool:
        return "cleo" in self.world.pairs and self._office.unread()

    def _partners_asked_again(self) -> bool:
        if "cleo" not in self.world.pairs:
            return False
        asked = [self._office.partners_ask_again(), self._office.suppliers_say_again()]
        self.done["partners asked again"] += any(asked)
        return any(asked)

    def _left(self) -> list[str]:
        """What the product says is not done. What is in quarantine is compared, with its reason."""
        left = {
            f"{place}: {count} {state}"
            for place, states in self._told.get("left", {"everything": {"unknown": 1}}).items()
            for state, count in states.items()
        }
        return sorted(left) + self._told.get("waiting", [])

    def _compare(self) -> None:
        count, found = differences(
            self.world,
            self._told["refused"],
            known=set(self._told["known"]),
            asked={(company, number) for company, number, _ in self._told["held"]},
            office=self._office,
        )
        self.wrong += found + self._told["unlike"]
        if (twins := set(self._told["twins"])) and not self.done["fault: asana double_create"]:
            self.wrong.append(f"tasks without a key that nobody asked Asana for: {sorted(twins)}")
        self.done["second tasks of one create named"] += len(twins)
        self.done["rows compared with the ERP"] += count
        self.done["rows compared with the ledger"] += self._told["rows"]
        self.done["rows in quarantine"] += len(self._told["refused"])

    def _task(self, name: str) -> Any:
        """Do one of the worker's tasks; what it tells."""
        told = self.world.folder / "told.json"
        told.unlink(missing_ok=True)
        if self._end(self._start(replace(self._order(name), told=told))) != ENDED_WELL:
            self.wrong.append(f"{name} failed: see its log")
        return json.loads(told.read_text()) if told.exists() else None

    def _log(self, name: str) -> Path:
        return self.world.folder / f"{name.replace(' ', '-')}.log"

    def _start(self, order: Order) -> BaseProcess:
        self.done["processes"] += 1
        return begin(work, order)

    def _end(self, process: BaseProcess) -> int | None:
        code = ended(process, LONGEST_RUN)
        if code is None:
            self.wrong.append(f"a process did not end within {LONGEST_RUN} s")
        self.done["runs that failed"] += code == ENDED_BADLY
        return code


@dataclass(frozen=True)
class Campaign:
    """Rounds in a folder. postgres: all of them on PostgreSQL; None: every fourth."""

    folder: Path
    postgres: bool | None = None
    companies: tuple[str, ...] = COMPANIES
    pairs: tuple[str, ...] = PAIRS

    def rounds(
        self, seed: int, count: int, at_once: int, ending: Event
    ) -> Iterator[tuple[int, Counter[str], list[str]]]:
        """Rounds with rising seeds: each one's seed, what happened, and what was wrong in the end.

        The folder of a round that went wrong stays, with the logs of its processes. `ending`: begin no more.
        """
        for place in sorted({begin for each in range(seed, seed + count) if (begin := self._begin(each))}):
            self._load(place)

        def live(number: int) -> tuple[int, Counter[str], list[str]] | None:
            return None if ending.is_set() else (number, *self._round(number))

        with ThreadPoolExecutor(at_once) as several:
            for ended in as_completed([several.submit(live, each) for each in range(seed, seed + count)]):
                if (lived := ended.result()) is not None:
                    yield lived

    def _on_postgres(self, seed: int) -> bool:
        return seed % 4 == 0 if self.postgres is None else self.postgres

    def _begin(self, seed: int) -> Path | None:
        """The loaded installation a round goes on from, now and then with all destinations: that costs as
        much as four others. None: it begins with nothing, as those on PostgreSQL and another eighth do.
        """
        if self._on_postgres(seed) or seed % 8 == 1:
            return None
        return self.folder / (WHOLE if seed % 32 == 7 else "main")

    def _load(self, place: Path) -> None:
        """An installation that was set up and loaded once: the folder that rounds copy."""
        with self._world(place, LOADED_SEED, f"sqlite:///{place}/mlc.db", whole=place.name == WHOLE) as held:
            Round(held, LOADED_SEED).load()

    def _round(self, seed: int) -> tuple[Counter[str], list[str]]:
        """A round on a copy of a loaded installation, or on an empty one."""
        chance, room = random.Random(-seed), self.folder / f"round-{seed}"
        postgres, begin = self._on_postgres(seed), self._begin(seed)
        database = fresh_postgres() if postgres else f"sqlite:///{room}/mlc.db"
        world_seed, whole = seed if begin is None else LOADED_SEED, begin is not None and begin.name == WHOLE
        with self._world(room, world_seed, database, begin, whole=whole) as held:
            waves, restored = 1 + (chance.random() < 0.3), chance.random() < 0.2
            lived = Round(held, seed, postgres=postgres, restored=restored, waves=waves)
            try:
                lived.live(first=begin is None)
            except Exception:  # noqa: BLE001 - one round's defect is not the end of all others
                lived.wrong.append(traceback.format_exc())
        if postgres:
            for url in {database, held.environment["MLC_DATABASE_URL"]}:
                drop_postgres(url)
        if not lived.wrong:
            shutil.rmtree(room)
        return lived.done, lived.wrong

    def _world(
        self, folder: Path, seed: int, database: str, loaded: Path | None = None, *, whole: bool
    ) -> AbstractContextManager[World]:
        return world(
            folder,
            seed=seed,
            scale=SCALE,
            companies=self.companies,
            pairs=self.pairs,
            database=database,
            loaded=loaded,
            whole=whole,
        )


def _processor_seconds(process: BaseProcess) -> float:
    """What a process has used of a processor so far; nothing once it is gone."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS
