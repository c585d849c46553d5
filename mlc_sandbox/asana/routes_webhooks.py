"""Webhooks: the handshake within the create call, filters, one receiver a resource (section 12)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from mlc_sandbox.asana.calls import ApiCall, Reply, nothing
from mlc_sandbox.asana.errors import ApiError, bad, missing
from mlc_sandbox.asana.http import Gate
from mlc_sandbox.asana.store import Entity, Project, Task, Team, Webhook, Workspace
from mlc_sandbox.asana.values import gid_text
from mlc_sandbox.asana.webhooks import Dispatcher
from mlc_sandbox.asana.world import World

PER_RESOURCE = 1000
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_DUPLICATE = (
    "Duplicated webhook. You already have an existing webhook for the given resource and target. "
    "Delete the old one before creating another."
)


class WebhookRoutes:
    """/webhooks."""

    def __init__(self, world: World, gate: Gate, dispatcher: Dispatcher) -> None:
        self.world, self.dispatcher = world, dispatcher
        gate.add("/webhooks", GET=self._list, POST=self._create)
        gate.add("/webhooks/{webhook}", GET=self._get, PUT=self._update, DELETE=self._delete)

    def _webhook(self, call: ApiCall) -> Webhook:
        return self.world.in_path(Webhook, call.ids["webhook"], call.actor)

    def _list(self, call: ApiCall) -> Reply:
        self.world.named(Workspace, "workspace", call.ask("workspace"), call.actor)
        wanted = call.query.get("resource")
        return call.listing([hook for hook in self.world.all(Webhook) if wanted in (None, hook.resource)])

    def _get(self, call: ApiCall) -> Reply:
        return call.one(self._webhook(call))

    def _create(self, call: ApiCall) -> Callable[[], Reply]:
        call.only("resource", "target", "filters")
        resource = self._resource(call)
        target, filters = call.need("target"), _filters(call.data.get("filters"))
        if isinstance(resource, Workspace | Team) and not filters:
            raise missing("filters")
        self._reachable(target)
        self._free(resource, target)
        count = len(self.world.tables[Webhook])
        stamp = f"{self.world.login.client_secret} {target} {count} {self.world.clock.wire()}"
        secret = hashlib.sha256(stamp.encode()).hexdigest()[:32]
        return lambda: self._shake_hands(call, resource, target, filters, secret)

    def _resource(self, call: ApiCall) -> Entity:
        gid = gid_text("resource", call.need("resource"))
        found = self.world.any(gid)
        if not isinstance(found, Task | Project | Team | Workspace):
            raise bad(f"resource: Unknown object: {gid}")
        return self.world.named(type(found), "resource", gid, call.actor)

    def _reachable(self, target: Any) -> None:
        parts = urlsplit(target if isinstance(target, str) else "")
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise bad(f"target: Not a valid URL: {target}")
        if (parts.hostname in _LOOPBACK) != (self.world.switches["loopback_targets"] == "allowed"):
            raise ApiError(403, f"target: The server cannot be reached: {parts.hostname}")

    def _free(self, resource: Entity, target: str) -> None:
        there = [hook for hook in self.world.all(Webhook) if hook.resource == resource.gid]
        if any(hook.target == target for hook in there):
            raise ApiError(403, _DUPLICATE)
        if len(there) >= PER_RESOURCE:
            raise ApiError(403, f"A resource can have at most {PER_RESOURCE} webhooks")

    def _shake_hands(
        self, call: ApiCall, resource: Entity, target: str, filters: list[dict[str, Any]], secret: str
    ) -> Reply:
        """Without the lock: the receiver may call us back before it answers."""
        mistake = self.dispatcher.handshake(target, secret)
        if mistake is not None:
            raise bad(mistake)
        with self.world.lock:
            self._free(resource, target)
            now = self.world.clock.wire()  # also of the first heartbeat: it follows the handshake
            webhook = Webhook(
                self.world.new_gid(), resource.gid, target, filters, call.actor.user, secret, now, now
            )
            webhook.seen = self.world.events[-1].number if self.world.events else 0
            self.world.add(webhook)
            reply = call.created(webhook, "webhooks")
        reply.body["X-Hook-Secret"] = secret
        return reply

    def _update(self, call: ApiCall) -> Reply:
        call.only("filters")
        webhook = self._webhook(call)
        webhook.filters = _filters(call.need("filters"))
        return call.one(webhook)

    def _delete(self, call: ApiCall) -> Reply:
        self.world.remove(self._webhook(call))
        return nothing()


def _filters(given: Any) -> list[dict[str, Any]]:
    filters = given or []
    if not isinstance(filters, list) or not all(isinstance(wanted, dict) for wanted in filters):
        raise bad("filters: Value is not an Array of JSON objects")
    for wanted in filters:
        if wanted.get("fields") and wanted.get("action") != "changed":
            raise bad("filters: fields can only be given with the action changed")
    return filters
