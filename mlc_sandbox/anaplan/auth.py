"""Who may call: users, tokens, Basic and certificate logins that are really checked, OAuth clients."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mlc_sandbox.anaplan.switches import Switches

SHORTEST_NONCE = 100  # bytes
CUSTOMER_ID = "f0e1d2c3b4a5968778695a4b3c2d1e0f"


class LoginRefused(Exception):
    """A login or token call fails; `status` is the token service's own word."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(slots=True)
class User:
    """A tenant user. `role` "NO ACCESS" hides the model; exception users may use Basic in an SSO tenant."""

    id: str
    email: str
    password: str
    admin: bool = False
    exception_user: bool = False
    role: str = "FULL ACCESS"


@dataclass(slots=True)
class Token:
    """A token of the token service or, when `bearer`, an OAuth access token."""

    id: str
    value: str
    email: str
    expires: datetime
    bearer: bool = False


@dataclass(slots=True)
class Directory:
    """Users, tokens and registered certificates of the tenant. `now` is sandbox time, `real` the client's."""

    switches: Switches
    now: Callable[[], datetime]
    real: Callable[[], datetime]
    users: dict[str, User] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    certificates: dict[str, str] = field(default_factory=dict)  # SHA-256 fingerprint -> email
    authorities: list[bytes] = field(default_factory=list)  # PEM

    def add_user(self, email: str, password: str, **more: Any) -> User:
        """Create a user; his id comes from his address."""
        user = User(hashlib.md5(email.encode()).hexdigest(), email, password, **more)
        self.users[email] = user
        return user

    def basic_login(self, credentials: str) -> Token:
        """`credentials` is what follows "Basic " in the header."""
        try:
            email, separator, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise LoginRefused("FAILURE_BAD_HEADER", "Invalid header. Verify the header.") from error
        if not separator:
            raise LoginRefused("FAILURE_BAD_HEADER", "Invalid header. Verify the header.")
        user = self.users.get(email)
        if user is None or user.password != password:
            raise _bad("Invalid credentials provided.")
        if self.switches["sso"] and not user.exception_user:
            raise _bad("Single sign-on is required for this user.")
        return self.issue(email)

    def certificate_login(self, header: str, body: bytes) -> Token:
        """`header` is what follows "CACertificate ": base64 of the PEM text; `body` the signed nonce."""
        certificate = _certificate(header)
        email = self.certificates.get(certificate.fingerprint(hashes.SHA256()).hex())
        if email is None:
            raise _bad("The certificate is not registered.")
        self._check_validity(certificate)
        self._check_signature(certificate, body)
        return self.issue(email)

    def _check_validity(self, certificate: x509.Certificate) -> None:
        if not certificate.not_valid_before_utc <= self.real() <= certificate.not_valid_after_utc:
            raise _bad("The certificate is not valid now.")
        if self.switches["certificate_needs_ca"] and not any(
            _issued_by(certificate, x509.load_pem_x509_certificate(pem)) for pem in self.authorities
        ):
            raise _bad("The certificate's authority is not accepted.")

    def _check_signature(self, certificate: x509.Certificate, body: bytes) -> None:
        try:
            fields = json.loads(body)
            nonce = base64.b64decode(fields["encodedData"], validate=True)
            signature = base64.b64decode(fields["encodedSignedData"], validate=True)
        except (ValueError, KeyError, TypeError) as error:
            raise LoginRefused(
                "FAILURE_BAD_HEADER", "The body has no encodedData and encodedSignedData."
            ) from error
        self._check_nonce(nonce, fields.get("encodedDataFormat", "v1"))
        key = certificate.public_key()
        try:
            if not isinstance(key, rsa.RSAPublicKey):
                raise _bad("The certificate has no RSA key.")
            key.verify(signature, nonce, padding.PKCS1v15(), hashes.SHA512())
        except InvalidSignature as error:
            raise _bad("The signature does not match.") from error

    def _check_nonce(self, nonce: bytes, form: str) -> None:
        if form == "v1":
            if not self.switches["certificate_v1"]:
                raise _bad("encodedDataFormat v2 is required.")
            if len(nonce) < SHORTEST_NONCE:
                raise _bad(f"encodedData is shorter than {SHORTEST_NONCE} bytes.")
            return
        if form != "v2" or len(nonce) <= 8:
            raise _bad("encodedDataFormat is v1 or v2.")
        age = abs(self.real().timestamp() - struct.unpack(">Q", nonce[:8])[0])
        if age > self.switches["certificate_clock_tolerance"]:
            raise _bad("The timestamp in encodedData is too far from the server's time.")

    def issue(self, email: str, *, bearer: bool = False) -> Token:
        """A new token for the user."""
        expires = self.now() + timedelta(minutes=self.switches["token_minutes"])
        token = Token(str(uuid.uuid4()), f"{uuid.uuid4().hex}{uuid.uuid4().hex}", email, expires, bearer)
        self.tokens[token.value] = token
        return token

    def refresh(self, value: str) -> Token:
        """A later expiry; the value stays or changes as the switch says."""
        token = self.check(value)
        if self.switches["refresh_value"] == "new":
            del self.tokens[value]
            return self.issue(token.email)
        token.expires = self.now() + timedelta(minutes=self.switches["token_minutes"])
        return token

    def check(self, value: str) -> Token:
        """The token, unless it is unknown, logged out or expired."""
        token = self.tokens.get(value)
        if token is None or token.expires <= self.now():
            raise _bad("Invalid or expired token.")
        return token

    def revoke(self, value: str) -> None:
        """Log out."""
        self.check(value)
        del self.tokens[value]

    def register_certificate(self, pem: bytes, email: str) -> None:
        """What an administrator does under Security, Certificates."""
        certificate = x509.load_pem_x509_certificate(pem)
        self.certificates[certificate.fingerprint(hashes.SHA256()).hex()] = email

    def register_authority(self, pem: bytes) -> None:
        """Accept certificates of this authority."""
        self.authorities.append(pem)


def _bad(text: str) -> LoginRefused:
    return LoginRefused("FAILURE_BAD_CREDENTIAL", text)


def _certificate(header: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(base64.b64decode(header, validate=True))
    except ValueError as error:
        raise LoginRefused(
            "FAILURE_BAD_HEADER", "The header holds no base64 of a PEM certificate."
        ) from error


def _issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def issue_certificate(
    common_name: str,
    *,
    now: datetime,
    issuer: tuple[x509.Certificate, rsa.RSAPrivateKey] | None = None,
) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """A certificate for 30 days; without an issuer it is self-signed, as an authority's own is."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer[0].subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def pem_pair(certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> tuple[bytes, bytes]:
    """(certificate PEM, unencrypted PKCS#8 key PEM)."""
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
