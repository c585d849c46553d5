"""The frame around every HTTP call: faults, credentials, rate limit; and which handler a path means.

Paths are looked up when a call comes, because switches may move them (vendors/cleo.md section 9, point 6).
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mlc_sandbox.cleo.errors import ApiError
from mlc_sandbox.cleo.world import VENDOR, World
from mlc_sandbox.core import Dropped, gateway_page

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
AUTHENTICATION = "/api/authentication"

# Every fault that can be armed; docs/sandbox-cleo.md says what each one takes.
FAULTS = (
    "bom",
    "crlf",
    "drop_connection",
    "flow_fails",
    "ghost_file",
    "odd_name",
    "offered_twice",
    "page_shift",
    "partial_file",
    "rewritten_file",
    "partner_answer",
    "rate_limit",
    "same_isa13",
    "server_error",
    "several_in_one_file",
    "sftp_login",
    "slow",
    "token_error",
    "token_expired",
    "two_files",
    "unauthorized",
)


@dataclass(slots=True)
class ApiCall:
    """One request, with its body read. `line` is what faults are matched with; `path` is below the vendor."""

    method: str
    path: str
    line: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    ids: dict[str, str] = field(default_factory=dict)

    def number(self, name: str, standard: int) -> int:
        """A whole-number query parameter. Raises ApiError 400."""
        text = self.query.get(name, str(standard))
        if not text.isascii() or not text.isdigit():
            raise ApiError(400, f"{name} is not a number: {text}")
        return int(text)


Handler = Callable[[ApiCall], Response]


@dataclass(frozen=True, slots=True)
class Way:
    """A method and path template with its handler. `login`: bearer, basic or none."""

    method: str
    template: str
    handler: Handler
    login: str = "bearer"


class Room(Protocol):
    """A part of the API."""

    def ways(self) -> Iterable[Way]:
        """Its paths, as the switches have them now."""


@lru_cache(maxsize=256)
def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile("".join(f"(?P<{p}>[^/]+)" if n % 2 else re.escape(p) for n, p in enumerate(parts)))


class Gate:
    """Lets a call in and runs its handler under the lock."""

    def __init__(self, world: World, rooms: Iterable[Room]) -> None:
        self.world, self.rooms = world, list(rooms)

    async def endpoint(self, request: Request) -> Response:
        """Any call below the vendor's prefix."""
        call = await _read(request)
        slow = self._fault("slow", call)
        if slow is not None and slow.get("when", "before") == "before":
            await asyncio.sleep(slow.get("seconds", 1))
        drop = self._fault("drop_connection", call)
        if drop is not None and drop.get("when", "after") == "before":
            return Dropped()
        response = await run_in_threadpool(self._perform, call)
        if slow is not None and slow.get("when", "before") == "after":
            await asyncio.sleep(slow.get("seconds", 1))
        return Dropped() if drop is not None else response

    def _perform(self, call: ApiCall) -> Response:
        broken = self._fault("server_error", call)
        if broken is not None and broken.get("when", "before") == "before":
            return _broken(broken)
        try:
            with self.world.lock:
                self.world.catch_up()
                way = self._way(call)
                self._admit(call, way.login)
                response = way.handler(call)
                self.world.catch_up()
        except ApiError as error:
            response = self._refusal(error, call)
        return _broken(broken) if broken is not None else response

    def _way(self, call: ApiCall) -> Way:
        """The handler of this call. Raises ApiError 404, or 405 when only the method is wrong."""
        known = False
        for room in self.rooms:
            for way in room.ways():
                found = _pattern(way.template).fullmatch(call.path)
                if found and way.method == call.method:
                    call.ids = found.groupdict()
                    return way
                known = known or found is not None
        # Nobody learns without credentials what there is.
        if call.path != AUTHENTICATION:
            self._admit(call, "bearer")
        raise ApiError(
            405 if known else 404, "Method not allowed." if known else f"Unknown path {call.path}."
        )

    def _admit(self, call: ApiCall, login: str) -> None:
        limited = self._fault("rate_limit", call)
        wait = limited.get("retry_after", 10) if limited is not None else self.world.admit()
        if wait:
            raise ApiError(429, "Too many requests.", {"Retry-After": str(math.ceil(wait))})
        if login == "none":
            return
        if self._fault("token_expired", call) is not None:
            self.world.login.expire_all()
        if (refused := self._fault("unauthorized", call)) is not None:
            html = {"X-Html": "1"} if refused.get("html") else {}
            raise ApiError(401, "Not authorized.", html)
        authorization = call.headers.get("authorization")
        if login == "basic":
            self.world.login.check_basic(authorization)
        else:
            self.world.login.check(authorization)

    def _refusal(self, error: ApiError, call: ApiCall) -> Response:
        body = "html" if error.headers.pop("X-Html", "") else self.world.switches["unauthorized_body"]
        if error.status != 401 or body == "json" or call.path == AUTHENTICATION:
            return error.response()
        return gateway_page(401) if body == "html" else Response(status_code=401)

    def _fault(self, name: str, call: ApiCall) -> dict[str, Any] | None:
        return self.world.fault(name, call.line)


def _broken(fault: Mapping[str, Any]) -> Response:
    status = int(fault.get("status", 500))
    if fault.get("html", False):
        return gateway_page(status)
    return ApiError(status, fault.get("message", "The request could not be processed.")).response()


async def _read(request: Request) -> ApiCall:
    query = request.url.query
    path = "/" + request.path_params["path"]
    line = f"{request.method} /{VENDOR}{path}" + (f"?{query}" if query else "")
    return ApiCall(request.method, path, line, request.query_params, request.headers, await request.body())
