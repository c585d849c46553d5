"""The frame around every REST call: faults, token, limits, routing, and answers that get lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox.asana.calls import API, Answer, ApiCall, Reply, read_body
from mlc_sandbox.asana.errors import ApiError, bad, no_access, no_route, pay, too_many
from mlc_sandbox.asana.limits import READ, WRITE
from mlc_sandbox.asana.login import Actor
from mlc_sandbox.asana.world import VENDOR, World
from mlc_sandbox.core import Dropped, JsonResponse, gateway_page

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

# Every fault that can be armed; docs/sandbox-asana.md says what each one takes.
FAULTS = (
    "double_create",
    "drop_connection",
    "event_lost",
    "late_commit",
    "lost_answer",
    "no_access",
    "partial_batch",
    "payment_required",
    "rate_limit",
    "server_error",
    "slow",
    "token_error",
    "token_expired",
    "unauthorized",
    "webhook_duplicate",
    "webhook_lost",
)

Handler = Callable[[ApiCall], Answer]


class Gate:
    """Lets a call in, finds its handler and runs it under the lock."""

    def __init__(self, world: World, happened: Callable[[], None]) -> None:
        """`happened` is called after every call, without the lock."""
        self.world, self._happened = world, happened
        self._handlers: dict[tuple[str, int], list[tuple[list[str], Handler]]] = {}

    def add(self, path: str, **handlers: Handler) -> None:
        """One path below the API's root: `GET=..., POST=...`; another method is no route."""
        segments = path.strip("/").split("/")
        for method, handler in handlers.items():
            self._handlers.setdefault((method, len(segments)), []).append((segments, handler))

    def route(self) -> Route:
        """The whole API as one route."""
        return Route(f"{API}/{{rest:path}}", self._endpoint, methods=METHODS)

    async def _endpoint(self, request: Request) -> Response:
        raw = await request.body()
        url = str(request.url.replace(query=""))
        root = url[: url.index(API) + len(API)]
        raw_path = request.scope["raw_path"].decode("latin-1")
        path = raw_path[raw_path.index(API) + len(API) :]
        authorization = request.headers.get("authorization")
        try:
            self._find(request.method, path)
            actor = self.world.login.actor(authorization)
            data, options = read_body(raw)
        except ApiError as error:
            return _json(_refusal(error))
        call = ApiCall(
            self.world, request.method, path, dict(request.query_params), data, options, actor, root
        )
        return await self._answer(call)

    async def _answer(self, call: ApiCall) -> Response:
        wanted = _in_flight(call)
        try:
            self.world.limits.enter(call.actor.token, wanted)
        except ApiError as error:
            self._count(call)
            return _json(_refusal(error))
        try:
            slow = self._fault("slow", call)
            if slow is not None:
                await asyncio.sleep(slow.get("seconds", 1))
            return await self._through_faults(call)
        finally:
            self.world.limits.leave(call.actor.token, wanted)

    async def _through_faults(self, call: ApiCall) -> Response:
        """The work, with what may happen to it before and to its answer afterwards."""
        drop = self._fault("drop_connection", call)
        if drop is not None and drop.get("when", "after") == "before":
            return Dropped()
        late = self._fault("late_commit", call)
        if late is not None:
            self._postpone(call, late.get("seconds", 30))
            return Dropped(late.get("answer_seconds", 120))
        broken = self._fault("server_error", call)
        if broken is not None and not broken.get("committed", False):
            return _broken(broken)
        lost = self._fault("lost_answer", call)
        reply = await run_in_threadpool(self._perform, call)
        if drop is not None:
            return Dropped()
        if broken is not None:
            return _broken(broken)
        return _json(reply) if lost is None else Dropped(lost.get("seconds", 120))

    # The work

    def _perform(self, call: ApiCall) -> Reply:
        """Count, admit, run. A refusal is an answer too."""
        try:
            with self.world.lock:
                self._catch_up()
                self.world.limits.calls(call.actor.token, _weight(call))
                self._refuse_by_fault(call)
                answer = self.dispatch(call)
            reply = answer if isinstance(answer, Reply) else answer()
        except ApiError as error:
            reply = _refusal(error)
        with self.world.lock:
            self.world.limits.charge(call.actor.token, call.view.cost)
        self._happened()
        return reply

    def dispatch(self, call: ApiCall) -> Answer:
        """Run the handler of a call, which may be one action of a batch. Raises ApiError."""
        handler, call.ids = self._find(call.method, call.path)
        if "%3a" in call.path.lower() and self.world.switches["encoded_colon"] == "refused":
            raise bad(f"task: Not a recognized ID: {call.path.rpartition('/')[2]}")
        call.path = unquote(call.path)
        answer = handler(call)
        made = call.method == "POST" and call.path.endswith(("/tasks", "/subtasks"))
        if made and self._fault("double_create", call) is not None:
            call.data = {name: value for name, value in call.data.items() if name != "custom_fields"}
            handler(call)
        return answer

    def _find(self, method: str, path: str) -> tuple[Handler, Mapping[str, str]]:
        """Raises ApiError 404, also when only the method is wrong."""
        asked = path.strip("/").split("/")
        for segments, handler in self._handlers.get((method, len(asked)), ()):
            pairs = list(zip(segments, asked, strict=True))
            if all(wanted == given or wanted.startswith("{") for wanted, given in pairs):
                return handler, {
                    wanted[1:-1]: unquote(given) for wanted, given in pairs if wanted.startswith("{")
                }
        raise no_route()

    def _refuse_by_fault(self, call: ApiCall) -> None:
        limited = self._fault("rate_limit", call)
        if limited is not None:
            raise too_many(limited.get("retry_after", 10))
        if self._fault("token_expired", call) is not None:
            self.world.login.expire_all()
            raise ApiError(401, "Not Authorized")
        if self._fault("unauthorized", call) is not None:
            raise ApiError(401, "Not Authorized")
        unpaid = self._fault("payment_required", call)
        if unpaid is not None:
            raise pay(unpaid.get("message", "This is not available on your plan."))
        closed = self._fault("no_access", call)
        if closed is not None:
            raise no_access(closed.get("what", "task"))

    def _count(self, call: ApiCall) -> None:
        """A call that is refused for too many in flight counts all the same."""
        with self.world.lock:
            try:
                self.world.limits.calls(call.actor.token, _weight(call))
            except ApiError:
                return

    # What happens after the client has given up

    def _postpone(self, call: ApiCall, seconds: float) -> None:
        due = self.world.clock.wire() + timedelta(seconds=seconds)
        late = {
            "due": due,
            "method": call.method,
            "path": call.path,
            "data": call.data,
            "user": call.actor.user,
            "app": call.actor.app,
        }
        with self.world.lock:
            self.world.late.append(late)

    def _catch_up(self, *, everything: bool = False) -> int:
        now = self.world.clock.wire()
        due = [late for late in self.world.late if everything or late["due"] <= now]
        self.world.late = [late for late in self.world.late if late not in due]
        for late in due:
            actor = Actor(late["user"], late["app"], "late")
            call = ApiCall(self.world, late["method"], late["path"], {}, late["data"], {}, actor)
            try:
                self.dispatch(call)
            except ApiError:
                continue  # nobody is there to read why
        return len(due)

    def release(self) -> int:
        """Everything late happens now; how many calls there were."""
        with self.world.lock:
            return self._catch_up(everything=True)

    def _fault(self, name: str, call: ApiCall) -> dict[str, Any] | None:
        return self.world.faults.take(VENDOR, name, call.line)


def batch_actions(call: ApiCall) -> list[Any]:
    """The actions of a batch, [] for any other call."""
    actions = call.data.get("actions") if (call.method, call.path) == ("POST", "/batch") else None
    return actions if isinstance(actions, list) else []


def _weight(call: ApiCall) -> int:
    """Each action of a batch counts as a call, the batch itself does not."""
    return len(batch_actions(call)) or 1


def _in_flight(call: ApiCall) -> Counter[str]:
    methods = [
        str(action.get("method", "")).upper() for action in batch_actions(call) if isinstance(action, dict)
    ]
    return Counter(READ if method == "GET" else WRITE for method in methods or [call.method])


def _refusal(error: ApiError) -> Reply:
    return Reply(error.body(), error.status, error.headers)


def _json(reply: Reply) -> Response:
    response = JsonResponse(reply.body, reply.status, reply.headers)
    response.headers["Content-Type"] = "application/json; charset=UTF-8"
    return response


def _broken(fault: Mapping[str, Any]) -> Response:
    """500 is the API's own, with a phrase; 502 to 504 are pages of the edge."""
    status = int(fault.get("status", 500))
    if status == 500:
        return _json(_refusal(ApiError(500, "Server Error")))
    return gateway_page(status)


def shuffled(count: int, rng: random.Random) -> list[int]:
    """The order in which the actions of a batch run: no one may rely on it."""
    return rng.sample(range(count), count)
