"""An organisation in a process of its own, so that tests may fork and kill theirs."""

import multiprocessing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from mlc_sandbox.asana import AsanaVendor
from mlc_sandbox.core import CallLog, Faults, SandboxClock
from mlc_sandbox.server import Sandbox, serving
from tests.asana.tenant import Card, cards


class Organisation:
    """Speaks with the process over a pipe; the API is at `url`."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.url: str
        self.places: Mapping[str, str]
        self.token: str
        self.url, self.places, self.token = pipe.recv()

    def dump(self) -> Any:
        return self._ask("dump")

    def load(self, state: Any) -> None:
        self._ask("load", state)

    def cards(self) -> dict[str, Card]:
        """The tasks of the invoices' project, by key; two of one key are a mistake."""
        answer = self._ask("cards")
        assert isinstance(answer, dict), answer
        return answer

    def _ask(self, *question: Any) -> Any:
        self._pipe.send(question)
        return self._pipe.recv()


@contextmanager
def running() -> Iterator[Organisation]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield Organisation(ours)
    finally:
        ours.send(None)
        process.join(timeout=10)


def _serve(pipe: Connection) -> None:
    clock, faults, log = SandboxClock(), Faults(), CallLog()
    vendor = AsanaVendor(clock, faults)
    sandbox = Sandbox([vendor], clock, faults, log, seed=1)
    world = vendor.world
    places = {**world.members, "workspace": world.workspace.gid}

    def shown() -> Any:
        try:
            return cards(vendor.world, places["supplier_invoices"])
        except AssertionError as twice:
            return str(twice)

    with serving(sandbox):
        pipe.send((sandbox.url, places, vendor.secrets()["ASANA_TOKEN"]))
        while (question := pipe.recv()) is not None:
            name, *arguments = question
            pipe.send({"dump": vendor.dump, "load": vendor.load, "cards": shown}[name](*arguments))
