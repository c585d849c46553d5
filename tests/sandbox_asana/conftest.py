"""A running sandbox with the Asana organisation alone, brought back to its first state before every test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests

from mlc_sandbox.asana import AsanaVendor, World
from mlc_sandbox.core import CallLog, Faults, SandboxClock
from mlc_sandbox.server import Sandbox, serving


class Organisation:
    """Plain requests against the simulated organisation, with the integration's personal access token."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox, self.root = sandbox, f"{sandbox.url}/asana"
        self.world: World = sandbox.asana.world
        self.people = sandbox.asana.people
        self.switches, self.faults, self.clock = sandbox.asana.switches, sandbox.faults, sandbox.clock
        self.http = requests.Session()
        self.token = self.world.login.pat
        self.workspace, self.team = self.world.workspace.gid, self.world.members["team"]
        self.orders, self.invoices = (
            self.world.members[name] for name in ("purchase_orders", "supplier_invoices")
        )

    def call(self, method: str, path: str, data: Any = None, **options: Any) -> requests.Response:
        """`path` is below /api/1.0; `data` goes into the envelope."""
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        if data is not None:
            options["json"] = {"data": data}
        options.setdefault("timeout", 10)
        return self.http.request(method, f"{self.root}/api/1.0{path}", headers=headers, **options)

    def get(self, path: str, **query: Any) -> Any:
        """What a read answers under `data`."""
        reply = self.call("GET", path, params=query)
        assert reply.status_code == 200, reply.text
        return exact(reply)["data"]

    def post(self, path: str, data: dict[str, Any], **query: Any) -> Any:
        """What a write answers under `data`."""
        reply = self.call("POST", path, data, params=query)
        assert reply.status_code in (200, 201), reply.text
        return exact(reply)["data"]

    def put(self, path: str, data: dict[str, Any]) -> Any:
        reply = self.call("PUT", path, data)
        assert reply.status_code == 200, reply.text
        return exact(reply)["data"]

    def task(self, name: str = "PO-1", **values: Any) -> str:
        """The gid of a new task, in the orders' project unless told otherwise."""
        values = {"projects": [self.orders]} | values
        return str(self.post("/tasks", {"name": name} | values)["gid"])

    def field(self, name: str, kind: str, project: str | None = None, **values: Any) -> str:
        """The gid of a new custom field, attached to the orders' project."""
        body = {"workspace": self.workspace, "name": name, "resource_subtype": kind} | values
        gid = self.post("/custom_fields", body)["gid"]
        self.post(f"/projects/{project or self.orders}/addCustomFieldSetting", {"custom_field": gid})
        return str(gid)

    def names(self, project: str | None = None) -> list[str]:
        """The names of a project's tasks in order."""
        return [task["name"] for task in self.get("/tasks", project=project or self.orders, limit=100)]

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))


def exact(reply: requests.Response) -> Any:
    return json.loads(reply.text, parse_float=Decimal)


def message(reply: requests.Response) -> tuple[int, str]:
    """Status and text of a refusal."""
    return reply.status_code, reply.json()["errors"][0]["message"]


@pytest.fixture(scope="session")
def asana_server() -> Iterator[tuple[Sandbox, Any]]:
    clock, faults, log = SandboxClock(), Faults(), CallLog()
    sandbox = Sandbox([AsanaVendor(clock, faults)], clock, faults, log, seed=1)
    first = sandbox.asana.dump()
    with serving(sandbox):
        yield sandbox, first


@pytest.fixture
def sandbox(asana_server: tuple[Sandbox, Any]) -> Sandbox:
    running, first = asana_server
    running.asana.load(first)
    running.asana.dispatcher.sent.clear()
    running.faults.clear()
    running.log.reset()
    return running


@pytest.fixture
def org(sandbox: Sandbox) -> Organisation:
    return Organisation(sandbox)
