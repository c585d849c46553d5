"""Webhooks: Tableau tells of refreshes that ended badly, so that somebody looks at once (section 10).

They only hurry: the same look also comes by time, and what it finds is read from Tableau. Tableau signs
nothing, so the address holds a secret, and who knows it is believed one thing: that something happened.
"""

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlc_dagster.receiver import Verdict
from mlc_dagster.tableau.client import Hook, TableauClient
from mlc_dagster.transport.errors import Misconfigured, Refused
from mlc_dagster.vault import Vault

SOURCE, ABOUT = "tableau", "refreshes"
REFRESHES_FAILED = ("datasource-refresh-failed", "workbook-refresh-failed")
# In the schema only, and of every flow that ends, well or not.
FLOW_ENDED = "flow-completed"


class Secret:
    """The secret in the address, encrypted in the vault."""

    def __init__(self, vault: Vault, entry: str) -> None:
        self._vault, self._entry = vault, entry

    def read(self) -> str | None:
        """The secret; None before there is one."""
        entry = self._vault.read(self._entry)
        return entry.text if entry else None

    def made(self) -> str:
        """The secret, made when there is none. It can be a place of the receiver's."""
        found = self.read()
        if found is None:
            found = secrets.token_urlsafe(32)
            self._vault.write(self._entry, found)
        return found


class TableauHooks:
    """Tableau as a source of the receiver."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def judge(self, place: str, headers: Mapping[str, str], body: bytes) -> Verdict:  # noqa: ARG002
        """Believe who knows the secret, without telling others whether there is one."""
        secret = self._secret.read()
        if secret is None or not hmac.compare_digest(secret.encode(), place.encode()):
            return Verdict(404)
        # Tableau's own test of a webhook sends nothing. The secret is not kept with the signal.
        return Verdict(200, news=bool(body.strip()), about=ABOUT)


@dataclass(frozen=True)
class HookPlan:
    """What would be done: events to make a webhook for; ids of webhooks to switch on, and to delete.

    unable: why nothing can be done; empty when it can.
    """

    make: tuple[str, ...] = ()
    enable: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    unable: str = ""

    @property
    def steps(self) -> list[str]:
        """In words."""
        return [
            *(f"make the webhook {event}" for event in self.make),
            *(f"switch the webhook {id} on again" for id in self.enable),
            *(f"delete the webhook {id}, which is of no use any more" for id in self.delete),
        ]


class Webhooks:
    """Makes the webhooks that call our receiver. All methods raise transport's CallFailed."""

    def __init__(self, client: TableauClient, secret: Secret, address: str, events: Sequence[str]) -> None:
        """`address`: where Tableau reaches our receiver, up to and without /hooks."""
        self._client, self._secret, self._events = client, secret, events
        self._root = f"{address.rstrip('/')}/hooks/{SOURCE}/"

    def plan(self) -> HookPlan:
        """Look, and say what would be done."""
        try:
            ours = [hook for hook in self._client.webhooks() if hook.url.startswith(self._root)]
        except (Misconfigured, Refused) as failure:
            return HookPlan(unable=f"webhooks cannot be made: {failure}")
        serving: dict[str, Hook] = {}
        for hook in ours:
            if self._serves(hook):
                serving.setdefault(hook.event, hook)
        return HookPlan(
            make=tuple(event for event in self._events if event not in serving),
            enable=tuple(hook.id for hook in serving.values() if not hook.enabled),
            # Of a lost secret, of an event nobody wants any more, or made twice.
            delete=tuple(hook.id for hook in ours if hook not in serving.values()),
        )

    def apply(self, plan: HookPlan) -> list[str]:
        """Do what a plan says; what could not be done, in words. May be repeated after any failure."""
        secret = self._secret.made()
        for id in plan.enable:
            self._client.enable_webhook(id)
        undone = [words for event in plan.make if (words := self._make(event, secret))]
        for id in plan.delete:
            self._client.delete_webhook(id)
        return undone

    def _make(self, event: str, secret: str) -> str:
        try:
            self._client.create_webhook(f"ERP {event}", event, self._root + secret)
        except Refused as refused:
            # Its words may repeat the address.
            return f"the webhook {event} was refused: {refused.words.replace(secret, '***')}"
        return ""

    def _serves(self, hook: Hook) -> bool:
        secret = self._secret.read()
        return secret is not None and hook.url == self._root + secret and hook.event in self._events
