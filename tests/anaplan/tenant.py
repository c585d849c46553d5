"""A sandbox tenant in a process of its own, so that tests may fork and kill theirs."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from mlc_sandbox.anaplan.vendor import AnaplanVendor
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.server import serving
from tests.anaplan.rows import LIST, MODULE
from tests.support import elsewhere

DELETE = "delete"


@dataclass(frozen=True)
class Content:
    """What the supplier invoices feed holds, and the imports that ran, oldest first."""

    items: Mapping[str, str]
    cells: Mapping[str, Mapping[str, Any]]
    runs: tuple[str, ...]


class Tenant(elsewhere.VendorElsewhere):
    """The API is at `url`."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(pipe)
        self.url: str = self.told

    def with_delete_column(self) -> None:
        self.ask("with_delete_column")

    def content(self) -> Content:
        answer = self.ask("content")
        assert isinstance(answer, Content)
        return answer


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


def running() -> AbstractContextManager[Tenant]:
    return elsewhere.running(Tenant, _serve)


def _serve(pipe: Connection) -> None:
    sandbox = elsewhere.alone(AnaplanVendor)
    vendor = sandbox.anaplan
    vendor.switches["rate_per_minute"] = 0
    with serving(sandbox):
        elsewhere.answer(
            pipe,
            sandbox.url,
            dump=vendor.dump,
            load=vendor.load,
            with_delete_column=lambda: with_delete_column(vendor.world),
            content=lambda: _content(vendor),
        )


def _content(vendor: AnaplanVendor) -> Content:
    world = vendor.world
    return Content(
        items={code: item.text for code, item in world.list_items(LIST).items()},
        cells=world.module_rows(MODULE),
        runs=tuple(run.import_name for run in world.history),
    )
