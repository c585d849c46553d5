"""Tokens of the Partner Mailbox account, and its password for Basic and SFTP (vendors/cleo.md section 3)."""

from __future__ import annotations

import hashlib
import itertools
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any
from urllib.parse import parse_qsl

from mlc_sandbox.cleo.errors import ApiError
from mlc_sandbox.cleo.switches import Switches
from mlc_sandbox.core import JsonResponse, SandboxClock

USER = "mlc-mailbox"


class Login:
    """The one account of the mailbox. `tokens` and `refresh` map a token to the time it ends."""

    def __init__(self, clock: SandboxClock, switches: Switches, seed: int) -> None:
        self.clock, self.switches = clock, switches
        digest = hashlib.sha256(f"cleo mailbox {seed}".encode()).hexdigest()
        self.user, self.password = USER, f"Mlc+{digest[:12]}&{digest[12:20].upper()}%"
        self.tokens: dict[str, datetime] = {}
        self.refresh: dict[str, datetime] = {}
        self.keys: list[str] = []  # OpenSSH public keys that may log in over SFTP
        self._count = itertools.count(1)

    def issue(self, content_type: str, body: bytes) -> JsonResponse:
        """Answer a log-in. DOC: form-urlencoded, grant_type password; a JSON body is refused with 400."""
        if not content_type.startswith("application/x-www-form-urlencoded"):
            raise ApiError(400, "The body must be form-urlencoded.")
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        grant = form.get("grant_type")
        if grant == "refresh_token" and self.switches["refresh_token"]:
            ends = self.refresh.pop(form.get("refresh_token", ""), None)
            if ends is None or ends <= self.clock.wire():
                raise self._refused("The refresh token is not valid.")
        elif grant != "password":
            raise ApiError(400, f"Unsupported grant_type {grant!r}.")
        elif not self.admits(form.get("username", ""), form.get("password", "")):
            raise self._refused("The user name or the password is not correct.")
        return JsonResponse(self._grant())

    def _refused(self, message: str) -> ApiError:
        return ApiError(self.switches["wrong_credentials_status"], message)

    def _grant(self) -> Mapping[str, Any]:
        seconds = self.switches["token_seconds"]
        ends = self.clock.wire() + timedelta(seconds=seconds)
        token, refresh = self._text(), self._text()
        self.tokens[token] = ends
        body: dict[str, Any] = {"access_token": token, "token_type": "bearer"}
        if self.switches["expires_in"] != "absent":
            body["expires_in"] = seconds if self.switches["expires_in"] == "number" else str(seconds)
        if self.switches["refresh_token"]:
            self.refresh[refresh] = ends + timedelta(days=1)
            body["refresh_token"] = refresh
        return body

    def _text(self) -> str:
        # Derived from a secret and a number: a token must not be guessable from another one.
        return hashlib.sha256(f"{self.password}/{next(self._count)}/{self.clock.wire()}".encode()).hexdigest()

    def admits(self, user: str, password: str) -> bool:
        """Whether this is the account's password."""
        return compare_digest(user.encode(), self.user.encode()) & compare_digest(
            password.encode(), self.password.encode()
        )

    def check(self, authorization: str | None) -> None:
        """A call with a bearer token. Raises ApiError 401."""
        scheme, _, token = (authorization or "").partition(" ")
        ends = self.tokens.get(token)
        if scheme.lower() != "bearer" or ends is None:
            raise ApiError(401, "A bearer token is required.")
        if ends <= self.clock.wire():
            raise ApiError(401, "The token has expired.")

    def check_basic(self, authorization: str | None) -> None:
        """A VersaLex call with user and password. Raises ApiError 401 that asks for them."""
        scheme, _, text = (authorization or "").partition(" ")
        try:
            user, _, password = b64decode(text, validate=True).decode().partition(":")
        except ValueError:
            user = password = ""
        if scheme.lower() != "basic" or not self.admits(user, password):
            raise ApiError(401, "Log in first.", {"WWW-Authenticate": 'Basic realm="mailbox"'})

    def expire_all(self) -> None:
        """Every token issued so far has expired."""
        self.tokens = dict.fromkeys(self.tokens, self.clock.wire())
