"""A delivery killed at any point is healed by the next run: equal, no duplicates, nothing in doubt.

Only the database and the destination outlive the process; nothing is kept in its working directory.
"""

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlc_dagster.database import connect, migrate
from mlc_dagster.delivery import Ledger, Outcome, Report, deliver
from mlc_dagster.delivery.errors import NotLanded
from tests.delivery.conftest import row, sources
from tests.delivery.test_quarantine import BadRow
from tests.support.kill import chosen, count, die, ledger_points, method_points
from tests.support.manual_clock import ManualClock
from tests.support.postgres import copy_postgres, drop_postgres, fresh_postgres
from tests.support.shelf import Shelf, wanted

pytestmark = pytest.mark.kill

INSTRUMENTS = [ledger_points, method_points(Shelf, "send", "resolve", "preflight", "_commit")]
LONG_AFTER = 3_600

BEFORE = [row("same"), row("old1"), row("old2"), row("gone1"), row("gone2"), row("bad")]
AFTER = [row("same"), row("old1", "1.50"), row("old2", "2.50"), row("new1"), row("new2")]
BAD = [BadRow("bad", "bad", "INV-bad")]
SCOPE = sources(*BEFORE, *AFTER)
# The refused row's last good version stays.
EQUAL = wanted([*AFTER, row("bad")])


@dataclass(frozen=True)
class World:
    """A database and a shelf, with yesterday's delivery in them."""

    database: str
    shelf_file: Path
    piecemeal: bool

    def shelf(self) -> Shelf:
        return Shelf(self.shelf_file, max_rows=2, piecemeal=self.piecemeal)

    def deliver(self, *, later: int = 0) -> Report:
        engine, clock = connect(self.database), ManualClock()
        clock.pass_time(later)
        try:
            return deliver(
                self.shelf(),
                "NO01",
                AFTER,
                SCOPE,
                BAD,
                ledger=Ledger(engine, clock),
                run_id=f"run-{later}",
                fingerprint="f1",
                clock=clock,
                whole=True,
            )
        finally:
            engine.dispose()

    def yesterday(self) -> None:
        engine, clock = connect(self.database), ManualClock()
        migrate(engine)
        ledger = Ledger(engine, clock)
        deliver(
            self.shelf(),
            "NO01",
            BEFORE,
            SCOPE,
            ledger=ledger,
            run_id="run",
            fingerprint="f0",
            clock=clock,
            whole=True,
        )
        engine.dispose()

    def check(self, where: object) -> None:
        """Equal, nothing in doubt, and another run has nothing to do."""
        shelf = self.shelf()
        assert shelf.content() == EQUAL, f"not equal after dying {where}"
        sent = shelf.count("send")
        report = self.deliver(later=3 * LONG_AFTER)
        assert (report.unchanged, report.quarantined, report.read) == (5, 1, 6), where
        assert (report.complete, shelf.count("send"), report.recovered) == (True, sent, 0), where
        engine = connect(self.database)
        ledger = Ledger(engine, ManualClock())
        assert wanted(held.row for held in ledger.held("shelf/items", "NO01")) == EQUAL, where
        assert ledger.seen("shelf/items", "NO01") == "f1", where
        engine.dispose()


Copy = Callable[[], World]


@pytest.fixture(params=[False, True], ids=["in one commit", "row by row"])
def piecemeal(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def sqlite_worlds(tmp_path: Path, piecemeal: bool) -> Copy:
    first = World(f"sqlite:///{tmp_path}/0.db", tmp_path / "0.shelf", piecemeal)
    first.yesterday()
    numbers = iter(range(1, 10_000))

    def copy() -> World:
        number = next(numbers)
        for ending in ("db", "shelf"):
            shutil.copy(tmp_path / f"0.{ending}", tmp_path / f"{number}.{ending}")
        return World(f"sqlite:///{tmp_path}/{number}.db", tmp_path / f"{number}.shelf", piecemeal)

    return copy


@pytest.fixture
def postgres_worlds(tmp_path: Path, piecemeal: bool) -> Iterator[Copy]:
    first = World(fresh_postgres(), tmp_path / "0.shelf", piecemeal)
    first.yesterday()
    made = [first.database]

    def copy() -> World:
        made.append(copy_postgres(first.database))
        file = shutil.copy(first.shelf_file, tmp_path / f"{len(made)}.shelf")
        return World(made[-1], Path(file), piecemeal)

    yield copy
    for database in made:
        drop_postgres(database)


def kill_once(worlds: Copy, seed: int, keep: float = 1) -> None:
    names = count(worlds().deliver, INSTRUMENTS)
    assert len(names) > 40, "the points that a delivery passes have become suspiciously few"
    numbers = chosen(names, share=0.2, seed=seed)
    for at in random.Random(seed).sample(numbers, int(len(numbers) * keep)):
        world = worlds()
        assert die(world.deliver, INSTRUMENTS, at=at) == names[at - 1]
        world.deliver(later=LONG_AFTER)
        world.check(f"{names[at - 1]}, point {at} of {len(names)}")


def kill_after_sending(worlds: Copy) -> None:
    """Die once for every batch, when it has been taken and not confirmed."""
    names = count(worlds().deliver, INSTRUMENTS)
    for at in (number for number, name in enumerate(names, start=1) if name == "after Shelf.send"):
        world = worlds()
        die(world.deliver, INSTRUMENTS, at=at)
        world.deliver(later=LONG_AFTER)
        world.check(names[at - 1])


def kill_twice(worlds: Copy, times: int, seed: int) -> None:
    """Die, and let the run that recovers die as well."""
    chance = random.Random(seed)
    most = len(count(worlds().deliver, INSTRUMENTS))
    for _ in range(times):
        world = worlds()
        first, second = chance.randint(1, most), chance.randint(1, most)
        died = [
            die(world.deliver, INSTRUMENTS, at=first),
            die(lambda world=world: world.deliver(later=LONG_AFTER), INSTRUMENTS, at=second),
        ]
        world.deliver(later=2 * LONG_AFTER)
        world.check(f"{died}, points {first} and {second}, seed {seed}")


def test_death_at_any_point_is_healed_on_sqlite(sqlite_worlds: Copy, piecemeal: bool) -> None:
    # The shelf's own commits are the only points that one commit a row adds.
    kill_once(sqlite_worlds, seed=1, keep=1 if piecemeal else 0.5)


def test_death_during_recovery_is_healed_on_sqlite(sqlite_worlds: Copy) -> None:
    kill_twice(sqlite_worlds, times=10, seed=2)


@pytest.mark.postgres
def test_death_at_any_point_is_healed_on_postgresql(postgres_worlds: Copy) -> None:
    kill_once(postgres_worlds, seed=3, keep=0.4)


@pytest.mark.postgres
def test_death_during_recovery_is_healed_on_postgresql(postgres_worlds: Copy) -> None:
    kill_twice(postgres_worlds, times=5, seed=4)


# A kill test that cannot fail proves nothing: these two see the losses that recovery prevents.


def test_without_recovery_a_death_after_the_call_shows(
    sqlite_worlds: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "unresolved", lambda *_: [])
    with pytest.raises(AssertionError):
        kill_after_sending(sqlite_worlds)


def deny(*_: object) -> Outcome:
    raise NotLanded("the shelf took nothing of it")


def test_a_destination_that_denies_what_it_took_shows(
    sqlite_worlds: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shelf, "resolve", deny)
    with pytest.raises(AssertionError, match="not equal after dying"):
        kill_after_sending(sqlite_worlds)
