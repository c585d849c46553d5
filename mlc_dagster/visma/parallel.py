"""Several calls at once, and no more of them than their answers can be taken in."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from mlc_dagster.logs import carried

# No concurrency limit is documented; integrators run at most eight requests at once (section 11).
MOST = 8
# One answer is taken in while the next one travels.
FEWEST = 2
# Answers worked on at once: more would cost memory, and Python runs in one of them at a time.
HANDS = 2

_NO_MORE = object()

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Result = TypeVar("Result")


def as_they_come(ask: Callable[[Asked], Answer], items: Iterable[Asked]) -> Iterator[tuple[Asked, Answer]]:
    """Yield each item with its answer as soon as it is there; the caller works while others are on their way.

    One call more runs when the caller had to wait for an answer, half as many when an answer had to wait: a
    slow vendor is asked eight times at once, and from a quick one no pile of answers fills the memory. A
    failure stops what has not begun; it is raised when all that had begun is yielded.
    """
    left, allowed, ask = iter(items), FEWEST, carried(ask)
    waiting: dict[Future[Answer], Asked] = {}
    failure: BaseException | None = None
    with ThreadPoolExecutor(MOST) as pool:
        while True:
            room = 0 if failure else max(0, allowed - len(waiting))
            waiting |= {pool.submit(ask, item): item for item in islice(left, room)}
            if not waiting:
                break
            ready = next((future for future in waiting if future.done()), None)
            allowed = max(FEWEST, allowed // 2) if ready else min(MOST, allowed + 1)
            future = ready or next(iter(wait(waiting, return_when=FIRST_COMPLETED).done))
            item = waiting.pop(future)
            if error := future.exception():
                failure = failure or error
            else:
                yield item, future.result()
    if failure:
        raise failure


def in_parallel(work: Callable[[Asked], Answer], items: Iterable[Asked]) -> list[Answer]:
    """Return the answers in order, at most eight asked for at once. A failure stops what has not begun."""
    listed = list(items)
    answers = dict(as_they_come(lambda number: work(listed[number]), range(len(listed))))
    return [answers[number] for number in range(len(listed))]


def handed_on(
    answers: Iterator[tuple[Asked, Answer]], work: Callable[[Asked, Answer], Result]
) -> Iterator[tuple[Asked, Result]]:
    """Yield what becomes of each answer, two worked on at a time in threads. The others wait.

    A failure of one is raised when what had begun has ended.
    """
    work = carried(work)
    with ThreadPoolExecutor(HANDS) as pool:
        under_way: dict[Future[Result], Asked] = {}
        for item, answer in answers:
            if len(under_way) == HANDS:
                done = wait(under_way, return_when=FIRST_COMPLETED).done
                yield from ((under_way.pop(future), future.result()) for future in done)
            under_way[pool.submit(work, item, answer)] = item
        yield from ((item, future.result()) for future, item in under_way.items())


def one_ahead(items: Iterator[Answer]) -> Iterator[Answer]:
    """Yield the items, each made in a thread while the caller works with the one before."""
    made = carried(lambda: next(items, _NO_MORE))
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(made)
        while (item := coming.result()) is not _NO_MORE:
            coming = pool.submit(made)
            yield item  # type: ignore[misc]
