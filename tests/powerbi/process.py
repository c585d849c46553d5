"""A tenant in a process of its own, so that tests may fork and kill theirs."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing.connection import Connection

from mlc_sandbox.powerbi import PowerBIVendor
from mlc_sandbox.server import serving
from tests.support import elsewhere

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


class Tenant(elsewhere.VendorElsewhere):
    """The API is at `url`."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(pipe)
        self.url: str
        self.principal: Principal
        self.url, self.principal = self.told

    def content(self) -> Content:
        answer = self.ask("content")
        assert isinstance(answer, Content), answer
        return answer


def running() -> AbstractContextManager[Tenant]:
    return elsewhere.running(Tenant, _serve)


def _serve(pipe: Connection) -> None:
    sandbox = elsewhere.alone(PowerBIVendor)
    vendor, principal = sandbox.powerbi, sandbox.powerbi.world.principal
    # Our clocks jump, its own does not: what depends on its time is shown elsewhere.
    vendor.switches.update({"visible_after_seconds": 0, "limits": False})
    known = Principal(principal.tenant_id, principal.client_id, principal.secret, vendor.world.workspace_id)
    with serving(sandbox):
        elsewhere.answer(
            pipe,
            (sandbox.url, known),
            dump=vendor.dump,
            load=vendor.load,
            content=lambda: _content(vendor),
        )


def _content(vendor: PowerBIVendor) -> Content:
    (row,) = vendor.world.query("Visma ERP", MEASURES)
    held = vendor.world.rows("Visma ERP", "Suppliers")
    names = sorted((str(row["Supplier number"]), str(row["Supplier"])) for row in held)
    count = sum(dataset.name == "Visma ERP" for dataset in vendor.world.datasets.values())
    return Content(row["[sum]"], row["[count]"], tuple(names), count)
