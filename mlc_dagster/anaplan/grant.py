"""One stored grant for all processes: one of them refreshes it, the others wait and use what it stored."""

from dataclasses import replace

from mlc_dagster.anaplan.auth import EARLY
from mlc_dagster.anaplan.oauth import (
    INVALID_GRANT,
    LOGIN_AGAIN,
    TOKEN,
    Grant,
    OAuthService,
    refused,
    word,
)
from mlc_dagster.delivery.leases import Leases
from mlc_dagster.transport.auth import CachedAuth, Token
from mlc_dagster.transport.errors import Misconfigured
from mlc_dagster.vault import EntryChanged, Stamp, Vault

NAME = "anaplan/oauth"  # of the grant in the vault, and of the lease of whoever refreshes it
# A refresh takes one call, tried three times; whoever follows a crashed process also waits out its lease.
PATIENCE = 150.0


class StoredGrant:
    """The grant in the vault. A rotating refresh token works once, so its successor is stored before use."""

    def __init__(self, service: OAuthService, vault: Vault, leases: Leases) -> None:
        self._service, self._vault, self._leases = service, vault, leases
        self._clock = service.http.clock
        self._given: str | None = None

    @property
    def service(self) -> OAuthService:
        """Where grants come from."""
        return self._service

    def keep(self, grant: Grant) -> None:
        """Store the grant of a login by hand, in place of whatever there was."""
        self._vault.write(NAME, grant.text())

    def fetch(self) -> Token:
        """An access token. It is asked for when the one given last has come to its end or was refused.

        Raises:
            Misconfigured: nobody has logged in, or the refresh token is refused: log in again.
            VaultLocked: the grant cannot be decrypted.
            LeaseHeld: another process has been refreshing for too long.
        """
        grant, _ = self._read()
        if not self._fresh(grant):
            with self._leases.hold([NAME], self._vault.writer, patience=PATIENCE):
                grant, stamp = self._read()
                if not self._fresh(grant):
                    grant = self._refresh(grant, stamp)
        self._given = grant.access_token
        return Token(grant.access_token, grant.ends_at)

    def _fresh(self, grant: Grant) -> bool:
        return grant.access_token != self._given and self._clock.now() < grant.ends_at - EARLY

    def _read(self) -> tuple[Grant, Stamp]:
        entry = self._vault.read(NAME)
        if entry is None:
            raise refused(TOKEN, "nobody has logged in yet", "Run `mlc anaplan login` once.")
        grant = Grant.of(entry.text)
        if grant.client_id != self._service.client.id:
            raise refused(TOKEN, "the stored login is for another client_id than mlc.yaml names", LOGIN_AGAIN)
        return grant, entry.stamp

    def _refresh(self, grant: Grant, stamp: Stamp) -> Grant:
        """Ask for the next grant and store it. What is noted before tells a crash from a revoked token."""
        asked = f"{self._clock.now():%Y-%m-%d %H:%M:%S} UTC by {self._vault.writer}"
        stamp = self._vault.write(NAME, replace(grant, asked=asked).text(), replaces=stamp.version)
        try:
            fresh = self._service.refreshed(grant)
        except Misconfigured as refusal:
            # An answer, so nothing is lost by this call; what an earlier one may have lost stays told.
            self._put(grant, stamp)
            if grant.asked and word(refusal) == INVALID_GRANT:
                raise refused(
                    TOKEN,
                    f"{refusal.excerpt}. The refresh token was sent on {grant.asked}, which ended before it "
                    "could store the answer",
                    f"A rotating refresh token works once, so its successor is lost. {LOGIN_AGAIN}",
                    status=refusal.status,
                ) from None
            raise
        return self._put(fresh, stamp)

    def _put(self, grant: Grant, stamp: Stamp) -> Grant:
        """Store the grant, unless somebody logged in or refreshed meanwhile: then theirs is used."""
        try:
            self._vault.write(NAME, grant.text(), replaces=stamp.version)
        except EntryChanged:
            return self._read()[0]
        return grant


def grant_auth(stored: StoredGrant) -> CachedAuth:
    """Sign the Integration API's calls with the stored grant."""
    return CachedAuth(stored.fetch, clock=stored.service.http.clock, margin=EARLY.total_seconds())
