"""The time of tests: a sandbox begins at noon, and ours beside it is its wire time, which a wait moves on."""

from datetime import UTC, datetime, time, timedelta
from time import monotonic
from zoneinfo import ZoneInfo

from mlc_sandbox.core import SandboxClock

OSLO = ZoneInfo("Europe/Oslo")


def _since_noon() -> timedelta:
    now = datetime.now(OSLO)
    noon = datetime.combine(now.date(), time(12), OSLO)
    return now - noon if now >= noon else now - noon + timedelta(days=1)


SHIFT = _since_noon()


def from_noon() -> datetime:
    """What a sandbox takes for the real time: it runs from the last noon of the ERP.

    So no test, and no hour that a test lets pass, crosses midnight.
    """
    return datetime.now(UTC) - SHIFT


class SandboxTime:
    """The sandbox's wire time for our side too: a wait moves it on, nothing sleeps."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.wire()

    def monotonic(self) -> float:
        return monotonic()

    def sleep(self, seconds: float) -> None:
        self._clock.advance(timedelta(seconds=seconds))
