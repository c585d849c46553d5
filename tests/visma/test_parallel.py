"""How many calls run at once: as many as their answers are taken in, two at least, eight at most."""

import threading
from concurrent.futures import wait

import pytest

from mlc_dagster.visma import parallel
from mlc_dagster.visma.parallel import FEWEST, HANDS, MOST, as_they_come, handed_on, in_parallel, one_ahead


class Gauge:
    """Counts the calls that run, and those whose answers wait."""

    def __init__(self) -> None:
        self.running = self.most = 0
        self.began = self.ended = 0
        self.changed = threading.Condition()

    def begin(self) -> None:
        with self.changed:
            self.began += 1
            self.running += 1
            self.most = max(self.most, self.running)
            self.changed.notify_all()

    def end(self) -> None:
        with self.changed:
            self.running -= 1
            self.ended += 1
            self.changed.notify_all()

    def wait_for(self, condition) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout=30)


def test_answers_come_in_the_order_of_their_questions():
    assert in_parallel(lambda number: number * 2, range(50)) == [number * 2 for number in range(50)]


def test_a_slow_vendor_is_asked_once_more_at_a_time_up_to_eight(monkeypatch):
    """An answer comes only when the caller has nothing else to do than to wait for it."""
    may_end, asked_at_once = threading.Semaphore(0), []

    def ask(number: int) -> int:
        assert may_end.acquire(timeout=30)
        return number

    def wait_for_one(futures, **options):
        asked_at_once.append(len(futures))
        may_end.release()
        return wait(futures, **options)

    monkeypatch.setattr(parallel, "wait", wait_for_one)
    assert sorted(number for number, _ in as_they_come(ask, range(30))) == list(range(30))
    assert asked_at_once[:10] == [*range(FEWEST, MOST + 1), MOST, MOST, MOST]


def test_answers_of_a_quick_vendor_do_not_pile_up():
    gauge = Gauge()

    def ask(number: int) -> int:
        gauge.begin()
        gauge.end()
        return number

    for taken, _ in enumerate(as_they_come(ask, range(100)), start=1):
        # The caller is slow: whatever has begun is there before it goes on.
        gauge.wait_for(lambda: gauge.running == 0)
        assert gauge.ended - taken <= FEWEST + 1


def test_a_failure_stops_what_has_not_begun_and_loses_no_answer():
    gauge, got = Gauge(), []

    def ask(number: int) -> int:
        gauge.begin()
        if number == 3:
            raise ValueError("the window is closed")
        return number

    def take_all() -> None:
        got.extend(number for number, _ in as_they_come(ask, range(100)))

    with pytest.raises(ValueError, match="the window is closed"):
        take_all()
    assert gauge.began == len(got) + 1 < 100
    assert 3 not in got


def test_two_answers_are_worked_on_at_a_time_and_the_others_wait():
    gauge, may_end, given = Gauge(), threading.Semaphore(0), []

    def answers():
        for number in range(10):
            given.append(number)
            yield number, str(number)

    def work(number: int, answer: str) -> str:
        gauge.begin()
        assert may_end.acquire(timeout=30)
        gauge.end()
        return f"{number} is {answer}"

    worked = handed_on(answers(), work)
    may_end.release()
    made = [next(worked)]
    assert len(given) == HANDS + 1
    may_end.release(9)
    made += worked
    assert sorted(made) == [(number, f"{number} is {number}") for number in range(10)]
    assert gauge.most <= HANDS


def test_work_that_fails_ends_the_rest_and_what_had_begun_is_finished():
    began, ended, asked = threading.Event(), [], []
    many = 100_000  # more than can be worked on while a failure is on its way

    def answers():
        for number in range(many):
            asked.append(number)
            yield number, None

    def work(number: int, _: None) -> None:
        if number == 0:
            assert began.wait(timeout=30)
            raise ValueError("no JSON")
        began.set()
        ended.append(number)

    with pytest.raises(ValueError, match="no JSON"):
        list(handed_on(answers(), work))
    assert 1 in ended
    assert len(asked) < many


def test_a_failure_of_the_answers_waits_for_the_work_that_began():
    ended = []

    def answers():
        yield 1, None
        raise ValueError("the window is closed")

    with pytest.raises(ValueError, match="the window is closed"):
        list(handed_on(answers(), lambda number, _: ended.append(number)))
    assert ended == [1]


def test_items_are_made_one_ahead_in_order_and_a_failure_comes_in_its_turn():
    made = []

    def items():
        for number in range(3):
            made.append(number)
            yield number
        raise ValueError("the page is gone")

    ahead = one_ahead(items())
    assert [next(ahead), next(ahead)] == [0, 1]
    assert made in ([0, 1], [0, 1, 2])
    assert next(ahead) == 2
    with pytest.raises(ValueError, match="the page is gone"):
        next(ahead)
