"""GET /events: what happened since a sync token (vendors/asana.md section 13)."""

from __future__ import annotations

import base64
import json
from typing import Any

from mlc_sandbox.asana.calls import ApiCall, Reply
from mlc_sandbox.asana.errors import ApiError, bad, pay
from mlc_sandbox.asana.http import Gate
from mlc_sandbox.asana.render import View, stamp
from mlc_sandbox.asana.selection import Tree
from mlc_sandbox.asana.store import Event, Project, Task, Workspace
from mlc_sandbox.asana.values import gid_text
from mlc_sandbox.asana.world import World

_OF_A_RESOURCE, _OF_A_WORKSPACE = 100, 1000
_INVALID = (
    "Sync token invalid or too old. If you are attempting to keep resources in sync, you must fetch the "
    "full dataset for this query now and use the new sync token for the next sync."
)


class EventRoutes:
    """Streams by resource. A token may be read again; nothing is kept longer than tokens live."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world = world
        gate.add("/events", GET=self._events)
        gate.add("/workspaces/{workspace}/events", GET=self._workspace_events)

    def _events(self, call: ApiCall) -> Reply:
        gid = gid_text("resource", call.ask("resource"))
        found = self.world.any(gid)
        if isinstance(found, Task):
            found = self.world.task(gid, call.actor, "resource")
        elif isinstance(found, Project):
            found = self.world.in_path(Project, gid, call.actor, "resource")
        else:
            raise bad(f"resource: Unknown object: {gid}")
        return self._since(call, found.gid, _OF_A_RESOURCE)

    def _workspace_events(self, call: ApiCall) -> Reply:
        if self.world.switches["workspace_events"] == "payment_required":
            raise pay("Workspace events are not available on your plan.")
        workspace = self.world.in_path(Workspace, call.ids["workspace"], call.actor)
        return self._since(call, workspace.gid, _OF_A_WORKSPACE)

    def _since(self, call: ApiCall, resource: str, most: int) -> Reply:
        """Raises ApiError 412 with a fresh token when the given one cannot be used."""
        last = self.world.events[-1].number if self.world.events else 0
        start = self._number(call.query.get("sync"), resource)
        if start is None:
            raise ApiError(412, _INVALID, more={"sync": self._token(resource, last)})
        mine = [event for event in self.world.events if event.number > start and resource in event.seen_by]
        page = mine[:most]
        following = page[-1].number if len(mine) > most else max(last, start)
        rows = [shown(event, call.view, call.selection) for event in page]
        return Reply(
            {"data": rows, "sync": self._token(resource, following), "has_more": len(mine) > len(page)}
        )

    def _token(self, resource: str, number: int) -> str:
        claims = [resource, number, self.world.clock.wire().timestamp()]
        return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")

    def _number(self, token: str | None, resource: str) -> int | None:
        """None for a token that is missing, foreign, too old, or older than what is kept."""
        try:
            text = base64.urlsafe_b64decode((token or "") + "=" * (-len(token or "") % 4))
            of, number, issued = json.loads(text)
        except ValueError:
            return None
        age = self.world.clock.wire().timestamp() - issued
        kept = self.world.events[0].number - 1 if self.world.events else 0
        if of != resource or age >= self.world.switches["sync_hours"] * 3600 or number < kept:
            return None
        return int(number)


def shown(event: Event, view: View, tree: Tree | None = None) -> dict[str, Any]:
    """The skinny form; opt_fields may expand user, resource and parent."""
    record: dict[str, Any] = {
        "user": {"gid": event.user, "resource_type": "user"},
        "created_at": stamp(event.at),
        "type": event.resource["resource_type"],
        "action": event.action,
        "resource": event.resource,
        "parent": event.parent,
    }
    if event.change is not None:
        record["change"] = event.change
    if tree is None:
        return record
    picked = {name: record[name] for name in tree if name in record}
    for name in ("user", "resource", "parent"):
        named = picked.get(name)
        entity = None if named is None else view.world.any(named["gid"])
        if entity is not None and tree[name]:
            picked[name] = view.selected(entity, tree[name])
    return picked
