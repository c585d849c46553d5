"""A tenant in a process of its own, so that tests may fork and kill theirs."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing.connection import Connection
from typing import Any

from mlc_sandbox.core import CallLog, Faults, SandboxClock
from mlc_sandbox.powerbi import PowerBIVendor
from mlc_sandbox.server import Sandbox, serving

MEASURES = 'EVALUATE ROW ( "sum", [Supplier amount], "count", [Supplier documents] )'


@dataclass(frozen=True)
class Content:
    """What the measures of supplier invoices show, what suppliers hold, and how many datasets there are."""

    amount: Decimal
    documents: int
    suppliers: tuple[tuple[str, str], ...]
    datasets: int


@dataclass(frozen=True)
class Principal:
    tenant_id: str
    client_id: str
    secret: str
    workspace_id: str


class Tenant:
    """Speaks with the process over a pipe; the API is at `url`."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.url: str
        self.principal: Principal
        self.url, self.principal = pipe.recv()

    def dump(self) -> Any:
        return self._ask("dump")

    def load(self, state: Any) -> None:
        self._ask("load", state)

    def content(self) -> Content:
        answer = self._ask("content")
        assert isinstance(answer, Content), answer
        return answer

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
    vendor = PowerBIVendor(clock, faults)
    # Our clocks jump, its own does not: what depends on its time is shown elsewhere.
    vendor.switches.update({"visible_after_seconds": 0, "limits": False})
    sandbox = Sandbox([vendor], clock, faults, log, seed=1)
    principal = vendor.world.principal
    with serving(sandbox):
        known = (principal.tenant_id, principal.client_id, principal.secret, vendor.world.workspace_id)
        pipe.send((sandbox.url, Principal(*known)))
        while (question := pipe.recv()) is not None:
            name, *arguments = question
            answers = {"dump": vendor.dump, "load": vendor.load, "content": lambda: _content(vendor)}
            pipe.send(answers[name](*arguments))


def _content(vendor: PowerBIVendor) -> Content:
    (row,) = vendor.world.query("Visma ERP", MEASURES)
    held = vendor.world.rows("Visma ERP", "Suppliers")
    names = sorted((str(row["Supplier number"]), str(row["Supplier"])) for row in held)
    count = sum(dataset.name == "Visma ERP" for dataset in vendor.world.datasets.values())
    return Content(row["[sum]"], row["[count]"], tuple(names), count)
