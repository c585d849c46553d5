"""Several calls at once, and no more of them than their answers can be taken in."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Condition, Lock
from typing import TypeVar

# No concurrency limit is documented; integrators run at most eight requests at once (section 11).
MOST = 8
# One answer is taken in while the next one travels.
FEWEST = 2

Asked = TypeVar("Asked")
Result = TypeVar("Result")


class Pace:
    """How many calls of one list may run: one more when an answer met no other, one less when it had to wait.

    So a slow vendor is asked eight times at once, and from a quick one no pile of answers fills the memory.
    """

    def __init__(self) -> None:
        self._turn, self._changed = Lock(), Condition()
        self._running, self._allowed = 0, FEWEST

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Take an answer in, one at a time."""
        free = self._turn.acquire(blocking=False)
        if not free:
            self._turn.acquire()
        try:
            self._adapt(1 if free else -1)
            yield
        finally:
            self._turn.release()

    def begin(self) -> None:
        """Wait until one more call may run."""
        with self._changed:
            self._changed.wait_for(lambda: self._running < self._allowed)
            self._running += 1

    def end(self) -> None:
        """A call has ended and its answer was taken in."""
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def _adapt(self, step: int) -> None:
        with self._changed:
            self._allowed = min(MOST, max(FEWEST, self._allowed + step))
            self._changed.notify_all()


def in_parallel(
    work: Callable[[Asked], Result], items: Iterable[Asked], pace: Pace | None = None
) -> list[Result]:
    """Return the results in order, at most eight at once, or as many as ``pace`` lets run.

    A failure stops what has not begun and is raised.
    """
    items = list(items)
    if len(items) < 2:
        return [work(item) for item in items]

    def run(item: Asked) -> Result:
        try:
            return work(item)
        finally:
            if pace:
                pace.end()

    with ThreadPoolExecutor(MOST) as pool:
        futures: list[Future[Result]] = []
        try:
            for item in items:
                if pace:
                    pace.begin()
                if any(future.done() and future.exception() for future in futures):
                    break
                futures.append(pool.submit(run, item))
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
