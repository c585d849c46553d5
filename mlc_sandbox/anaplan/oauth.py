"""OAuth 2.0 of the tenant: code and device flows, refresh tokens that rotate (anaplan.md section 2)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mlc_sandbox.anaplan.auth import Directory
from mlc_sandbox.anaplan.switches import Switches

CODE_CLIENT, CODE_SECRET = "c0de0000c0de0000c0de0000c0de0000", "sandbox-oauth-secret"
DEVICE_CLIENT = "de71ce00de71ce00de71ce00de71ce00"
SCOPE = "openid email offline_access"  # the server drops `profile`
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
CODE_LIFE, DEVICE_LIFE, INTERVAL = 60, 900, 5  # seconds


class OAuthError(Exception):
    """`error` is the OAuth word; the text is its description."""

    def __init__(self, error: str, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.error, self.status = error, status


@dataclass(slots=True)
class Client:
    """A registered client; a device client has no secret."""

    id: str
    secret: str | None
    email: str


@dataclass(slots=True)
class Grant:
    """A code, a device code or a refresh token, waiting to be used."""

    client_id: str
    expires: datetime
    redirect_uri: str = ""
    approved: bool = True
    declined: bool = False
    polled: datetime | None = None
    user_code: str = ""


class OAuth:
    """Issues and rotates OAuth tokens; access tokens live in the directory."""

    def __init__(self, directory: Directory, switches: Switches, now: Callable[[], datetime]) -> None:
        self.directory, self.switches, self._now = directory, switches, now
        self.clients: dict[str, Client] = {}
        self.codes: dict[str, Grant] = {}
        self.devices: dict[str, Grant] = {}
        self.refresh_tokens: dict[str, Grant] = {}

    def register(self, client_id: str, secret: str | None, email: str) -> None:
        """What an administrator does; a client acts for one user here, who approves at once."""
        self.clients[client_id] = Client(client_id, secret, email)

    def authorize(self, client_id: str, redirect_uri: str) -> str:
        """The code that a browser would carry back after the user agreed."""
        client = self._client(client_id)
        if client.secret is None:
            raise OAuthError("unauthorized_client", "The client is not for the code grant.")
        code = secrets.token_urlsafe(32)
        self.codes[code] = Grant(client_id, self._in(CODE_LIFE), redirect_uri)
        return code

    def device_code(self, client_id: str) -> tuple[str, Grant]:
        """Start the device flow; it is off when single sign-on is on."""
        client = self._client(client_id)
        if self.switches["sso"]:
            raise OAuthError("access_denied", "Device grant is not available with single sign-on.", 403)
        if client.secret is not None:
            raise OAuthError("unauthorized_client", "The client is not for the device grant.")
        code, user_code = secrets.token_urlsafe(16), f"{secrets.token_hex(2)}-{secrets.token_hex(2)}".upper()
        approved = self.switches["device_auto_approve"]
        self.devices[code] = Grant(client_id, self._in(DEVICE_LIFE), approved=approved, user_code=user_code)
        return code, self.devices[code]

    def decide(self, user_code: str, *, approved: bool) -> None:
        """The user enters the code in a browser, and approves or declines."""
        for grant in self.devices.values():
            if grant.user_code == user_code:
                grant.approved, grant.declined = approved, not approved

    def token(self, body: dict[str, str]) -> dict[str, Any]:
        """POST /oauth/token for any of the three grants."""
        grants = {
            "authorization_code": self._by_code,
            DEVICE_GRANT: self._by_device,
            "refresh_token": self._by_refresh,
        }
        grant = grants.get(body.get("grant_type", ""))
        if grant is None:
            raise OAuthError("invalid_request", "grant_type is missing or unknown")
        client = self._client(body.get("client_id", ""))
        return self._issue(client, grant(client, body))

    def _by_code(self, client: Client, body: dict[str, str]) -> str | None:
        self._check_secret(client, body)
        grant = self._live(self.codes.pop(body.get("code", ""), None), client, "invalid_grant")
        if grant.redirect_uri != body.get("redirect_uri"):
            raise OAuthError("invalid_grant", "redirect_uri differs from the one of the authorization")
        return None

    def _by_device(self, client: Client, body: dict[str, str]) -> str | None:
        code = body.get("device_code", "")
        grant = self._live(self.devices.get(code), client, "expired_token")
        if grant.declined:
            raise OAuthError("access_denied", "The user declined.")
        last, grant.polled = grant.polled, self._now()
        if not grant.approved:
            if last is not None and grant.polled - last < timedelta(seconds=INTERVAL):
                raise OAuthError("slow_down", "Polling too fast.")
            raise OAuthError("authorization_pending", "The user has not approved yet.")
        del self.devices[code]
        return None

    def _by_refresh(self, client: Client, body: dict[str, str]) -> str | None:
        self._check_secret(client, body)
        token = body.get("refresh_token", "")
        self._live(self.refresh_tokens.get(token), client, "invalid_grant")
        if not self.switches["oauth_rotation"]:
            return token
        del self.refresh_tokens[token]
        return None

    def _issue(self, client: Client, kept: str | None) -> dict[str, Any]:
        """The answer; `kept` is the refresh token of a client without rotation."""
        access = self.directory.issue(client.email, bearer=True)
        answer = {
            "access_token": access.value,
            "id_token": secrets.token_urlsafe(24),
            "scope": SCOPE,
            "token_type": "Bearer",
            "expires_in": self.switches["token_minutes"] * 60,
        }
        if kept is None:
            kept = secrets.token_urlsafe(32)
            self.refresh_tokens[kept] = Grant(client.id, self._in(self.switches["oauth_refresh_seconds"]))
        elif not self.switches["oauth_repeats_token"]:
            return answer
        return answer | {"refresh_token": kept}

    def _client(self, client_id: str) -> Client:
        if client_id not in self.clients:
            raise OAuthError("unauthorized_client", "The client is unknown.", 401)
        return self.clients[client_id]

    def _check_secret(self, client: Client, body: dict[str, str]) -> None:
        if client.secret is not None and body.get("client_secret") != client.secret:
            raise OAuthError("unauthorized_client", "The client secret is wrong.", 401)

    def _live(self, grant: Grant | None, client: Client, error: str) -> Grant:
        if grant is None or grant.client_id != client.id or grant.expires <= self._now():
            raise OAuthError(error, "The grant is unknown, used or expired.")
        return grant

    def _in(self, seconds: int) -> datetime:
        return self._now() + timedelta(seconds=seconds)
