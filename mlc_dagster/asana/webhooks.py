"""Webhooks: one a project, so that people's comments are seen within a minute (vendors/asana.md section 12).

They only hurry: what they tell of is read from the events (events.py), which are also polled. Asana deletes
a webhook that could not be delivered for 24 hours and tells nobody, so `make` is asked again and again.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlc_dagster.asana.client import TIMEOUT, AsanaClient, Object
from mlc_dagster.clock import Clock
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.receiver import Verdict
from mlc_dagster.transport.errors import InDoubt
from mlc_dagster.transport.retry import quiet_time
from mlc_dagster.transport.session import decimal_json
from mlc_dagster.vault import Vault

SECRET, SIGNATURE = "X-Hook-Secret", "X-Hook-Signature"
# The handshake comes while the call that makes the webhook is open.
PENDING = quiet_time(TIMEOUT)
LONGEST_SECRET = 200
COMMENTS = {"resource_type": "story", "resource_subtype": "comment_added", "action": "added"}
FIELDS = {"resource_type": "task", "action": "changed", "fields": ["custom_fields"]}
STATE = ("active", "target", "resource.gid", "last_success_at", "last_failure_at", "last_failure_content")


@dataclass(frozen=True)
class Hook:
    """A webhook as we remember it. id: in the address Asana calls; gid: Asana's, None while it is made."""

    id: str
    project: str
    gid: str | None
    until: datetime | None


class Book:
    """Our webhooks: what they are in the database, their secrets in the vault."""

    def __init__(self, memory: Memory, vault: Vault) -> None:
        self._memory, self._vault = memory, vault

    def all(self) -> list[Hook]:
        """Those that are made or being made."""
        return [_hook(name, seen.value) for name, seen in self._memory.all().items() if seen.value]

    def find(self, hook: str) -> Hook | None:
        """One by its id."""
        value = self._memory.read(hook).value
        return _hook(hook, value) if value else None

    def write(self, hook: Hook) -> None:
        """Remember one."""
        until = hook.until.isoformat() if hook.until else None
        value = {"project": hook.project, "gid": hook.gid, "until": until}
        self._memory.change(hook.id, lambda _: value)

    def forget(self, hook: str) -> None:
        """Take one and its secret away."""
        self._memory.change(hook, lambda _: {})
        self._vault.remove(_entry(hook))

    def secret(self, hook: str) -> str | None:
        """The secret that signs its deliveries."""
        entry = self._vault.read(_entry(hook))
        return entry.text if entry else None

    def keep_secret(self, hook: str, secret: str) -> None:
        """Store it, encrypted."""
        self._vault.write(_entry(hook), secret)


class AsanaHooks:
    """Asana as a source of the receiver."""

    def __init__(self, book: Book, clock: Clock) -> None:
        self._book, self._clock = book, clock

    def judge(self, place: str, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Shake hands while a webhook is being made; else believe what carries its signature."""
        hook = self._book.find(place)
        if hook is None:
            return Verdict(404)
        if secret := headers.get(SECRET.lower()):
            return self._shake_hands(hook, secret)
        secret = self._book.secret(place)
        if secret is None or not _signed(secret, headers.get(SIGNATURE.lower(), ""), body):
            return Verdict(401)
        return Verdict(200, news=not _heartbeat(body))

    def _shake_hands(self, hook: Hook, secret: str) -> Verdict:
        # Later, anybody who knows the address could put a secret of his own in place of ours.
        if hook.until is None or hook.until < self._clock.now() or len(secret) > LONGEST_SECRET:
            return Verdict(403)
        self._book.keep_secret(hook.id, secret)
        return Verdict(200, {SECRET: secret})


class Webhooks:
    """Makes, lists and deletes the webhooks of some projects. All methods raise transport's CallFailed."""

    def __init__(self, client: AsanaClient, book: Book, address: str, projects: Mapping[str, bool]) -> None:
        """`address`: where Asana reaches our receiver, up to and without /hooks. `projects`: by gid, whether
        changes of custom fields count.
        """
        self._client, self._book, self._projects = client, book, projects
        self._root = f"{address.rstrip('/')}/hooks/asana/"

    def make(self) -> list[str]:
        """Make what is missing: for new projects, and what Asana has deleted. Returns the projects.

        Ours that are of no use any more, for another address or project, are deleted first.
        """
        there = self._there()
        serving = {hook.project: hook for hook in self._book.all() if self._serves(hook, there)}
        self._clear(there, keep={hook.id for hook in serving.values()})
        missing = [project for project in self._projects if project not in serving]
        for project in missing:
            self._make(project)
        return missing

    def state(self) -> list[tuple[str, Object | None]]:
        """Each project with its webhook as Asana has it; None where there is none of ours."""
        there = self._there()
        serving = {hook.project: there[hook.gid] for hook in self._book.all() if hook.gid in there}
        return [(project, serving.get(project)) for project in self._projects]

    def delete(self) -> int:
        """Delete all of ours. Returns how many there were."""
        return self._clear(self._there(), keep=set())

    def _there(self) -> dict[str | None, Object]:
        found = self._client.pages("/webhooks", STATE, workspace=self._client.workspace)
        return {str(each["gid"]): each for each in found}

    def _serves(self, hook: Hook, there: Mapping[str | None, Object]) -> bool:
        webhook = there.get(hook.gid, {})
        return hook.project in self._projects and webhook.get("target") == self._root + hook.id

    def _clear(self, there: Mapping[str | None, Object], keep: set[str]) -> int:
        ours = {hook.gid for hook in self._book.all()}
        gone = [
            gid
            for gid, webhook in there.items()
            # Also those at our address that a lost database knew of.
            if (gid in ours or _begins(webhook, self._root)) and _id(webhook) not in keep
        ]
        for gid in gone:
            self._client.delete(f"/webhooks/{gid}")
        for hook in self._book.all():
            if hook.id not in keep:
                self._book.forget(hook.id)
        return len(gone)

    def _make(self, project: str) -> None:
        hook = secrets.token_urlsafe(24)
        self._book.write(Hook(hook, project, None, self._client.clock.now() + PENDING))
        try:
            gid, secret = self._create(hook, project)
        except BaseException:
            self._book.forget(hook)
            raise
        if secret is not None:
            # What the call itself brought counts, whoever shook hands meanwhile.
            self._book.keep_secret(hook, secret)
        self._book.write(Hook(hook, project, gid, None))

    def _create(self, hook: str, project: str) -> tuple[str, str | None]:
        """The webhook's gid and its secret; no secret when the answer was lost and the webhook is there."""
        filters = [COMMENTS, *([FIELDS] if self._projects[project] else [])]
        data = {"resource": project, "target": self._root + hook, "filters": filters}
        try:
            response = self._client.http.call("POST", "/webhooks", json={"data": data}, repeatable=False)
        except InDoubt:
            made = [gid for gid, each in self._there().items() if each.get("target") == data["target"]]
            if not made or self._book.secret(hook) is None:
                raise
            return str(made[0]), None
        answer = decimal_json(response.text)
        return str(answer["data"]["gid"]), str(answer[SECRET])


def _signed(secret: str, signature: str, body: bytes) -> bool:
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())


def _heartbeat(body: bytes) -> bool:
    """Whether a delivery holds no event; they come every eight hours."""
    try:
        return bool(json.loads(body) == {"events": []})
    except ValueError:
        return False


def _entry(hook: str) -> str:
    return f"asana/webhook/{hook}"


def _hook(name: str, value: Mapping[str, Any]) -> Hook:
    until = value.get("until")
    return Hook(name, value["project"], value["gid"], datetime.fromisoformat(until) if until else None)


def _id(webhook: Object) -> str:
    return str(webhook.get("target", "")).rpartition("/")[2]


def _begins(webhook: Object, root: str) -> bool:
    return str(webhook.get("target", "")).startswith(root)
