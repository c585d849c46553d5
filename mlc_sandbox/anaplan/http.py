"""The frame around every Integration API call: token, rate limit, faults, envelope, paging, errors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox.anaplan import hub
from mlc_sandbox.anaplan.auth import LoginRefused, User
from mlc_sandbox.anaplan.effects import VENDOR
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.core import Dropped, JsonResponse, gateway_page

API = "/2/0"
DEFAULT_PAGE = 5000
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]

MESSAGES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict: the model or object is busy",
    410: "Gone: the resource has moved, retry",
    415: "Unsupported Media Type",
    422: "The model is archived",
    423: "The model is locked",
    424: "The model is offline or in maintenance",
    425: "The model is deployed, its structure is read-only",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class ApiError(Exception):
    """The call fails with this status, in the API's failure envelope."""

    def __init__(
        self, status: int, message: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message or MESSAGES.get(status, "Error"))
        self.status, self.headers = status, headers or {}


class GatewayError(ApiError):
    """The same, told by the gateway in front of the API: a page."""


@dataclass(slots=True)
class ApiCall:
    """One request, with its body read and its user known."""

    method: str
    path: str  # below the vendor's prefix
    ids: dict[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    base: str  # URL of the vendor's prefix
    user: User = field(init=False)

    @property
    def line(self) -> str:
        """What faults are matched with."""
        text = "&".join(f"{name}={value}" for name, value in self.query.items())
        return f"{self.method} {self.path}" + (f"?{text}" if text else "")

    @property
    def content_type(self) -> str:
        """Media type of the body, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """The body as JSON; numbers stay text-exact."""
        try:
            return json.loads(self.body or b"null", parse_float=str)
        except ValueError as error:
            raise ApiError(400, "The body is not JSON.") from error

    def flag(self, name: str) -> bool:
        """A true/false query parameter."""
        return self.query.get(name, "").lower() == "true"

    def number(self, name: str, standard: int) -> int:
        """A whole-number query parameter; 400 when it is not one."""
        text = self.query.get(name, str(standard))
        if not text.isdigit():
            raise ApiError(400, f"{name} is not a number")
        return int(text)


Handler = Callable[[ApiCall], Response]


class Gate:
    """Lets a call in (faults, rate limit, token, model access) and runs its handler under the lock."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._allowance = float(world.switches["rate_per_minute"])
        self._measured: float | None = None

    def route(self, path: str, **handlers: Handler) -> Route:
        """One path of the Integration API: `GET=..., POST=...`; other methods are 405."""

        async def endpoint(request: Request) -> Response:
            call = await read_call(request)
            return await self._answer(call, handlers)

        return Route(API + path, endpoint, methods=METHODS)

    def both(self, path: str, **handlers: Handler) -> list[Route]:
        """A path below the model, in both its forms."""
        forms = ("/workspaces/{workspace}/models/{model}", "/models/{model}")
        return [self.route(form + path, **handlers) for form in forms]

    async def _answer(self, call: ApiCall, handlers: Mapping[str, Handler]) -> Response:
        drop = self.world.faults.take(VENDOR, "drop_connection", call.line)
        if drop is not None and drop.get("when", "after") == "before":
            return Dropped()
        response = await run_in_threadpool(self._locked, call, handlers)
        return response if drop is None else Dropped()

    def _locked(self, call: ApiCall, handlers: Mapping[str, Handler]) -> Response:
        with self.world.lock:
            try:
                self._admit(call)
                if call.method not in handlers:
                    raise ApiError(405)  # noqa: TRY301
                return handlers[call.method](call)
            except ApiError as error:
                return failure(call, error, self.world)
            finally:
                self.world.moved.notify_all()

    def _admit(self, call: ApiCall) -> None:
        self._fault_statuses(call)
        self._spend()
        call.user = self._user(call)
        self._check_model(call)

    def _fault_statuses(self, call: ApiCall) -> None:
        world = self.world
        limited = world.faults.take(VENDOR, "rate_limit", call.line)
        if limited is not None:
            raise self._too_many(limited.get("retry_after", 10), limited.get("form"))
        broken = world.faults.take(VENDOR, "server_error", call.line)
        if broken is not None:
            kind = GatewayError if broken.get("html", False) else ApiError
            raise kind(int(broken.get("status", 500)), broken.get("message"))
        refused = world.faults.take(VENDOR, "http_status", call.line)
        if refused is not None:
            raise ApiError(int(refused.get("status", 409)), refused.get("message"))

    def _too_many(self, seconds: float, form: str | None = None) -> ApiError:
        form = form or self.world.switches["retry_after"]
        headers = {}
        if form == "http-date":
            at = self.world.real_now() + timedelta(seconds=float(seconds) + 1)
            headers = {"Retry-After": format_datetime(at, usegmt=True)}
        elif form == "seconds":
            headers = {"Retry-After": str(int(-(-seconds // 1)))}
        return ApiError(429, headers=headers)

    def _spend(self) -> None:
        """The tenant's token bucket: full at first, refilled evenly."""
        rate = self.world.switches["rate_per_minute"]
        if not rate:
            return
        sandbox = self.world.switches["rate_clock"] == "sandbox"
        now = self.world.clock.now().timestamp() if sandbox else time.monotonic()
        elapsed = now - (self._measured if self._measured is not None else now)
        self._allowance, self._measured = min(rate, self._allowance + max(0.0, elapsed) * rate / 60), now
        if self._allowance < 1:
            raise self._too_many((1 - self._allowance) * 60 / rate)
        self._allowance -= 1

    def _user(self, call: ApiCall) -> User:
        scheme, _, value = call.headers.get("authorization", "").partition(" ")
        if scheme not in ("AnaplanAuthToken", "Bearer"):
            raise ApiError(401)
        if self.world.faults.take(VENDOR, "token_expired", call.line) is not None:
            self.world.directory.tokens.pop(value, None)
        try:
            token = self.world.directory.check(value)
        except LoginRefused as error:
            raise ApiError(401) from error
        return self.world.directory.users[token.email]

    def _check_model(self, call: ApiCall) -> None:
        """Ids are case-sensitive; no access is 404, never 403 (vendors/anaplan.md section 4)."""
        wrong = call.ids.get("workspace", hub.WORKSPACE_ID) != hub.WORKSPACE_ID
        wrong = wrong or call.ids.get("model", hub.MODEL_ID) != hub.MODEL_ID
        if wrong or ("model" in call.ids and call.user.role == "NO ACCESS"):
            raise ApiError(404)


def require_open(world: World, call: ApiCall, *, structure: bool = False) -> None:
    """Refuse a call that the model's active state does not allow; only model content needs this."""
    state = world.model.active_state
    if state == "ARCHIVED":
        raise ApiError(422)
    if state in ("MAINTENANCE", "PRODUCTION_MAINTENANCE"):
        raise ApiError(424)
    if state == "LOCKED" and call.method != "GET":
        raise ApiError(423)
    if state == "PRODUCTION" and structure:
        raise ApiError(425)


def prefix_url(request: Request) -> str:
    """URL of the vendor's prefix, as the client reached it."""
    return str(request.base_url).rstrip("/") + str(request.scope.get("root_path", ""))


async def read_call(request: Request) -> ApiCall:
    """The request with its whole body."""
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    return ApiCall(
        request.method,
        path,
        {name: str(value) for name, value in request.path_params.items()},
        request.query_params,
        request.headers,
        await request.body(),
        prefix_url(request),
    )


def success(call: ApiCall, world: World, schema: str, **content: Any) -> Response:
    """The success envelope. An empty collection drops its key (vendors/anaplan.md section 1)."""
    body: dict[str, Any] = {
        "meta": {"schema": f"{call.base}{API}/models/{hub.MODEL_ID}/objects/{schema}"},
        "status": {"code": 200, "message": "Success"},
    }
    body |= {key: value for key, value in content.items() if value != []}
    return JsonResponse(_with_extras(call, world, body))


def paged(call: ApiCall, world: World, schema: str, key: str, rows: Sequence[dict[str, Any]]) -> Response:
    """A page of rows. Without `limit` all rows come, and `next` is false (vendors/anaplan.md section 3)."""
    offset, limit = call.number("offset", 0), call.number("limit", DEFAULT_PAGE)
    page = list(rows[offset : offset + limit])
    paging: dict[str, Any] = {"currentPageSize": len(page), "totalSize": len(rows), "offset": offset}
    size = limit if "limit" in call.query else 20
    url = f"{call.base}{call.path}?limit={size}&offset="
    if offset + size < len(rows):
        paging["next"] = f"{url}{offset + size}"
    if offset:
        paging["previous"] = f"{url}{max(0, offset - size)}"
    body: dict[str, Any] = {
        "meta": {"schema": f"{call.base}{API}/objects/{schema}", "paging": paging},
        "status": {"code": 200, "message": "Success"},
    }
    return JsonResponse(_with_extras(call, world, body | ({key: page} if page else {})))


def sorted_rows(call: ApiCall, rows: list[dict[str, Any]], *, strict: bool) -> list[dict[str, Any]]:
    """`sort=+name|-name`; tenant resources refuse other fields (strict), model resources ignore them."""
    # A plus sign in a query string arrives as a blank.
    wanted = call.query.get("sort", "").replace(" ", "+", 1)
    if not wanted:
        return rows
    sign, name = wanted[0], wanted[1:]
    if sign not in "+-" or not rows or name not in rows[0]:
        if strict:
            raise ApiError(400, f"cannot sort by {wanted!r}")
        return rows
    return sorted(rows, key=lambda row: str(row.get(name, "")), reverse=sign == "-")


def _with_extras(call: ApiCall, world: World, body: dict[str, Any]) -> dict[str, Any]:
    if world.switches["extra_fields"] or world.faults.take(VENDOR, "extra_fields", call.line) is not None:
        body = body | {"sandboxExtra": {"note": "a field that clients do not know"}}
        body["status"] = body["status"] | {"sandboxExtra": True}
    return body


def failure(call: ApiCall, error: ApiError, world: World) -> Response:
    """The failure envelope, or the gateway's page."""
    if isinstance(error, GatewayError):
        return gateway_page(error.status)
    stamp = world.real_now().strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
    body = {"status": {"code": error.status, "message": str(error)}, "path": call.path, "timestamp": stamp}
    return JsonResponse(body, error.status, headers=error.headers)
