"""Routes under /tableau/control: look into the site, change tokens and roles, let late things happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from starlette.routing import Route

from mlc_sandbox.asked import Asked, Handler, control_route
from mlc_sandbox.tableau.example import INTEGRATION
from mlc_sandbox.tableau.hyper import Unusable
from mlc_sandbox.tableau.routes_users import ROLES
from mlc_sandbox.tableau.world import World


class ControlRoutes:
    """No token is needed here: these are the sandbox's own, not Tableau's."""

    def __init__(self, world: World, release: Callable[[], int]) -> None:
        self.world, self.release = world, release

    def routes(self) -> list[Route]:
        """All control routes."""
        handlers: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/datasources", self._datasources),
            ("GET", "/datasources/{datasource}/rows", self._rows),
            ("GET", "/datasources/{datasource}/history", self._history),
            ("GET", "/jobs", self._jobs),
            ("GET", "/tokens", self._tokens),
            ("PUT", "/tokens/{token}", self._add_token),
            ("PATCH", "/tokens/{token}", self._change_token),
            ("DELETE", "/sessions", self._end_sessions),
            ("PATCH", "/users/{user}", self._change_user),
            ("GET", "/webhooks/deliveries", self._deliveries),
            ("POST", "/release", self._release),
        )
        return [
            control_route(method, f"/control{path}", handler, refusals=(Unusable,))
            for method, path, handler in handlers
        ]

    def _datasources(self, asked: Asked) -> Any:  # noqa: ARG002
        return self.world.counts()

    def _rows(self, asked: Asked) -> Any:
        return self.world.rows(asked.path["datasource"], asked.query.get("table"), asked.query.get("schema"))

    def _history(self, asked: Asked) -> Any:
        with self.world.lock:
            return [asdict(event) for event in self.world.datasource(asked.path["datasource"]).history]

    def _jobs(self, asked: Asked) -> Any:  # noqa: ARG002
        with self.world.lock:
            shown = ("id", "kind", "title", "created", "started", "ended", "code", "note", "polls")
            jobs = self.world.site().jobs.values()
            return [{name: getattr(job, name) for name in shown} for job in jobs]

    def _tokens(self, asked: Asked) -> Any:  # noqa: ARG002
        with self.world.lock:
            return {name: self._token(name) for name in self.world.login.pats}

    def _add_token(self, asked: Asked) -> Any:
        """Shows the secret, once."""
        with self.world.lock:
            login, wanted = self.world.login, asked.body or {}
            user = wanted.get("user", INTEGRATION)
            if not any(known.name == user for known in self.world.site().users.values()):
                raise KeyError(f"There is no user {user!r}.")
            secret = self.world.secret(f"{asked.path['token']} {len(login.pats)} {self.world.clock.wire()}")
            login.add_pat(asked.path["token"], user, secret, int(wanted.get("days", 180)))
            return self._token(asked.path["token"]) | {"secret": secret}

    def _change_token(self, asked: Asked) -> Any:
        """`unused_days`, `ends` (a date), `revoked`."""
        with self.world.lock:
            found = self.world.login.pats.get(asked.path["token"])
            if found is None:
                raise KeyError(f"There is no token {asked.path['token']!r}.")
            if "unused_days" in asked.body:
                found.used = self.world.clock.now() - timedelta(days=float(asked.body["unused_days"]))
            if "ends" in asked.body:
                found.ends = date.fromisoformat(asked.body["ends"])
            found.revoked = bool(asked.body.get("revoked", found.revoked))
            return self._token(found.name)

    def _token(self, name: str) -> dict[str, Any]:
        found = self.world.login.pats[name]
        shown = {"user": found.user, "used": found.used, "ends": found.ends, "revoked": found.revoked}
        return shown | {"sessions": sum(open_.pat == name for open_ in self.world.login.sessions.values())}

    def _end_sessions(self, asked: Asked) -> Any:  # noqa: ARG002
        with self.world.lock:
            ended = len(self.world.login.sessions)
            self.world.login.sessions.clear()
            return {"ended": ended}

    def _change_user(self, asked: Asked) -> Any:
        with self.world.lock:
            for user in self.world.site().users.values():
                if asked.path["user"] in (user.id, user.name):
                    if asked.body["site_role"] not in ROLES:
                        raise ValueError(f"A site role is one of {', '.join(ROLES)}.")
                    user.site_role = asked.body["site_role"]
                    return asdict(user)
            raise KeyError(f"There is no user {asked.path['user']!r}.")

    def _deliveries(self, asked: Asked) -> Any:  # noqa: ARG002
        return self.world.webhooks.sent()

    def _release(self, asked: Asked) -> Any:  # noqa: ARG002
        return {"released": self.release()}
