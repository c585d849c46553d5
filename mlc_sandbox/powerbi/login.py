"""The token endpoint of Microsoft Entra for one service principal (vendors/powerbi.md section 1)."""

from __future__ import annotations

import hashlib
import itertools
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mlc_sandbox.core import JsonResponse, SandboxClock
from mlc_sandbox.powerbi.errors import ApiError, simple
from mlc_sandbox.powerbi.switches import Switches

AUTHORITY = "https://login.microsoftonline.com"
AUDIENCE = "https://analysis.windows.net/powerbi/api"


@dataclass(frozen=True, slots=True)
class Principal:
    """The app registration. `object_id` is its service principal's: the one that workspaces know."""

    tenant_id: str
    client_id: str
    secret: str
    object_id: str


@dataclass(frozen=True, slots=True)
class Token:
    """What a bearer token stands for."""

    client_id: str
    audience: str
    expires: datetime


class Login:
    """Issues tokens with a random life, and knows whom they belong to."""

    def __init__(self, principal: Principal, clock: SandboxClock, switches: Switches, seed: int) -> None:
        self.principal, self.clock, self.switches = principal, clock, switches
        self.rng = random.Random(seed)
        self.tokens: dict[str, Token] = {}
        self._count = itertools.count(1)

    def discovery(self, tenant: str) -> JsonResponse:
        """The tenant's OpenID configuration. Its addresses are Entra's own: msal takes https:// alone."""
        if tenant != self.principal.tenant_id:
            return self._refusal(400, "invalid_tenant", 90002, f"Tenant '{tenant}' not found.")
        root = f"{AUTHORITY}/{tenant}"
        return JsonResponse(
            {
                "issuer": f"{root}/v2.0",
                "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                "token_endpoint": f"{root}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
                "jwks_uri": f"{root}/discovery/v2.0/keys",
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    def instances(self) -> JsonResponse:
        """Instance discovery: the names of the public cloud."""
        host = AUTHORITY.removeprefix("https://")
        cloud = {"preferred_network": host, "preferred_cache": "login.windows.net", "aliases": [host]}
        tenant = f"{AUTHORITY}/{self.principal.tenant_id}/v2.0/.well-known/openid-configuration"
        return JsonResponse({"tenant_discovery_endpoint": tenant, "api-version": "1.1", "metadata": [cloud]})

    def issue(self, tenant: str, form: Mapping[str, str]) -> JsonResponse:
        """Answer a token request."""
        principal, client = self.principal, form.get("client_id", "")
        if tenant != principal.tenant_id:
            return self._refusal(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
        if form.get("grant_type") != "client_credentials":
            return self._refusal(
                400, "unsupported_grant_type", 70003, "The app requested another grant type."
            )
        if client != principal.client_id:
            text = f"Application with identifier '{client}' was not found in the directory."
            return self._refusal(400, "unauthorized_client", 700016, text)
        if form.get("client_secret") != principal.secret:
            text = (
                "Invalid client secret provided. Ensure the secret being sent in the request is the client "
                f"secret value, not the client secret ID, for a secret added to app '{client}'."
            )
            return self._refusal(401, "invalid_client", 7000215, text)
        scope = form.get("scope", "")
        if not scope.endswith("/.default"):
            text = f"The provided value for the input parameter 'scope' is not valid: {scope}"
            return self._refusal(400, "invalid_scope", 70011, text)
        seconds = self._seconds()
        # Derived from a secret and a number: a token must not be guessable from another one.
        secret = f"{principal.secret}/{next(self._count)}/{self.clock.wire()}".encode()
        text = hashlib.sha256(secret).hexdigest()
        expires = self.clock.wire() + timedelta(seconds=seconds)
        self.tokens[text] = Token(client, scope.removesuffix("/.default"), expires)
        body = {
            "token_type": "Bearer",
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": text,
        }
        return JsonResponse(body)

    def _seconds(self) -> int:
        least, most = self.switches["token_minutes_least"], self.switches["token_minutes_most"]
        return self.rng.randint(min(least, most) * 60, max(least, most) * 60)

    def _refusal(self, status: int, error: str, number: int, text: str) -> JsonResponse:
        stamp = f"{self.clock.wire():%Y-%m-%d %H:%M:%SZ}"
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        ids = f"Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"
        body: dict[str, Any] = {
            "error": error,
            "error_description": f"AADSTS{number}: {text} {ids}",
            "error_codes": [number],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"{AUTHORITY}/error?code={number}",
        }
        return JsonResponse(body, status)

    def check(self, authorization: str | None) -> Token:
        """The token of a request.

        Raises:
            ApiError: 401 without a known token; 403 for a lower-case `bearer`, an expired one, a foreign one.
        """
        scheme, _, text = (authorization or "").partition(" ")
        if scheme != "Bearer" and scheme.lower() == "bearer":
            raise ApiError(403)
        token = self.tokens.get(text) if scheme == "Bearer" else None
        if token is None:
            raise ApiError(401, headers={"WWW-Authenticate": "Bearer"})
        if token.expires <= self.clock.wire():
            raise simple(403, "TokenExpired", "Access token has expired, resubmit with a new access token")
        if token.audience != AUDIENCE:
            raise ApiError(403)
        return token

    def expire_all(self) -> None:
        """Every token issued so far has expired."""
        now = self.clock.wire()
        self.tokens = {
            text: Token(token.client_id, token.audience, now) for text, token in self.tokens.items()
        }
