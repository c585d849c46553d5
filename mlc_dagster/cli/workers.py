"""Work side by side, each piece in a process of its own that ends when we do."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Any

from mlc_dagster.cli.signals import stoppable

END_SECONDS = 5

Tell = Callable[[Any], None]
Work = Callable[[str, Tell], None]


class WorkerDied(Exception):
    """A process ended before its work was done."""


@contextmanager
def side_by_side(work: Work, names: Sequence[str]) -> Iterator[Iterator[tuple[str, Any]]]:
    """Call work(name, tell) for every name, each in a process of its own, and end them all with the block.

    `work` is a function of a module, or a partial of one. Yields the names with what each of them tells, as
    it comes, until all are done.

    Raises:
        WorkerDied: a process ended by itself; the text says which.
        Exception: one of ours, as the work raised it.
    """
    # A fork of a server that has imported the work's module: quick, and without the threads of this process.
    context = get_context("forkserver")
    context.set_forkserver_preload([getattr(work, "func", work).__module__])
    processes: dict[Connection, BaseProcess] = {}
    try:
        with _deaf_to_ctrl_c():
            for name in names:
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_call, args=(work, name, sender), name=name, daemon=True)
                process.start()
                sender.close()
                processes[receiver] = process
        yield _told(dict(processes))
    finally:
        _end(list(processes.values()))


def _told(processes: dict[Connection, BaseProcess]) -> Iterator[tuple[str, Any]]:
    while processes:
        ready = wait(list(processes))
        for connection, process in [pair for pair in processes.items() if pair[0] in ready]:
            try:
                told = connection.recv()
            except EOFError:
                del processes[connection]
                process.join()
                if process.exitcode:
                    raise WorkerDied(
                        f"The process for {process.name} ended with exit code {process.exitcode}; "
                        "what it said stands above."
                    ) from None
                continue
            if isinstance(told, Exception):
                raise told
            yield process.name, told


def _call(work: Work, name: str, sender: Connection) -> None:
    """The life of a process: do the work, and do not outlive the process that wants it."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with stoppable():
            work(name, sender.send)
    except KeyboardInterrupt:
        return  # told to end
    except Exception as error:
        if not type(error).__module__.startswith("mlc_dagster."):
            raise
        sender.send(error)


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _end(processes: Sequence[BaseProcess]) -> None:
    """End what still runs. Dagster puts SIGTERM off while its own code runs, and may forget it."""
    until = monotonic() + END_SECONDS
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(max(0.0, until - monotonic()))
        if process.is_alive():
            process.kill()
            process.join()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """A terminal sends Ctrl-C to all its processes; those started here leave it to us to end them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
