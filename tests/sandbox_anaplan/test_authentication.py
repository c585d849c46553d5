"""Logins and tokens: Basic, certificates that are really verified, refresh, logout, OAuth."""

from __future__ import annotations

import base64
import os
import struct
import time
from datetime import timedelta

import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from mlc_sandbox.anaplan.auth import issue_certificate, pem_pair
from mlc_sandbox.anaplan.oauth import CODE_CLIENT, CODE_SECRET, DEVICE_CLIENT, DEVICE_GRANT
from mlc_sandbox.anaplan.world import BUILDER, BUILDER_PASSWORD, OUTSIDER, OUTSIDER_PASSWORD, USER

from .conftest import Tenant


def auth(tenant: Tenant, method: str, what: str, scheme: str = "AnaplanAuthToken") -> requests.Response:
    headers = {"Authorization": f"{scheme} {tenant.token}"}
    return requests.request(method, f"{tenant.root}/auth/token/{what}", headers=headers, timeout=30)


def certificate_login(
    tenant: Tenant, pem: bytes, key_pem: bytes, *, version: str = "v2", skew: int = 0, tamper: bool = False
) -> requests.Response:
    prefix = struct.pack(">Q", int(time.time()) + skew) if version == "v2" else b""
    nonce = prefix + os.urandom(150)
    key = serialization.load_pem_private_key(key_pem, None)
    signature = key.sign(nonce, padding.PKCS1v15(), hashes.SHA512())
    body = {
        "encodedData": base64.b64encode(nonce + (b"x" if tamper else b"")).decode(),
        "encodedSignedData": base64.b64encode(signature).decode(),
    }
    body |= {"encodedDataFormat": "v2"} if version == "v2" else {}
    headers = {"Authorization": f"CACertificate {base64.b64encode(pem).decode()}"}
    return requests.post(f"{tenant.root}/auth/token/authenticate", headers=headers, json=body, timeout=30)


def test_a_basic_login_answers_201_with_35_minutes_of_the_clients_own_time(tenant: Tenant) -> None:
    reply = tenant.login(USER, "sandbox-Anaplan-1")
    assert reply.status_code == 201
    left = reply.json()["tokenInfo"]["expiresAt"] / 1000 - time.time()
    assert 34 * 60 < left <= 35 * 60


@pytest.mark.parametrize(
    ("header", "status", "word"),
    [
        ("Basic " + base64.b64encode(b"who:what").decode(), 401, "FAILURE_BAD_CREDENTIAL"),
        ("Basic not-base64!", 400, "FAILURE_BAD_HEADER"),
        ("Digest x", 400, "FAILURE_BAD_HEADER"),
    ],
)
def test_a_bad_login_is_refused_with_the_services_own_word(
    tenant: Tenant, header: str, status: int, word: str
) -> None:
    url = f"{tenant.root}/auth/token/authenticate"
    reply = requests.post(url, headers={"Authorization": header}, timeout=30)
    assert (reply.status_code, reply.json()["status"]) == (status, word)


def test_a_refresh_keeps_the_value_and_moves_the_expiry(tenant: Tenant) -> None:
    before = auth(tenant, "GET", "validate").json()["tokenInfo"]["expiresAt"]
    tenant.clock.advance(timedelta(minutes=10))
    after = auth(tenant, "POST", "refresh")
    assert (after.status_code, after.json()["statusMessage"]) == (200, "Token refreshed")
    assert after.json()["tokenInfo"]["tokenValue"] == tenant.token
    # The clock moved away from the real time by ten minutes; both expiries are given in the client's time.
    assert after.json()["tokenInfo"]["expiresAt"] >= before - 600_000


def test_a_refresh_may_answer_a_new_value_that_replaces_the_old(tenant: Tenant) -> None:
    tenant.world.switches["refresh_value"] = "new"
    fresh = auth(tenant, "POST", "refresh").json()["tokenInfo"]["tokenValue"]
    assert fresh != tenant.token
    assert auth(tenant, "GET", "validate").status_code == 401


def test_an_expired_token_is_refused_everywhere_and_cannot_be_refreshed(tenant: Tenant) -> None:
    tenant.clock.advance(timedelta(minutes=36))
    assert tenant.call("GET", "/models").status_code == 401
    assert auth(tenant, "POST", "refresh").status_code == 401


def test_after_logout_the_token_is_dead(tenant: Tenant) -> None:
    assert auth(tenant, "POST", "logout").status_code == 204
    assert auth(tenant, "GET", "validate").status_code == 401
    assert tenant.call("GET", "/models").status_code == 401


def test_bearer_works_on_the_api_but_not_on_the_token_service(tenant: Tenant) -> None:
    assert (
        tenant.call("GET", "/models", headers={"Authorization": f"Bearer {tenant.token}"}).status_code == 200
    )
    assert auth(tenant, "GET", "validate", scheme="Bearer").status_code == 400


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_registered_certificate_logs_in_with_a_valid_signature(tenant: Tenant, version: str) -> None:
    certificate, key = tenant.world.new_certificate()
    assert certificate_login(tenant, certificate, key, version=version).status_code == 201


@pytest.mark.parametrize(
    "fault", ["tampered", "wrong key", "old timestamp", "unregistered", "unknown authority"]
)
def test_a_certificate_login_is_refused_when_any_part_is_wrong(tenant: Tenant, fault: str) -> None:
    certificate, key = tenant.world.new_certificate(accepted_authority=fault != "unknown authority")
    if fault == "unregistered":
        certificate, key = pem_pair(*issue_certificate("stranger", now=tenant.world.real_now()))
    if fault == "wrong key":
        key = tenant.world.new_certificate()[1]
    skew = -3600 if fault == "old timestamp" else 0
    reply = certificate_login(tenant, certificate, key, skew=skew, tamper=fault == "tampered")
    assert (reply.status_code, reply.json()["status"]) == (401, "FAILURE_BAD_CREDENTIAL")


def test_v1_certificate_logins_can_be_refused(tenant: Tenant) -> None:
    certificate, key = tenant.world.new_certificate()
    tenant.world.switches["certificate_v1"] = False
    assert certificate_login(tenant, certificate, key, version="v1").status_code == 401
    assert certificate_login(tenant, certificate, key, version="v2").status_code == 201


def test_under_single_sign_on_basic_is_for_exception_users_only(tenant: Tenant) -> None:
    tenant.world.switches["sso"] = True
    assert tenant.login(BUILDER, BUILDER_PASSWORD).status_code == 401
    assert tenant.login(USER, "sandbox-Anaplan-1").status_code == 201


def test_without_access_a_model_does_not_exist(sandbox, tenant: Tenant) -> None:
    outsider = Tenant(sandbox, OUTSIDER, OUTSIDER_PASSWORD)
    assert outsider.model("GET", "/imports").status_code == 404
    assert "models" not in outsider.call("GET", "/models").json()


def oauth(tenant: Tenant, **body: str) -> requests.Response:
    return requests.post(f"{tenant.root}/oauth/token", json=body, timeout=30)


def test_the_code_flow_ends_in_a_bearer_token_and_a_refresh_token_for_one_use(tenant: Tenant) -> None:
    back = "https://client.nordfjell.example/callback"
    query = {"response_type": "code", "client_id": CODE_CLIENT, "redirect_uri": back, "state": "s1"}
    reply = requests.get(f"{tenant.root}/auth/authorize", params=query, allow_redirects=False, timeout=30)
    location = reply.headers["Location"]
    assert (reply.status_code, location.startswith(back), "state=s1" in location) == (302, True, True)
    client = {"client_id": CODE_CLIENT, "client_secret": CODE_SECRET}
    code = location.partition("code=")[2].partition("&")[0]
    first = oauth(tenant, grant_type="authorization_code", code=code, redirect_uri=back, **client).json()
    assert first["expires_in"] == 2100
    bearer = {"Authorization": f"Bearer {first['access_token']}"}
    assert tenant.call("GET", "/models", headers=bearer).status_code == 200
    again = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], **client}
    assert oauth(tenant, **again).json()["refresh_token"] != first["refresh_token"]
    assert oauth(tenant, **again).json()["error"] == "invalid_grant"


def test_the_device_flow_waits_for_the_user(tenant: Tenant) -> None:
    tenant.world.switches["device_auto_approve"] = False
    asked = requests.post(
        f"{tenant.root}/oauth/device/code", json={"client_id": DEVICE_CLIENT}, timeout=30
    ).json()
    poll = {"grant_type": DEVICE_GRANT, "client_id": DEVICE_CLIENT, "device_code": asked["device_code"]}
    assert oauth(tenant, **poll).json()["error"] == "authorization_pending"
    assert oauth(tenant, **poll).json()["error"] == "slow_down"
    requests.get(asked["verification_uri_complete"], timeout=30)
    assert oauth(tenant, **poll).status_code == 200
    assert oauth(tenant, **poll).json()["error"] == "expired_token"


def test_the_device_flow_is_off_under_single_sign_on(tenant: Tenant) -> None:
    tenant.world.switches["sso"] = True
    reply = requests.post(f"{tenant.root}/oauth/device/code", json={"client_id": DEVICE_CLIENT}, timeout=30)
    assert (reply.status_code, reply.json()["error"]) == (403, "access_denied")


def test_a_device_login_that_the_user_declines_is_denied(tenant: Tenant) -> None:
    tenant.world.switches["device_auto_approve"] = False
    asked = requests.post(
        f"{tenant.root}/oauth/device/code", json={"client_id": DEVICE_CLIENT}, timeout=30
    ).json()
    requests.get(f"{asked['verification_uri_complete']}&decision=decline", timeout=30)
    poll = {"grant_type": DEVICE_GRANT, "client_id": DEVICE_CLIENT, "device_code": asked["device_code"]}
    assert oauth(tenant, **poll).json()["error"] == "access_denied"


def device_grant(tenant: Tenant) -> str:
    """A refresh token."""
    asked = requests.post(
        f"{tenant.root}/oauth/device/code", json={"client_id": DEVICE_CLIENT}, timeout=30
    ).json()
    poll = {"grant_type": DEVICE_GRANT, "client_id": DEVICE_CLIENT, "device_code": asked["device_code"]}
    return str(oauth(tenant, **poll).json()["refresh_token"])


@pytest.mark.parametrize("repeats", [True, False])
def test_without_rotation_the_refresh_token_stays_and_may_be_left_out(tenant: Tenant, repeats: bool) -> None:
    tenant.world.switches["oauth_rotation"], tenant.world.switches["oauth_repeats_token"] = False, repeats
    token = device_grant(tenant)
    for _ in range(2):
        answer = oauth(
            tenant, grant_type="refresh_token", client_id=DEVICE_CLIENT, refresh_token=token
        ).json()
        assert answer.get("refresh_token") == (token if repeats else None)


def test_an_answer_of_the_oauth_service_may_be_lost_after_the_work_is_done(tenant: Tenant) -> None:
    token = device_grant(tenant)
    tenant.faults.arm("anaplan", "drop_connection", match="/oauth/token", when="after")
    refresh = {"grant_type": "refresh_token", "client_id": DEVICE_CLIENT, "refresh_token": token}
    with pytest.raises(requests.ConnectionError):
        oauth(tenant, **refresh)
    assert oauth(tenant, **refresh).json()["error"] == "invalid_grant"
