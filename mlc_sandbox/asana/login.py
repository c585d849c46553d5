"""Who calls: personal access tokens and OAuth (vendors/asana.md section 1)."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from mlc_sandbox.asana.errors import ApiError
from mlc_sandbox.asana.switches import Switches
from mlc_sandbox.core import JsonResponse, SandboxClock

CODE_SECONDS = 300
_ERROR_URI = "https://developers.asana.com/docs/oauth"


@dataclass(frozen=True)
class Actor:
    """Who does something. `app` is the OAuth client, None with a personal access token or in the browser."""

    user: str
    app: str | None = None
    token: str = ""

    @property
    def scope(self) -> str:
        """Whose `external` data this one sees."""
        return self.app or f"pat of {self.user}"


@dataclass
class Grant:
    """A code or a refresh token, waiting to be used."""

    redirect: str
    expires: datetime | None = None
    challenge: str | None = None


class Login:
    """One app, one user who consents at once; tokens that cannot be guessed from one another."""

    def __init__(self, seed: int, user: str, clock: SandboxClock, switches: Switches) -> None:
        self.clock, self.switches, self.user = clock, switches, user
        self._seed = seed
        self._count = itertools.count(1)
        self.client_id = str(1_300_000_000_000_000 + seed)
        self.client_secret = self._secret("client secret")
        self.pat = f"2/{user}/{self._secret('personal access token')}"
        self.codes: dict[str, Grant] = {}
        self.refresh_tokens: dict[str, Grant] = {}
        self.access: dict[str, datetime] = {}

    def _secret(self, what: str) -> str:
        return hashlib.sha256(f"asana sandbox {self._seed} {what}".encode()).hexdigest()[:32]

    def _new(self, what: str) -> str:
        return self._secret(f"{self.client_secret} {what} {next(self._count)} {self.clock.wire()}")

    def actor(self, authorization: str | None) -> Actor:
        """The user and app of a call. Raises ApiError 401."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            if token == self.pat:
                return Actor(self.user, None, token)
            expires = self.access.get(token)
            if expires is not None and expires > self.clock.wire():
                return Actor(self.user, self.client_id, token)
        raise ApiError(401, "Not Authorized")

    def expire_all(self) -> None:
        """Every OAuth access token has expired."""
        self.access.clear()

    def authorize(self, query: Mapping[str, str]) -> Response:
        """GET /-/oauth_authorize: back to the redirect address with a code, or with an error."""
        redirect = query.get("redirect_uri", "")
        if query.get("client_id") != self.client_id or not redirect:
            return self._refusal("invalid_request", "The client_id or redirect_uri does not match an app.")
        answer = {"state": query["state"]} if "state" in query else {}
        if query.get("response_type") != "code":
            answer["error"] = "unsupported_response_type"
        elif query.get("scope", "default") != "default" or not self.switches["full_permissions"]:
            answer["error"] = "forbidden_scopes"
        elif query.get("code_challenge") and query.get("code_challenge_method") != "S256":
            answer["error"] = "invalid_request"
        else:
            answer["code"] = self._new("code")
            ends = self.clock.wire() + timedelta(seconds=CODE_SECONDS)
            self.codes[answer["code"]] = Grant(redirect, ends, query.get("code_challenge"))
        return RedirectResponse(f"{redirect}{'&' if '?' in redirect else '?'}{urlencode(answer)}", 302)

    def token(self, form: Mapping[str, str], user: Mapping[str, Any]) -> Response:
        """POST /-/oauth_token. `user` is what `data` says about the user."""
        if form.get("client_id") != self.client_id or form.get("client_secret") != self.client_secret:
            return self._refusal("invalid_client", "The client credentials are invalid.", 401)
        kind = form.get("grant_type")
        if kind == "authorization_code":
            return self._by_code(form, user)
        if kind == "refresh_token":
            if form.get("refresh_token", "") not in self.refresh_tokens:
                return self._refusal("invalid_grant", "The refresh token provided is invalid.")
            return JsonResponse(self._access(user))
        return self._refusal("unsupported_grant_type", "The grant type is not supported.")

    def _by_code(self, form: Mapping[str, str], user: Mapping[str, Any]) -> Response:
        grant = self.codes.pop(form.get("code", ""), None)
        if (
            grant is None
            or (grant.expires is not None and grant.expires <= self.clock.wire())
            or grant.redirect != form.get("redirect_uri")
            or (grant.challenge is not None and grant.challenge != _challenge(form.get("code_verifier", "")))
        ):
            return self._refusal("invalid_grant", "The code provided is invalid.")
        refresh = f"2/{self.user}/{self._new('refresh')}"
        self.refresh_tokens[refresh] = Grant(grant.redirect)
        return JsonResponse(self._access(user) | {"refresh_token": refresh})

    def _access(self, user: Mapping[str, Any]) -> dict[str, Any]:
        seconds = self.switches["token_seconds"]
        token = f"2/{self.user}/{self._new('access')}"
        self.access[token] = self.clock.wire() + timedelta(seconds=seconds)
        return {"access_token": token, "token_type": "bearer", "expires_in": seconds, "data": dict(user)}

    def revoke(self, form: Mapping[str, str]) -> Response:
        """POST /-/oauth_revoke: takes the refresh token; its access tokens end with it."""
        if form.get("client_id") != self.client_id or form.get("client_secret") != self.client_secret:
            return self._refusal("invalid_client", "The client credentials are invalid.", 401)
        if self.refresh_tokens.pop(form.get("token", ""), None) is None:
            return self._refusal("invalid_grant", "The token provided is invalid.")
        self.access.clear()
        return JsonResponse({})

    def _refusal(self, error: str, text: str, status: int = 400) -> Response:
        return JsonResponse({"error": error, "error_uri": _ERROR_URI, "error_description": text}, status)

    def dump(self) -> dict[str, Any]:
        """Tokens and codes."""
        return {name: getattr(self, name) for name in ("pat", "codes", "refresh_tokens", "access")}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` returned."""
        for name, value in state.items():
            setattr(self, name, value)


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
