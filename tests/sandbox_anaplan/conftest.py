"""A running sandbox with the Anaplan tenant alone, brought back to its first state before every test."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests

from mlc_sandbox.anaplan import AnaplanVendor, World, hub
from mlc_sandbox.anaplan.world import PASSWORD, USER
from mlc_sandbox.core import CallLog, Faults, SandboxClock
from mlc_sandbox.server import Sandbox, serving


class Tenant:
    """Plain requests against the simulated tenant, as one user."""

    def __init__(self, sandbox: Sandbox, user: str = USER, password: str = PASSWORD) -> None:
        self.sandbox, self.root = sandbox, f"{sandbox.url}/anaplan"
        self.world: World = sandbox.anaplan.world
        self.faults, self.clock = sandbox.faults, sandbox.clock
        self.http = requests.Session()
        self.model_path = f"/workspaces/{hub.WORKSPACE_ID}/models/{hub.MODEL_ID}"
        reply = self.login(user, password)
        assert reply.status_code == 201, reply.text
        self.token = reply.json()["tokenInfo"]["tokenValue"]

    def login(self, user: str, password: str) -> requests.Response:
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        return self.http.post(f"{self.root}/auth/token/authenticate", headers=headers, timeout=30)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"AnaplanAuthToken {self.token}"} | options.pop("headers", {})
        return self.http.request(method, f"{self.root}/2/0{path}", headers=headers, timeout=30, **options)

    def model(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.call(method, self.model_path + path, **options)

    def id_of(self, kind: str, name: str) -> str:
        return self.world.model.named(kind, name).id

    def upload(self, import_name: str, text: str) -> str:
        file_id = self.world.import_named(import_name).source_id
        assert self.model("POST", f"/files/{file_id}", json={"chunkCount": -1}).status_code == 200
        octets = {"Content-Type": "application/octet-stream"}
        reply = self.model("PUT", f"/files/{file_id}/chunks/0", data=text.encode(), headers=octets)
        assert reply.status_code == 204, reply.text
        assert self.model("POST", f"/files/{file_id}/complete", json={"id": file_id}).status_code == 200
        return file_id

    def start(self, kind: str, name: str, **body: Any) -> str:
        reply = self.model(
            "POST", f"/{kind}/{self.id_of(kind, name)}/tasks", json={"localeName": "en_US", **body}
        )
        assert reply.status_code == 200, reply.text
        return reply.json()["task"]["taskId"]

    def watch(self, kind: str, name: str, task: str) -> dict[str, Any]:
        return self.model("GET", f"/{kind}/{self.id_of(kind, name)}/tasks/{task}").json()["task"]

    def run(self, name: str, text: str | None = None, kind: str = "imports", **body: Any) -> dict[str, Any]:
        """Upload, start and poll to the end; the finished task."""
        if text is not None:
            self.upload(name, text)
        task = self.start(kind, name, **body)
        for _ in range(20):
            seen = self.watch(kind, name, task)
            if seen["taskState"] in ("COMPLETE", "CANCELLED"):
                return seen
        raise AssertionError(f"{name} never ended: {seen}")

    def dump(self, name: str, task: dict[str, Any]) -> requests.Response:
        path = f"/imports/{self.id_of('imports', name)}/tasks/{task['taskId']}/dump/chunks/0"
        return self.model("GET", path)

    def suppliers(self, *codes: str) -> None:
        """Fill the Suppliers list."""
        self.run("Suppliers list", "code,name\n" + "".join(f"{code},Supplier {code}\n" for code in codes))

    def accounts(self, *codes: str) -> None:
        """Fill the GL Accounts list."""
        self.run("GL Accounts list", "code,name\n" + "".join(f"{code},Account {code}\n" for code in codes))


def values(task: dict[str, Any]) -> dict[str, str]:
    """The first detail's flat `values` as pairs."""
    flat = task["result"]["details"][0]["values"]
    return dict(zip(flat[::2], flat[1::2], strict=True))


def table(feed: str, *rows: dict[str, object]) -> str:
    """A CSV with the feed's full header; columns a row leaves out are empty."""
    headers = next(found.headers for found in hub.FEEDS if found.key == feed)
    lines = [",".join(headers)]
    lines += [",".join(str(row.get(name, "")) for name in headers) for row in rows]
    return "\n".join(lines) + "\n"


def exact(reply: requests.Response) -> Any:
    return json.loads(reply.text, parse_float=Decimal)


@pytest.fixture(scope="session")
def anaplan_server() -> Iterator[tuple[Sandbox, Any]]:
    clock, faults, log = SandboxClock(), Faults(), CallLog()
    sandbox = Sandbox([AnaplanVendor(clock, faults)], clock, faults, log, seed=1)
    sandbox.anaplan.switches["rate_per_minute"] = 0
    first = sandbox.anaplan.dump()
    with serving(sandbox):
        yield sandbox, first


@pytest.fixture
def sandbox(anaplan_server: tuple[Sandbox, Any]) -> Sandbox:
    running, first = anaplan_server
    running.anaplan.load(first)
    running.faults.clear()
    running.log.reset()
    return running


@pytest.fixture
def tenant(sandbox: Sandbox) -> Tenant:
    return Tenant(sandbox)
