"""A site in a process of its own, so that tests may fork and kill theirs."""

import multiprocessing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from mlc_sandbox.core import CallLog, Faults, SandboxClock
from mlc_sandbox.server import Sandbox, serving
from mlc_sandbox.tableau import TableauVendor


class Site:
    """Speaks with the process over a pipe; the API is at `url`."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.url: str
        self.secrets: Mapping[str, str]
        self.url, self.secrets = pipe.recv()

    def dump(self) -> Any:
        return self._ask("dump")

    def load(self, state: Any) -> None:
        self._ask("load", state)

    def _ask(self, *question: Any) -> Any:
        self._pipe.send(question)
        return self._pipe.recv()


@contextmanager
def running() -> Iterator[Site]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield Site(ours)
    finally:
        ours.send(None)
        process.join(timeout=10)


def _serve(pipe: Connection) -> None:
    clock, faults, log = SandboxClock(), Faults(), CallLog()
    vendor = TableauVendor(clock, faults)
    # Our clocks jump, its own does not: what depends on its time is shown elsewhere.
    vendor.switches.update({"job_polls": 0, "limits": False})
    sandbox = Sandbox([vendor], clock, faults, log, seed=1)
    with serving(sandbox):
        pipe.send((sandbox.url, vendor.secrets()))
        while (question := pipe.recv()) is not None:
            name, *arguments = question
            pipe.send({"dump": vendor.dump, "load": vendor.load}[name](*arguments))
