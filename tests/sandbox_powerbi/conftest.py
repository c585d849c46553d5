"""A running sandbox with the Power BI tenant alone, brought back to its first state before every test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests

from mlc_sandbox.core import CallLog, Faults, SandboxClock
from mlc_sandbox.powerbi import PowerBIVendor, World
from mlc_sandbox.powerbi.login import AUDIENCE
from mlc_sandbox.server import Sandbox, serving

ORDERS = {
    "name": "Orders",
    "columns": [
        {"name": "order_key", "dataType": "Int64"},
        {"name": "customer_key", "dataType": "Int64"},
        {"name": "status", "dataType": "String"},
        {"name": "amount", "dataType": "Decimal"},
        {"name": "rate", "dataType": "Double"},
        {"name": "ordered_at", "dataType": "DateTime"},
        {"name": "is_open", "dataType": "Boolean"},
    ],
    "measures": [{"name": "Order count", "expression": "COUNTROWS('Orders') + 0"}],
}
CUSTOMERS = {
    "name": "Customers",
    "columns": [{"name": "customer_key", "dataType": "Int64"}, {"name": "country", "dataType": "String"}],
}
RELATIONSHIP = {
    "name": "orders_customers",
    "fromTable": "Orders",
    "fromColumn": "customer_key",
    "toTable": "Customers",
    "toColumn": "customer_key",
}
ERP = {"name": "ERP", "defaultMode": "Push", "tables": [ORDERS, CUSTOMERS], "relationships": [RELATIONSHIP]}


class Tenant:
    """Plain requests against the simulated tenant, as its service principal."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox, self.root = sandbox, f"{sandbox.url}/powerbi"
        self.world: World = sandbox.powerbi.world
        self.switches, self.faults, self.clock = sandbox.powerbi.switches, sandbox.faults, sandbox.clock
        self.http = requests.Session()
        self.token = self.login().json()["access_token"]

    def login(self, **changes: Any) -> requests.Response:
        principal = self.world.principal
        form = {
            "grant_type": "client_credentials",
            "client_id": principal.client_id,
            "client_secret": principal.secret,
            "scope": f"{AUDIENCE}/.default",
        } | changes
        tenant = form.pop("tenant", principal.tenant_id)
        return self.http.post(f"{self.root}/login/{tenant}/oauth2/v2.0/token", data=form, timeout=30)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """`path` is below /v1.0/myorg."""
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        options.setdefault("timeout", 30)
        return self.http.request(method, f"{self.root}/v1.0/myorg{path}", headers=headers, **options)

    def group(self, method: str, path: str, **options: Any) -> requests.Response:
        """`path` is below the workspace."""
        return self.call(method, f"/groups/{self.world.workspace_id}{path}", **options)

    def create(self, definition: dict[str, Any] = ERP, retention: str = "None") -> str:
        reply = self.group("POST", "/datasets", json=definition, params={"defaultRetentionPolicy": retention})
        assert reply.status_code in (201, 202), reply.text
        return reply.json()["id"]

    def post(self, dataset: str, table: str, rows: list[dict[str, Any]], **options: Any) -> requests.Response:
        return self.group("POST", f"/datasets/{dataset}/tables/{table}/rows", json={"rows": rows}, **options)

    def clear(self, dataset: str, table: str) -> requests.Response:
        return self.group("DELETE", f"/datasets/{dataset}/tables/{table}/rows")

    def ask(self, dataset: str, query: str, *, nulls: bool = True) -> requests.Response:
        body = {"queries": [{"query": query}], "serializerSettings": {"includeNulls": nulls}}
        return self.group("POST", f"/datasets/{dataset}/executeQueries", json=body)

    def rows_of(self, dataset: str, query: str) -> list[dict[str, Any]]:
        reply = self.ask(dataset, query)
        assert reply.status_code == 200, reply.text
        return exact(reply)["results"][0]["tables"][0]["rows"]

    def count(self, dataset: str, table: str = "Orders") -> int:
        """What a query sees."""
        return self.rows_of(dataset, f"EVALUATE ROW(\"n\", COUNTROWS('{table}') + 0)")[0]["[n]"]

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))


def order(key: int, **values: Any) -> dict[str, Any]:
    return {"order_key": key, "customer_key": 1, "status": "OPEN", "amount": 10} | values


def moment(*parts: int) -> datetime:
    """A date as models hold it: without zone."""
    return datetime(*parts)  # noqa: DTZ001


def exact(reply: requests.Response) -> Any:
    return json.loads(reply.text, parse_float=Decimal)


@pytest.fixture(scope="session")
def powerbi_server() -> Iterator[tuple[Sandbox, Any]]:
    clock, faults, log = SandboxClock(), Faults(), CallLog()
    sandbox = Sandbox([PowerBIVendor(clock, faults)], clock, faults, log, seed=1)
    # Tests that are not about the lag do not wait for it.
    sandbox.powerbi.switches["visible_after_seconds"] = 0
    first = sandbox.powerbi.dump()
    with serving(sandbox):
        yield sandbox, first


@pytest.fixture
def sandbox(powerbi_server: tuple[Sandbox, Any]) -> Sandbox:
    running, first = powerbi_server
    running.powerbi.load(first)
    running.faults.clear()
    running.log.reset()
    return running


@pytest.fixture
def tenant(sandbox: Sandbox) -> Tenant:
    return Tenant(sandbox)
