"""A running sandbox with Tableau alone, brought back to its first state before every test."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
import tableauserverclient as tsc
from tableauhyperapi import Connection, CreateMode, HyperProcess, Telemetry

from mlc_sandbox.core import CallLog, Faults, SandboxClock
from mlc_sandbox.server import Sandbox, serving
from mlc_sandbox.tableau import TableauVendor, World
from mlc_sandbox.tableau.wire import NAMESPACE

INVOICES = (
    "company TEXT NOT NULL",
    "number BIGINT NOT NULL",
    "amount NUMERIC(18, 2)",
    "price NUMERIC(18, 4)",
    "due DATE",
    "seen TIMESTAMP WITH TIME ZONE",
    "open BOOL",
    "text TEXT",
)
KEY = {
    "op": "and",
    "args": [{"op": "eq", "source-col": name, "target-col": name} for name in ("company", "number")],
}
TABLE = {"source-schema": "Extract", "source-table": "Extract", "target-schema": "Extract"} | {
    "target-table": "Extract"
}


def action(kind: str, **more: Any) -> dict[str, Any]:
    condition = {} if kind in ("insert", "replace") else {"condition": KEY}
    return {"action": kind} | TABLE | condition | more


def invoice(number: int, amount: str = "100.00", company: str = "NO01", **more: Any) -> dict[str, Any]:
    return {"company": company, "number": number, "amount": amount} | more


class Pen:
    """Writes .hyper files, with a hyperd of its own: the client's side of the wire."""

    def __init__(self, process: HyperProcess, folder: Path) -> None:
        self.process, self.folder = process, folder

    def write(self, rows: Sequence[dict[str, Any]], columns: Sequence[str] = INVOICES) -> Path:
        """One table "Extract"."Extract"; values are SQL texts, None is NULL."""
        names = [column.split()[0] for column in columns]
        casts = [column.split(maxsplit=1)[1].removesuffix(" NOT NULL") for column in columns]
        statements = ['CREATE SCHEMA "Extract"', f'CREATE TABLE "Extract"."Extract" ({", ".join(columns)})']
        for row in rows:
            values = [_sql(row.get(name), cast) for name, cast in zip(names, casts, strict=True)]
            statements.append(f'INSERT INTO "Extract"."Extract" VALUES ({", ".join(values)})')
        return self.run(statements)

    def run(self, statements: Sequence[str]) -> Path:
        file = self.folder / f"{uuid.uuid4().hex}.hyper"
        with Connection(self.process.endpoint, str(file), CreateMode.CREATE) as connection:
            for statement in statements:
                connection.execute_command(statement)
        return file

    def read(self, file: Path, query: str = 'SELECT * FROM "Extract"."Extract" ORDER BY 1, 2') -> list[Any]:
        with Connection(self.process.endpoint, str(file)) as connection:
            return connection.execute_list_query(query)


def _sql(value: Any, cast: str) -> str:
    text = "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"
    return f"CAST({text} AS {cast})"


class Tenant:
    """The sandbox with the official client signed in, and plain requests besides."""

    def __init__(self, sandbox: Sandbox, pen: Pen) -> None:
        self.sandbox, self.root, self.pen = sandbox, f"{sandbox.url}/tableau", pen
        self.world: World = sandbox.tableau.world
        self.switches, self.faults, self.clock = sandbox.tableau.switches, sandbox.faults, sandbox.clock
        self.secrets = sandbox.tableau.secrets()
        self.server = self.sign_in()
        self.project = self.world.id("project ERP")

    def client(self) -> tsc.Server:
        """The official client, as it comes, with the version it is told by the server."""
        return tsc.Server(self.root, use_server_version=True, http_options={"timeout": 20})

    def sign_in(self, name: str = "erp-sync", site: str = "erp") -> tsc.Server:
        server = self.client()
        server.auth.sign_in(tsc.PersonalAccessTokenAuth(name, self.world.login.pats[name].secret, site))
        return server

    def publish(self, file: Path, name: str = "Invoices", mode: str = "CreateNew", **options: Any) -> Any:
        return self.server.datasources.publish(tsc.DatasourceItem(self.project, name), file, mode, **options)

    def published(self, *rows: dict[str, Any]) -> tsc.DatasourceItem:
        return self.publish(self.pen.write(rows))

    def update(
        self,
        source: Any,
        actions: Sequence[dict[str, Any]],
        rows: Sequence[dict[str, Any]] | Path | None = None,
        key: str | None = None,
        columns: Sequence[str] = INVOICES,
    ) -> tsc.JobItem:
        payload = rows if rows is None or isinstance(rows, Path) else self.pen.write(rows, columns)
        return self.server.datasources.update_hyper_data(
            source, request_id=key or uuid.uuid4().hex, actions=actions, payload=payload
        )

    def end(self, job: tsc.JobItem) -> tsc.JobItem:
        """The job as its first looks show it; without the client's pauses between them."""
        for _ in range(10):
            seen = self.server.jobs.get_by_id(job.id)
            if seen.completed_at is not None:
                return seen
        raise AssertionError(f"{seen} does not end.")

    def rows(self, name: str = "Invoices", *columns: str) -> list[Any]:
        """By key: the values of these columns; without any all of them."""
        rows = sorted(self.world.rows(name), key=lambda row: (str(row["company"]), row["number"] or 0))
        return [tuple(row[column] for column in columns) for row in rows] if columns else rows

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Plain HTTP, with the client's session; `path` is below the site."""
        headers = {"X-Tableau-Auth": self.server.auth_token} | options.pop("headers", {})
        url = f"{self.root}/api/3.29/sites/{self.server.site_id}{path}"
        return requests.request(method, url, headers=headers, timeout=20, **options)

    def control(self, method: str, path: str, **options: Any) -> Any:
        reply = requests.request(method, f"{self.root}/control{path}", timeout=20, **options)
        return json.loads(reply.text)

    def pass_time(self, **time: float) -> None:
        self.clock.advance(timedelta(**time))


def code(reply: requests.Response) -> str:
    """The error code inside an XML answer."""
    found = ElementTree.fromstring(reply.content).find(f"{{{NAMESPACE}}}error")
    assert found is not None, reply.text
    return found.attrib["code"]


@pytest.fixture(scope="session")
def pen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pen]:
    quiet = {"log_config": "", "default_database_version": "2"}
    with HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=quiet) as process:
        yield Pen(process, tmp_path_factory.mktemp("hyper"))


@pytest.fixture(scope="session")
def tableau_server() -> Iterator[tuple[Sandbox, Any]]:
    clock, faults, log = SandboxClock(), Faults(), CallLog()
    sandbox = Sandbox([TableauVendor(clock, faults)], clock, faults, log, seed=1)
    first = sandbox.tableau.dump(), clock.offset
    with serving(sandbox):
        yield sandbox, first


@pytest.fixture
def sandbox(tableau_server: tuple[Sandbox, Any]) -> Sandbox:
    running, (state, offset) = tableau_server
    running.clock.offset, running.clock.advanced = offset, timedelta(0)
    running.tableau.load(state)
    running.faults.clear()
    running.log.reset()
    return running


@pytest.fixture
def tenant(sandbox: Sandbox, pen: Pen) -> Tenant:
    return Tenant(sandbox, pen)
