"""Every request the client makes against the OpenAPI files: an undeclared path, method or field fails.

The files are looked for beside the repository. The README that comes with them lists their own faults;
MISSING and BODIES put right those that concern requests.
"""

import functools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from openapi_schema_validator import OAS30Validator

from mlc_dagster.anaplan.auth import CertificateLogin
from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.readback import AnaplanReadBack
from mlc_dagster.delivery.rows import Op
from mlc_dagster.delivery.spool import Spool
from mlc_sandbox.anaplan import hub, routes_cells
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.server import Sandbox
from tests.anaplan.conftest import PROCESS, SMALL, invoice_feed
from tests.anaplan.rows import LIST, batch, change
from tests.support import specs
from tests.transport.clocks import ManualClock

SPECS = specs.SPECS / "anaplan"
pytestmark = specs.needs_specs("anaplan")

MODEL = "/workspaces/{workspaceId}/models/{modelId}"
# README fault 5.
MISSING = {
    f"{MODEL}/imports/{{importId}}/tasks/{{taskId}}": {"delete": {}},
    f"{MODEL}/processes/{{processId}}/tasks/{{taskId}}/dumps/{{objectId}}/chunks": {"get": {}},
}
TEXT = {"type": "string", "minLength": 1}
# vendors/anaplan.md section 7.
PROMPT = {
    "type": "object",
    "properties": {"entityType": TEXT, "entityName": TEXT, "importId": TEXT},
    "required": ["entityType", "entityName"],
    "additionalProperties": False,
}
START = {
    "type": "object",
    "properties": {
        "localeName": {"type": "string", "enum": ["en_US"]},
        "mappingParameters": {"type": "array", "minItems": 1, "items": PROMPT},
    },
    "required": ["localeName"],
}
ITEM = {
    "type": "object",
    "properties": {
        "code": TEXT,
        "name": TEXT,
        "properties": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["code"],
    "additionalProperties": False,
}
# README faults 1 and 4.
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("post", f"{MODEL}/imports/{{importId}}/tasks"): START,
    ("post", f"{MODEL}/processes/{{processId}}/tasks"): START,
    ("post", f"{MODEL}/actions/{{actionId}}/tasks"): START,
    ("post", f"{MODEL}/exports/{{exportId}}/tasks"): START,
    # The file declares no body; vendors/anaplan.md section 9 has the same as for the other writes of items.
    ("put", f"{MODEL}/lists/{{listId}}/items"): {
        "type": "object",
        "properties": {"items": {"type": "array", "minItems": 1, "items": ITEM}},
        "required": ["items"],
    },
    ("post", "/token/authenticate"): {
        "type": "object",
        "properties": {
            "encodedData": TEXT,
            "encodedSignedData": TEXT,
            "encodedDataFormat": {"type": "string", "enum": ["v2"]},
        },
        "required": ["encodedData", "encodedSignedData", "encodedDataFormat"],
    },
    # The file declares no body; vendors/anaplan.md section 9 has one.
    ("post", f"{MODEL}/views/{{viewId}}/readRequests"): {
        "type": "object",
        "properties": {"exportType": {"type": "string", "enum": ["TABULAR_MULTI_COLUMN"]}},
        "required": ["exportType"],
    },
    # The file declares no body; vendors/anaplan.md section 6 step 3 has one.
    ("post", f"{MODEL}/files/{{fileId}}/complete"): {"type": "object", "properties": {"id": TEXT}},
}
# vendors/anaplan.md section 3: every collection takes them.
PAGING = {"limit", "offset"}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[requests.PreparedRequest]]:
    requests_sent: list[requests.PreparedRequest] = []
    send = requests.Session.send

    def noting(
        self: requests.Session, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        requests_sent.append(request)
        return send(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", noting)
    yield requests_sent
    assert requests_sent
    for request in requests_sent:
        check(request)


def check(request: requests.PreparedRequest) -> None:
    url = urlsplit(str(request.url))
    prefix, file = (
        ("/anaplan/auth", "authentication") if "/token/" in url.path else ("/anaplan/2/0", "integration")
    )
    paths = declared(file)
    path = url.path.removeprefix(prefix)
    where, method = f"{request.method} {path}", str(request.method).lower()
    template = next((t for t in paths if matches(t, path) and method in paths[t]), None)
    assert template is not None, f"{where}: no such path and method"
    operation = paths[template][method]
    unknown = set(parse_qs(url.query)) - PAGING - parameters(paths[template], operation)
    assert not unknown, f"{where}: unknown parameters {unknown}"
    check_body(
        request, where, operation.get("requestBody", {}).get("content", {}), BODIES.get((method, template))
    )


@functools.cache
def declared(file: str) -> dict[str, Any]:
    assert SPECS is not None
    paths: dict[str, Any] = json.loads((SPECS / f"{file}-openapi.json").read_text("utf-8"))["paths"]
    return {path: paths.get(path, {}) | MISSING.get(path, {}) for path in paths | MISSING}


def matches(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) is not None


def parameters(*places: dict[str, Any]) -> set[str]:
    named = (resolved(p) for place in places for p in place.get("parameters", ()))
    return {p["name"] for p in named if p.get("in") == "query"}


def resolved(part: Any) -> Any:
    """A part of the file with what it refers to in its place."""
    if isinstance(part, list):
        return [resolved(item) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" not in part:
        return {name: resolved(value) for name, value in part.items()}
    kind, name = part["$ref"].removeprefix("#/components/").split("/")
    return resolved(components()[kind][name])


@functools.cache
def components() -> dict[str, Any]:
    assert SPECS is not None
    found: dict[str, Any] = json.loads((SPECS / "integration-openapi.json").read_text("utf-8"))["components"]
    return found


def check_body(
    request: requests.PreparedRequest, where: str, content: dict[str, Any], mended: dict[str, Any] | None
) -> None:
    if not request.body:
        return
    kind = request.headers["Content-Type"]
    assert mended or kind in content, f"{where}: {kind} is none of {list(content)}"
    if kind == "application/json":
        schema = {"additionalProperties": False, **(mended or resolved(content[kind]["schema"]))}
        problems = [error.message for error in OAS30Validator(schema).iter_errors(json.loads(request.body))]
        assert not problems, f"{where}: {problems}"


def test_a_delivery_with_rejects_keeps_to_the_contract(
    sent: list[requests.PreparedRequest], client: AnaplanClient
) -> None:
    feed, rows = invoice_feed(client), [change("1001"), change("1002", supplier="NO01|nobody")]
    feed.preflight(rows)
    assert len(feed.send(batch(*rows)).refused) == 1
    assert any("/dump/chunks/0" in str(request.url) for request in sent)


@pytest.mark.parametrize("way", [PROCESS, SMALL, {"delete_action": f"Delete from {LIST}"}])
def test_each_way_of_a_batch_keeps_to_the_contract(
    sent: list[requests.PreparedRequest], client: AnaplanClient, way: dict[str, Any]
) -> None:
    feed = invoice_feed(client, parameters={"Version": "Actual"}, **way)
    feed.preflight([])
    rows = [change("1001", Op.UPDATE), change("1002", Op.DELETE)]
    assert feed.send(batch(*rows)).refused == {}
    assert sent


def test_a_small_delete_keeps_to_the_contract(
    sent: list[requests.PreparedRequest], client: AnaplanClient, world: World
) -> None:
    by_list = world.model.named("lists", LIST).id
    client.cells.add_items(by_list, [{"code": "A"}])
    assert client.cells.delete_items(by_list, ["A"]).done == 1
    assert sent


@pytest.mark.parametrize("shown_by", ["DAT01 Supplier Invoices.All", "Supplier Invoices export"])
@pytest.mark.parametrize("most_cells", [1_000_000, 1])
def test_reading_back_keeps_to_the_contract(
    sent: list[requests.PreparedRequest],
    client: AnaplanClient,
    monkeypatch: pytest.MonkeyPatch,
    shown_by: str,
    most_cells: int,
) -> None:
    monkeypatch.setattr(routes_cells, "MOST_VIEW_CELLS", most_cells)
    by_list = next(thing.id for thing in client.catalog.lists() if thing.name == LIST)
    client.cells.add_items(by_list, [{"code": "A"}])
    reading = AnaplanReadBack(client, shown_by, name="invoices", kinds={"code": "text"})
    assert [row.key for row in reading.rows("NO01")] == ["A"]
    assert any("readRequests" in str(request.url) for request in sent) == (
        most_cells == 1 and shown_by.endswith(".All")
    )


def test_a_certificate_login_and_a_refresh_keep_to_the_contract(
    sent: list[requests.PreparedRequest],
    connect: Callable[..., AnaplanClient],
    world: World,
    clock: ManualClock,
) -> None:
    certificate, key = world.new_certificate()
    client = connect(CertificateLogin(certificate.decode(), key.decode()))
    client.catalog.model()
    clock.advance(31 * 60)
    client.catalog.model()
    assert [str(r.url).rpartition("/")[2] for r in sent if "/token/" in str(r.url)] == [
        "authenticate",
        "refresh",
    ]


def test_everything_else_the_client_can_ask_keeps_to_the_contract(
    sent: list[requests.PreparedRequest],
    connect: Callable[..., AnaplanClient],
    sandbox: Sandbox,
    world: World,
) -> None:
    client, action = connect(exact_chunk_count=True), world.import_named("Supplier Invoices list")
    client.catalog.lists()
    client.catalog.modules()
    client.catalog.files()
    client.files.upload(action.source_id, Spool(b"code,name\nA,B\n"))
    client.tasks.start("imports", action.id)
    process = world.model.named("processes", "Supplier Invoices load").id
    assert client.tasks.process_dump(process, "0" * 32, action.id) is None
    assert sandbox.log.count("anaplan", match=hub.MODEL_ID) == len(sent) - 1
