"""The receiver keeps that somebody called, once, and answers everybody in time."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta

import pytest
import requests
import sqlalchemy as sa

from mlc_dagster.database import connect, migrate
from mlc_dagster.receiver import Signals, Source, Verdict
from mlc_dagster.receiver.app import BODY_BYTES, receiver
from tests.receiver.conftest import Serve, kept
from tests.support.serving import served
from tests.test_startup import loaded_by
from tests.transport.clocks import ManualClock


class Vendor:
    """Takes what comes to `ours` and says yes."""

    def judge(self, place: str, headers: Mapping[str, str], body: bytes) -> Verdict:
        if place != "ours":
            return Verdict(404)
        return Verdict(200, {"X-Told": headers["x-ask"]}, news=True)


class Broken:
    def judge(self, place: str, headers: Mapping[str, str], body: bytes) -> Verdict:
        raise RuntimeError(f"secret {body.decode()}")


class Slow:
    """Says nothing until it is let go."""

    def __init__(self) -> None:
        self.go, self.calls = threading.Event(), 0

    def judge(self, place: str, headers: Mapping[str, str], body: bytes) -> Verdict:
        self.calls += 1
        self.go.wait(30)
        return Verdict(200, news=True)


@pytest.fixture
def serve(signals: Signals) -> Iterator[Serve]:
    with ExitStack() as stack:

        def door(source: Source, **options: float) -> str:
            # As patient as a slow machine needs, where patience is not what the test is about.
            app = receiver({"vendor": source}, signals, **{"seconds": 30, **options})  # type: ignore[arg-type]
            return stack.enter_context(served(app)) + "/hooks"

        yield door


def post(url: str, body: bytes = b"{}", **headers: str) -> requests.Response:
    return requests.post(url, data=body, headers={"X-Ask": "", **headers}, timeout=40)


def insist(url: str, body: bytes = b"{}") -> None:
    """Come back as a vendor does."""
    for _ in range(200):
        if post(url, body).status_code == 200:
            return
    raise AssertionError("it was never taken")


def test_a_call_is_a_signal_before_it_is_answered(serve: Serve, engine: sa.Engine) -> None:
    answer = post(f"{serve(Vendor())}/vendor/ours", **{"X-Ask": "hello"})
    assert answer.status_code == 200
    assert answer.headers["X-Told"] == "hello"
    assert kept(engine) == [("vendor", "ours")]


def test_the_same_delivery_counts_once_also_when_it_is_handled(
    serve: Serve, engine: sa.Engine, signals: Signals
) -> None:
    url = f"{serve(Vendor())}/vendor/ours"
    assert post(url, b"1").status_code == post(url, b"1").status_code == 200
    signals.handled("vendor", signals.newest("vendor"))
    assert post(url, b"1").status_code == 200
    assert len(kept(engine)) == 1
    assert signals.newest("vendor") is None


def test_on_either_database_a_delivery_counts_once(database_url: str, clock: ManualClock) -> None:
    engine = connect(database_url)
    migrate(engine)
    signals = Signals(engine, clock)
    for body in (b"1", b"1", b"2"):
        signals.keep("vendor", "ours", body)
    signals.keep("another", "ours", b"1")
    assert len(kept(engine)) == 3
    assert signals.waiting("vendor").keys() == {"ours"}
    engine.dispose()


def test_when_nobody_takes_signals_no_more_are_kept_than_there_is_room(
    engine: sa.Engine, clock: ManualClock
) -> None:
    signals = Signals(engine, clock, room=3)
    for number in range(5):
        signals.keep("vendor", "ours", b"%d" % number)
    assert len(kept(engine)) == 3
    signals.handled("vendor", signals.newest("vendor"))
    signals.keep("vendor", "ours", b"new")
    assert signals.newest("vendor") is not None


def test_signals_of_one_place_are_handled_without_those_of_another(signals: Signals) -> None:
    signals.keep("vendor", "here", b"1")
    signals.keep("vendor", "there", b"2")
    signals.handled("vendor", signals.waiting("vendor")["here"], place="here")
    assert signals.waiting("vendor").keys() == {"there"}


def test_what_comes_while_somebody_looks_is_not_handled_with_it(serve: Serve, signals: Signals) -> None:
    url = f"{serve(Vendor())}/vendor/ours"
    post(url, b"1")
    newest = signals.newest("vendor")
    post(url, b"2")
    signals.handled("vendor", newest)
    assert signals.newest("vendor") is not None


def test_handled_signals_are_forgotten_after_a_week(
    serve: Serve, engine: sa.Engine, signals: Signals, clock: ManualClock
) -> None:
    url = f"{serve(Vendor())}/vendor/ours"
    post(url, b"1")
    signals.handled("vendor", signals.newest("vendor"))
    clock.advance(timedelta(days=8).total_seconds())
    post(url, b"2")
    signals.handled("vendor", signals.newest("vendor"))
    assert len(kept(engine)) == 1


@pytest.mark.parametrize(
    "path",
    [
        "nobody/ours",
        "vendor/theirs",
        "vendor/..%2f..%2fpasswd",
        "vendor/ours%00",
        "vendor/" + "x" * 129,
    ],
)
def test_an_unknown_address_keeps_nothing(serve: Serve, engine: sa.Engine, path: str) -> None:
    assert post(f"{serve(Vendor())}/{path}").status_code == 404
    assert kept(engine) == []


def test_a_body_beyond_a_megabyte_is_refused(serve: Serve, engine: sa.Engine) -> None:
    url = f"{serve(Vendor())}/vendor/ours"
    assert post(url, b"x" * (BODY_BYTES + 1)).status_code == 413
    assert kept(engine) == []
    assert post(url, b"x" * BODY_BYTES).status_code == 200


def test_a_failure_of_ours_asks_the_vendor_to_try_again_and_shows_nothing(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    answer = post(f"{serve(Broken())}/vendor/ours", b"s3cret")
    assert answer.status_code == 503
    assert "s3cret" not in answer.text + caplog.text
    assert "A call of vendor was not taken: RuntimeError" in caplog.text


def test_who_waits_too_long_is_told_to_come_back_and_the_signal_is_kept_all_the_same(
    serve: Serve, engine: sa.Engine
) -> None:
    slow = Slow()
    url = f"{serve(slow, seconds=0.1)}/vendor/ours"
    answer = post(url)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    slow.go.set()
    # The work goes on behind the answer; the vendor's next try finds it done or does it itself.
    insist(url)
    assert len(kept(engine)) == 1


def test_callers_beyond_the_room_are_told_to_come_back_and_the_room_is_given_back(serve: Serve) -> None:
    slow = Slow()
    url = f"{serve(slow, calls_at_once=1, seconds=0.1)}/vendor/ours"
    assert post(url, b"1").status_code == 503
    # The first call's work still holds the only place.
    assert post(url, b"2").status_code == 503
    assert slow.calls == 1
    slow.go.set()
    insist(url, b"3")


def test_who_only_takes_up_signals_loads_no_web_server() -> None:
    assert (
        loaded_by("import mlc_dagster.receiver, mlc_dagster.visma.webhooks") & {"starlette", "uvicorn"}
        == set()
    )
