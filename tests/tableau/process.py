"""A site in a process of its own, so that tests may fork and kill theirs."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection

from mlc_sandbox.server import serving
from mlc_sandbox.tableau import TableauVendor
from tests.support import elsewhere


class Site(elsewhere.VendorElsewhere):
    """The API is at `url`."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(pipe)
        self.url: str
        self.secrets: Mapping[str, str]
        self.url, self.secrets = self.told


def running() -> AbstractContextManager[Site]:
    return elsewhere.running(Site, _serve)


def _serve(pipe: Connection) -> None:
    sandbox = elsewhere.alone(TableauVendor)
    vendor = sandbox.tableau
    # Our clocks jump, its own does not: what depends on its time is shown elsewhere.
    vendor.switches.update({"job_polls": 0, "limits": False})
    with serving(sandbox):
        elsewhere.answer(pipe, (sandbox.url, vendor.secrets()), dump=vendor.dump, load=vendor.load)
