"""Routes under /tableau/control: look into the site, change tokens and roles, let late things happen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox.core import JsonResponse
from mlc_sandbox.tableau.example import INTEGRATION
from mlc_sandbox.tableau.hyper import Unusable
from mlc_sandbox.tableau.routes_users import ROLES
from mlc_sandbox.tableau.world import World

# Path parameters, query parameters, JSON body (None without one).
Handler = Callable[[Mapping[str, str], Mapping[str, str], Any], Any]


class ControlRoutes:
    """No token is needed here: these are the sandbox's own, not Tableau's."""

    def __init__(self, world: World, release: Callable[[], int]) -> None:
        self.world, self.release = world, release

    def routes(self) -> list[Route]:
        """All control routes."""
        return [
            _route("/datasources", "GET", self._datasources),
            _route("/datasources/{datasource}/rows", "GET", self._rows),
            _route("/datasources/{datasource}/history", "GET", self._history),
            _route("/jobs", "GET", self._jobs),
            _route("/tokens", "GET", self._tokens),
            _route("/tokens/{token}", "PUT", self._add_token),
            _route("/tokens/{token}", "PATCH", self._change_token),
            _route("/sessions", "DELETE", self._end_sessions),
            _route("/users/{user}", "PATCH", self._change_user),
            _route("/webhooks/deliveries", "GET", self._deliveries),
            _route("/release", "POST", self._release),
        ]

    def _datasources(self, path: Mapping[str, str], query: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return self.world.counts()

    def _rows(self, path: Mapping[str, str], query: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return self.world.rows(path["datasource"], query.get("table"), query.get("schema"))

    def _history(self, path: Mapping[str, str], query: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        with self.world.lock:
            return [asdict(event) for event in self.world.datasource(path["datasource"]).history]

    def _jobs(self, path: Mapping[str, str], query: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        with self.world.lock:
            shown = ("id", "kind", "title", "created", "started", "ended", "code", "note", "polls")
            jobs = self.world.site().jobs.values()
            return [{name: getattr(job, name) for name in shown} for job in jobs]

    def _tokens(self, path: Mapping[str, str], query: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        with self.world.lock:
            return {name: self._token(name) for name in self.world.login.pats}

    def _add_token(self, path: Mapping[str, str], query: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        """Shows the secret, once."""
        with self.world.lock:
            login, wanted = self.world.login, body or {}
            user = wanted.get("user", INTEGRATION)
            if not any(known.name == user for known in self.world.site().users.values()):
                raise KeyError(f"There is no user {user!r}.")
            secret = self.world.secret(f"{path['token']} {len(login.pats)} {self.world.clock.wire()}")
            login.add_pat(path["token"], user, secret, int(wanted.get("days", 180)))
            return self._token(path["token"]) | {"secret": secret}

    def _change_token(self, path: Mapping[str, str], query: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        """`unused_days`, `ends` (a date), `revoked`."""
        with self.world.lock:
            found = self.world.login.pats.get(path["token"])
            if found is None:
                raise KeyError(f"There is no token {path['token']!r}.")
            if "unused_days" in body:
                found.used = self.world.clock.now() - timedelta(days=float(body["unused_days"]))
            if "ends" in body:
                found.ends = date.fromisoformat(body["ends"])
            found.revoked = bool(body.get("revoked", found.revoked))
            return self._token(found.name)

    def _token(self, name: str) -> dict[str, Any]:
        found = self.world.login.pats[name]
        shown = {"user": found.user, "used": found.used, "ends": found.ends, "revoked": found.revoked}
        return shown | {"sessions": sum(open_.pat == name for open_ in self.world.login.sessions.values())}

    def _end_sessions(self, path: Mapping[str, str], query: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        with self.world.lock:
            ended = len(self.world.login.sessions)
            self.world.login.sessions.clear()
            return {"ended": ended}

    def _change_user(self, path: Mapping[str, str], query: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        with self.world.lock:
            for user in self.world.site().users.values():
                if path["user"] in (user.id, user.name):
                    if body["site_role"] not in ROLES:
                        raise ValueError(f"A site role is one of {', '.join(ROLES)}.")
                    user.site_role = body["site_role"]
                    return asdict(user)
            raise KeyError(f"There is no user {path['user']!r}.")

    def _deliveries(self, path: Mapping[str, str], query: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return self.world.webhooks.sent()

    def _release(self, path: Mapping[str, str], query: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return {"released": self.release()}


def _route(path: str, method: str, handler: Handler) -> Route:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()

        def run() -> Response:
            try:
                body = json.loads(raw) if raw else None
                return JsonResponse(handler(request.path_params, request.query_params, body))
            except KeyError as error:
                return JsonResponse({"error": f"Not found or missing: {error.args[0]}"}, 404)
            except (ValueError, TypeError, Unusable) as error:
                return JsonResponse({"error": str(error)}, 400)

        return await run_in_threadpool(run)

    return Route(f"/control{path}", endpoint, methods=[method])
