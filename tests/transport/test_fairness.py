"""Two pairs share a tenant's budget fairly, however many processes and threads each of them has."""

import multiprocessing
import threading
from collections import Counter
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa

from mlc_dagster.database import connect, migrate
from mlc_dagster.transport import Budgets, Closed, Http
from tests.support.postgres import database_url, postgres_url, sqlite_url
from tests.transport.clocks import ManualClock
from tests.transport.conftest import Answer, Received, Vendor
from tests.transport.shared_clock import SharedClock

__all__ = ["database_url", "postgres_url", "sqlite_url"]

LIMIT, SHARE, MINUTE = 60, 48, 60  # calls a minute at the vendor; 80 % of them are ours
SECONDS = 5 * MINUTE
CALL_SECONDS = 0.05


@dataclass(frozen=True)
class Worker:
    """One process of a pair: its threads call as fast as they may, to the end or until they have enough."""

    pair: str
    threads: int = 1
    until: float = SECONDS


@dataclass
class Tenant:
    """What the vendor saw: when (seconds) which pair called."""

    vendor: Vendor
    calls: list[tuple[float, str]] = field(default_factory=list)

    def work(self, database: str, *workers: Worker) -> None:
        """Let the processes work to their end."""
        # They come from a process that has imported this module once for all.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        clock = SharedClock(context, sum(worker.threads for worker in workers))

        def note(received: Received) -> Answer:
            self.calls.append((clock.monotonic(), received.path.rpartition("/")[2]))
            return Answer()

        self.vendor.decide = note
        processes, first = [], 0
        for worker in workers:
            arguments = (database, self.vendor.url, clock, worker, first)
            processes.append(context.Process(target=_work, args=arguments))
            first += worker.threads
        for process in processes:
            process.start()
        for process in processes:
            process.join(timeout=300)
        assert [process.exitcode for process in processes] == [0] * len(workers)

    def count(self, since: float = 0, until: float = SECONDS) -> Counter[str]:
        return Counter(pair for at, pair in self.calls if since <= at < until)

    def most_in_a_minute(self) -> int:
        return max(self.count(at, at + MINUTE).total() for at, _ in self.calls)


def _work(database: str, url: str, clock: SharedClock, worker: Worker, first: int) -> None:
    engine = connect(database)
    budget = Budgets(engine, clock).rolling_window(
        "anaplan:tenant", member=worker.pair, rate=LIMIT, per_seconds=MINUTE, patience=SECONDS
    )
    http = Http("Anaplan", url, budget=budget, clock=clock)

    def call(number: int) -> None:
        clock.begin(number)
        while clock.monotonic() < worker.until:
            http.call("GET", f"/{worker.pair}")
            clock.sleep(CALL_SECONDS)
        clock.end()

    threads = [threading.Thread(target=call, args=(first + number,)) for number in range(worker.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.dispose()


@pytest.fixture
def tenant(vendor: Vendor) -> Tenant:
    return Tenant(vendor)


@pytest.fixture
def database(database_url: str) -> str:
    engine = connect(database_url)
    migrate(engine)
    engine.dispose()
    return database_url


@pytest.mark.parametrize(
    "workers",
    [
        pytest.param([Worker("a"), Worker("a"), Worker("b"), Worker("b")], id="two processes each"),
        pytest.param([Worker("a", 3), Worker("a", 3), Worker("a", 3), Worker("b")], id="nine threads to one"),
    ],
)
def test_two_pairs_in_four_processes_get_equal_shares_and_leave_the_head_room_free(
    tenant: Tenant, database: str, workers: list[Worker]
) -> None:
    tenant.work(database, *workers)
    calls = tenant.count()
    assert abs(calls["a"] - calls["b"]) <= calls.total() * 0.05
    assert tenant.most_in_a_minute() <= SHARE
    assert calls.total() >= SHARE * SECONDS / MINUTE * 0.85


def test_what_one_pair_does_not_want_the_other_gets(tenant: Tenant, sqlite_url: str) -> None:
    engine = connect(sqlite_url)
    migrate(engine)
    engine.dispose()
    half = SECONDS / 2
    tenant.work(sqlite_url, Worker("a"), Worker("a"), Worker("b", until=half), Worker("b", until=half))
    assert tenant.count(half + 5)["b"] <= 2
    assert tenant.count(half)["a"] >= SHARE * half / MINUTE * 0.85
    assert tenant.most_in_a_minute() <= SHARE


@pytest.fixture
def budgets(engine: sa.Engine, clock: ManualClock) -> Budgets:
    return Budgets(engine, clock)


def test_a_pair_that_died_while_it_waited_holds_nobody_up(budgets: Budgets, clock: ManualClock) -> None:
    ours, dead = (
        budgets.rolling_window("t", member=member, rate=LIMIT, per_seconds=MINUTE, patience=patience)
        for member, patience in [("a", 60), ("b", 0)]
    )
    for _ in range(20):
        ours.acquire()
    with pytest.raises(Closed):
        dead.acquire()
    start = clock.monotonic()
    ours.acquire()
    assert clock.monotonic() - start < 5


def test_a_pair_that_was_idle_has_saved_up_nothing(budgets: Budgets, clock: ManualClock) -> None:
    busy, idle = (
        budgets.rolling_window("t", member=member, rate=LIMIT, per_seconds=MINUTE, patience=0)
        for member in ("a", "b")
    )
    idle.acquire()
    taken: Counter[str] = Counter()
    for second in range(240):
        for name, budget in (("a", busy), ("b", idle)):
            if name == "b" and second < 120:
                continue
            try:
                budget.acquire()
            except Closed:
                continue
            taken[name] += second >= 120
        clock.advance(1)
    assert abs(taken["a"] - taken["b"]) <= 4
