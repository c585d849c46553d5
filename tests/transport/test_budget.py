"""Budgets are shared by all processes, leave head-room, and stay closed during a lockout."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from mlc_dagster.database import connect, migrate
from mlc_dagster.transport import Budgets, Closed
from tests.transport.clocks import ManualClock


def headers(limit: int, remaining: int, reset: int = 3600) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(reset),
    }


def window(engine, clock, **options):
    return Budgets(engine, clock).fixed_window(
        "visma:NO01", **{"limit": None, "seconds": 3600, "patience": 60, **options}
    )


def spend(budget) -> int:
    """Take calls until the budget refuses."""
    calls = 0
    try:
        while True:
            budget.acquire()
            calls += 1
    except Closed:
        return calls


def test_a_window_knows_nothing_before_the_first_answer(engine, clock):
    budget = window(engine, clock)
    assert budget.left() is None
    budget.acquire()
    budget.learn(headers(500, 499), 200)
    assert budget.left() == 399


def test_a_window_leaves_the_head_room_to_others(engine, clock):
    assert spend(window(engine, clock, limit=500)) == 400


def test_what_other_users_of_the_tenant_spend_counts(engine, clock):
    budget = window(engine, clock, limit=500)
    budget.acquire()
    budget.learn(headers(500, 150), 200)
    assert budget.left() == 50


def test_a_window_opens_again_when_it_resets(engine, clock):
    budget = window(engine, clock, limit=10)
    budget.acquire()
    budget.learn(headers(10, 9, reset=90), 200)
    assert spend(budget) == 7
    clock.advance(45)
    budget.acquire()  # 45 s are shorter than the patience
    assert clock.slept == [45]
    assert budget.left() == 7


def test_an_older_answer_never_gives_calls_back(engine, clock):
    budget = window(engine, clock, limit=500)
    for remaining in (490, 480, 495):
        budget.acquire()
        budget.learn(headers(500, remaining), 200)
    assert budget.left() == 380


@pytest.mark.parametrize("limit", [7, 100, 5000])
def test_two_processes_together_never_pass_the_share(engine, clock, limit):
    first, second = window(engine, clock, limit=limit), window(engine, clock, limit=limit)
    taken, done = 0, [False, False]
    while not all(done):
        for number, budget in enumerate((first, second)):
            try:
                budget.acquire()
                taken += 1
            except Closed:
                done[number] = True
    assert taken == int(limit * 0.8)


def test_the_count_holds_with_eight_threads_whose_answers_come_late(engine, clock):
    """A vendor that counts for itself: it must never see more than our share."""
    budget, served = window(engine, clock, patience=0), []

    def work(_: int) -> None:
        try:
            for _ in range(40):
                budget.acquire()
                served.append(1)
                budget.learn(headers(200, 200 - len(served)), 200)
        except Closed:
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(served) == 160


def test_a_lockout_stops_every_process_and_is_remembered(engine, clock):
    first, second = window(engine, clock), window(engine, clock)
    second.acquire()
    first.acquire()
    first.learn({"Retry-After": "3600"}, 429)
    for budget in (first, second, window(engine, clock)):
        with pytest.raises(Closed) as closed:
            budget.acquire()
        assert (closed.value.opens_at - clock.now()).total_seconds() == 3600
    clock.advance(3600)
    second.acquire()


def test_a_short_lockout_is_over_after_its_retry_after_whatever_the_counters_said(engine, clock):
    budget = window(engine, clock, patience=0)
    budget.acquire()
    budget.learn({**headers(5000, 0, reset=3499), "Retry-After": "20"}, 429)
    with pytest.raises(Closed):
        budget.acquire()
    clock.advance(21)
    budget.acquire()


def test_permits_in_hand_are_worth_nothing_during_a_lockout(engine, clock):
    first, second = window(engine, clock, limit=5000), window(engine, clock, limit=5000)
    second.acquire()  # holds a lease of more calls now
    first.learn({"Retry-After": "3600"}, 429)
    with pytest.raises(Closed):
        second.acquire()


def test_a_429_without_retry_after_closes_until_the_reset(engine, clock):
    budget = window(engine, clock)
    budget.learn(headers(500, 0, reset=1200), 429)
    with pytest.raises(Closed) as closed:
        budget.acquire()
    assert (closed.value.opens_at - clock.now()).total_seconds() == 1200


def test_permits_of_a_process_that_died_come_back(engine, clock):
    budget = window(engine, clock, limit=5000)
    budget.acquire()
    budget.learn(headers(5000, 4999, reset=3600), 200)
    del budget
    clock.advance(301)
    assert window(engine, clock, limit=5000).left() in (3999, 4000)


def test_many_short_steps_take_only_the_calls_they_make_out_of_a_window(engine, clock):
    """A run reads each entity in a step of its own, with a budget of its own and two or three calls."""
    for _ in range(50):
        step = window(engine, clock, limit=5000)
        for _ in range(3):
            step.acquire()
    assert window(engine, clock, limit=5000).left() == 4000 - 150


@pytest.mark.parametrize("headroom", ["0.8", "1"])
def test_a_token_bucket_never_passes_its_rate_in_any_minute(engine, clock, headroom):
    budgets = [
        Budgets(engine, clock).rolling_window("anaplan:t1", rate=60, per_seconds=60, headroom=headroom)
        for _ in "ab"
    ]
    calls = []
    while clock.monotonic() < 200:
        for budget in budgets:
            budget.acquire()
            calls.append(clock.monotonic())
    most = max(sum(1 for call in calls if start <= call < start + 60) for start in calls)
    assert most <= 60 * float(headroom)
    assert len(calls) > 200 / 60 * 60 * float(headroom) * 0.85


def test_a_token_bucket_waits_no_longer_than_its_patience(engine, clock):
    budget = Budgets(engine, clock).rolling_window("anaplan:t1", rate=10, per_seconds=600, patience=5)
    assert spend(budget) == 1
    assert sum(clock.slept) <= 5


def test_a_clock_that_ran_ahead_and_was_put_right_closes_no_bucket(engine, clock):
    budget = Budgets(engine, clock).rolling_window("anaplan:t1", rate=10, per_seconds=600, patience=5)
    clock.advance(86_400)
    assert spend(budget) == 1
    clock.advance(-86_400)
    clock.advance(1200)
    assert spend(budget) == 1


def test_a_clock_that_ran_ahead_and_was_put_right_closes_no_window(engine, clock):
    budget = window(engine, clock, limit=10)
    clock.advance(86_400)
    spend(budget)
    clock.advance(-86_400)
    assert spend(budget) == 8


def test_an_acquire_costs_less_than_a_tenth_of_a_write(engine, clock):
    """The budget must not dominate a page read: most calls only read the row."""
    writes = []
    sa.event.listen(
        engine, "before_cursor_execute", lambda *a: writes.append(a[2]) if a[2].startswith("UPDATE") else None
    )
    budget = window(engine, clock, limit=5000)
    for number in range(200):
        budget.acquire()
        budget.learn(headers(5000, 4999 - number), 200)
    assert len(writes) <= 20


def _take(url: str, limit: int, results) -> None:
    engine = connect(url)
    clock = ManualClock(datetime(2026, 11, 20, 12, 0, tzinfo=UTC))
    results.put(spend(window(engine, clock, limit=limit)))
    engine.dispose()


def test_real_processes_share_one_budget(engine, tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [
        context.Process(target=_take, args=(f"sqlite:///{tmp_path}/mlc.db", 300, results)) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    taken = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert sum(taken) == 240


@pytest.mark.postgres
def test_the_budget_holds_on_postgresql(postgres_url, clock):
    engine = connect(postgres_url)
    migrate(engine)
    budget = window(engine, clock, limit=100)
    with ThreadPoolExecutor(4) as pool:
        taken = [task.result() for task in [pool.submit(spend, budget) for _ in range(4)]]
    assert sum(taken) == 80
    budget.learn({"Retry-After": "3600"}, 429)
    with pytest.raises(Closed):
        window(engine, clock).acquire()
    engine.dispose()


def rows(engine, clock, limit: int = 1000, patience: float = 60):
    return Budgets(engine, clock).counted_window("rows", limit=limit, seconds=3600, patience=patience)


def test_units_are_taken_in_amounts_and_shared(engine, clock):
    rows(engine, clock).acquire(500)
    assert rows(engine, clock).left() == 300
    rows(engine, clock).acquire(300)
    with pytest.raises(Closed):
        rows(engine, clock).acquire(1)


def test_units_come_back_when_all_of_their_slice_has_left_the_window(engine, clock):
    budget = rows(engine, clock)
    budget.acquire(800)
    with pytest.raises(Closed) as closed:
        budget.acquire(200)
    wait = (closed.value.opens_at - clock.now()).total_seconds()
    assert 3600 < wait <= 3660
    clock.advance(wait - 1)
    assert budget.left() == 0
    clock.advance(1)
    budget.acquire(800)


def test_the_opening_time_is_when_enough_units_are_back_not_all(engine, clock):
    budget = rows(engine, clock)
    budget.acquire(100)
    clock.advance(1200)
    budget.acquire(700)
    with pytest.raises(Closed) as closed:
        budget.acquire(100)
    assert 2400 < (closed.value.opens_at - clock.now()).total_seconds() <= 2460


def test_an_amount_that_never_fits_is_a_mistake_not_a_wait(engine, clock):
    with pytest.raises(ValueError, match="801"):
        rows(engine, clock).acquire(801)


def test_a_lockout_closes_a_budget_of_units_too(engine, clock):
    rows(engine, clock).learn({"Retry-After": "3392"}, 429)
    with pytest.raises(Closed):
        rows(engine, clock).acquire(1)
