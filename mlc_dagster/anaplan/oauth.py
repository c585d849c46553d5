"""OAuth 2.0 at Anaplan: the two ways to log in by hand, and the refresh.

Facts: vendors/anaplan.md section 2, specs/anaplan/oauth-openapi.json. Anaplan has no client-credentials
grant, so a person logs in once (`mlc anaplan login`); from then on refresh tokens do (mlc_dagster/grant.py).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import requests

from mlc_dagster.anaplan.auth import LOCKOUT, WRONG_HOST, wrong_host
from mlc_dagster.clock import Clock
from mlc_dagster.transport.budget import Budget
from mlc_dagster.transport.errors import CallFailed, Misconfigured, Refused
from mlc_dagster.transport.oauth import DENIED, INVALID_GRANT, Desk, Grant, word, words
from mlc_dagster.transport.session import CallCounter, Http

AUTHORIZE, TOKEN, DEVICE_CODE = "/auth/authorize", "/oauth/token", "/oauth/device/code"
SCOPE = "openid profile email offline_access"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# Each refusal carries one of these words in `error`.
PENDING, SLOW_DOWN, EXPIRED = "authorization_pending", "slow_down", "expired_token"
SLOWER = 5.0  # seconds more between two polls after slow_down (RFC 8628 section 3.5)

TIMEOUT, ATTEMPTS = (10, 30), 3

DESK = Desk("Anaplan", "mlc anaplan login", AUTHORIZE, TOKEN)
CHECK_CLIENT = (
    "Check client_id and client_secret against Administration, OAuth, in Anaplan: a client is for the "
    "authorization-code flow or for the device flow, not for both."
)
REFUSED_AGAIN = (
    "The stored refresh token is not taken any more: it has expired, was used elsewhere, was revoked, or the "
    f"answer with its successor was lost. {DESK.again}"
)
NO_DEVICES = (
    "Anaplan does not allow the device flow on a tenant with single sign-on. Use method oauth_code with a "
    "client for the authorization-code flow, or a certificate."
)
CODE_REFUSED = (
    "A code lasts about a minute, works once, and only with the redirect_uri registered for the client. "
    "Run `mlc anaplan login` again and paste the address at once."
)
NOT_APPROVED = (
    "Nobody approved the login in time. Run `mlc anaplan login` again and approve it in the browser."
)
NO_REFRESH = (
    "Allow the client refresh tokens (Administration, OAuth, in Anaplan), then run `mlc anaplan login` again."
)
DECLINED = "The login was declined in the browser. Run `mlc anaplan login` again and approve it."


@dataclass(frozen=True)
class Client:
    """A client registered under Administration, OAuth; one of the device flow has only its id."""

    id: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    redirect_uri: str | None = None


@dataclass(frozen=True)
class DeviceCode:
    """A device login that waits for a person: where to enter what, how long, how often to ask (seconds)."""

    code: str = field(repr=False)
    user_code: str
    address: str
    seconds: float
    interval: float


class OAuthService:
    """Anaplan's OAuth service for one client. `http` points at the app host and has no auth of its own.

    All methods raise CallFailed: Misconfigured when a person must act, its remedy says who and how.
    """

    desk = DESK

    def __init__(self, http: Http, client: Client) -> None:
        self.http, self.client = http, client

    @property
    def client_id(self) -> str:
        """The client that grants are for."""
        return self.client.id

    def authorize_address(self, state: str) -> str:
        """Where a browser begins the authorization-code flow; it comes back with `state`."""
        query = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": self.client.redirect_uri,
            "scope": SCOPE,
            "state": state,
        }
        return f"{self.http.base_url}{AUTHORIZE}?{urlencode(query)}"

    def by_code(self, address: str, state: str) -> Grant:
        """The grant for the address the browser ended at."""
        remedies = {DENIED: DECLINED, INVALID_GRANT: CODE_REFUSED}
        code = self.desk.code(address, state, remedies)
        body = {"code": code, "redirect_uri": self.client.redirect_uri}
        return self._grant("authorization_code", body, {INVALID_GRANT: CODE_REFUSED})

    def device_code(self) -> DeviceCode:
        """Begin the device flow."""
        remedies = {DENIED: NO_DEVICES}
        response = self._post(DEVICE_CODE, {"client_id": self.client.id, "scope": SCOPE}, remedies)
        try:
            fields = json.loads(response.text)
            return DeviceCode(
                fields["device_code"],
                fields["user_code"],
                fields.get("verification_uri_complete") or fields["verification_uri"],
                float(fields.get("expires_in", 900)),
                float(fields.get("interval", 5)),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise wrong_host("oauth_url", response) from None

    def by_device(self, device: DeviceCode) -> Grant:
        """The grant once a person has approved. Asks no more often than Anaplan wants, and not for ever."""
        clock, interval = self.http.clock, device.interval
        ends = clock.monotonic() + device.seconds
        while clock.monotonic() + interval < ends:
            clock.sleep(interval)
            try:
                return self._grant(
                    DEVICE_GRANT,
                    {"device_code": device.code},
                    {EXPIRED: NOT_APPROVED, INVALID_GRANT: NOT_APPROVED, DENIED: DECLINED},
                )
            except CallFailed as answer:
                if word(answer) not in (PENDING, SLOW_DOWN):
                    raise
                interval += SLOWER if word(answer) == SLOW_DOWN else 0
        raise self.desk.refused(f"no approval within {device.seconds:.0f} s", NOT_APPROVED)

    def refreshed(self, grant: Grant) -> Grant:
        """The next grant. A client without rotation keeps its refresh token; it may be repeated or not."""
        body = {"refresh_token": grant.refresh_token}
        return self._grant(
            "refresh_token", body, {INVALID_GRANT: REFUSED_AGAIN}, refresh_token=grant.refresh_token
        )

    def _grant(
        self,
        kind: str,
        body: Mapping[str, str | None],
        remedies: Mapping[str, str],
        *,
        refresh_token: str | None = None,
    ) -> Grant:
        own = {"grant_type": kind, "client_id": self.client.id}
        if self.client.secret is not None and kind != DEVICE_GRANT:
            own["client_secret"] = self.client.secret
        response = self._post(TOKEN, {**own, **body}, remedies)
        try:
            grant = Grant.answered(self.client.id, response.text, refresh_token, self.http.clock.now())
        except ValueError:
            raise wrong_host("oauth_url", response) from None
        if not grant.refresh_token:
            raise self.desk.refused("the answer holds no refresh token", NO_REFRESH)
        return grant

    def _post(self, path: str, body: Mapping[str, Any], remedies: Mapping[str, str]) -> requests.Response:
        """One call, repeated when no answer comes. A refusal becomes Misconfigured with the word's remedy."""
        try:
            return self.http.call("POST", path, json=body, repeatable=True)
        except (Refused, Misconfigured) as refusal:
            if refusal.status is None:  # the address or its TLS certificate, already explained
                raise
            raise Misconfigured(
                refusal.vendor,
                "POST",
                path,
                status=refusal.status,
                request_id=refusal.request_id,
                excerpt_text=refusal.excerpt,
                remedy=remedies.get(word(refusal)) or _remedy(word(refusal)),
            ) from None


def open_oauth_service(
    oauth_url: str,
    client: Client,
    *,
    budget: Budget | None = None,
    counter: CallCounter | None = None,
    clock: Clock | None = None,
) -> OAuthService:
    """The OAuth service of a region's app host, such as https://us1a.app.anaplan.com."""
    http = Http(
        "Anaplan",
        oauth_url,
        budget=budget,
        counter=counter,
        clock=clock,
        timeout=TIMEOUT,
        attempts=ATTEMPTS,
        words=words,
        lockout=LOCKOUT,
    )
    return OAuthService(http, client)


def _remedy(word: str) -> str:
    known = {INVALID_GRANT, DENIED, EXPIRED, "unauthorized_client", "invalid_client", "invalid_request"}
    return CHECK_CLIENT if word in known else WRONG_HOST.format(setting="oauth_url")
