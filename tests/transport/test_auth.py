"""One token for many threads."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from mlc_dagster.transport import CachedAuth, Token


class Issuer:
    def __init__(self, clock, seconds=3600):
        self.clock, self.seconds, self.count = clock, seconds, 0

    def __call__(self) -> Token:
        self.count += 1
        return Token(f"t{self.count}", self.clock.now() + timedelta(seconds=self.seconds))


def test_a_token_is_kept_until_a_minute_before_it_expires(clock):
    issuer = Issuer(clock)
    auth = CachedAuth(issuer, clock=clock)
    assert auth.headers() == auth.headers() == {"Authorization": "Bearer t1"}
    clock.advance(3539)
    assert auth.headers() == {"Authorization": "Bearer t1"}
    clock.advance(1)
    assert auth.headers() == {"Authorization": "Bearer t2"}


def test_eight_threads_that_meet_a_cold_cache_fetch_one_token(clock):
    issuer, barrier = Issuer(clock), threading.Barrier(8)
    auth = CachedAuth(issuer, clock=clock)

    def ask() -> str:
        barrier.wait()
        return auth.headers()["Authorization"]

    with ThreadPoolExecutor(8) as pool:
        answers = {task.result() for task in [pool.submit(ask) for _ in range(8)]}
    assert answers == {"Bearer t1"}


def test_eight_threads_that_meet_a_401_fetch_one_new_token(clock):
    issuer, barrier = Issuer(clock), threading.Barrier(8)
    auth = CachedAuth(issuer, clock=clock)

    def refused() -> str:
        auth.headers()
        barrier.wait()
        auth.renew()
        return auth.headers()["Authorization"]

    with ThreadPoolExecutor(8) as pool:
        answers = {task.result() for task in [pool.submit(refused) for _ in range(8)]}
    assert answers == {"Bearer t2"}


def test_a_token_does_not_show_itself(clock):
    assert "t1" not in repr(Issuer(clock)())
