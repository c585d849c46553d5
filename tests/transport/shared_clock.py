"""One time for several processes: it stands still while any of them works, and moves on when all wait.

So a test with real processes counts the same on a busy machine as on an idle one.
"""

import threading
from datetime import UTC, datetime, timedelta
from multiprocessing.context import BaseContext

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_WORKS, _ENDED = -1.0, float("inf")


class SharedClock:
    """A clock for a fixed number of threads, over all processes; each calls `begin` and, at last, `end`."""

    def __init__(self, context: BaseContext, threads: int) -> None:
        self._seconds = context.Value("d", 0.0, lock=False)
        self._wakes = context.Array("d", [_WORKS] * threads, lock=False)
        self._changed = context.Condition()
        self._here: threading.local | None = None

    def begin(self, number: int) -> None:
        """This thread is that one."""
        if self._here is None:
            self._here = threading.local()
        self._here.number = number

    def end(self) -> None:
        """This thread waits for nothing any more."""
        with self._changed:
            self._wakes[self._number] = _ENDED
            self._move_on()

    def now(self) -> datetime:
        return START + timedelta(seconds=self._seconds.value)

    def monotonic(self) -> float:
        return float(self._seconds.value)

    def sleep(self, seconds: float) -> None:
        number = self._number
        with self._changed:
            self._wakes[number] = self._seconds.value + seconds
            self._move_on()
            self._changed.wait_for(lambda: self._wakes[number] == _WORKS)

    @property
    def _number(self) -> int:
        assert self._here is not None
        return int(self._here.number)

    def _move_on(self) -> None:
        """When every thread waits, it is the time at which the first of them wakes."""
        first = min(self._wakes)
        if first in (_WORKS, _ENDED):
            return
        self._seconds.value = first
        for number, wake in enumerate(self._wakes):
            if wake <= first:
                self._wakes[number] = _WORKS
        self._changed.notify_all()
