"""The frame around every REST call: faults, session, throttling, scopes, and the form of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox.core import Dropped, gateway_page
from mlc_sandbox.tableau import wire
from mlc_sandbox.tableau.calls import ApiCall, Late, Reply
from mlc_sandbox.tableau.errors import ApiError
from mlc_sandbox.tableau.limits import too_many
from mlc_sandbox.tableau.store import Site, User
from mlc_sandbox.tableau.world import VENDOR, World

API = "/api/{version}"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
ADMIN_ROLES = ("ServerAdministrator", "SiteAdministratorCreator", "SiteAdministratorExplorer")
PUBLISH_ROLES = ("ServerAdministrator", "SiteAdministratorCreator", "Creator", "ExplorerCanPublish")

_SITE_KEYS = {"contentUrl": "content_url", "name": "name"}

# Every fault that can be armed; docs/sandbox-tableau.md says what each one takes.
FAULTS = (
    "drop_connection",
    "job_ends",
    "job_stuck",
    "job_unknown",
    "late_call",
    "rate_limit",
    "server_error",
    "sign_in_refused",
    "slow",
    "token_expired",
    "upload_lost",
    "webhook_duplicate",
    "webhook_late",
    "webhook_lost",
)


# A handler answers under the lock, or returns a function that goes on without it.
Answer = Reply | Response | Callable[[], Reply]
Handler = Callable[[ApiCall], Answer]


@dataclass(frozen=True, slots=True)
class Method:
    """A handler, the scope a JWT needs for it, and what it counts as besides a call."""

    handler: Handler
    scope: str
    counts_as: str | None = None


class Gate:
    """Lets a call in and runs its handler under the lock."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.methods: dict[str, dict[str, Method]] = {}

    def route(self, path: str, **methods: Method) -> Route:
        """One path below /api/{version}/sites/{site}; a session is needed."""
        return self._mount("/sites/{site}" + path, methods)

    def open(self, path: str, **handlers: Handler) -> Route:
        """One path below /api/{version} that needs no session."""
        return self._mount(path, {name: Method(one, "") for name, one in handlers.items()})

    def unknown(self) -> Route:
        """Every other path: 404003."""
        return self._mount("/{rest:path}", {})

    def _mount(self, path: str, methods: dict[str, Method]) -> Route:
        self.methods[path] = methods

        async def endpoint(request: Request) -> Response:
            return await self._answer(await read_call(request, path))

        return Route(API + path, endpoint, methods=METHODS)

    async def _answer(self, call: ApiCall) -> Response:
        slow = self._fault("slow", call)
        if slow is not None:
            await asyncio.sleep(slow.get("seconds", 1))
        drop = self._fault("drop_connection", call)
        if drop is not None and drop.get("when", "after") == "before":
            return Dropped()
        response = await run_in_threadpool(self._perform, call)
        return response if drop is None else Dropped()

    def _perform(self, call: ApiCall) -> Response:
        accept = call.headers.get("accept", "*/*")
        try:
            with self.world.lock:
                broken = self._fault("server_error", call)
                if broken is not None:
                    return _broken(broken, accept)
                self.world.jobs.catch_up()
                self._carry_out_late()
                method = self._admit(call)
                if self._hold_back(call):
                    return Dropped()
                answer = method.handler(call)
                self._count_down(call)
            answer = answer if isinstance(answer, Reply | Response) else answer()
        except ApiError as error:
            return wire.respond(error.status, (error.element(),), accept, error.headers)
        if isinstance(answer, Response):
            return answer
        return wire.respond(answer.status, answer.elements, accept)

    def _admit(self, call: ApiCall) -> Method:
        methods = self.methods[call.route]
        if not methods:
            raise ApiError(404003, f"The requested resource does not exist: {call.line.split(' ')[1]}")
        if call.method not in methods:
            raise ApiError(405000, f"{call.method} is not supported here.")
        limited = self._fault("rate_limit", call)
        if limited is not None:
            raise too_many(self.world.switches, _name(call), float(limited.get("seconds", 60)))
        method = methods[call.method]
        if "site" in call.ids:
            self._check_session(call, method)
        return method

    def _check_session(self, call: ApiCall, method: Method) -> None:
        login, switches = self.world.login, self.world.switches
        if self._fault("token_expired", call) is not None:
            login.sessions.clear()
        call.session = login.check(call.headers.get("x-tableau-auth"))
        call.ids["site"] = self._site(call)
        if call.ids["site"] not in self.world.sites:
            raise ApiError(404000, f"Site {call.ids['site']} does not exist.")
        if call.ids["site"] != call.session.site:
            raise ApiError(403004, "The session belongs to another site.")
        scopes = call.session.scopes
        if scopes is not None and not _allowed(method.scope, scopes, webhooks=switches["jwt_webhooks"]):
            raise ApiError(switches["scope_refusal"], "Invalid authentication credentials were provided.")
        self.world.limits.spend("calls", call.session.user, _name(call))
        if method.counts_as is not None:
            self.world.limits.spend(method.counts_as, call.session.user, _name(call))

    def _site(self, call: ApiCall) -> str:
        """The site's id; with ?key=contentUrl or name the path has that instead."""
        given, key = call.ids["site"], _SITE_KEYS.get(call.query.get("key", ""))
        if key is None:
            return given
        named = [site.id for site in self.world.sites.values() if getattr(site, key) == given]
        return named[0] if named else given

    # Calls that come late

    def _hold_back(self, call: ApiCall) -> bool:
        held = self._fault("late_call", call)
        if held is None:
            return False
        seconds = held.get("seconds")
        due = None if seconds is None else self.world.clock.wire() + timedelta(seconds=seconds)
        self.world.late.append(Late(call, int(held.get("calls", 1)) if due is None else None, due))
        return True

    def _count_down(self, call: ApiCall) -> None:
        """A call that writes content has been carried out: what waited for it happens now."""
        if call.method not in ("POST", "PATCH") or "/datasources" not in call.route:
            return
        for late in self.world.late:
            if late.calls is not None:
                late.calls -= 1
        self.world.jobs.catch_up()
        self._carry_out_late()

    def _carry_out_late(self, *, all_of_it: bool = False) -> int:
        now, done = self.world.clock.wire(), 0
        for late in list(self.world.late):
            counted = late.calls is not None and late.calls <= 0
            if all_of_it or counted or (late.due is not None and late.due <= now):
                self.world.late.remove(late)
                done += 1
                try:
                    self.methods[late.call.route][late.call.method].handler(late.call)
                except ApiError:
                    continue  # nobody is there to be told
        return done

    def release(self) -> int:
        """Carry out everything that is late now; how many there were."""
        with self.world.lock:
            return self._carry_out_late(all_of_it=True)

    def _fault(self, name: str, call: ApiCall) -> dict[str, Any] | None:
        return self.world.faults.take(VENDOR, name, call.line)


class Room:
    """What the handlers of one part of the API share."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world, self.gate = world, gate

    def site(self, call: ApiCall) -> Site:
        """The site of the call's session."""
        return self.world.sites[call.ids["site"]]

    def caller(self, call: ApiCall) -> User:
        """Who calls. Raises ApiError 401002 when the user is gone."""
        user = self.world.user(call.session) if call.session else None
        if user is None:
            raise ApiError(401002, "Invalid authentication credentials were provided.")
        return user

    def require(self, call: ApiCall, roles: tuple[str, ...], code: int = 403004) -> None:
        """Raises ApiError when the caller's site role is not one of these."""
        role = self.caller(call).site_role
        if role not in roles:
            raise ApiError(code, f"The site role {role} does not allow this.")


def _allowed(scope: str, scopes: frozenset[str], *, webhooks: bool) -> bool:
    if scope == "webhooks":
        return webhooks
    return scope in scopes or f"{scope.rpartition(':')[0]}:*" in scopes


def _name(call: ApiCall) -> str:
    """The service's own names of its methods are not known; this one is made like the one that is."""
    return f"api.rest.{call.method.lower()}{call.route.replace('/sites/{site}', '').replace('/', '_')}"


def _broken(fault: Mapping[str, Any], accept: str) -> Response:
    status = int(fault.get("status", 503))
    if fault.get("html", False):
        return gateway_page(status)
    error = ApiError(status * 1000, fault.get("message", "The service could not process the request."))
    return wire.respond(status, (error.element(),), accept)


async def read_call(request: Request, route: str) -> ApiCall:
    """The request with its whole body."""
    query = request.url.query
    ids = {name: str(value) for name, value in request.path_params.items()}
    headers = {name.lower(): value for name, value in request.headers.items()}
    line = f"{request.method} {request.url.path}" + (f"?{query}" if query else "")
    body = await request.body()
    return ApiCall(route, request.method, line, ids, dict(request.query_params), headers, body)
