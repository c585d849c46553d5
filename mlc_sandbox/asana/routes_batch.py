"""POST /batch: up to ten calls side by side, in no order (vendors/asana.md section 9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlc_sandbox.asana.calls import ApiCall, Reply
from mlc_sandbox.asana.errors import ApiError, bad, no_access
from mlc_sandbox.asana.http import Gate, shuffled
from mlc_sandbox.asana.world import VENDOR, World

ACTIONS = 10
METHODS = ("get", "post", "put", "delete")
_CLOSED = ("/batch", "/attachments", "/organization_exports")


class BatchRoutes:
    """Actions run in a random order and know nothing of one another."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world, self.gate = world, gate
        gate.add("/batch", POST=self._batch)

    def _batch(self, call: ApiCall) -> Reply:
        call.only("actions")
        actions = call.need("actions")
        if not isinstance(actions, list) or not 1 <= len(actions) <= ACTIONS:
            raise bad(f"actions: Must have between 1 and {ACTIONS} actions")
        order = shuffled(len(actions), self.world.rng)
        cut = self.world.faults.take(VENDOR, "partial_batch", call.line)
        if cut is not None:
            order = order[: int(cut.get("actions", len(actions) // 2))]
        answers = {number: self._action(call, actions[number]) for number in order}
        if cut is not None:
            raise ApiError(int(cut.get("status", 500)), "Server Error")
        return Reply({"data": [answers[number] for number in range(len(actions))]})

    def _action(self, call: ApiCall, action: Any) -> dict[str, Any]:
        try:
            reply = self._run(call, action)
        except ApiError as error:
            return {"status_code": error.status, "headers": error.headers, "body": error.body()}
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return {"status_code": reply.status, "headers": headers, "body": reply.body}

    def _run(self, call: ApiCall, action: Any) -> Reply:
        inner = self._inner(call, action)
        broken = self.world.faults.take(VENDOR, "server_error", inner.line)
        if broken is not None:
            raise ApiError(int(broken.get("status", 500)), "Server Error")
        closed = self.world.faults.take(VENDOR, "no_access", inner.line)
        if closed is not None:
            raise no_access(closed.get("what", "task"))
        answer = self.gate.dispatch(inner)
        call.view.cost += inner.view.cost
        return answer if isinstance(answer, Reply) else answer()

    def _inner(self, call: ApiCall, action: Any) -> ApiCall:
        if not isinstance(action, Mapping):
            raise bad("actions: Value is not a JSON object")
        method, path = action.get("method"), action.get("relative_path")
        if method not in METHODS:
            raise bad(f"method: Must be one of {', '.join(METHODS)}: {method}")
        if not isinstance(path, str) or not path.startswith("/") or "?" in path or path.startswith(_CLOSED):
            raise bad(f"relative_path: Not a path that a batch can call: {path}")
        data, options = dict(action.get("data") or {}), dict(action.get("options") or {})
        query = {name: _as_query(value) for name, value in data.items()} if method == "get" else {}
        return ApiCall(
            self.world,
            method.upper(),
            path,
            query,
            {} if method == "get" else data,
            options,
            call.actor,
            call.root,
        )


def _as_query(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
