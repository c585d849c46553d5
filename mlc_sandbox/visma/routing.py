"""From a request to the resource and record it means (vendors/visma.md sections 1 and 5)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from mlc_sandbox.visma.entities import ENTITIES, Entity
from mlc_sandbox.visma.errors import ApiError
from mlc_sandbox.world import Company
from mlc_sandbox.world.store import Record

BY_PATH = {
    path.lower(): entity
    for entity in ENTITIES
    for path in (entity.path, entity.post_path, entity.write_path)
    if path
}


@dataclass(frozen=True)
class Call:
    """One request to the API, as far as every part of it needs to know."""

    method: str
    line: str  # "METHOD path?query": what faults match
    route: str  # "v1/supplier", lower case
    rest: tuple[str, ...]  # the path behind the route
    query: dict[str, str]
    headers: Any
    body: bytes
    root: str

    @property
    def is_list(self) -> bool:
        """A read of the collection."""
        return self.method == "GET" and not self.rest


async def read_call(request: Request) -> Call:
    """Take the request apart; the body is read whole."""
    query = request.url.query
    segments = [part for part in request.path_params["path"].split("/") if part]
    root = f"{request.url.scheme}://{request.url.netloc}/visma/api"
    return Call(
        request.method,
        f"{request.method} {request.url.path}" + (f"?{query}" if query else ""),
        "/".join(segments[:2]).lower(),
        tuple(_decoded(part) for part in segments[2:]),
        {name.lower(): value for name, value in parse_qsl(query, keep_blank_values=True)},
        request.headers,
        await request.body(),
        root,
    )


def _decoded(segment: str) -> str:
    """Ids with reserved characters come as b64(...), base64url inside (vendors/visma.md section 1)."""
    if segment.startswith("b64(") and segment.endswith(")"):
        text = segment[4:-1]
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    return segment


def route(call: Call) -> Entity | None:
    """The resource of the path, None for background reads. ApiError 404 or 405: before any token check."""
    if call.route == "v1/background" and call.rest and call.method == "GET":
        return None
    entity = BY_PATH.get(call.route)
    if entity is None or len(call.rest) > (4 if entity.name == "dimension" else 1 + entity.typed_path):
        raise ApiError(404, "No HTTP resource was found that matches the request.")
    if not allows(entity, call.method, call.route, single=bool(call.rest)):
        verbs = [
            v
            for v in ("GET", "PUT", "POST", "DELETE")
            if allows(entity, v, call.route, single=bool(call.rest))
        ]
        if not verbs:
            raise ApiError(404, "No HTTP resource was found that matches the request.")
        raise ApiError(
            405, "The requested resource does not support this method.", {"Allow": ", ".join(verbs)}
        )
    return entity


def find(company: Company, entity: Entity, rest: tuple[str, ...], *, any_type: bool) -> Record | None:
    """By type and number, or by the number alone: then of the default type, else of the first that has it
    (`any_type`; of supplier invoices the sheet says that there is no else).
    """
    table = company.table(entity.name)
    if len(entity.key) == 1 or len(rest) > 1:
        return table.get("|".join(rest))
    found = table.get(f"{entity.default_type}|{rest[0]}")
    if found is not None or not any_type or entity.name == "supplierInvoice":
        return found
    return next((record for record in table if record.key.endswith(f"|{rest[0]}")), None)


def allows(entity: Entity, method: str, path: str, *, single: bool) -> bool:
    """Whether the route exists: reads and writes of one resource may live under different versions."""
    writes = (entity.write_path or entity.path).lower()
    if method == "GET":
        return path == entity.path.lower() and (entity.single or not single)
    if not entity.writable:
        return False
    if method == "POST":
        return not single and path in {writes, entity.post_path.lower()}
    if method == "PUT":
        return single and path == writes
    return method == "DELETE" and single and entity.deletable and path == writes
