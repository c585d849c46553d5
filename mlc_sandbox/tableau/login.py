"""Sign-in by access token, JWT of a connected app, or password, and the sessions (section 2)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mlc_sandbox.core import SandboxClock
from mlc_sandbox.tableau.errors import ApiError
from mlc_sandbox.tableau.store import AccessToken, Session, Site, User
from mlc_sandbox.tableau.switches import Switches

_JWT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class ConnectedApp:
    """An app of the kind "direct trust"."""

    client_id: str
    secret_id: str
    secret: str


class Login:
    """Who may come in, and which sessions are open."""

    def __init__(self, app: ConnectedApp, clock: SandboxClock, switches: Switches) -> None:
        self.app, self.clock, self.switches = app, clock, switches
        self.pats: dict[str, AccessToken] = {}
        self.passwords: dict[str, str] = {}
        self.sessions: dict[str, Session] = {}
        self.used_jtis: set[str] = set()
        self._count = itertools.count(1)

    def sign_in(self, site: Site | None, credentials: Mapping[str, str]) -> Session:
        """A new session. Raises ApiError 400000, 401001."""
        ways = [name for name in ("personalAccessTokenName", "jwt", "name") if name in credentials]
        if len(ways) != 1:
            raise ApiError(400000, "Sign in with a personal access token, a JWT or a name and password.")
        pat: str | None = None
        scopes: frozenset[str] | None = None
        if ways[0] == "jwt":
            name, scopes = self._jwt(credentials["jwt"])
        elif ways[0] == "name":
            name = self._password(credentials)
        else:
            found = self._pat(credentials)
            name, pat = found.user, found.name
        user = _user(site, name)
        if site is None or user is None:
            raise refused(5 if scopes is not None else None)
        if pat is not None:  # signing in again with one token ends its earlier session
            self.pats[pat].used = self.clock.now()
            self.sessions = {key: open_ for key, open_ in self.sessions.items() if open_.pat != pat}
        return self._open(site, user, pat, scopes)

    def switch(self, session: Session, site: Site) -> Session:
        """The same user on another site. Raises ApiError 401001, 403070."""
        user = _user(site, session.name)
        if user is None:
            raise refused()
        if site.id == session.site:
            raise ApiError(403070, "The session is on this site already.")
        self.sessions.pop(session.token, None)
        return self._open(site, user, session.pat, session.scopes)

    def check(self, token: str | None) -> Session:
        """The session of a call. Raises ApiError 401000, 401002."""
        if not token:
            raise ApiError(401000, "No authentication credentials were provided.")
        session = self.sessions.get(token)
        now = self.clock.wire()
        if session is None or self.ends(session) <= now:
            self.sessions.pop(token, None)
            raise ApiError(401002, "Invalid authentication credentials were provided.")
        session.used = now
        return session

    def ends(self, session: Session) -> datetime:
        """When a session ends if nobody uses it any more."""
        since = session.used if self.switches["session_ends"] == "idle" else session.began
        return since + timedelta(minutes=self.switches["session_minutes"])

    def add_pat(self, name: str, user: str, secret: str, days: int = 180) -> AccessToken:
        """A personal access token that ends after so many days."""
        now = self.clock.now()
        made = AccessToken(name, secret, user, now, (now + timedelta(days=days)).date())
        self.pats[name] = made
        return made

    def _open(self, site: Site, user: User, pat: str | None, scopes: frozenset[str] | None) -> Session:
        now = self.clock.wire()
        user.last_login = now
        # Derived from a secret and a number: a token must not be guessable from another one.
        text = hashlib.sha256(f"{self.app.secret}/{next(self._count)}/{now}".encode()).hexdigest()
        session = Session(
            f"{text[:22]}|{text[22:54]}|{site.id}", site.id, user.id, user.name, now, now, pat, scopes
        )
        self.sessions[session.token] = session
        return session

    def _pat(self, credentials: Mapping[str, str]) -> AccessToken:
        found = self.pats.get(credentials["personalAccessTokenName"])
        secret = credentials.get("personalAccessTokenSecret", "")
        if found is None or found.revoked or not _same(found.secret, secret):
            raise refused()
        now = self.clock.now()
        if now.date() >= found.ends or now >= found.used + timedelta(days=self.switches["pat_unused_days"]):
            raise refused()
        return found

    def _password(self, credentials: Mapping[str, str]) -> str:
        known = self.passwords.get(credentials["name"])
        given = credentials.get("password", "")
        if not self.switches["password_sign_in"] or known is None or not _same(known, given):
            raise refused()
        return credentials["name"]

    def _jwt(self, text: str) -> tuple[str, frozenset[str]]:
        """The user's name and the scopes. HS256, at most ten minutes ahead, each jti once."""
        try:
            head, claims, signature = text.split(".")
            header, body = _json(head), _json(claims)
            given = _decode(signature)
        except (ValueError, UnicodeDecodeError) as error:
            raise refused(16) from error
        if body.get("iss", header.get("iss")) != self.app.client_id:
            raise refused(126)
        if header.get("kid") != self.app.secret_id:
            raise refused(127)
        wanted = hmac.new(self.app.secret.encode(), f"{head}.{claims}".encode(), hashlib.sha256).digest()
        if header.get("alg") != "HS256" or not hmac.compare_digest(wanted, given):
            raise refused(16)
        self._claims(body)
        scopes = body.get("scp")
        return body["sub"], frozenset(scopes if isinstance(scopes, list) else ())

    def _claims(self, body: Mapping[str, Any]) -> None:
        now = self.clock.wire().timestamp()
        jti, ends, begins = body.get("jti"), body.get("exp"), body.get("nbf", 0)
        if body.get("aud") != "tableau" or not jti or not body.get("sub"):
            raise refused(16)
        if not isinstance(ends, int | float) or not isinstance(begins, int | float):
            raise refused(16)
        if not now < ends <= now + _JWT_SECONDS or begins > now:
            raise refused(16)
        if jti in self.used_jtis and self.switches["jwt_replay"] == "refused":
            raise refused(16)
        self.used_jtis.add(jti)


def refused(reason: int | None = None) -> ApiError:
    """401001, with a JWT's code from the troubleshooting list: 5 user, 16 login, 126 app, 127 secret."""
    detail = "Error signing in to Tableau Server"
    return ApiError(401001, f"{detail} (errorCode={reason})" if reason else detail)


def _user(site: Site | None, name: str) -> User | None:
    if site is None:
        return None
    return next((user for user in site.users.values() if user.name == name), None)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _json(part: str) -> dict[str, Any]:
    value = json.loads(_decode(part))
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one kind of error for a JWT nobody can read
    return value


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
