"""Signing in: a personal access token or a Connected App, and one session that all processes share.

A second sign-in with a personal access token ends the first session (vendors/tableau.md section 2). So the
session lies encrypted in the vault: whoever needs a new one takes a lease, looks whether another process has
stored one meanwhile, and only then signs in.
"""

import base64
import hashlib
import hmac
import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from xml.etree.ElementTree import Element, SubElement

from mlc_dagster.clock import Clock
from mlc_dagster.delivery.leases import Leases
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.tableau import wire
from mlc_dagster.transport.errors import Misconfigured
from mlc_dagster.transport.session import Http
from mlc_dagster.vault import Vault

# Cloud ends a session after 120 minutes, Server after 240; whether use prolongs it is not known (section 2).
LIFE = timedelta(minutes=100)
# Longer than a lease lasts: whoever follows a crashed process also waits that out.
PATIENCE = 150.0
JWT_LIFE, JWT_EARLY = timedelta(minutes=5), timedelta(seconds=5)
# Webhooks have no scope of their own that is known (section 2).
SCOPES = (
    "tableau:content:read",
    "tableau:file_uploads:create",
    "tableau:hyper_data:update",
    "tableau:datasources:*",
    "tableau:projects:*",
    "tableau:jobs:read",
    "tableau:tasks:*",
    "tableau:flows:*",
    "tableau:users:read",
    "tableau:groups:read",
)
REMEDY = (
    "The sign-in was refused. Check, in this order: the token's or app's names and secrets; that it was not "
    "revoked, and not unused for 15 days or past its end; the site's name in its address; the address, on "
    "Cloud with its pod."
)


class Credentials(Protocol):
    """What proves who we are."""

    @property
    def name(self) -> str:
        """Which credentials these are; no secret."""
        ...

    @property
    def secret(self) -> str:
        """What proves that they are ours."""
        ...

    def attributes(self, now: datetime) -> Mapping[str, str]:
        """Attributes of the `credentials` element of a sign-in."""
        ...


@dataclass(frozen=True)
class Pat:
    """A personal access token."""

    token_name: str
    secret: str = field(repr=False)

    @property
    def name(self) -> str:
        """Its name."""
        return self.token_name

    def attributes(self, now: datetime) -> Mapping[str, str]:  # noqa: ARG002
        """Name and secret."""
        return {"personalAccessTokenName": self.token_name, "personalAccessTokenSecret": self.secret}


@dataclass(frozen=True)
class App:
    """A Connected App with direct trust."""

    client_id: str
    secret_id: str
    secret: str = field(repr=False)
    username: str

    @property
    def name(self) -> str:
        """Whom it acts for."""
        return f"{self.client_id} {self.username}"

    def attributes(self, now: datetime) -> Mapping[str, str]:
        """A JWT of five minutes, signed with the secret (HS256), used once."""
        header = {"alg": "HS256", "typ": "JWT", "kid": self.secret_id, "iss": self.client_id}
        began = now - JWT_EARLY
        claims = {
            "iss": self.client_id,
            "sub": self.username,
            "aud": "tableau",
            "iat": int(began.timestamp()),
            "nbf": int(began.timestamp()),
            "exp": int((now + JWT_LIFE).timestamp()),
            "jti": uuid.uuid4().hex,
            "scp": SCOPES,
        }
        signed = f"{_encoded(header)}.{_encoded(claims)}"
        signature = hmac.new(self.secret.encode(), signed.encode(), hashlib.sha256).digest()
        return {"jwt": f"{signed}.{_base64(signature)}", "isUat": "false"}


@dataclass(frozen=True)
class Session:
    """A session at one site. until (ISO, UTC): when we sign in anew."""

    token: str = field(repr=False)
    site: str
    until: str

    def fresh(self, now: datetime) -> bool:
        """Whether a call may begin with it."""
        return now < datetime.fromisoformat(self.until)


class SharedSession:
    """Signs calls with the session of all our processes; an Auth of transport's."""

    def __init__(
        self,
        http: Http,
        site: str,
        credentials: Credentials,
        *,
        vault: Vault,
        leases: Leases,
        memory: Memory,
    ) -> None:
        """`http`: below the API's version, without a login. `memory` keeps when we signed in last."""
        self._http, self._site, self._credentials = http, site, credentials
        self._vault, self._leases, self._memory = vault, leases, memory
        self._clock: Clock = http.clock
        # Another server, site or token is another session. So is another secret: a wrong one would go unseen
        # for as long as the session of the one before lasts.
        which = "\n".join([http.base_url, site, credentials.name, credentials.secret])
        self._entry = f"tableau/session/{hashlib.sha256(which.encode()).hexdigest()[:24]}"
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._refused: set[str] = set()
        self._used = threading.local()

    def headers(self) -> dict[str, str]:
        """The header of a session. Raises transport's CallFailed, LeaseHeld, VaultLocked."""
        session = self._get()
        self._used.token = session.token
        return {"X-Tableau-Auth": session.token}

    def renew(self) -> None:
        """Tableau refused the session this thread used last: never use it again."""
        with self._lock:
            self._refused.add(getattr(self._used, "token", ""))

    @property
    def site(self) -> str:
        """The LUID of the site."""
        return self._get().site

    @property
    def signed_in(self) -> datetime | None:
        """When one of our processes signed in last."""
        at = self._memory.read(self._entry).value.get("at")
        return datetime.fromisoformat(at) if at else None

    def _get(self) -> Session:
        with self._lock:
            if self._session is None or not self._usable(self._session):
                self._session = self._stored() or self._anew()
            return self._session

    def _usable(self, session: Session) -> bool:
        return session.token not in self._refused and session.fresh(self._clock.now())

    def _stored(self) -> Session | None:
        entry = self._vault.read(self._entry)
        session = Session(**json.loads(entry.text)) if entry else None
        return session if session and self._usable(session) else None

    def _anew(self) -> Session:
        with self._leases.hold([self._entry], self._vault.writer, patience=PATIENCE):
            if (stored := self._stored()) is not None:
                return stored
            session = self._sign_in()
            self._vault.write(self._entry, json.dumps(asdict(session)))
            at = {"at": self._clock.now().isoformat()}
            self._memory.change(self._entry, lambda _: at)
            return session

    def _sign_in(self) -> Session:
        now = self._clock.now()
        root = Element("tsRequest")
        credentials = SubElement(root, "credentials", dict(self._credentials.attributes(now)))
        SubElement(credentials, "site", {"contentUrl": self._site})
        # Repeated, it ends only the session that nobody has got.
        response = self._http.call(
            "POST", "/auth/signin", data=wire.body(root), headers=wire.XML, repeatable=True
        )
        answer = wire.read(response)
        given = wire.find(answer, "credentials") if answer is not None else None
        site = wire.find(answer, "credentials/site") if answer is not None else None
        if given is None or site is None or not given.get("token"):
            remedy = "The answer is not Tableau's. Check server_url: it ends before /api."
            raise Misconfigured("Tableau", "POST", "/auth/signin", status=response.status_code, remedy=remedy)
        return Session(given.get("token", ""), site.get("id", ""), (now + LIFE).isoformat())


def login_http(base_url: str, **options: Any) -> Http:
    """A session for sign-ins, which carry no token."""
    remedies = {401: REMEDY, 403: REMEDY, 404: REMEDY, 405: REMEDY}
    return Http("Tableau", base_url, remedies=remedies, words=wire.words, lockout=wire.lockout, **options)


def _encoded(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
