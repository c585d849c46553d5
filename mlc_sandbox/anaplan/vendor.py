"""Anaplan as one vendor of the sandbox: its routes, its state, and the section of a ready mlc.yaml."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mlc_sandbox.anaplan import hub
from mlc_sandbox.anaplan.control import ControlRoutes
from mlc_sandbox.anaplan.effects import FAULTS, VENDOR
from mlc_sandbox.anaplan.http import API, METHODS, ApiError, Gate, failure, read_call
from mlc_sandbox.anaplan.metadata import MetadataRoutes
from mlc_sandbox.anaplan.oauth import CODE_CLIENT, CODE_SECRET, DEVICE_CLIENT
from mlc_sandbox.anaplan.routes_auth import AuthRoutes
from mlc_sandbox.anaplan.routes_cells import CellRoutes
from mlc_sandbox.anaplan.routes_files import FileRoutes
from mlc_sandbox.anaplan.routes_lists import ListRoutes
from mlc_sandbox.anaplan.routes_tasks import TaskRoutes
from mlc_sandbox.anaplan.switches import Switches
from mlc_sandbox.anaplan.world import PASSWORD, USER, World
from mlc_sandbox.core import Faults, SandboxClock


class AnaplanVendor:
    """The simulated Anaplan tenant, mounted under /anaplan."""

    name = VENDOR
    fault_names = FAULTS

    def __init__(self, clock: SandboxClock, faults: Faults) -> None:
        self.world = World(clock, faults)
        self.world.oauth.register(CODE_CLIENT, CODE_SECRET, USER)
        self.world.oauth.register(DEVICE_CLIENT, None, USER)

    @property
    def switches(self) -> Switches:
        """Every switch with its value; documented in docs/sandbox-anaplan.md."""
        return self.world.switches

    def routes(self) -> Sequence[BaseRoute]:
        """Token and OAuth services, the Integration API, and the control routes."""
        gate = Gate(self.world)
        rooms = (MetadataRoutes, FileRoutes, TaskRoutes, ListRoutes, CellRoutes)
        routes: list[BaseRoute] = [*AuthRoutes(self.world).routes(), *ControlRoutes(self.world).routes()]
        for room in rooms:
            routes += room(self.world, gate).routes()
        return [*routes, Route(API + "/{rest:path}", self._unknown, methods=METHODS)]

    async def _unknown(self, request: Request) -> Response:
        return failure(await read_call(request), ApiError(404), self.world)

    def dump(self) -> Any:
        """The whole state, picklable."""
        return self.world.dump()

    def load(self, state: Any) -> None:
        """Take over what `dump` returned."""
        self.world.load(state)

    def pass_day(self, rng: random.Random) -> Mapping[str, Any]:  # noqa: ARG002
        """Nobody works in the hub by himself; what is running comes to its end."""
        with self.world.lock:
            self.world.tasks.drain()
        return {}

    def describe(self) -> Mapping[str, Any]:
        """Sizes of lists, modules, files, tasks."""
        return self.world.counts()

    def config_section(self, url: str) -> dict[str, Any]:
        """The `anaplan` section of a ready mlc.yaml."""
        root = f"{url.rstrip('/')}/{self.name}"
        section: dict[str, Any] = {
            "api_url": f"{root}{API}",
            "auth_url": f"{root}/auth",
            "auth": {"method": "basic", "user": "${ANAPLAN_USER}", "password": "${ANAPLAN_PASSWORD}"},
            "workspace_id": hub.WORKSPACE_ID,
            "model_id": hub.MODEL_ID,
            # Nobody else calls this tenant, so no share of its calls is left to others.
            "headroom_percent": 100,
            "schedule": "0 6 * * *",
            "timezone": "Europe/Oslo",
            "destinations": _destinations(),
        }
        return {"anaplan": section}

    def secrets(self) -> dict[str, str]:
        """Credentials for the generated environment file."""
        return {"ANAPLAN_USER": USER, "ANAPLAN_PASSWORD": PASSWORD}


def _destinations() -> dict[str, Any]:
    feeds: dict[str, Any] = {
        feed.key: {
            "list_import": f"{feed.title} list",
            "data_import": f"{feed.title} data",
            **({"item_name": feed.item_name} if feed.item_name else {}),
            "read_back": f"{feed.module_name}.All",
        }
        for feed in hub.FEEDS
        if not feed.optional
    }
    actuals = {
        "data_import": f"{hub.ACTUALS.title} data",
        "parameters": {"Version": "Actual"},
        "read_back": f"{hub.ACTUALS.module_name}.Filled",
    }
    return feeds | {hub.ACTUALS.key: actuals}
