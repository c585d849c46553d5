"""Routes under /anaplan/control: look into the model and change what a model builder would."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox.anaplan.model import ImportAction
from mlc_sandbox.anaplan.periods import PERIOD_FORMATS
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.core import JsonResponse

STATES = ("UNLOCKED", "LOCKED", "ARCHIVED", "MAINTENANCE", "PRODUCTION", "PRODUCTION_MAINTENANCE")
BUILDER_CHOICES = {
    "key": ("code", "name"),
    "duplicates": ("first", "reject_all"),
    "clear": ("none", "items", "all"),
    "date_format": ("yyyy-mm-dd", "yyyymmdd"),
    "period_format": PERIOD_FORMATS,
}


class ControlRoutes:
    """No token is needed here: these are the sandbox's own, not Anaplan's."""

    def __init__(self, world: World) -> None:
        self.world = world

    def routes(self) -> list[Route]:
        """All control routes."""
        return [
            self._route("/lists/{name:path}", "GET", self._list),
            self._route("/modules/{name:path}", "GET", self._module),
            self._route("/imports/history", "GET", self._history),
            self._route("/imports/{name:path}", "PATCH", self._import),
            self._route("/files/{name:path}", "PUT", self._default_file),
            self._route("/model", "PATCH", self._model),
        ]

    def _route(self, path: str, method: str, handler: Callable[[str, bytes], Any]) -> Route:
        async def endpoint(request: Request) -> Response:
            body, name = await request.body(), request.path_params.get("name", "")

            def run() -> Response:
                try:
                    with self.world.lock:
                        return JsonResponse(handler(name, body))
                except (KeyError, ValueError) as error:
                    return JsonResponse(
                        {"error": str(error.args[0])}, 404 if isinstance(error, KeyError) else 400
                    )

            return await run_in_threadpool(run)

        return Route(f"/control{path}", endpoint, methods=[method])

    def _list(self, name: str, body: bytes) -> Any:  # noqa: ARG002
        return {code: asdict(item) for code, item in self.world.list_items(name).items()}

    def _module(self, name: str, body: bytes) -> Any:  # noqa: ARG002
        return self.world.module_rows(name)

    def _history(self, name: str, body: bytes) -> Any:  # noqa: ARG002
        return [asdict(ran) for ran in self.world.history]

    def _import(self, name: str, body: bytes) -> Any:
        action, wanted = self.world.import_named(name), json.loads(body)
        for field, value in wanted.items():
            if field == "headers":
                self.world.model.files[action.source_id].headers = tuple(value)
            elif field == "mapping":
                self._map(action, value)
            elif value not in BUILDER_CHOICES.get(field, ()):
                choices = f"headers, mapping, {BUILDER_CHOICES}"
                raise ValueError(f"{field}={value!r} is no choice; choices: {choices}")
            else:
                setattr(action, field, value)
        return asdict(action)

    def _map(self, action: ImportAction, columns: dict[str, str]) -> None:
        """Map columns to line items of the target module; new columns stand last in the file."""
        module, source = self.world.model.modules[action.target_id], self.world.model.files[action.source_id]
        for name in columns.values():
            if name not in module.line_items:
                raise ValueError(f"{module.name} has no line item {name!r}")
        action.mapping |= columns
        source.headers = tuple(dict.fromkeys([*source.headers, *columns]))

    def _default_file(self, name: str, body: bytes) -> Any:
        self.world.set_default_file(name, body)
        return {"default_file_of": name, "bytes": len(body)}

    def _model(self, name: str, body: bytes) -> Any:  # noqa: ARG002
        state = json.loads(body).get("active_state")
        if state not in STATES:
            raise ValueError(f"active_state is one of {', '.join(STATES)}")
        self.world.model.active_state = state
        return self.world.counts()
