"""Routes under /powerbi/control: look into the tenant, give and take roles, let late calls happen."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.routing import Route

from mlc_sandbox.asked import Asked, Handler, control_route
from mlc_sandbox.powerbi.dax import DaxError
from mlc_sandbox.powerbi.world import World


class ControlRoutes:
    """No token is needed here: these are the sandbox's own, not Power BI's."""

    def __init__(self, world: World) -> None:
        self.world = world

    def routes(self) -> list[Route]:
        """All control routes."""
        handlers: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/datasets", self._datasets),
            ("GET", "/datasets/{dataset}", self._definition),
            ("GET", "/datasets/{dataset}/tables/{table}/rows", self._rows),
            ("GET", "/datasets/{dataset}/tables/{table}/history", self._history),
            ("POST", "/datasets/{dataset}/query", self._query),
            ("PATCH", "/workspaces/{workspace}", self._role),
            ("POST", "/release", self._release),
        )
        return [
            control_route(method, f"/control{path}", handler, refusals=(DaxError,))
            for method, path, handler in handlers
        ]

    def _datasets(self, asked: Asked) -> Any:  # noqa: ARG002
        return self.world.counts()

    def _definition(self, asked: Asked) -> Any:
        with self.world.lock:
            found = self.world.dataset(asked.path["dataset"])
            return {"id": found.id, "retention": found.retention} | found.definition()

    def _rows(self, asked: Asked) -> Any:
        return self.world.rows(asked.path["dataset"], asked.path["table"])

    def _history(self, asked: Asked) -> Any:
        return [asdict(event) for event in self.world.history(asked.path["dataset"], asked.path["table"])]

    def _query(self, asked: Asked) -> Any:
        return self.world.query(asked.path["dataset"], asked.body["query"])

    def _role(self, asked: Asked) -> Any:
        with self.world.lock:
            named = [
                found
                for found in self.world.workspaces.values()
                if asked.path["workspace"] in (found.id, found.name)
            ]
            if not named:
                raise KeyError(f"There is no workspace {asked.path['workspace']!r}.")
            self.world.grant(named[0].id, asked.body["role"], lag=bool(asked.body.get("lag", True)))
            return {"id": named[0].id, "role": self.world.role(named[0].id)}

    def _release(self, asked: Asked) -> Any:  # noqa: ARG002
        return {"released": self.world.release()}
