"""Sends events to receivers: signed, retried, at most once, deleted after a day of failures (section 12)."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from mlc_sandbox.asana.render import View
from mlc_sandbox.asana.routes_events import shown
from mlc_sandbox.asana.shapes import SHAPES
from mlc_sandbox.asana.store import Delivery, Event, Task, Team, Webhook, Workspace
from mlc_sandbox.asana.world import VENDOR, World
from mlc_sandbox.core import json_text

_FIRST_RETRY, _LONGEST_RETRY = timedelta(seconds=10), timedelta(hours=2)
_TICK = 1.0  # seconds between looks for retries and heartbeats that have come due


@dataclass(frozen=True)
class Sent:
    """What became of one delivery: the receiver's status, 0 when it did not answer."""

    webhook: str
    events: int
    status: int


class Dispatcher:
    """One thread while there are webhooks. `settle` does in the caller's thread what is due now."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sent: list[Sent] = []
        self._sending = threading.Lock()
        self._news = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Something may have happened."""
        if not self.world.tables[Webhook]:
            return
        with self.world.lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="asana-webhooks", daemon=True)
                self._thread.start()
        self._news.set()

    def settle(self) -> int:
        """Send until nothing is due; how many deliveries there were."""
        count = 0
        while sent := self._send_due():
            count += sent
        return count

    def _run(self) -> None:
        while True:
            self._news.wait(_TICK)
            self._news.clear()
            self.settle()
            with self.world.lock:
                if not self.world.tables[Webhook]:
                    self._thread = None
                    return

    def _send_due(self) -> int:
        with self._sending:
            with self.world.lock:
                due = [self._next(webhook) for webhook in self.world.all(Webhook)]
            results = [(found, self._post(*found)) for found in due if found is not None]
            with self.world.lock:
                for (webhook, delivery), (status, content) in results:
                    self.sent.append(Sent(webhook.gid, len(delivery.events), status))
                    self._note(webhook, delivery, status, content)
            return len(results)

    # Under the lock

    def _next(self, webhook: Webhook) -> tuple[Webhook, Delivery] | None:
        """The delivery that is due, with new events and the heartbeat put in line."""
        now = self.world.clock.wire()
        deletion = self.world.deletion_of(webhook)
        if deletion is not None and deletion <= now:
            self.world.remove(webhook)
            return None
        self._gather(webhook, now)
        if webhook.heartbeat <= now:
            webhook.heartbeat = now + timedelta(hours=self.world.switches["heartbeat_hours"])
            webhook.queue.append(Delivery([], now))
        if webhook.queue and webhook.queue[0].due <= now:
            return webhook, webhook.queue[0]
        return None

    def _gather(self, webhook: Webhook, now: datetime) -> None:
        new = [event for event in self._newer(webhook.seen) if passes(self.world, webhook, event)]
        if self.world.events:
            webhook.seen = self.world.events[-1].number
        if not new:
            return
        view = View(self.world, "", SHAPES)
        events = [shown(event, view) for event in new]
        line = f"WEBHOOK {webhook.target}"
        if self.world.faults.take(VENDOR, "webhook_lost", line) is not None:
            return
        twice = self.world.faults.take(VENDOR, "webhook_duplicate", line) is not None
        webhook.queue += [Delivery(events, now) for _ in range(1 + twice)]

    def _newer(self, number: int) -> list[Event]:
        found: list[Event] = []
        for event in reversed(self.world.events):
            if event.number <= number:
                break
            found.append(event)
        return found[::-1]

    def _note(self, webhook: Webhook, delivery: Delivery, status: int, content: str) -> None:
        now = self.world.clock.wire()
        if status in (200, 204):
            webhook.queue.remove(delivery)
            webhook.retries, webhook.failing, webhook.last_success = 0, None, now
            return
        wait = min(_FIRST_RETRY * 2**webhook.retries, _LONGEST_RETRY)
        webhook.retries += 1
        webhook.failing = webhook.failing or now
        webhook.last_failure, webhook.last_failure_content = now, content
        delivery.due = now + wait

    # Without the lock

    def _post(self, webhook: Webhook, delivery: Delivery) -> tuple[int, str]:
        body = json_text({"events": delivery.events}).encode()
        signature = hmac.new(webhook.secret.encode(), body, hashlib.sha256).hexdigest()
        status, _, content = call(webhook.target, body, {"X-Hook-Signature": signature}, self._seconds())
        return status, content

    def handshake(self, target: str, secret: str) -> str | None:
        """Ask a receiver to echo the secret; what it did wrong, None when it is right."""
        status, headers, _ = call(target, b"", {"X-Hook-Secret": secret}, self._seconds())
        if status not in (200, 204):
            return (
                "The remote server which is intended to receive the webhook responded with an incorrect "
                f"HTTP status code: {status} ({target})"
            )
        if headers.get("x-hook-secret") != secret:
            return f"The remote server did not respond with the handshake secret. ({target})"
        return None

    def _seconds(self) -> float:
        return float(self.world.switches["webhook_seconds"])


def call(
    target: str, body: bytes, headers: Mapping[str, str], seconds: float
) -> tuple[int, dict[str, str], str]:
    """POST to a receiver on this machine: status (0 without an answer), headers in lower case, text."""
    url = urlsplit(target)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        # Neither a proxy nor a redirect may take the secret elsewhere.
        with closing(kind(url.hostname or "", url.port, timeout=seconds)) as connection:
            connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            text = answer.read(1000).decode("utf-8", "replace")
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text
    except (OSError, http.client.HTTPException) as error:
        return 0, {}, str(error)


def passes(world: World, webhook: Webhook, event: Event) -> bool:
    """Whether an event is for this webhook: of its resource, and through any of its filters."""
    if webhook.resource not in event.seen_by:
        return False
    kind = event.resource["resource_type"]
    wide = isinstance(world.any(webhook.resource), Workspace | Team)
    if wide and kind in (Task.resource_type, "story"):
        return False
    return not webhook.filters or any(_matches(wanted, event) for wanted in webhook.filters)


def _matches(wanted: Mapping[str, Any], event: Event) -> bool:
    for name in ("resource_type", "resource_subtype"):
        if wanted.get(name) is not None and wanted[name] != event.resource.get(name):
            return False
    if wanted.get("action") is not None and wanted["action"] != event.action:
        return False
    fields = wanted.get("fields")
    return not fields or (event.change is not None and event.change["field"] in fields)
