"""Our clock in tests beside a sandbox: its wire time, which a wait moves on."""

from datetime import datetime, timedelta
from time import monotonic

from mlc_sandbox.core import SandboxClock


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
