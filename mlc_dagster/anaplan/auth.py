"""Anaplan's tokens: Basic and certificate login, refresh before expiry, one token for all threads."""

import base64
import json
import os
import struct
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal, Protocol

import requests
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mlc_dagster.clock import Clock, SystemClock
from mlc_dagster.transport.auth import CachedAuth, Token
from mlc_dagster.transport.budget import Budget
from mlc_dagster.transport.errors import CallFailed, Misconfigured, Refused
from mlc_dagster.transport.session import CallCounter, Http, response_words

# Seconds to stay away after a 429 without Retry-After (vendors/anaplan.md section 3).
LOCKOUT = 10
LOGIN, REFRESH = "/token/authenticate", "/token/refresh"
SCHEME = "AnaplanAuthToken"
REFUSALS = frozenset({400, 401, 403})
# A token lives 35 minutes; Anaplan's own client refreshes when less than 5 remain
# (vendors/anaplan.md section 2).
LIFE, EARLY = timedelta(minutes=35), timedelta(minutes=5)
NONCE_BYTES = 150
# How far two right clocks may be apart; Anaplan's own tolerance is not known.
CLOCK_SECONDS = 60
WRONG_HOST = (
    "This is not what Anaplan's service answers. Check {setting}: each region has hosts of its own "
    "(docs/anaplan.md section 3)."
)
V1_REFUSED = "Anaplan may not take signature version v1 any more: set `version: v2`."
PEM = "Give the whole text, from its BEGIN line to its END line, with its line breaks."


class Login(Protocol):
    """One way to prove who we are."""

    def request(self, now: datetime) -> tuple[dict[str, str], dict[str, str] | None]:
        """Headers and JSON body of the login call."""
        ...

    @property
    def remedy(self) -> str:
        """What to do when Anaplan refuses it."""
        ...


class BasicLogin:
    """User and password. On a tenant with single sign-on Anaplan takes them from exception users only."""

    remedy = (
        "Check user and password, and that auth_url is the host of your region. Where the tenant uses single "
        "sign-on, a workspace administrator must make this user an exception user, or use a certificate."
    )

    def __init__(self, user: str, password: str) -> None:
        self._basic = base64.b64encode(f"{user}:{password}".encode()).decode()

    def request(self, now: datetime) -> tuple[dict[str, str], dict[str, str] | None]:  # noqa: ARG002
        """The Basic header; no body."""
        return {"Authorization": f"Basic {self._basic}"}, None


class CertificateLogin:
    """A certificate of a CA Anaplan accepts, registered for the user, and its RSA private key, as PEM texts.

    Version v2 signs an 8-byte big-endian count of seconds since 1970 and random bytes; v1 random bytes only
    (vendors/anaplan.md section 2). The signature is RSA PKCS#1 v1.5 with SHA-512 over the raw bytes.

    Raises:
        Misconfigured: a text is no PEM, the key is no RSA key or not the certificate's.
    """

    def __init__(self, certificate: str, private_key: str, *, version: Literal["v1", "v2"] = "v2") -> None:
        self._version = version
        self._certificate = _certificate(certificate)
        self._key = _private_key(private_key)
        if self._key.public_key() != self._certificate.public_key():
            raise _bad("the private key does not belong to the certificate", "Give both of one pair.")
        pem = self._certificate.public_bytes(serialization.Encoding.PEM)
        self._header = "CACertificate " + base64.b64encode(pem).decode()

    @property
    def remedy(self) -> str:
        """What to do when Anaplan refuses it: a refusal rarely says which part it disliked."""
        clock = "Check that this machine's clock is right." if self._version == "v2" else V1_REFUSED
        return (
            "Register this certificate for this user in Anaplan (Administration, Security, Certificates), "
            "in the region of auth_url. It must come from a certificate authority Anaplan accepts. "
            f"{clock}"
        )

    def request(self, now: datetime) -> tuple[dict[str, str], dict[str, str] | None]:
        """The certificate header and the signed nonce.

        Raises:
            Misconfigured: the certificate is not valid now; its dates are named.
        """
        self._check_dates(now)
        nonce = os.urandom(NONCE_BYTES)
        if self._version == "v2":
            nonce = struct.pack(">Q", int(now.timestamp())) + nonce[8:]
        signature = self._key.sign(nonce, padding.PKCS1v15(), hashes.SHA512())
        body = {
            "encodedData": base64.b64encode(nonce).decode(),
            "encodedSignedData": base64.b64encode(signature).decode(),
        }
        if self._version == "v2":
            body["encodedDataFormat"] = "v2"
        return {"Authorization": self._header}, body

    def _check_dates(self, now: datetime) -> None:
        start, end = self._certificate.not_valid_before_utc, self._certificate.not_valid_after_utc
        if not start <= now <= end:
            word = "ended" if now > end else "starts"
            moment = end if now > end else start
            raise _bad(
                f"the certificate's validity {word} on {moment:%Y-%m-%d %H:%M} UTC",
                "Renew it at its certificate authority and register the new one in Anaplan.",
            )


class Tokens:
    """Fetches tokens: a refresh while one is about to expire, a login otherwise.

    An expired or refused token cannot be refreshed. What a refresh answers is taken: it may be a new value.
    """

    def __init__(self, http: Http, login: Login, clock: Clock) -> None:
        self._http, self._login, self._clock = http, login, clock
        self._token: Token | None = None

    def fetch(self) -> Token:
        """A valid token.

        Raises:
            Misconfigured: the login was refused, or the certificate is not valid.
        """
        left = self._token.expires_at - self._clock.now() if self._token else timedelta(0)
        if self._token is not None and timedelta(0) < left <= EARLY:
            self._token = self._refresh(self._token) or self._log_in()
        else:
            self._token = self._log_in()
        return self._token

    def _log_in(self) -> Token:
        headers, body = self._login.request(self._clock.now())
        try:
            return self._read(self._http.call("POST", LOGIN, headers=headers, json=body, repeatable=True))
        except (Refused, Misconfigured) as refusal:
            if refusal.status is None:  # the address or its TLS certificate, already explained
                raise
            known = refusal.status in REFUSALS
            raise Misconfigured(
                "Anaplan",
                "POST",
                LOGIN,
                status=refusal.status,
                request_id=refusal.request_id,
                excerpt_text=refusal.excerpt,
                remedy=self._login.remedy if known else WRONG_HOST.format(setting="auth_url"),
            ) from None

    def _refresh(self, token: Token) -> Token | None:
        headers = {"Authorization": f"{SCHEME} {token.value}"}
        try:
            return self._read(self._http.call("POST", REFRESH, headers=headers, repeatable=True))
        except CallFailed as refusal:
            if refusal.status not in REFUSALS:
                raise
            return None

    def _read(self, response: requests.Response) -> Token:
        try:
            info = json.loads(response.text)["tokenInfo"]
            value, expires_at = info["tokenValue"], datetime.fromtimestamp(int(info["expiresAt"]) / 1000, UTC)
        except (ValueError, KeyError, TypeError):
            raise wrong_host("auth_url", response) from None
        left = expires_at - (_server_time(response) or self._clock.now())
        return Token(value, self._clock.now() + (left if left > timedelta(0) else LIFE))


def open_token_service(
    auth_url: str,
    *,
    budget: Budget | None = None,
    counter: CallCounter | None = None,
    clock: Clock | None = None,
) -> Http:
    """An Http for the token service. Its refusals tell when our clock and Anaplan's differ."""
    clock = clock or SystemClock()

    def words(response: requests.Response) -> str:
        theirs = _server_time(response)
        ahead = round((clock.now() - theirs).total_seconds()) if theirs else 0
        skew = f"{abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} Anaplan's"
        told = f" (this machine's clock is {skew})" if abs(ahead) > CLOCK_SECONDS else ""
        return response_words(response) + told

    return Http(
        "Anaplan", auth_url, budget=budget, counter=counter, clock=clock, words=words, lockout=LOCKOUT
    )


def token_auth(http: Http, login: Login) -> CachedAuth:
    """Sign the Integration API's calls. `http` points at the token service and has no auth of its own."""
    return CachedAuth(
        Tokens(http, login, http.clock).fetch, clock=http.clock, margin=EARLY.total_seconds(), scheme=SCHEME
    )


def certificate_end(certificate: str) -> datetime:
    """When the certificate in a PEM text ends (UTC). Raises Misconfigured when it is no PEM text."""
    return _certificate(certificate).not_valid_after_utc


def wrong_host(setting: str, response: requests.Response) -> Misconfigured:
    """The error for an answer that is none of Anaplan's; `setting` holds the address that gave it.

    The body is not shown: a token may be in it, under a name nobody knows.
    """
    return Misconfigured(
        "Anaplan",
        "POST",
        response.request.path_url,
        status=response.status_code,
        excerpt_text=f"an answer of type {response.headers.get('Content-Type', 'unknown')} without a token",
        remedy=WRONG_HOST.format(setting=setting),
    )


def _server_time(response: requests.Response) -> datetime | None:
    """Anaplan's own time: a token's life is measured on the clock that set its end, however wrong ours is."""
    try:
        return parsedate_to_datetime(response.headers.get("Date", "")).astimezone(UTC)
    except ValueError:
        return None


def _certificate(text: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except ValueError:
        raise _bad("the certificate is not a PEM text", PEM) from None


def _private_key(text: str) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(text.encode(), password=None)
    except (ValueError, UnsupportedAlgorithm):
        raise _bad("the private key is not a PEM text", PEM) from None
    except TypeError:
        raise _bad(
            "the private key is protected by a passphrase", "Give it without; keep the secret store safe."
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise _bad("the private key is no RSA key", "Anaplan takes RSA only: order an RSA certificate.")
    return key


def _bad(what: str, remedy: str) -> Misconfigured:
    """No part of the key or of the parser's own message goes into the text."""
    return Misconfigured("Anaplan", "POST", LOGIN, excerpt_text=what, remedy=remedy)
