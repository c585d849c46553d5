"""Routes under /powerbi/control: look into the tenant, give and take roles, let late calls happen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox.core import JsonResponse
from mlc_sandbox.powerbi.dax import DaxError
from mlc_sandbox.powerbi.world import World

Handler = Callable[[Mapping[str, str], Any], Any]


class ControlRoutes:
    """No token is needed here: these are the sandbox's own, not Power BI's."""

    def __init__(self, world: World) -> None:
        self.world = world

    def routes(self) -> list[Route]:
        """All control routes."""
        return [
            _route("/datasets", "GET", self._datasets),
            _route("/datasets/{dataset}", "GET", self._definition),
            _route("/datasets/{dataset}/tables/{table}/rows", "GET", self._rows),
            _route("/datasets/{dataset}/tables/{table}/history", "GET", self._history),
            _route("/datasets/{dataset}/query", "POST", self._query),
            _route("/workspaces/{workspace}", "PATCH", self._role),
            _route("/release", "POST", self._release),
        ]

    def _datasets(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return self.world.counts()

    def _definition(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        with self.world.lock:
            found = self.world.dataset(path["dataset"])
            return {"id": found.id, "retention": found.retention} | found.definition()

    def _rows(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return self.world.rows(path["dataset"], path["table"])

    def _history(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return [asdict(event) for event in self.world.history(path["dataset"], path["table"])]

    def _query(self, path: Mapping[str, str], body: Any) -> Any:
        return self.world.query(path["dataset"], body["query"])

    def _role(self, path: Mapping[str, str], body: Any) -> Any:
        with self.world.lock:
            named = [
                found
                for found in self.world.workspaces.values()
                if path["workspace"] in (found.id, found.name)
            ]
            if not named:
                raise KeyError(f"There is no workspace {path['workspace']!r}.")
            self.world.grant(named[0].id, body["role"], lag=bool(body.get("lag", True)))
            return {"id": named[0].id, "role": self.world.role(named[0].id)}

    def _release(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return {"released": self.world.release()}


def _route(path: str, method: str, handler: Handler) -> Route:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()

        def run() -> Response:
            try:
                return JsonResponse(handler(request.path_params, json.loads(raw) if raw else None))
            except KeyError as error:
                return JsonResponse({"error": f"Not found or missing: {error.args[0]}"}, 404)
            except (ValueError, TypeError, DaxError) as error:
                return JsonResponse({"error": str(error)}, 400)

        return await run_in_threadpool(run)

    return Route(f"/control{path}", endpoint, methods=[method])
