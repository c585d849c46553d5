"""Webhooks: who is told about what (section 10). For site administrators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from starlette.routing import Route

from mlc_sandbox.tableau.calls import NO_CONTENT, ApiCall, Reply, reply
from mlc_sandbox.tableau.errors import ApiError
from mlc_sandbox.tableau.http import ADMIN_ROLES, Method, Room
from mlc_sandbox.tableau.store import Webhook, luid
from mlc_sandbox.tableau.webhooks import EVENTS, FLOW_COMPLETED
from mlc_sandbox.tableau.wire import node

_SCOPE = "webhooks"  # the sheet knows no scope for these


class WebhookRoutes(Room):
    """Made, changed, tried out, taken away."""

    def routes(self) -> Sequence[Route]:
        """All routes of this room."""
        return [
            self.gate.route("/webhooks", GET=Method(self._all, _SCOPE), POST=Method(self._create, _SCOPE)),
            self.gate.route(
                "/webhooks/{webhook}",
                GET=Method(self._one, _SCOPE),
                PUT=Method(self._update, _SCOPE),
                DELETE=Method(self._delete, _SCOPE),
            ),
            self.gate.route("/webhooks/{webhook}/test", GET=Method(self._test, _SCOPE)),
        ]

    def _all(self, call: ApiCall) -> Reply:
        self.require(call, ADMIN_ROLES)
        return reply(node("webhooks", {}, *map(_webhook, self.site(call).webhooks.values())))

    def _one(self, call: ApiCall) -> Reply:
        return reply(_webhook(self._find(call)))

    def _create(self, call: ApiCall) -> Reply:
        self.require(call, ADMIN_ROLES)
        wanted = call.item("webhook")
        name, event, url = wanted.get("name", ""), self._event(wanted), self._url(wanted)
        if not name or event is None or url is None:
            raise ApiError(400000, "A webhook needs a name, a source and a destination.")
        made = Webhook(luid(), name, event, url, self.caller(call).id, self.world.clock.wire())
        self.site(call).webhooks[made.id] = made
        return reply(_webhook(made), status=201)

    def _update(self, call: ApiCall) -> Reply:
        webhook, wanted = self._find(call), call.item("webhook")
        webhook.name = wanted.get("name", webhook.name)
        webhook.event = self._event(wanted) or webhook.event
        webhook.url = self._url(wanted) or webhook.url
        if "isEnabled" in wanted.attrib:
            webhook.enabled = wanted.get("isEnabled") == "true"
            webhook.reason = wanted.get("statusChangeReason", "")
            webhook.failures = 0
        return reply(_webhook(webhook))

    def _delete(self, call: ApiCall) -> Reply:
        del self.site(call).webhooks[self._find(call).id]
        return NO_CONTENT

    def _test(self, call: ApiCall) -> Callable[[], Reply]:
        """Sent without the lock: the receiver may well call back."""
        webhook = self._find(call)

        def send() -> Reply:
            status, body = self.world.webhooks.test(webhook)
            attributes = {"id": webhook.id, "status": status}
            return reply(node("webhookTestResult", attributes, node("body", text=body)))

        return send

    def _find(self, call: ApiCall) -> Webhook:
        self.require(call, ADMIN_ROLES)
        found = self.site(call).webhooks.get(call.ids["webhook"])
        if found is None:
            raise ApiError(404003, f"Webhook {call.ids['webhook']} does not exist.")
        return found

    def _event(self, wanted: Element) -> str | None:
        source = wanted.find("webhook-source")
        if source is None:
            return None
        named = [event.tag for event in source]
        known = EVENTS if self.world.switches["flow_events"] else EVENTS - {FLOW_COMPLETED}
        if len(named) != 1 or named[0] not in known:
            raise ApiError(400000, f"There is no event {', '.join(named)}.")
        return named[0]

    def _url(self, wanted: Element) -> str | None:
        found = wanted.find("webhook-destination/webhook-destination-http")
        if found is None:
            return None
        url = found.get("url", "")
        allowed = ("https",) if self.world.switches["webhook_scheme"] == "https" else ("https", "http")
        if urlsplit(url).scheme not in allowed or not urlsplit(url).hostname:
            raise ApiError(400000, "The destination is an https address with a valid certificate.")
        return url


def _webhook(webhook: Webhook) -> Element:
    attributes = {
        "id": webhook.id,
        "name": webhook.name,
        "isEnabled": webhook.enabled,
        "statusChangeReason": webhook.reason,
        "createdAt": webhook.created,
        "updatedAt": webhook.created,
    }
    http = node("webhook-destination-http", {"method": "POST", "url": webhook.url})
    return node(
        "webhook",
        attributes,
        node("webhook-source", {}, node(webhook.event)),
        node("webhook-destination", {}, http),
        node("owner", {"id": webhook.owner}),
    )
