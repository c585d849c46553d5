"""Notifications as Visma's dispatcher sends them: signed, at least once, unordered (section 12)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from mlc_sandbox.core import Faults, SandboxClock

# What happened to a record of an entity -> the event's name. Entities that are not here have no events.
EVENTS: Mapping[tuple[str, str], str] = {
    ("supplier", "added"): "Supplier Created",
    ("supplier", "changed"): "Supplier Updated",
    ("customer", "added"): "Customer Created",
    ("customer", "changed"): "Customer Updated",
    ("account", "added"): "Account Created",
    ("account", "changed"): "Account Updated",
    ("account", "deleted"): "Account Deleted",
    ("account", "renumbered"): "Account Identity Changed",
    ("supplierInvoice", "changed"): "AP Invoice Status Changed",
    ("customerinvoice", "changed"): "AR Invoice Changed",
    ("purchaseorder", "changed"): "Purchase Order Changed",
    ("dimension", "changed"): "Dimension Changed",
    ("employee", "changed"): "Employee Changed",
}
ATTEMPTS = 3
SECONDS = 5


@dataclass(frozen=True)
class Notification:
    """One message to one receiver; a repetition carries the same id."""

    url: str
    secret: str
    id: str
    tenant_id: str
    event: str
    body: bytes


@dataclass(frozen=True)
class Sent:
    """What became of one message: the receiver's last status, 0 when it never answered."""

    id: str
    event: str
    status: int
    attempts: int


class Webhooks:
    """Subscribers and what was sent to them. The body is an assumption: the sheet knows none."""

    def __init__(self, clock: SandboxClock, faults: Faults) -> None:
        self._clock, self._faults = clock, faults
        self._subscribers: dict[str, str] = {}
        self._held: list[Notification] = []
        self._numbers = itertools.count(1)
        self._dispatcher = ThreadPoolExecutor(1, thread_name_prefix="visma-webhooks")
        self._pending: list[Future[Sent]] = []

    def subscribe(self, url: str, secret: str) -> None:
        """Send to this address from now on. Raises ValueError for one that is not on this machine."""
        if urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError(f"{url} is not on this machine; the sandbox calls nobody else.")
        self._subscribers[url] = secret

    def notify(self, tenant_id: str, entity: str, what: str, key: str) -> None:
        """Tell the subscribers what happened to a record; late and lost messages as the armed faults want."""
        event = EVENTS.get((entity, what))
        if event is None:
            return
        for url, secret in self._subscribers.items():
            number = uuid.uuid5(uuid.NAMESPACE_URL, f"{url} {next(self._numbers)}")
            body = json.dumps({"event": event, "entity": entity, "key": key}).encode()
            self._send(Notification(url, secret, str(number), tenant_id, event, body))

    def release(self) -> None:
        """Send what a late fault holds back, the newest first."""
        held, self._held = self._held, []
        for notification in reversed(held):
            self._dispatch(notification)

    def sent(self) -> list[dict[str, Any]]:
        """All messages so far with their receivers' answers; waits for those under way."""
        return [asdict(future.result()) for future in list(self._pending)]

    def _send(self, notification: Notification) -> None:
        line = f"NOTIFY {notification.event}"
        if self._faults.take("visma", "webhook_lost", line) is not None:
            return
        if self._faults.take("visma", "webhook_late", line) is not None:
            self._held.append(notification)
            return
        self._dispatch(notification)
        if self._faults.take("visma", "webhook_duplicate", line) is not None:
            self._dispatch(notification)

    def _dispatch(self, notification: Notification) -> None:
        self._pending.append(self._dispatcher.submit(self._post, notification))

    def _post(self, notification: Notification) -> Sent:
        digest = hmac.new(notification.secret.encode(), notification.body, hashlib.sha256).digest()
        headers = {
            "Content-Type": "application/json",
            "x-vwd-signature-v1": base64.b64encode(digest).decode(),
            "x-vwd-notification-id": notification.id,
            "x-vwd-event-id": notification.event,
            "x-vwd-tenant-id": notification.tenant_id,
            "x-vwd-notification-timestamp": self._clock.wire().isoformat(),
        }
        status = attempts = 0
        while status != 200 and attempts < ATTEMPTS:
            attempts += 1
            request = urllib.request.Request(notification.url, notification.body, headers)  # noqa: S310 - loopback
            try:
                with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
                    status = answer.status
            except urllib.error.HTTPError as error:
                status = error.code
            except OSError:
                status = 0
        return Sent(notification.id, notification.event, status, attempts)
