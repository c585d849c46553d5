"""An organisation in a process of its own, so that tests may fork and kill theirs."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from typing import Any

from mlc_sandbox.asana import AsanaVendor
from mlc_sandbox.server import serving
from tests.asana.tenant import Card, cards
from tests.support import elsewhere


class Organisation(elsewhere.VendorElsewhere):
    """The API is at `url`."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(pipe)
        self.url: str
        self.places: Mapping[str, str]
        self.token: str
        self.url, self.places, self.token = self.told

    def cards(self) -> dict[str, Card]:
        """The tasks of the invoices' project, by key; two of one key are a mistake."""
        answer = self.ask("cards")
        assert isinstance(answer, dict), answer
        return answer


def running() -> AbstractContextManager[Organisation]:
    return elsewhere.running(Organisation, _serve)


def _serve(pipe: Connection) -> None:
    sandbox = elsewhere.alone(AsanaVendor)
    vendor, world = sandbox.asana, sandbox.asana.world
    places = {**world.members, "workspace": world.workspace.gid}

    def shown() -> Any:
        try:
            return cards(vendor.world, places["supplier_invoices"])
        except AssertionError as twice:
            return str(twice)

    with serving(sandbox):
        told = (sandbox.url, places, vendor.secrets()["ASANA_TOKEN"])
        elsewhere.answer(pipe, told, dump=vendor.dump, load=vendor.load, cards=shown)
