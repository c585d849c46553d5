"""A round over the delivery engine: days of faults at one destination, then calm, and what it holds then.

Faults come from the destination, which answers late, never or otherwise, and from the ledger's transactions:
at a random one the process dies, the database restarts, the disk is full, the clock jumps, or another
run wants the same destination. Everything follows from the seed, so a round is repeated exactly.
"""

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mlc_dagster.database import connect, migrate
from mlc_dagster.delivery import Ledger, Report, Row, Surplus, condemn, deliver, distrust
from mlc_dagster.delivery.errors import DeliveryError, LeaseHeld
from tests.support.kill import ledger_points
from tests.support.manual_clock import ManualClock
from tests.support.shelf import Lost, Shelf, wanted

COMPANIES, KEYS, RECORDS = ("NO01", "NO0"), "abcdef", ("r1", "r2", "r3")
SENDING = ("lose answer", "lose request", "nothing happened", "closed", "stop", "defect", "late")
AT_A_POINT = ("death", "database restart", "full disk", "clock jump", "second run")


class Died(BaseException):
    """The process ends here. No `except Exception` of ours may see it."""


@dataclass(frozen=True)
class BadRow:
    """A row the contract refuses."""

    source_key: str
    key: str
    number: str
    reason: str = "amount: 'abc' is not a number"
    row: dict[str, Any] = field(default_factory=lambda: {"amount": "abc"})


class StandingClock(ManualClock):
    """A clock for a run that gives up where it would have to wait."""

    def sleep(self, seconds: float) -> None:
        """Nothing passes."""


@dataclass
class Trouble:
    """What happens at one of the ledger's transactions: the number `at` counts the points a run passes."""

    life: "Life"
    what: str
    at: int
    passed: int = 0
    happened: bool = False

    def reach(self, name: str) -> None:
        """A point of tests/support/kill.py was reached."""
        self.passed += 1
        # Inside a transaction of this thread another connection could only wait for it.
        inside = name == "before a ledger commit" and self.what in ("second run", "full disk")
        if self.passed < self.at or self.happened or inside:
            return
        self.happened = True
        self.life.done[self.what] += 1
        match self.what:
            case "death":
                raise Died(name)
            case "database restart":
                raise sa.exc.OperationalError(name, {}, Exception("server closed the connection"))
            case "clock jump":
                self.life.clock.pass_time(self.life.random.choice([-7200, -30, 30, 7200]))
            case "full disk":
                self.life.fill_disk()
            case "second run":
                self.life.second_run()


@dataclass
class Life:
    """Two companies at one destination. `rows`: what the ERP holds, by company: key -> amount, record."""

    folder: Path
    migrated: Path
    seed: int
    done: Counter[str] = field(default_factory=Counter)
    rows: dict[str, dict[str, tuple[str, str]]] = field(
        default_factory=lambda: {company: {} for company in COMPANIES}
    )

    def __post_init__(self) -> None:
        self.random, self.clock = random.Random(self.seed), ManualClock()
        self.engine = connect(f"sqlite:///{shutil.copy(self.migrated, self.folder / 'mlc.db')}")
        self.ledger = Ledger(self.engine, self.clock)
        self.shelf = Shelf(
            self.folder / "shelf.db",
            max_rows=self.random.randint(1, 4),
            piecemeal=self.random.random() < 0.5,
            leaves=self.random.random() < 0.5,
            exclusive=("shelf",),
        )
        self.busy = False

    def live(self) -> list[str]:
        """The whole round; what was wrong, in words."""
        wrong: list[str] = []
        for _ in range(self.random.randint(2, 8)):
            self._day()
            if self.random.random() < 0.15:
                self._repair()
            wrong += self._twice()
        wrong += self._calm()
        self.done.update(self.shelf.met)
        return wrong

    def fill_disk(self) -> None:
        """From now on the database cannot grow. Freed pages are still used, as they are on a full disk."""
        with self.engine.connect() as connection:
            self._pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        sa.event.listen(self.engine, "begin", self._limit)

    def free_disk(self) -> None:
        """There is room again."""
        if sa.event.contains(self.engine, "begin", self._limit):
            sa.event.remove(self.engine, "begin", self._limit)
        with self.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1073741823")
        self.engine.dispose()

    def second_run(self) -> None:
        """Another run comes while this one holds the lease: it has to find that out and do nothing."""
        if self.busy:
            return
        self.busy = True
        try:
            sent = self.shelf.count("send")
            ledger = Ledger(self.engine, StandingClock(self.clock.now()))
            with suppress(LeaseHeld):
                self._deliver(COMPANIES[0], set(RECORDS), ledger=ledger)
                self.done["second run went first"] += 1
                return
            assert self.shelf.count("send") == sent, "a run without the lease sent something"
        finally:
            self.busy = False

    def _limit(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {self._pages}")

    def _day(self) -> None:
        """The ERP changes, one company is delivered, something goes wrong."""
        company = self.random.choice(COMPANIES)
        for key in self.random.sample(KEYS, self.random.randint(0, len(KEYS))):
            if self.random.random() < 0.25:
                self.rows[company].pop(key, None)
            else:
                amount = f"{self.random.randint(-9999, 99999)}.{self.random.randint(0, 99):02}"
                self.rows[company][key] = (amount, self.random.choice(RECORDS))
        faults = [self.random.choice((None, *SENDING)) for _ in range(self.random.randint(0, 3))]
        self.shelf.faults.extend(faults)
        self.shelf.refuse = self._some("Supplier is closed")
        self.shelf.unfit = self._some("61 characters")
        if self.random.random() < 0.2:
            self._replay(company)
        looked_at = set(self.random.sample(RECORDS, self.random.randint(0, len(RECORDS))))
        with self._trouble(), suppress(DeliveryError, Lost, Died, sa.exc.DBAPIError):
            self._deliver(company, looked_at, bad=set(self._some("bad")))
        self.free_disk()
        # Whoever died left its lease behind.
        self.clock.pass_time(self.random.choice([90, 4000]))
        if self.random.random() < 0.5:
            self.shelf.arrive()

    def _some(self, reason: str) -> dict[str, str]:
        keys = [f"{company}|{key}" for company in COMPANIES for key in KEYS]
        return dict.fromkeys(self.random.sample(keys, self.random.randint(0, 2)), reason)

    def _replay(self, company: str) -> None:
        """Somebody wants some rows, or all, to go again."""
        keys = self.random.choice([None, {f"{company}|{key}" for key in self.random.sample(KEYS, 2)}])
        distrust(self.shelf, company, ledger=self.ledger, run_id="r", reason="a replay", keys=keys)
        self.done["replay"] += 1

    def _repair(self) -> None:
        """Somebody puts an item there that nobody sent; a comparison finds it, and it is to go away again."""
        company = self.random.choice(COMPANIES)
        key = f"{company}|stray {self.done['stray']}"
        self.done["stray"] += 1
        stray = Surplus(key, {"code": key}, self.shelf.lay(key, {"code": key}))
        condemn(self.shelf, company, [stray], ledger=self.ledger, run_id="r", reason="nobody sent it")

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        if self.random.random() < 0.3:
            yield
            return
        trouble = Trouble(self, self.random.choice(AT_A_POINT), self.random.randint(1, 25))
        with ledger_points(trouble):  # type: ignore[arg-type]
            yield

    def _calm(self) -> list[str]:
        """Nothing goes wrong any more: is everything as the ERP has it, and does it stay so?"""
        self.shelf.faults.clear()
        self.shelf.refuse, self.shelf.unfit = {}, {}
        self.shelf.arrive()
        self.clock.pass_time(7200)
        wrong = []
        for company in COMPANIES:
            report = self._deliver(company, set(RECORDS))
            if not report.complete or self.ledger.outstanding(self.shelf.name, company):
                wrong.append(f"{company}: something is left: {report}")
            if doubt := self.ledger.keys_in_doubt(self.shelf.name, company):
                wrong.append(f"{company}: in doubt: {sorted(doubt)}")
        held = self.shelf.content()
        should = wanted(row for company in COMPANIES for row in self._rows(company, set(RECORDS)))
        wrong += [f"only at the destination: {row}" for row in held if row not in should]
        wrong += [f"only in the ERP: {row}" for row in should if row not in held]
        sent = self.shelf.count("send")
        for company in COMPANIES:
            self._deliver(company, set(RECORDS))
        if self.shelf.count("send") != sent:
            wrong.append("a delivery without changes sent something")
        self.done["records"] += len(should)
        return wrong + self._twice()

    def _twice(self) -> list[str]:
        """Each key at most once at the destination, whatever is going on."""
        counts = Counter(key for key, _ in self.shelf.content())
        return [f"{key} is there {count} times" for key, count in counts.items() if count > 1]

    def _rows(self, company: str, records: set[str]) -> list[Row]:
        return [
            Row(
                f"{company}|{key}",
                record,
                f"INV-{record}",
                {"code": f"{company}|{key}", "amount": Decimal(amount)},
            )
            for key, (amount, record) in self.rows[company].items()
            if record in records
        ]

    def _deliver(
        self, company: str, records: set[str], *, bad: set[str] | None = None, ledger: Ledger | None = None
    ) -> Report:
        ledger, bad = ledger or self.ledger, bad or set()
        scope = records | ledger.outstanding(self.shelf.name, company)
        rows = self._rows(company, scope)
        return deliver(
            self.shelf,
            company,
            [row for row in rows if row.key not in bad],
            scope,
            [BadRow(row.source_key, row.key, row.number) for row in rows if row.key in bad],
            ledger=ledger,
            run_id="run",
            fingerprint="f",
            clock=ledger.clock,
            whole=True,
        )


def live(folder: Path, migrated: Path, seed: int) -> tuple[Counter[str], list[str]]:
    """One round in an empty folder: what was done to it, and what was wrong in the end."""
    life = Life(folder, migrated, seed)
    try:
        return life.done, life.live()
    finally:
        life.engine.dispose()


def rounds(folder: Path, seed: int, count: int) -> Iterator[tuple[int, Counter[str], list[str]]]:
    """Rounds with rising seeds: each one's seed, what was done to it, and what was wrong in the end."""
    migrated = folder / "migrated.db"
    engine = connect(f"sqlite:///{migrated}")
    migrate(engine)
    engine.dispose()
    for number in range(seed, seed + count):
        room = folder / str(number)
        room.mkdir()
        yield number, *live(room, migrated, number)
        shutil.rmtree(room)
