"""Events to whoever asked for them: unsigned, at least once (section 10)."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mlc_sandbox.tableau.store import DataSource, Flow, Site, Webhook
from mlc_sandbox.tableau.wire import stamp

if TYPE_CHECKING:
    from mlc_sandbox.tableau.world import World

SECONDS = 5
_PREFIX = "webhook-source-event-"
FLOW_COMPLETED = f"{_PREFIX}flow-completed"  # in the schema only
# The events a webhook may be made for: the schema's and the current table's.
EVENTS = frozenset(
    {
        *(
            f"{_PREFIX}{kind}-{what}"
            for kind in ("datasource", "workbook")
            for what in ("updated", "created", "deleted")
        ),
        *(
            f"{_PREFIX}{kind}-refresh-{what}"
            for kind in ("datasource", "workbook")
            for what in ("started", "succeeded", "failed")
        ),
        *(
            f"{_PREFIX}{kind}-{what}"
            for kind in ("label", "site")
            for what in ("created", "updated", "deleted")
        ),
        f"{_PREFIX}user-deleted",
        f"{_PREFIX}view-deleted",
        FLOW_COMPLETED,
        "webhook-event-user-promoted-admin",
        "webhook-event-user-demoted-admin",
    }
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one message: the receiver's last status, 0 when it never answered.

    None: it was not sent, because the receiver is not on this machine.
    """

    webhook: str
    event: str
    body: str
    status: int | None
    attempts: int


class Webhooks:
    """Sends in a thread of its own, one message after the other."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._dispatcher = ThreadPoolExecutor(1, thread_name_prefix="tableau-webhooks")
        self._done: list[Delivery] = []
        self._pending: list[Future[Delivery]] = []
        self._held: list[tuple[Webhook, str, bytes]] = []

    def fire(self, site: Site, what: str, item: DataSource | Flow) -> None:
        """Tell about a data source: created, updated, deleted, refresh-started, -succeeded, -failed.

        Or about a flow: completed, well or not.
        """
        kind = "flow" if isinstance(item, Flow) else "datasource"
        named = self.world.switches["refresh_event_resource"]
        resource = named if what.startswith("refresh") else kind.upper()
        name = "".join(word.capitalize() for word in f"{kind}-{what}".split("-"))
        body: Mapping[str, Any] = {
            "resource": resource,
            "event_type": name,
            "resource_name": item.name,
            "site_luid": site.id,
            "resource_luid": item.id,
            "created_at": stamp(self.world.clock.wire()),
        }
        for webhook in site.webhooks.values():
            if webhook.enabled and webhook.event == f"{_PREFIX}{kind}-{what}":
                self._send(webhook, name, json.dumps(body).encode())

    def test(self, webhook: Webhook) -> tuple[int, str]:
        """Send an empty payload: status and body of the answer."""
        return _post(webhook.url, b"")

    def release(self) -> int:
        """Send what a late fault holds back, the newest first; how many."""
        held, self._held = self._held, []
        for webhook, event, body in reversed(held):
            self._dispatch(webhook, event, body)
        return len(held)

    def sent(self) -> list[dict[str, Any]]:
        """All messages so far; waits for those under way."""
        pending, self._pending = self._pending, []
        self._done += [future.result() for future in pending]
        return [asdict(delivery) for delivery in self._done]

    def restore(self, deliveries: list[dict[str, Any]]) -> None:
        """Take over what `sent` returned."""
        self.sent()
        self._held, self._done = [], [Delivery(**delivery) for delivery in deliveries]

    def _send(self, webhook: Webhook, event: str, body: bytes) -> None:
        line = f"NOTIFY {event}"
        if self.world.faults.take("tableau", "webhook_lost", line) is not None:
            return
        if self.world.faults.take("tableau", "webhook_late", line) is not None:
            self._held.append((webhook, event, body))
            return
        self._dispatch(webhook, event, body)
        if self.world.faults.take("tableau", "webhook_duplicate", line) is not None:
            self._dispatch(webhook, event, body)

    def _dispatch(self, webhook: Webhook, event: str, body: bytes) -> None:
        self._pending.append(self._dispatcher.submit(self._deliver, webhook, event, body))

    def _deliver(self, webhook: Webhook, event: str, body: bytes) -> Delivery:
        if not on_this_machine(webhook.url):
            return Delivery(webhook.id, event, body.decode(), None, 0)
        wait, status, attempts = self.world.switches["webhook_retry_seconds"], 0, 0
        while not 200 <= status < 300 and attempts < self.world.switches["webhook_attempts"]:
            if attempts:
                time.sleep(wait)
                wait *= 2
            attempts += 1
            status, _ = _post(webhook.url, body)
        self._judge(webhook, delivered=200 <= status < 300)
        return Delivery(webhook.id, event, body.decode(), status, attempts)

    def _judge(self, webhook: Webhook, *, delivered: bool) -> None:
        webhook.failures = 0 if delivered else webhook.failures + 1
        limit = self.world.switches["webhook_disable_after"]
        if limit and webhook.failures >= limit:
            webhook.enabled, webhook.reason = False, "Webhook disabled after repeated failures."


def on_this_machine(url: str) -> bool:
    """The sandbox calls nobody else."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _post(url: str, body: bytes) -> tuple[int, str]:
    if not on_this_machine(url):
        return 0, "The sandbox calls receivers on this machine only."
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError as error:
        return 0, str(error)
