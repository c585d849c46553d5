"""Routes under /asana/control: look into the organisation, edit as people do, let late things happen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox.asana.errors import ApiError
from mlc_sandbox.asana.http import Gate
from mlc_sandbox.asana.people import People
from mlc_sandbox.asana.webhooks import Dispatcher
from mlc_sandbox.asana.world import World
from mlc_sandbox.core import JsonResponse

Handler = Callable[[Mapping[str, str], Any], Any]


class ControlRoutes:
    """No token is needed here: these are the sandbox's own, not Asana's."""

    def __init__(self, world: World, gate: Gate, dispatcher: Dispatcher) -> None:
        self.world, self.gate, self.dispatcher = world, gate, dispatcher
        self.people = People(world)

    def routes(self) -> list[Route]:
        """All control routes."""
        return [
            self._route("/projects/{project}/tasks", "GET", self._tasks),
            self._route("/tasks/{task}", "GET", self._task),
            self._route("/tasks/{task}/edit", "POST", self._edit),
            self._route("/tasks/{task}/trash", "POST", self._trash),
            self._route("/tasks/{task}/restore", "POST", self._restore),
            self._route("/custom_fields/{field}/edit", "POST", self._edit_field),
            self._route("/webhooks/settle", "POST", self._settle),
            self._route("/release", "POST", self._release),
        ]

    def _tasks(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return self.people.tasks(path["project"])

    def _task(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return self.people.task(path["task"])

    def _edit(self, path: Mapping[str, str], body: Any) -> Any:
        self.people.edit(path["task"], **body)
        return self.people.task(path["task"])

    def _trash(self, path: Mapping[str, str], body: Any) -> Any:
        self.people.trash(path["task"], **(body or {}))
        return {"trashed": path["task"]}

    def _restore(self, path: Mapping[str, str], body: Any) -> Any:
        self.people.restore(path["task"], **(body or {}))
        return self.people.task(path["task"])

    def _edit_field(self, path: Mapping[str, str], body: Any) -> Any:
        return {"gid": self.people.edit_field(path["field"], **body).gid}

    def _settle(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return {"sent": self.dispatcher.settle()}

    def _release(self, path: Mapping[str, str], body: Any) -> Any:  # noqa: ARG002
        return {"released": self.gate.release()}

    def _route(self, path: str, method: str, handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            raw = await request.body()

            def run() -> Response:
                try:
                    body = json.loads(raw, parse_float=Decimal) if raw else None
                    return JsonResponse(handler(request.path_params, body))
                except KeyError as error:
                    return JsonResponse({"error": f"Not found or missing: {error.args[0]}"}, 404)
                except ApiError as error:
                    return JsonResponse({"error": error.message}, error.status)
                except (ValueError, TypeError) as error:
                    return JsonResponse({"error": str(error)}, 400)
                finally:
                    self.dispatcher.wake()

            return await run_in_threadpool(run)

        return Route(f"/control{path}", endpoint, methods=[method])
