"""Kills a process at a chosen point of its work, so that a test can see what the next one makes of it.

    points = count(work, instruments)              # run to the end in a child, counting
    for number in chosen(points, share=0.1, seed=1):
        die(work, instruments, at=number)          # a child that is killed at that point
        ...                                        # restart, compare

`kill_anywhere` does that over copies of a world, such as those of tests.support.worlds.

work runs in a forked child: it opens its own database engine and shares nothing with the parent but files and
servers. Fork while no thread of yours runs; servers belong into processes of their own. An instrument is a
context manager factory that puts points around something: ledger_points, http_points, method_points(...).
"""

import gc
import os
import random
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial, wraps
from typing import Any, TypeVar
from unittest.mock import patch

import requests
import sqlalchemy as sa

from mlc_dagster.delivery.leases import Leases
from mlc_dagster.delivery.writer import Writer


class Points:
    """Counts the points a process passes, tells them to the parent, and dies at the chosen one."""

    def __init__(self, tell: int, at: int | None) -> None:
        self._tell, self._at, self._count = tell, at, 0

    def reach(self, name: str) -> None:
        self._count += 1
        os.write(self._tell, f"{name}\n".encode())
        if self._count == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


Instrument = Callable[[Points], AbstractContextManager[None]]


def count(work: Callable[[], object], instruments: Sequence[Instrument]) -> list[str]:
    """Run the work to its end in a child; the names of the points it passed, in order."""
    names, status = _fork(work, instruments, None)
    assert status == 0, f"the work failed before any kill, see above; it had passed {names}"
    return names


def die(work: Callable[[], object], instruments: Sequence[Instrument], *, at: int) -> str | None:
    """Run the work in a child that is killed at point number `at`.

    The point's name, or None when the work ended before it. Any other end fails the test.
    """
    names, status = _fork(work, instruments, at)
    if status == 0:
        return None
    assert os.WIFSIGNALED(status), (
        f"the work failed instead of being killed, see above; it had passed {names}"
    )
    assert os.WTERMSIG(status) == signal.SIGKILL
    return names[-1]


World = TypeVar("World")


def kill_anywhere(
    worlds: Callable[[], World],
    work: Callable[[World], object],
    heal: Callable[[World, str], object],
    instruments: Sequence[Instrument],
    *,
    at_least: Mapping[str, int],
    seed: int,
    keep: float = 1,
) -> None:
    """Kill the work at chosen points, each time in another world, which then has to be healed.

    `heal` is told where it was killed. `at_least`: how many points bear these words, or nothing was tried.
    `keep`: the share of the chosen points that is enough here.
    """
    names = count(partial(work, worlds()), instruments)
    for words, fewest in at_least.items():
        assert sum(words in name for name in names) >= fewest, f"too few points {words!r}: {names}"
    numbers = chosen(names, share=0.1, seed=seed)
    for at in random.Random(seed).sample(numbers, max(1, int(len(numbers) * keep))):
        world = worlds()
        assert die(partial(work, world), instruments, at=at) == names[at - 1]
        heal(world, f"killed {names[at - 1]}, point {at} of {len(names)}")


def chosen(points: Sequence[str], *, share: float, seed: int) -> list[int]:
    """The numbers of the points to die at: all that come after something, and a share of the others.

    Between "after" one thing and "before" the next nothing happens: dying at either leaves the same behind.
    """
    after = {number for number, name in enumerate(points, start=1) if name.startswith("after")}
    others = sorted(set(range(1, len(points) + 1)) - after)
    return sorted(after.union(random.Random(seed).sample(others, int(len(others) * share))))


@contextmanager
def ledger_points(points: Points) -> Iterator[None]:
    """Around every transaction of the ledger and of the leases: before, before the commit, after."""
    original = Writer.transaction

    @contextmanager
    def transaction(self: Writer) -> Iterator[sa.Connection]:
        points.reach("before a ledger transaction")
        with original(self) as connection:
            yield connection
            points.reach("before a ledger commit")
        points.reach("after a ledger commit")

    with patch.object(Writer, "transaction", transaction), method_points(Leases, "_try", "_release")(points):
        yield


@contextmanager
def http_points(points: Points) -> Iterator[None]:
    """Before every HTTP request leaves, and after its answer has come."""
    with method_points(requests.Session, "send")(points):
        yield


def method_points(owner: type, *names: str) -> Instrument:
    """Before and after every call of these methods."""

    @contextmanager
    def instrument(points: Points) -> Iterator[None]:
        with ExitStack() as stack:
            for name in names:
                stack.enter_context(patch.object(owner, name, _around(getattr(owner, name), points)))
            yield

    return instrument


def _around(method: Callable[..., Any], points: Points) -> Callable[..., Any]:
    @wraps(method)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        points.reach(f"before {method.__qualname__}")
        result = method(*args, **kwargs)
        points.reach(f"after {method.__qualname__}")
        return result

    return wrapped


def _fork(
    work: Callable[[], object], instruments: Sequence[Instrument], at: int | None
) -> tuple[list[str], int]:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        gc.freeze()  # looking for garbage among all that the parent made would copy its memory
        os.close(read)
        points = Points(write, at)
        _live(work, [partial(instrument, points) for instrument in instruments])
    os.close(write)
    with os.fdopen(read) as told:
        names = told.read().splitlines()
    return names, os.waitpid(child, 0)[1]


def _live(
    work: Callable[[], object], instruments: Sequence[Callable[[], AbstractContextManager[None]]]
) -> None:
    """The child's life. It never returns: pytest's own end belongs to the parent."""
    try:
        with ExitStack() as stack:
            for instrument in instruments:
                stack.enter_context(instrument())
            work()
    except BaseException:  # noqa: BLE001 - whatever it is, the parent reads it and fails
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
