"""A sandbox tenant in a process of its own, so that tests may fork and kill theirs."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from mlc_sandbox.anaplan.vendor import AnaplanVendor
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.core import CallLog, Faults, SandboxClock
from mlc_sandbox.server import Sandbox, serving
from tests.anaplan.rows import LIST, MODULE

DELETE = "delete"


@dataclass(frozen=True)
class Content:
    """What the supplier invoices feed holds, and the imports that ran, oldest first."""

    items: Mapping[str, str]
    cells: Mapping[str, Mapping[str, Any]]
    runs: tuple[str, ...]


class Tenant:
    """Speaks with the process over a pipe; the API is at `url`."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.url: str = pipe.recv()

    def dump(self) -> Any:
        return self._ask("dump")

    def load(self, state: Any) -> None:
        self._ask("load", state)

    def with_delete_column(self) -> None:
        self._ask("with_delete_column")

    def content(self) -> Content:
        answer = self._ask("content")
        assert isinstance(answer, Content)
        return answer

    def _ask(self, *question: Any) -> Any:
        self._pipe.send(question)
        return self._pipe.recv()


def with_delete_column(world: World) -> None:
    """What a builder prepares for deletes by action: the data import fills the line item it selects by."""
    with world.lock:
        module, action = (
            world.model.named("modules", MODULE),
            world.model.named("actions", f"Delete from {LIST}"),
        )
        mark = module.line_items.pop(action.line_item)
        mark.name = action.line_item = DELETE
        module.line_items[DELETE] = mark
        loaded = world.import_named("Supplier Invoices data")
        loaded.mapping[DELETE] = DELETE
        world.model.files[loaded.source_id].headers += (DELETE,)


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
    vendor = AnaplanVendor(clock, faults)
    vendor.switches["rate_per_minute"] = 0
    answers: dict[str, Callable[..., Any]] = {
        "dump": vendor.dump,
        "load": vendor.load,
        "with_delete_column": lambda: with_delete_column(vendor.world),
        "content": lambda: _content(vendor),
    }
    with serving(sandbox := Sandbox([vendor], clock, faults, log, seed=1)):
        pipe.send(sandbox.url)
        while question := pipe.recv():
            name, *values = question
            pipe.send(answers[name](*values))


def _content(vendor: AnaplanVendor) -> Content:
    world = vendor.world
    return Content(
        items={code: item.text for code, item in world.list_items(LIST).items()},
        cells=world.module_rows(MODULE),
        runs=tuple(run.import_name for run in world.history),
    )
