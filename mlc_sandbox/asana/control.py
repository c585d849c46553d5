"""Routes under /asana/control: look into the organisation, edit as people do, let late things happen."""

from __future__ import annotations

from typing import Any

from starlette.routing import Route

from mlc_sandbox.asana.errors import ApiError
from mlc_sandbox.asana.http import Gate
from mlc_sandbox.asana.people import People
from mlc_sandbox.asana.webhooks import Dispatcher
from mlc_sandbox.asana.world import World
from mlc_sandbox.asked import Asked, Handler, control_route
from mlc_sandbox.core import JsonResponse


class ControlRoutes:
    """No token is needed here: these are the sandbox's own, not Asana's."""

    def __init__(self, world: World, gate: Gate, dispatcher: Dispatcher) -> None:
        self.world, self.gate, self.dispatcher = world, gate, dispatcher
        self.people = People(world)

    def routes(self) -> list[Route]:
        """All control routes."""
        handlers: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/projects/{project}/tasks", self._tasks),
            ("GET", "/tasks/{task}", self._task),
            ("POST", "/tasks/{task}/edit", self._edit),
            ("POST", "/tasks/{task}/trash", self._trash),
            ("POST", "/tasks/{task}/restore", self._restore),
            ("POST", "/custom_fields/{field}/edit", self._edit_field),
            ("POST", "/webhooks/settle", self._settle),
            ("POST", "/release", self._release),
        )
        return [
            control_route(method, f"/control{path}", self._woken(handler))
            for method, path, handler in handlers
        ]

    def _woken(self, handler: Handler) -> Handler:
        """People's edits reach webhooks; what Asana refuses people is refused here in its words."""

        def run(asked: Asked) -> Any:
            try:
                return handler(asked)
            except ApiError as error:
                return JsonResponse({"error": error.message}, error.status)
            finally:
                self.dispatcher.wake()

        return run

    def _tasks(self, asked: Asked) -> Any:
        return self.people.tasks(asked.path["project"])

    def _task(self, asked: Asked) -> Any:
        return self.people.task(asked.path["task"])

    def _edit(self, asked: Asked) -> Any:
        self.people.edit(asked.path["task"], **asked.body)
        return self.people.task(asked.path["task"])

    def _trash(self, asked: Asked) -> Any:
        self.people.trash(asked.path["task"], **(asked.body or {}))
        return {"trashed": asked.path["task"]}

    def _restore(self, asked: Asked) -> Any:
        self.people.restore(asked.path["task"], **(asked.body or {}))
        return self.people.task(asked.path["task"])

    def _edit_field(self, asked: Asked) -> Any:
        return {"gid": self.people.edit_field(asked.path["field"], **asked.body).gid}

    def _settle(self, asked: Asked) -> Any:  # noqa: ARG002
        return {"sent": self.dispatcher.settle()}

    def _release(self, asked: Asked) -> Any:  # noqa: ARG002
        return {"released": self.gate.release()}
