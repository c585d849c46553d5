"""A running sandbox and a plain client of its ERP: requests and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from typing import Any

import pytest
import requests
from starlette.types import Receive, Scope, Send

from mlc_sandbox.server import Sandbox, build, serving
from mlc_sandbox.visma.tokens import SCOPES


class Erp:
    """Plain requests to the ERP as one client of one company."""

    def __init__(self, sandbox: Sandbox, company: str = "NO01", scopes: tuple[str, ...] = SCOPES) -> None:
        self.sandbox, self.company, self.scopes = sandbox, company, scopes
        self.visma = sandbox.visma
        self.world = sandbox.visma.companies[company]
        self.http = requests.Session()
        self.log_in()

    def form(self, **changed: str) -> dict[str, str]:
        client, secret = self.visma.client
        fields = {
            "grant_type": "client_credentials",
            "client_id": client,
            "client_secret": secret,
            "tenant_id": self.world.tenant_id,
            "scope": " ".join(self.scopes),
        }
        return fields | changed

    def ask_token(self, **changed: str) -> requests.Response:
        return requests.post(f"{self.sandbox.url}/visma/connect/token", data=self.form(**changed), timeout=30)

    def log_in(self, **changed: str) -> None:
        answer = self.ask_token(**changed)
        assert answer.status_code == 200, answer.text
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.http.request(method, f"{self.sandbox.url}/visma/api/{path}", timeout=10, **options)

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.call("GET", path, params=params)

    def rows(self, path: str, **params: Any) -> list[dict[str, Any]]:
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = exact(answer)
        return rows

    def pages(self, path: str, size: int, **params: Any) -> Iterator[list[dict[str, Any]]]:
        number = 1
        while rows := self.rows(path, pageNumber=number, pageSize=size, **params):
            yield rows
            number += 1

    def records(self, entity: str) -> list[Any]:
        return list(self.world.table(entity))


def exact(answer: requests.Response) -> Any:
    return json.loads(answer.text, parse_float=Decimal)


class Stage:
    """One server for all tests, behind it a sandbox for each: saves starting and stopping."""

    url = ""
    sandbox: Sandbox

    @property
    def app(self) -> Stage:
        return self

    def services(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.sandbox.app(scope, receive, send)


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    stage = Stage()
    with serving(stage):  # type: ignore[arg-type]
        yield stage


@pytest.fixture
def sandbox(stage: Stage) -> Sandbox:
    stage.sandbox = build(seed=1, scale=0.3, companies=("NO01", "SE01"))
    stage.sandbox.url = stage.url
    return stage.sandbox


@pytest.fixture
def erp(sandbox: Sandbox) -> Iterator[Erp]:
    erp = Erp(sandbox)
    yield erp
    erp.http.close()
