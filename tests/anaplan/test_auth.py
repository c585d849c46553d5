"""Logging in: Basic and certificates against the sandbox, which really checks signatures."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mlc_dagster.anaplan.auth import BasicLogin, CertificateLogin, open_token_service, token_auth
from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.transport.errors import Misconfigured
from mlc_sandbox.anaplan.world import OUTSIDER, OUTSIDER_PASSWORD, USER, World
from mlc_sandbox.server import Sandbox
from tests.transport.clocks import ManualClock
from tests.transport.conftest import Answer, Vendor, vendor

__all__ = ["vendor"]

Connect = Callable[..., AnaplanClient]


@pytest.fixture(scope="module")
def pair() -> tuple[str, str]:
    """A self-signed certificate and its key, valid from 2026-01-01 to 2026-02-01."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "integration")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(7).not_valid_before(start).not_valid_after(start + timedelta(days=31))
    certificate = built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return certificate.decode(), _pem(key)


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> str:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock).decode()


def logins(sandbox: Sandbox) -> int:
    return sandbox.log.count("anaplan", match="/token/authenticate")


def refreshes(sandbox: Sandbox) -> int:
    return sandbox.log.count("anaplan", match="/token/refresh")


def test_one_token_serves_many_calls_and_threads(client: AnaplanClient, sandbox: Sandbox) -> None:
    threads = [threading.Thread(target=client.catalog.model) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sandbox.log.count("anaplan", match="/models/", status=200) == 8
    assert logins(sandbox) == 1


@pytest.mark.parametrize("value", ["same", "new"])
def test_a_token_is_refreshed_when_less_than_five_minutes_remain(
    client: AnaplanClient, sandbox: Sandbox, world: World, clock: ManualClock, value: str
) -> None:
    world.switches["refresh_value"] = value
    client.catalog.model()
    clock.advance(29 * 60)
    client.catalog.model()
    assert (logins(sandbox), refreshes(sandbox)) == (1, 0)
    clock.advance(2 * 60)
    client.catalog.model()
    client.catalog.model()
    assert (logins(sandbox), refreshes(sandbox)) == (1, 1)
    assert sandbox.log.count("anaplan", status=401) == 0


def test_an_expired_token_is_not_refreshed_but_replaced(
    client: AnaplanClient, sandbox: Sandbox, clock: ManualClock
) -> None:
    client.catalog.model()
    clock.advance(36 * 60)
    client.catalog.model()
    assert (logins(sandbox), refreshes(sandbox)) == (2, 0)


def test_a_refused_refresh_is_followed_by_a_login(
    client: AnaplanClient, sandbox: Sandbox, world: World, clock: ManualClock
) -> None:
    client.catalog.model()
    world.directory.tokens.clear()
    clock.advance(31 * 60)
    client.catalog.model()
    assert (logins(sandbox), refreshes(sandbox)) == (2, 1)


def test_a_revoked_token_is_replaced_once(client: AnaplanClient, sandbox: Sandbox, world: World) -> None:
    client.catalog.model()
    world.directory.tokens.clear()
    client.catalog.model()
    assert logins(sandbox) == 2


def test_a_machine_whose_clock_is_ahead_does_not_log_in_at_every_call(
    client: AnaplanClient, sandbox: Sandbox, clock: ManualClock
) -> None:
    clock.advance(86400)
    client.catalog.model()
    client.catalog.model()
    assert logins(sandbox) == 1


def test_a_wrong_password_is_explained_and_not_shown(connect: Connect) -> None:
    with pytest.raises(Misconfigured) as caught:
        connect(BasicLogin(USER, "wrong-secret")).catalog.model()
    assert "exception user" in str(caught.value)
    assert "wrong-secret" not in str(caught.value)


def test_a_single_sign_on_tenant_refuses_basic_with_the_way_out(connect: Connect, world: World) -> None:
    world.switches["sso"] = True
    with pytest.raises(Misconfigured, match="exception user, or use a certificate"):
        connect(BasicLogin(OUTSIDER, OUTSIDER_PASSWORD)).catalog.model()


def test_no_access_is_named_where_anaplan_says_not_found(connect: Connect) -> None:
    with pytest.raises(Misconfigured, match="NO ACCESS"):
        connect(BasicLogin(OUTSIDER, OUTSIDER_PASSWORD)).catalog.model()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_certificate_logs_in(connect: Connect, world: World, version: str) -> None:
    world.switches["certificate_v1"] = version == "v1"
    certificate, key = world.new_certificate()
    assert connect(CertificateLogin(certificate.decode(), key.decode(), version=version)).catalog.model().name  # type: ignore[arg-type]


@pytest.mark.parametrize(("seconds", "words"), [(3600, "ahead of"), (-3600, "behind")])
def test_a_refused_login_tells_how_wrong_this_machines_clock_is(
    connect: Connect, world: World, clock: ManualClock, seconds: int, words: str
) -> None:
    certificate, key = world.new_certificate()
    clock.advance(seconds)
    with pytest.raises(Misconfigured, match=rf"clock is 3[56]\d\d s {words} Anaplan's.*clock is right"):
        connect(CertificateLogin(certificate.decode(), key.decode())).catalog.model()


def test_a_refused_login_says_nothing_of_a_clock_that_is_right(connect: Connect) -> None:
    with pytest.raises(Misconfigured) as caught:
        connect(BasicLogin(USER, "wrong-secret")).catalog.model()
    assert "clock" not in str(caught.value)


def test_a_tenant_that_refuses_v1_points_to_v2(connect: Connect, world: World) -> None:
    world.switches["certificate_v1"] = False
    certificate, key = world.new_certificate()
    with pytest.raises(Misconfigured, match="set `version: v2`"):
        connect(CertificateLogin(certificate.decode(), key.decode(), version="v1")).catalog.model()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, "<html>Not Found</html>", {"Content-Type": "text/html"}),
        Answer(200, "<html>Sign in</html>", {"Content-Type": "text/html"}),
        Answer(302, "", {"Location": "https://elsewhere.example/login"}),
        Answer(201, '{"token": "tv-1"}'),
    ],
)
def test_the_host_of_another_service_or_region_is_recognised(
    vendor: Vendor, clock: ManualClock, answer: Answer
) -> None:
    vendor.decide = lambda _: answer
    auth = token_auth(open_token_service(vendor.url, clock=clock), BasicLogin(USER, "wrong-secret"))
    with pytest.raises(Misconfigured, match="Check auth_url: each region has hosts of its own") as caught:
        auth.headers()
    assert "tv-1" not in str(caught.value)


def test_a_login_that_never_answers_a_good_token_stops_after_two_calls(
    connect: Connect, sandbox: Sandbox, world: World
) -> None:
    client = connect()
    sandbox.faults.arm("anaplan", "token_expired", times=None)
    with pytest.raises(Misconfigured, match="refuses even a new token"):
        client.catalog.model()
    assert logins(sandbox) == 2


def test_each_login_signs_another_nonce(world: World, clock: ManualClock) -> None:
    certificate, key = world.new_certificate()
    login = CertificateLogin(certificate.decode(), key.decode())
    bodies = [login.request(clock.now())[1] for _ in range(2)]
    assert bodies[0] != bodies[1]


def test_a_certificate_of_an_unknown_authority_is_explained(connect: Connect, world: World) -> None:
    certificate, key = world.new_certificate(accepted_authority=False)
    with pytest.raises(Misconfigured, match="certificate authority Anaplan accepts"):
        connect(CertificateLogin(certificate.decode(), key.decode())).catalog.model()


def test_a_certificate_nobody_registered_is_explained(connect: Connect, world: World) -> None:
    certificate, key = world.new_certificate()
    world.directory.certificates.clear()
    with pytest.raises(Misconfigured, match="Administration, Security, Certificates"):
        connect(CertificateLogin(certificate.decode(), key.decode())).catalog.model()


@pytest.mark.parametrize(("moment", "words"), [(2025, "starts on 2026-01-01"), (2027, "ended on 2026-02-01")])
def test_a_certificate_out_of_its_time_is_refused_here_with_the_date(
    pair: tuple[str, str], moment: int, words: str
) -> None:
    with pytest.raises(Misconfigured, match=words):
        CertificateLogin(*pair).request(datetime(moment, 1, 1, tzinfo=UTC))


def test_texts_that_are_no_certificate_or_key_are_explained_without_showing_them(
    pair: tuple[str, str],
) -> None:
    certificate, key = pair
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    curve = ec.generate_private_key(ec.SECP256R1())
    for given, words in [
        (("not pem", key), "certificate is not a PEM text"),
        ((certificate, key.replace("\n", "\\n")), "private key is not a PEM text"),
        ((certificate, _pem(other)), "does not belong to the certificate"),
        ((certificate, _pem(other, b"passphrase")), "protected by a passphrase"),
        ((certificate, _pem(curve)), "no RSA key"),
    ]:
        with pytest.raises(Misconfigured, match=words) as caught:
            CertificateLogin(*given)
        assert given[1][60:90] not in str(caught.value)


def test_nothing_secret_is_in_a_repr(world: World) -> None:
    certificate, key = world.new_certificate()
    for login in (BasicLogin(USER, "wrong-secret"), CertificateLogin(certificate.decode(), key.decode())):
        assert "secret" not in repr(login)
        assert "BEGIN" not in repr(login)
