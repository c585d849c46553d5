"""A mailbox with its partners in a process of its own, so that tests may fork and kill theirs."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from typing import Any

from mlc_sandbox.cleo import CleoVendor
from mlc_sandbox.server import serving
from tests.support import elsewhere


class Tenant(elsewhere.VendorElsewhere):
    """The API is at `url`."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(pipe)
        self.url: str
        self.secrets: Mapping[str, str]
        self.url, self.secrets = self.told

    def received(self) -> dict[str, Any]:
        """What partners hold, and what they refused."""
        return dict(self.ask("received"))


def running() -> AbstractContextManager[Tenant]:
    return elsewhere.running(Tenant, _serve)


def _serve(pipe: Connection) -> None:
    sandbox = elsewhere.alone(CleoVendor)
    vendor = sandbox.cleo
    vendor.world.companies = {"MLCNO01": "NO01"}
    with serving(sandbox):
        told = (sandbox.url, vendor.secrets())
        elsewhere.answer(pipe, told, dump=vendor.dump, load=vendor.load, received=vendor.world.received)
