"""Routes under /anaplan/control: look into the model and change what a model builder would."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.routing import Route

from mlc_sandbox.anaplan.model import ImportAction
from mlc_sandbox.anaplan.periods import PERIOD_FORMATS
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.asked import Asked, Handler, control_route

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
        handlers: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/lists/{name:path}", self._list),
            ("GET", "/modules/{name:path}", self._module),
            ("GET", "/imports/history", self._history),
            ("PATCH", "/imports/{name:path}", self._import),
            ("PUT", "/files/{name:path}", self._default_file),
            ("PATCH", "/model", self._model),
        )
        return [
            control_route(method, f"/control{path}", self._locked(handler))
            for method, path, handler in handlers
        ]

    def _locked(self, handler: Handler) -> Handler:
        def run(asked: Asked) -> Any:
            with self.world.lock:
                return handler(asked)

        return run

    def _list(self, asked: Asked) -> Any:
        return {code: asdict(item) for code, item in self.world.list_items(asked.path["name"]).items()}

    def _module(self, asked: Asked) -> Any:
        return self.world.module_rows(asked.path["name"])

    def _history(self, asked: Asked) -> Any:  # noqa: ARG002
        return [asdict(ran) for ran in self.world.history]

    def _import(self, asked: Asked) -> Any:
        action, wanted = self.world.import_named(asked.path["name"]), asked.body
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

    def _default_file(self, asked: Asked) -> Any:
        name = asked.path["name"]
        self.world.set_default_file(name, asked.content)
        return {"default_file_of": name, "bytes": len(asked.content)}

    def _model(self, asked: Asked) -> Any:
        state = asked.body.get("active_state")
        if state not in STATES:
            raise ValueError(f"active_state is one of {', '.join(STATES)}")
        self.world.model.active_state = state
        return self.world.counts()
