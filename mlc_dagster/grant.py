"""One stored grant for all processes: one of them refreshes it, the others wait and use what it stored."""

from dataclasses import replace
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from mlc_dagster.clock import Clock
from mlc_dagster.delivery.leases import Leases
from mlc_dagster.transport.auth import CachedAuth, Token
from mlc_dagster.transport.errors import Misconfigured
from mlc_dagster.transport.oauth import INVALID_GRANT, Desk, Grant, word
from mlc_dagster.vault import EntryChanged, Stamp, Vault

# A token that ends within that time is renewed: a call must not begin with one that ends on its way.
EARLY = timedelta(minutes=5)
# A refresh takes one call, tried three times; whoever follows a crashed process also waits out its lease.
PATIENCE = 150.0


class NoLoginByHand(Exception):
    """The configured way to log in takes nobody at a browser."""


class OAuthService(Protocol):
    """A vendor's OAuth service for one client."""

    @property
    def desk(self) -> Desk:
        """Where people log in to it."""
        ...

    @property
    def client_id(self) -> str:
        """The client that grants are for."""
        ...

    def refreshed(self, grant: Grant) -> Grant:
        """The next grant. Raises transport's CallFailed; Misconfigured when a person must act."""
        ...


Service = TypeVar("Service", bound=OAuthService)


class StoredGrant(Generic[Service]):
    """The grant in the vault. A rotating refresh token works once, so its successor is stored before use.

    `name` is that of the grant in the vault, and of the lease of whoever refreshes it.
    """

    def __init__(self, name: str, service: Service, *, vault: Vault, leases: Leases, clock: Clock) -> None:
        self.name, self.service = name, service
        self._vault, self._leases, self._clock, self._desk = vault, leases, clock, service.desk
        self._given: str | None = None

    def keep(self, grant: Grant) -> None:
        """Store the grant of a login by hand, in place of whatever there was."""
        self._vault.write(self.name, grant.text())

    def auth(self) -> CachedAuth:
        """Sign calls with the stored grant."""
        return CachedAuth(self.fetch, clock=self._clock, margin=EARLY.total_seconds())

    def fetch(self) -> Token:
        """An access token. It is asked for when the one given last has come to its end or was refused.

        Raises:
            Misconfigured: nobody has logged in, or the refresh token is refused: log in again.
            VaultLocked: the grant cannot be decrypted.
            LeaseHeld: another process has been refreshing for too long.
        """
        grant, _ = self._read()
        if not self._fresh(grant):
            with self._leases.hold([self.name], self._vault.writer, patience=PATIENCE):
                grant, stamp = self._read()
                if not self._fresh(grant):
                    grant = self._refresh(grant, stamp)
        self._given = grant.access_token
        return Token(grant.access_token, grant.ends_at)

    def _fresh(self, grant: Grant) -> bool:
        return grant.access_token != self._given and self._clock.now() < grant.ends_at - EARLY

    def _read(self) -> tuple[Grant, Stamp]:
        entry = self._vault.read(self.name)
        if entry is None:
            raise self._desk.refused("nobody has logged in yet", f"Run `{self._desk.command}` once.")
        grant = Grant.of(entry.text)
        if grant.client_id != self.service.client_id:
            raise self._desk.refused(
                "the stored login is for another client_id than mlc.yaml names", self._desk.again
            )
        return grant, entry.stamp

    def _refresh(self, grant: Grant, stamp: Stamp) -> Grant:
        """Ask for the next grant and store it. What is noted before tells a crash from a revoked token."""
        asked = f"{self._clock.now():%Y-%m-%d %H:%M:%S} UTC by {self._vault.writer}"
        stamp = self._vault.write(self.name, replace(grant, asked=asked).text(), replaces=stamp.version)
        try:
            fresh = self.service.refreshed(grant)
        except Misconfigured as refusal:
            # An answer, so nothing is lost by this call; what an earlier one may have lost stays told.
            self._put(grant, stamp)
            if grant.asked and word(refusal) == INVALID_GRANT:
                raise self._desk.refused(
                    f"{refusal.excerpt}. The refresh token was sent on {grant.asked}, which ended before it "
                    "could store the answer",
                    f"Where a refresh token works once, its successor is lost. {self._desk.again}",
                    status=refusal.status,
                ) from None
            raise
        return self._put(fresh, stamp)

    def _put(self, grant: Grant, stamp: Stamp) -> Grant:
        """Store the grant, unless somebody logged in or refreshed meanwhile: then theirs is used."""
        try:
            self._vault.write(self.name, grant.text(), replaces=stamp.version)
        except EntryChanged:
            return self._read()[0]
        return grant
