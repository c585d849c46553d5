"""The processes of rounds that go side by side: begun, looked at and ended.

multiprocessing looks at every child whenever one begins, in whatever thread. An exit code can be read once:
of two threads that look at the same moment, the later one would take 255 for it. So one looks at a time.
"""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from threading import Lock

LOOK = Lock()


def begin(work: Callable[..., None], *args: object) -> BaseProcess:
    """Begin a process that has everything loaded (nursery.py)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.prove.nursery"])
    process = context.Process(target=work, args=args, daemon=True)
    with LOOK:
        process.start()
    return process


def lives(process: BaseProcess) -> bool:
    """Whether a process still runs."""
    with LOOK:
        return process.is_alive()


def ended(process: BaseProcess, within: float) -> int | None:
    """The exit code of a process, minus the signal that ended it; None where it did not end in these seconds,
    and was killed.
    """
    if not wait([process.sentinel], within):
        process.kill()
        wait([process.sentinel])
        return None
    with LOOK:
        return process.exitcode
