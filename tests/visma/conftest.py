"""A running ERP and our client of it. Time is the sandbox's: a wait moves it on, nothing sleeps."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mlc_dagster.lake import Lake, Spool
from mlc_dagster.transport import Budget, CallCounter
from mlc_dagster.visma.auth import VismaConnect
from mlc_dagster.visma.client import Company, VismaClient, visma_http
from mlc_dagster.visma.entities import ENTITIES
from mlc_dagster.visma.reader import ReadReport, read_days
from mlc_dagster.visma.sweep import Swept, sweep
from mlc_sandbox.server import Sandbox
from tests.support.house import running_sandbox

OSLO = ZoneInfo("Europe/Oslo")
FIRST_DAY = date(2024, 1, 1)
# Our names and the simulator's.
API_NAMES = {
    "suppliers": "supplier",
    "supplier_invoices": "supplierInvoice",
    "supplier_payments": "supplierPayment",
    "purchase_orders": "purchaseorder",
    "purchase_receipts": "purchaseReceipt",
    "customers": "customer",
    "customer_invoices": "customerinvoice",
    "customer_credit_notes": "customerCreditNote",
    "customer_payments": "customerPayment",
    "gl_accounts": "account",
    "subaccounts": "subaccount",
    "dimensions": "dimension",
    "gl_balances": "generalLedgerBalance",
    "journal_transactions": "journaltransaction",
    "employees": "employee",
    "timecards": "timeCard",
    "branches": "branch",
    "ledgers": "ledger",
    "financial_periods": "financialPeriod",
}


class SandboxTime:
    def __init__(self, sandbox: Sandbox) -> None:
        self._clock = sandbox.clock
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Eight threads that wait for the same moment wait together, not one after the other."""
        wake = self.now() + timedelta(seconds=seconds)
        with self._lock:
            self._clock.advance(max(timedelta(0), wake - self.now()))


@dataclass
class Erp:
    """One company of the sandbox, a client of it, and a lake."""

    sandbox: Sandbox
    lake: Lake
    company: str = "NO01"
    page_size: int = 1000
    budget: Budget | None = None
    tenant: str | None = None
    counter: CallCounter = field(default_factory=CallCounter)

    def __post_init__(self) -> None:
        self.visma = self.sandbox.visma
        self.clock = SandboxTime(self.sandbox)
        self.client = self.new_client()

    def new_client(self) -> VismaClient:
        world = self.visma.companies[self.company]
        client_id, secret = self.visma.client
        connect = VismaConnect(
            f"{self.sandbox.url}/visma/connect/token",
            client_id=client_id,
            client_secret=secret,
            tenant_id=self.tenant or world.tenant_id,
            clock=self.clock,
        )
        http = visma_http(
            f"{self.sandbox.url}/visma/api",
            auth=connect.auth(),
            budget=self.budget,
            clock=self.clock,
            counter=self.counter,
        )
        company = Company(self.company, world.tenant_id, world.company_id)
        return VismaClient(http, company, page_size=self.page_size)

    @property
    def today(self) -> date:
        return self.clock.now().astimezone(OSLO).date()

    def days(self, back: int = 0) -> list[date]:
        """Today and some days before."""
        return [self.today - timedelta(days=number) for number in range(back, -1, -1)]

    def read(self, entity: str, days: list[date] | None = None, **options: Any) -> ReadReport:
        """Read some days; by default the whole axis in one day that also holds everything older."""
        asked = days or [self.today]
        options.setdefault("first_day", asked[0])
        return read_days(
            self.client, self.lake, ENTITIES[entity], self.company, asked, clock=self.clock, **options
        )

    def spool(self, entity: str) -> Spool:
        """Where a sweep of an entity puts its pages."""
        return self.lake.spool(entity, self.company, {}, self.clock.now())

    def sweep(self, entity: str, **options: Any) -> Swept:
        """One sweep over everything."""
        options = {"since": None, "clock": self.clock, "zone": "Europe/Oslo", **options}
        return sweep(self.client, ENTITIES[entity], spool=self.spool(entity), **options)

    def truth(self, entity: str) -> list[dict[str, Any]]:
        return self.visma.truth(self.company, API_NAMES[entity])

    def keys(self, entity: str) -> set[str]:
        """The keys the ERP has now."""
        return {record.key for record in self.visma.table(self.company, API_NAMES[entity])}

    def held(self, entity: str) -> dict[str, dict[str, Any]]:
        """What the lake says is alive, by key."""
        latest = self.lake.latest(entity, self.company)
        rows = latest.to_pylist() if latest is not None else []
        return {row["_key"]: row for row in rows if not row["_deleted"]}

    def calls(self, entity: str, query: str = "") -> int:
        """How many calls the entity's list or records got, with some text in the query."""
        path = ENTITIES[entity].path
        return self.sandbox.log.count("visma", match=f"{path}([?/].*{query}|$)")


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    """For tests that change nothing in the ERP."""
    with running_sandbox(seed=7, scale=0.2, companies=("NO01",), long_books=True) as sandbox:
        yield sandbox


@pytest.fixture
def still_erp(shared_sandbox: Sandbox, tmp_path: Path) -> Erp:
    return Erp(shared_sandbox, Lake(str(tmp_path / "lake")))


@pytest.fixture
def erp(tmp_path: Path) -> Iterator[Erp]:
    with running_sandbox(seed=11, scale=0.2, companies=("NO01",)) as sandbox:
        yield Erp(sandbox, Lake(str(tmp_path / "lake")))


@pytest.fixture
def new_erp(tmp_path: Path) -> Iterator[Callable[..., Erp]]:
    """Make an ERP with a seed, switches and a page size of one's own."""
    running = []

    def make(
        seed: int = 11, scale: float = 0.4, page_size: int = 1000, long_books: bool = True, **switches: Any
    ) -> Erp:
        context = running_sandbox(
            seed=seed,
            scale=scale,
            companies=("NO01",),
            long_books=long_books,
            switches={"visma": switches} if switches else None,
        )
        running.append(context)
        return Erp(context.__enter__(), Lake(str(tmp_path / f"lake{len(running)}")), page_size=page_size)

    yield make
    for context in running:
        context.__exit__(None, None, None)
