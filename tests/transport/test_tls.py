"""TLS: a certificate nobody trusts is a mistake in the setup, a connection that breaks later is not."""

import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mlc_dagster.transport import Again, Http, InDoubt, Misconfigured
from tests.transport.clocks import ManualClock


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "vendor")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(7).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = built.add_extension(address, critical=False).sign(key, hashes.SHA256())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path_factory.mktemp("tls") / "vendor.pem"
    file.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    return file


def break_the_stream(connection: ssl.SSLSocket) -> None:
    """Read the request, then answer with bytes that are no TLS."""
    connection.recv(65_536)
    os.write(connection.fileno(), b"x" * 64)


@contextmanager
def serving(identity: Path, answer: Callable[[ssl.SSLSocket], None]) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)

    def serve(listening: socket.socket) -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    answer(connection)
            except OSError:
                plain.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        try:
            yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_certificate_nobody_trusts_is_a_mistake_in_the_setup(identity: Path, clock: ManualClock) -> None:
    with serving(identity, break_the_stream) as url, pytest.raises(Misconfigured, match="certificate store"):
        Http("acme", url, clock=clock).call("POST", "/x")


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_file_of_authorities_that_is_not_there_is_named_with_its_variable(
    name: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for each in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(each, raising=False)
    missing = tmp_path / "authorities.pem"
    monkeypatch.setenv(name, str(missing))
    with pytest.raises(Misconfigured) as raised:
        Http("acme", "https://127.0.0.1:9", clock=clock).call("POST", "/x")
    assert f"{name} names {missing}, and there is no such file" in str(raised.value)
    assert "environment of this process" in raised.value.remedy
    assert clock.slept == []


def test_a_file_of_authorities_that_holds_none_is_a_mistake_in_the_setup(
    identity: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "authorities.pem"
    file.write_text("nobody\n")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    with serving(identity, break_the_stream) as url, pytest.raises(Misconfigured, match="REQUESTS_CA_BUNDLE"):
        Http("acme", url, clock=clock).call("POST", "/x")


def test_a_tls_connection_that_breaks_after_the_request_leaves_a_post_in_doubt(
    identity: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(identity))
    with serving(identity, break_the_stream) as url:
        session = Http("acme", url, clock=clock, attempts=2)
        with pytest.raises(InDoubt):
            session.call("POST", "/x")
        with pytest.raises(Again):
            session.call("GET", "/x")
    assert len(clock.slept) == 1
