"""The frame around every REST call: faults, token, throttling, rights."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox.core import Dropped, gateway_page
from mlc_sandbox.powerbi.errors import ApiError, bad_request, no_rights, simple, too_many
from mlc_sandbox.powerbi.world import VENDOR, World

API = "/v1.0/myorg"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

# Every fault that can be armed; docs/sandbox-powerbi.md says what each one takes.
FAULTS = (
    "drop_connection",
    "late_delete",
    "late_post",
    "no_rights",
    "partial_apply",
    "rate_limit",
    "refresh_fails",
    "server_error",
    "slow",
    "token_error",
    "token_expired",
)


@dataclass(slots=True)
class ApiCall:
    """One request, with its body read. `line` is what faults are matched with."""

    method: str
    line: str
    url: str  # without the query
    ids: dict[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    pending: int = 0  # POSTs of rows in flight for this dataset, this one included
    client: str = field(default="")

    def json(self) -> Any:
        """The body; numbers with a point are Decimals. Raises ApiError 400."""
        try:
            return json.loads(self.body, parse_float=Decimal, parse_constant=_no_number)
        except ValueError as error:
            raise bad_request(f"The body is not valid JSON: {error}") from error

    def number(self, name: str, standard: int) -> int:
        """A whole-number query parameter. Raises ApiError 400."""
        text = self.query.get(name, str(standard))
        if not text.isdigit():
            raise bad_request(f"{name} is not a number: {text}")
        return int(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


# A handler answers under the lock, or returns a function that goes on without it.
Answer = Response | Callable[[], Response]
Handler = Callable[[ApiCall], Answer]


class Gate:
    """Lets a call in and runs its handler under the lock."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._in_flight: dict[str, int] = {}

    def route(self, path: str, **handlers: Handler) -> Route:
        """One path below /v1.0/myorg: `GET=..., POST=...`; other methods are 404, as unknown paths are."""
        rows = path.endswith("/rows")

        async def endpoint(request: Request) -> Response:
            counted = request.path_params["dataset"] if rows and request.method == "POST" else None
            pending = self._enter(counted)
            try:
                call = await read_call(request)
                call.pending = pending
                return await self._answer(call, handlers)
            finally:
                self._leave(counted)

        return Route(API + path, endpoint, methods=METHODS)

    def _enter(self, dataset: str | None) -> int:
        if dataset is not None:
            self._in_flight[dataset] = self._in_flight.get(dataset, 0) + 1
        return self._in_flight.get(dataset, 0) if dataset else 0

    def _leave(self, dataset: str | None) -> None:
        if dataset is not None:
            self._in_flight[dataset] -= 1

    async def _answer(self, call: ApiCall, handlers: Mapping[str, Handler]) -> Response:
        slow = self._fault("slow", call)
        if slow is not None:
            await asyncio.sleep(slow.get("seconds", 1))
        drop = self._fault("drop_connection", call)
        if drop is not None and drop.get("when", "after") == "before":
            return Dropped()
        response = await run_in_threadpool(self._perform, call, handlers)
        if drop is not None:
            return Dropped()
        if response.status_code:
            response.headers["RequestId"] = str(uuid.uuid4())
        return response

    def _perform(self, call: ApiCall, handlers: Mapping[str, Handler]) -> Response:
        try:
            with self.world.lock:
                broken = self._fault("server_error", call)
                if broken is not None:
                    return _broken(broken)
                self._admit(call)
                if call.method not in handlers:
                    raise ApiError(404)  # noqa: TRY301
                answer = handlers[call.method](call)
            return answer if isinstance(answer, Response) else answer()
        except ApiError as error:
            return error.response()

    def _admit(self, call: ApiCall) -> None:
        limited = self._fault("rate_limit", call)
        if limited is not None:
            raise too_many(limited.get("retry_after", 10))
        if self._fault("token_expired", call) is not None:
            self.world.login.expire_all()
        call.client = self.world.login.check(call.headers.get("authorization")).client_id
        self.world.limits.call(call.client)
        refused = self._fault("no_rights", call)
        if refused is not None:
            raise no_rights(int(refused.get("face", self.world.switches["no_role_face"])))
        if "group" in call.ids:
            self.world.require(call.ids["group"], "Viewer")

    def _fault(self, name: str, call: ApiCall) -> dict[str, Any] | None:
        return self.world.faults.take(VENDOR, name, call.line)


def _broken(fault: Mapping[str, Any]) -> Response:
    status = int(fault.get("status", 503))
    if fault.get("html", False):
        return gateway_page(status)
    message = fault.get("message", "The service could not process the request.")
    return simple(
        status, "InternalServerError" if status == 500 else "ServiceUnavailable", message
    ).response()


async def read_call(request: Request) -> ApiCall:
    """The request with its whole body."""
    query = request.url.query
    return ApiCall(
        request.method,
        f"{request.method} {request.url.path}" + (f"?{query}" if query else ""),
        str(request.url.replace(query="")),
        {name: str(value) for name, value in request.path_params.items()},
        request.query_params,
        request.headers,
        await request.body(),
    )
