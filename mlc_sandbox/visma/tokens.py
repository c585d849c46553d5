"""Visma Connect's token endpoint and the bearer check of the API (vendors/visma.md section 2)."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mlc_sandbox.core import JsonResponse, SandboxClock
from mlc_sandbox.visma.errors import ApiError
from mlc_sandbox.visma.switches import Switches
from mlc_sandbox.world import Company

SCOPES = tuple(f"vismanet_erp_service_api:{verb}" for verb in ("read", "create", "update", "delete"))
_SCOPE_OF = {"GET": SCOPES[0], "POST": SCOPES[1], "PUT": SCOPES[2], "DELETE": SCOPES[3]}


@dataclass(frozen=True)
class Token:
    """What a bearer token stands for; `company` is None for the customer tenant, where no company answers."""

    client: str
    company: str | None
    scopes: frozenset[str]
    expires: datetime


class Tokens:
    """Issues tokens and knows whom they belong to."""

    def __init__(
        self, companies: Iterable[Company], clock: SandboxClock, switches: Switches, client: tuple[str, str]
    ) -> None:
        self.clock, self.switches, self.client = clock, switches, client
        self.tenants: dict[str, str | None] = {}
        for company in companies:
            self.tenants[company.customer_tenant_id] = None
            self.tenants[company.tenant_id] = company.code
        self._issued: dict[str, Token] = {}
        self._count = itertools.count(1)

    def issue(self, form: Mapping[str, str]) -> JsonResponse:
        """Answer a token request; refusals are OAuth errors."""
        refusal = self._refusal(form)
        if refusal is not None:
            status, error = refusal
            return JsonResponse({"error": error}, status)
        scopes = frozenset(form["scope"].split())
        seconds = self.switches["token_seconds"]
        # Derived from a secret and a number: a token must not be guessable from another one.
        text = hashlib.sha256(
            f"{self.client[1]}/{next(self._count)}/{self.clock.wire()}".encode()
        ).hexdigest()
        expires = self.clock.wire() + timedelta(seconds=seconds)
        self._issued[text] = Token(
            form["client_id"], self.tenants[form["tenant_id"].lower()], scopes, expires
        )
        return JsonResponse(
            {
                "access_token": text,
                "expires_in": seconds,
                "token_type": "Bearer",
                "scope": " ".join(sorted(scopes)),
            }
        )

    def _refusal(self, form: Mapping[str, str]) -> tuple[int, str] | None:
        if form.get("grant_type") != "client_credentials":
            return 400, "unsupported_grant_type"
        if (form.get("client_id"), form.get("client_secret")) != self.client:
            return self.switches["token_secret_status"], "invalid_client"
        if form.get("tenant_id", "").lower() not in self.tenants:
            return 400, "invalid_tenant"
        if not form.get("scope") or not set(form["scope"].split()) <= set(SCOPES):
            return 400, "invalid_scope"
        return None

    def check(self, authorization: str | None, method: str) -> Token:
        """The token of a request. Raises ApiError 401 (also for the wrong tenant kind) or 403 (scope)."""
        kind, _, text = (authorization or "").partition(" ")
        token = self._issued.get(text)
        if (
            kind.lower() != "bearer"
            or token is None
            or token.expires <= self.clock.wire()
            or token.company is None
        ):
            raise ApiError(401)
        scope = _SCOPE_OF.get(method)
        if scope is not None and scope not in token.scopes:
            raise ApiError(403, f"The scope {scope} is missing.")
        return token

    def revoke(self) -> int:
        """Forget all tokens, as if they had expired; returns how many."""
        count = len(self._issued)
        self._issued.clear()
        return count

    def dump(self) -> Any:
        """Issued tokens survive a restart of the sandbox, as they would outlive a restart of ours."""
        return dict(self._issued)

    def load(self, state: Any) -> None:
        """Take over dumped tokens."""
        self._issued = dict(state)
