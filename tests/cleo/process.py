"""A mailbox with its partners in a process of its own, so that tests may fork and kill theirs."""

import multiprocessing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from mlc_sandbox.cleo import CleoVendor
from mlc_sandbox.core import CallLog, Faults, SandboxClock
from mlc_sandbox.server import Sandbox, serving


class Tenant:
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

    def received(self) -> dict[str, Any]:
        """What partners hold, and what they refused."""
        return dict(self._ask("received"))

    def _ask(self, *question: Any) -> Any:
        self._pipe.send(question)
        return self._pipe.recv()


@contextmanager
def running() -> Iterator[Tenant]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield Tenant(ours)
    finally:
        ours.send(None)
        process.join(timeout=10)


def _serve(pipe: Connection) -> None:
    clock, faults, log = SandboxClock(), Faults(), CallLog()
    vendor = CleoVendor(clock, faults)
    vendor.world.companies = {"MLCNO01": "NO01"}
    sandbox = Sandbox([vendor], clock, faults, log, seed=1)
    answers = {"dump": vendor.dump, "load": vendor.load, "received": vendor.world.received}
    with serving(sandbox):
        pipe.send((sandbox.url, vendor.secrets()))
        while (question := pipe.recv()) is not None:
            name, *arguments = question
            pipe.send(answers[name](*arguments))
