"""OAuth 2.0 at Asana: authorization code with PKCE, and the refresh (vendors/asana.md section 1).

Asana has no client-credentials grant, so a person logs in once (`mlc asana login`). The refresh token lives
long; an answer that carries a new one replaces it, another keeps it (mlc_dagster/grant.py).
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from mlc_dagster.clock import Clock
from mlc_dagster.transport.errors import CallFailed, Misconfigured, Refused
from mlc_dagster.transport.oauth import DENIED, INVALID_GRANT, Desk, Grant, word, words
from mlc_dagster.transport.session import CallCounter, Http

# Outside of /api/1.0, on the same host.
AUTHORIZE, TOKEN = "/oauth_authorize", "/oauth_token"
# Everything: granular scopes reach no sections, no batch and no events.
SCOPE = "default"
TIMEOUT, ATTEMPTS = (10, 30), 3

DESK = Desk("Asana", "mlc asana login", AUTHORIZE, TOKEN)
REMEDIES: Mapping[str, str] = {
    DENIED: f"The login was declined in the browser. {DESK.again}",
    "forbidden_scopes": f"Tick `Full permissions` for the app in Asana's developer console. {DESK.again}",
    INVALID_GRANT: (
        "A code works once, for a few minutes, and only with the redirect_uri registered for the app. "
        f"{DESK.again}"
    ),
}
REFUSED_AGAIN = f"The login was revoked, or its user has left the workspace. {DESK.again}"
CHECK_APP = "Check client_id, client_secret and redirect_uri against the app in Asana's developer console."
WRONG_HOST = "This is not what Asana's login answers. Check oauth_url."


@dataclass(frozen=True)
class App:
    """An app of Asana's developer console."""

    id: str = field(repr=False)
    secret: str = field(repr=False)
    redirect_uri: str


@dataclass(frozen=True)
class Attempt:
    """One login by hand: what its browser must bring back, and the secret only we know (PKCE, S256)."""

    state: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    @property
    def challenge(self) -> str:
        """What the browser shows in place of the verifier (RFC 7636 section 4.2)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class AsanaOAuth:
    """Asana's OAuth service for one app.

    All methods raise CallFailed: Misconfigured when a person must act, its remedy says who and how.
    """

    desk = DESK

    def __init__(
        self,
        oauth_url: str,
        app: App,
        *,
        counter: CallCounter | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._app = app
        self._http = Http(
            "Asana",
            oauth_url,
            counter=counter,
            clock=clock,
            timeout=TIMEOUT,
            attempts=ATTEMPTS,
            words=words,
        )

    @property
    def client_id(self) -> str:
        """The app that grants are for."""
        return self._app.id

    def authorize_address(self, attempt: Attempt) -> str:
        """Where a browser begins; it comes back to the redirect_uri."""
        query = {
            "response_type": "code",
            "client_id": self._app.id,
            "redirect_uri": self._app.redirect_uri,
            "scope": SCOPE,
            "state": attempt.state,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._http.base_url}{AUTHORIZE}?{urlencode(query)}"

    def by_code(self, address: str, attempt: Attempt) -> Grant:
        """The grant for the address the browser ended at."""
        form = {
            "grant_type": "authorization_code",
            "code": self.desk.code(address, attempt.state, REMEDIES),
            "redirect_uri": self._app.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        return self._grant(form, REMEDIES[INVALID_GRANT])

    def refreshed(self, grant: Grant) -> Grant:
        """The next grant; it may be asked for again."""
        form = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token}
        return self._grant(form, REFUSED_AGAIN, refresh_token=grant.refresh_token)

    def _grant(self, form: Mapping[str, str], remedy: str, *, refresh_token: str | None = None) -> Grant:
        text = self._post({**form, "client_id": self._app.id, "client_secret": self._app.secret}, remedy)
        try:
            grant = Grant.answered(self._app.id, text, refresh_token, self._http.clock.now())
        except ValueError as error:
            raise self.desk.refused(str(error), WRONG_HOST) from None
        if not grant.refresh_token:
            raise self.desk.refused("the answer holds no refresh token", self.desk.again)
        return grant

    def _post(self, form: Mapping[str, str], remedy: str) -> str:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(form).encode()
        try:
            return self._http.call("POST", TOKEN, data=body, headers=headers, repeatable=True).text
        except (Refused, Misconfigured) as refusal:
            if refusal.status is None:  # the address or its TLS certificate, already explained
                raise
            raise self.desk.refused(
                refusal.excerpt, _remedy(refusal, remedy), status=refusal.status
            ) from None


def _remedy(refusal: CallFailed, remedy: str) -> str:
    said = word(refusal)
    if said == INVALID_GRANT:
        return remedy
    known = {"invalid_client", "invalid_request", "unauthorized_client", "unsupported_grant_type"}
    return CHECK_APP if said in known else WRONG_HOST
