"""How a long command is told to stop."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from dagster import DagsterExecutionInterruptedError

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

MOMENT_SECONDS = 0.05
SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPS = (KeyboardInterrupt, DagsterExecutionInterruptedError)  # the second while Dagster runs a step


@contextmanager
def stoppable() -> Iterator[None]:
    """A block that Ctrl-C and SIGTERM end with KeyboardInterrupt, also where our starter ignores them.

    Raises:
        KeyboardInterrupt: we were told to stop, even if a library made an error of its own of it.
    """
    stop, hook = _Stop(), sys.unraisablehook
    before = {number: signal.signal(number, stop.told) for number in SIGNALS}
    sys.unraisablehook = stop.dropped
    try:
        yield
    except DagsterExecutionInterruptedError as error:
        raise KeyboardInterrupt from error
    except Exception as error:
        if stop.asked:
            raise KeyboardInterrupt from error  # DuckDB, for one, says "Query interrupted"
        raise
    finally:
        stop.end()
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
        _forget()


def _forget() -> None:
    """Let Python end with our exit code, though a stop came while it ran code made of a text.

    Dataclasses and named tuples are made so, at any import. CPython notes such a stop as one that nobody
    handled, and at its end kills itself by SIGINT. It forgets that with the next code made of a text.
    """
    eval("None")  # noqa: S307 - a constant


class _Stop:
    """What is known of a stop while its block runs."""

    def __init__(self) -> None:
        self.asked = False
        self._over = False
        self._reminders: list[threading.Timer] = []

    def told(self, _number: int, _frame: FrameType | None) -> None:
        """Take a signal."""
        self.asked = True
        if not self._over:
            raise KeyboardInterrupt

    def dropped(self, ignored: "UnraisableHookArgs") -> None:
        """Python drops what is raised while it collects garbage, a stop too: let that come once more, when
        this is over.
        """
        if isinstance(ignored.exc_value, STOPS):
            # By SIGTERM: the processes of `workers` are deaf to SIGINT.
            self._reminders.append(threading.Timer(MOMENT_SECONDS, os.kill, (os.getpid(), signal.SIGTERM)))
            self._reminders[-1].start()
        else:
            sys.__unraisablehook__(ignored)

    def end(self) -> None:
        """A reminder that comes after the block would find nobody who knows what it is about."""
        self._over = True
        for reminder in self._reminders:
            reminder.cancel()
            reminder.join()
