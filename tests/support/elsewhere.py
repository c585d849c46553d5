"""A server in a process of its own, so that tests may fork and kill theirs: asked questions over a pipe."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from mlc_sandbox.core import CallLog, Faults, SandboxClock, Vendor
from mlc_sandbox.server import Sandbox


class Elsewhere:
    """This side of the pipe. `told`: what the process said of itself when it was ready."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.told: Any = pipe.recv()

    def ask(self, *question: Any) -> Any:
        """The name of a question and what goes with it; its answer."""
        self._pipe.send(question)
        return self._pipe.recv()


class VendorElsewhere(Elsewhere):
    """A vendor of the sandbox, whose state can be taken and put back."""

    def dump(self) -> Any:
        return self.ask("dump")

    def load(self, state: Any) -> None:
        self.ask("load", state)


Kind = TypeVar("Kind", bound=Elsewhere)


@contextmanager
def running(
    kind: Callable[[Connection], Kind], serve: Callable[..., None], *arguments: Any
) -> Iterator[Kind]:
    """Start `serve`, a function of a module, with its end of the pipe and these arguments."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=serve, args=(theirs, *arguments), daemon=True)
    process.start()
    try:
        yield kind(ours)
    finally:
        ours.send(None)
        process.join(timeout=10)


def answer(pipe: Connection, told: Any, **answers: Callable[..., Any]) -> None:
    """The other side: say what is to be known, then answer questions by their names until the end."""
    pipe.send(told)
    while (question := pipe.recv()) is not None:
        name, *arguments = question
        pipe.send(answers[name](*arguments))


def alone(vendor: Callable[[SandboxClock, Faults], Vendor]) -> Sandbox:
    """A sandbox with one vendor."""
    clock, faults, log = SandboxClock(), Faults(), CallLog()
    return Sandbox([vendor(clock, faults)], clock, faults, log, seed=1)
