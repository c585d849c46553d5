"""The server every client is measured against: the sandbox's vendors, with as many invoices as asked.

The protocol is the sandbox's own. This module fills its tables, renders every row before anybody asks, and
counts what is asked.
"""

import argparse
import gc
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlc_sandbox.anaplan import AnaplanVendor
from mlc_sandbox.config import write_config
from mlc_sandbox.powerbi import PowerBIVendor
from mlc_sandbox.server import Sandbox, build, listen, uvicorn_server
from mlc_sandbox.world.company import BUILDERS, Company
from mlc_sandbox.world.documents import make_line, vat_index
from mlc_sandbox.world.parties import supplier_parties
from mlc_sandbox.world.payables import make_invoice
from mlc_sandbox.world.store import Row, Table

ENTITY = "supplierInvoice"
LARGE, HALF, SMALL = "NO01", "SE01", "DK01"
LINES = 3
DAYS_OF_HISTORY = 3 * 365
# One of so many documents is not released yet: a few dozen of 100,000.
UNRELEASED_EVERY = 2_800
# All properties are optional (vendors/visma.md section 6). These are what mappings and people use, 1.5 kB an
# invoice; a sandbox row with every section shown has 6.5 kB.
HEADER = (
    "referenceNumber", "documentType", "status", "hold", "supplier", "date", "dueDate", "postPeriod",
    "financialPeriod", "currencyId", "exchangeRate", "amount", "vatAmount", "balance", "balanceInCurrency",
    "detailTotalInCurrency", "supplierReference", "paymentRefNo", "description",
)  # fmt: skip
LINE = (
    "lineNumber", "inventoryNumber", "transactionDescription", "quantity", "uom", "unitCostInCurrency",
    "costInCurrency", "account", "vatCode",
)  # fmt: skip


def fill_invoices(sizes: dict[str, int]) -> None:
    """Replace the sandbox's invoices of some companies, `sizes`, by as many with three lines each."""
    ordinary, build_row = BUILDERS[ENTITY]

    def fill(company: Company, table: Table) -> None:
        if company.code not in sizes:
            ordinary(company, table)
            return
        rng, suppliers = company.rng(ENTITY), supplier_parties(company)
        for number in range(sizes[company.code]):
            age, party = rng.uniform(0, DAYS_OF_HISTORY), rng.choice(suppliers)
            status = (
                "Balanced" if number % UNRELEASED_EVERY == 7 else rng.choice(("Closed", "Closed", "Open"))
            )
            document = make_invoice(company, rng, party, age, None, status=status)
            account, vat = company.account[party.role], vat_index(company, rng, party)
            while len(document.lines) < LINES:
                document.lines.append(
                    make_line(company, rng, party, currency=party.currency, account=account, vat=vat)
                )
            del document.lines[LINES:]
            stamp = company.touched(rng, age)
            row = lean(build_row(company, document))
            table.add(document.key, document, stamp, min(stamp, company.day_start(age)), row=row)

    BUILDERS[ENTITY] = (fill, build_row)


def lean(row: Row) -> Row:
    """The row with the benchmark's fields only."""
    lines = [{name: line[name] for name in LINE if name in line} for line in row["invoiceLines"]]
    return {name: row[name] for name in HEADER if name in row} | {"invoiceLines": lines}


class Watched:
    """ASGI middleware that counts calls and bytes, and notes when the first page of a list was answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.reset()

    def reset(self) -> None:
        """Begin a new count."""
        self.calls, self.logins, self.bytes = 0, 0, 0
        self.running, self.began, self.answering = 0, 0.0, 0.0
        self.first_page_at: float | None = None
        self.cpu = time.process_time()

    def seen(self) -> dict[str, Any]:
        """Calls and bytes since the reset, and when the first page was answered (Unix seconds).

        `answering` are the seconds in which a call waited for us, `server_cpu` our own CPU seconds.
        """
        return {
            "calls": self.calls,
            "logins": self.logins,
            "bytes": self.bytes,
            "first_page_at": self.first_page_at,
            "answering": self.answering,
            "server_cpu": time.process_time() - self.cpu,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note it."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith("/bench"):
            await self.app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            await send(message)
            self.bytes += len(message.get("body", b""))

        if not self.running:
            self.began = time.perf_counter()
        self.running += 1
        try:
            await self.app(scope, receive, counted)
        finally:
            self.running -= 1
            if not self.running:
                self.answering += time.perf_counter() - self.began
        if path.endswith("/connect/token") or "/auth/" in path:
            self.logins += 1
            return
        self.calls += 1
        if self.first_page_at is None and scope["method"] == "GET":
            self.first_page_at = time.time()


class Bench:
    """The benchmark's own routes: `/bench/reset`, `/bench/seen`, `/bench/change`, `/bench/empty`."""

    def __init__(self, sandbox: Sandbox, query: dict[str, str]) -> None:
        self.sandbox, self.shown = sandbox, frozenset(query)
        self.rng = random.Random(1)
        self.app = Watched(
            Starlette(
                routes=[
                    Route("/bench/reset", self._answer(self.reset), methods=["POST"]),
                    Route("/bench/seen", self._answer(lambda _: self.app.seen())),
                    Route("/bench/change", self._answer(self.change), methods=["POST"]),
                    Route("/bench/empty", self._answer(self.empty), methods=["POST"]),
                    Mount("/", app=sandbox.app),
                ]
            )
        )

    def reset(self, _: Any) -> dict[str, Any]:
        """Begin a new count and leave the rate limits of an hour behind."""
        self.sandbox.visma.limits.windows.clear()
        gc.collect()
        gc.freeze()
        self.app.reset()
        return {}

    def change(self, asked: Any) -> dict[str, Any]:
        """Give some invoices another text and a new stamp, and render them before anybody asks."""
        visma = self.sandbox.visma
        table = visma.table(asked["company"], ENTITY)
        records = self.rng.sample(table.sorted(), asked["count"])
        for number, record in enumerate(records):
            text = f"Endret {asked['round']} nr. {number}"
            visma.change(asked["company"], ENTITY, record.key, {"description": text})
        return {"changed": len(records), "bytes": self.warm(asked["company"])}

    def empty(self, _: Any) -> dict[str, Any]:
        """An Anaplan model and a Power BI workspace nobody has loaded anything into."""
        sandbox = self.sandbox
        sandbox.anaplan.load(AnaplanVendor(sandbox.clock, sandbox.faults).dump())
        sandbox.powerbi.load(PowerBIVendor(sandbox.clock, sandbox.faults).dump())
        return {}

    def warm(self, company: str) -> int:
        """Render every invoice of a company as the clients will ask for it; returns the bytes of them all."""
        visma = self.sandbox.visma
        entity, table = visma.entity(ENTITY), visma.table(company, ENTITY)
        return sum(len(visma.rows.text(entity, table, record, self.shown)) for record in table)

    def _answer(self, act: Callable[[Any], dict[str, Any]]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> JSONResponse:
            asked = await request.json() if await request.body() else None
            return JSONResponse(await run_in_threadpool(act, asked))

        return endpoint


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.erp", description=__doc__)
    parser.add_argument("--invoices", type=int, required=True)
    parser.add_argument("--config", type=Path, required=True, help="where mlc.yaml and credentials.env go")
    parser.add_argument("--query", nargs="*", default=(), help="the expand flags the clients will send")
    options = parser.parse_args()
    fill_invoices({LARGE: options.invoices, HALF: options.invoices // 2})
    sandbox = build(companies=(LARGE, HALF, SMALL), days_behind=0, switches={"visma": {"rate_limit": 10**6}})
    bench = Bench(sandbox, dict.fromkeys(options.query, "true"))
    sizes = {company: bench.warm(company) for company in (LARGE, HALF)}
    gc.collect()
    gc.freeze()
    listener = listen()
    sandbox.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    write_config(options.config, sandbox.url, sandbox.vendors.values())
    server: uvicorn.Server = uvicorn_server(bench.app)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn's own handlers end it
    sys.stdout.write(f"{sandbox.url} {sizes[LARGE]} {sizes[HALF]}\n")
    sys.stdout.flush()
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
