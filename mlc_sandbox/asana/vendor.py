"""Asana as one vendor of the sandbox: its routes, its state, its credentials."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from mlc_sandbox.asana.board import Board
from mlc_sandbox.asana.calls import API
from mlc_sandbox.asana.control import ControlRoutes
from mlc_sandbox.asana.founding import PROJECTS
from mlc_sandbox.asana.http import FAULTS, Gate
from mlc_sandbox.asana.people import People
from mlc_sandbox.asana.routes_batch import BatchRoutes
from mlc_sandbox.asana.routes_events import EventRoutes
from mlc_sandbox.asana.routes_fields import FieldRoutes
from mlc_sandbox.asana.routes_people import PeopleRoutes
from mlc_sandbox.asana.routes_projects import ProjectRoutes
from mlc_sandbox.asana.routes_search import SearchRoutes
from mlc_sandbox.asana.routes_stories import StoryRoutes
from mlc_sandbox.asana.routes_tasks import TaskRoutes
from mlc_sandbox.asana.routes_templates import TemplateRoutes
from mlc_sandbox.asana.routes_webhooks import WebhookRoutes
from mlc_sandbox.asana.store import User
from mlc_sandbox.asana.switches import Switches
from mlc_sandbox.asana.webhooks import Dispatcher
from mlc_sandbox.asana.world import VENDOR, World
from mlc_sandbox.core import Faults, JsonResponse, SandboxClock


class AsanaVendor:
    """The simulated Asana organisation, mounted under /asana. `people` edit in it, `dispatcher` notifies."""

    name = VENDOR
    fault_names = FAULTS

    def __init__(self, clock: SandboxClock, faults: Faults, seed: int = 1) -> None:
        self.world = World(clock, faults, seed)
        self.dispatcher = Dispatcher(self.world)
        self.gate = Gate(self.world, self.dispatcher.wake)
        self.people = People(self.world)

    @property
    def switches(self) -> Switches:
        """Every switch with its value; documented in docs/sandbox-asana.md."""
        return self.world.switches

    def routes(self) -> Sequence[BaseRoute]:
        """OAuth below /-, the REST API below /api/1.0, the view for a browser, and the control routes."""
        for room in (
            TaskRoutes,
            StoryRoutes,
            ProjectRoutes,
            FieldRoutes,
            PeopleRoutes,
            TemplateRoutes,
            SearchRoutes,
            EventRoutes,
            BatchRoutes,
        ):
            room(self.world, self.gate)
        WebhookRoutes(self.world, self.gate, self.dispatcher)
        board = Board(self.world)
        return [
            Route("/-/oauth_authorize", self._authorize),
            Route("/-/oauth_token", self._token, methods=["POST"]),
            Route("/-/oauth_revoke", self._revoke, methods=["POST"]),
            Route("/view/", _page(lambda _: board.projects())),
            Route("/view/projects/{project}", _page(lambda path: board.project(path["project"]))),
            *ControlRoutes(self.world, self.gate, self.dispatcher).routes(),
            self.gate.route(),
        ]

    async def _authorize(self, request: Request) -> Response:
        with self.world.lock:
            return self.world.login.authorize(request.query_params)

    async def _token(self, request: Request) -> Response:
        error = self.world.faults.take(VENDOR, "token_error", f"POST {request.url.path}")
        if error is not None:
            return JsonResponse({"error": error.get("error", "server_error")}, int(error.get("status", 503)))
        form = await _form(request)
        with self.world.lock:
            user: User = self.world.get(User, self.world.login.user)
            about = {"gid": user.gid, "id": int(user.gid), "name": user.name, "email": user.email}
            return self.world.login.token(form, about)

    async def _revoke(self, request: Request) -> Response:
        form = await _form(request)
        with self.world.lock:
            return self.world.login.revoke(form)

    def dump(self) -> Any:
        """The whole state, picklable."""
        return self.world.dump()

    def load(self, state: Any) -> None:
        """Take over what `dump` returned."""
        self.world.load(state)
        self.dispatcher.wake()

    def pass_day(self, rng: random.Random) -> Mapping[str, Any]:  # noqa: ARG002
        """What was late happens, and old trash goes; people edit on demand only."""
        return {"late": self.gate.release(), **self.world.pass_day()}

    def describe(self) -> Mapping[str, Any]:
        """Tasks by project, and what else there is."""
        return self.world.counts()

    def config_section(self, url: str) -> dict[str, Any]:
        """The `asana` section of a ready mlc.yaml; `url` is the sandbox's root URL."""
        root = f"{url.rstrip('/')}/{self.name}"
        section: dict[str, Any] = {
            "schedule": "0 6 * * *",
            "timezone": "Europe/Oslo",
            "api_url": f"{root}{API}",
            "oauth_url": f"{root}/-",
            "auth": {"method": "pat", "token": "${ASANA_TOKEN}"},
            "workspace": self.world.workspace.gid,
            "calls_per_minute": self.switches["calls_per_minute"],
            "destinations": {name: {"project": self.world.members[name]} for name in PROJECTS},
        }
        return {self.name: section}

    def secrets(self) -> dict[str, str]:
        """Credentials for the generated environment file."""
        login = self.world.login
        return {
            "ASANA_TOKEN": login.pat,
            "ASANA_CLIENT_ID": login.client_id,
            "ASANA_CLIENT_SECRET": login.client_secret,
        }


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))


def _page(render: Callable[[Mapping[str, str]], str]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            return HTMLResponse(await run_in_threadpool(render, request.path_params))
        except KeyError as error:
            return HTMLResponse(f"<!doctype html><title>Not found</title><p>{error.args[0]}</p>", 404)

    return endpoint
