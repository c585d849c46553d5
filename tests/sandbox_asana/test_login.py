"""OAuth: codes, PKCE, refresh, revoke; the personal token never ends."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from .conftest import Organisation, message

REDIRECT = "http://127.0.0.1:1/callback"
VERIFIER = "v" * 64


def authorize(org: Organisation, **changes: str) -> dict[str, str]:
    """What the browser brings back."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
    query = {
        "client_id": org.world.login.client_id,
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "state": "s1",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    } | changes
    reply = org.http.get(f"{org.root}/-/oauth_authorize", params=query, allow_redirects=False, timeout=30)
    assert reply.status_code == 302, reply.text
    assert reply.headers["Location"].startswith(REDIRECT)
    return {name: values[0] for name, values in parse_qs(urlsplit(reply.headers["Location"]).query).items()}


def token(org: Organisation, **form: str) -> Any:
    login = org.world.login
    body = {"client_id": login.client_id, "client_secret": login.client_secret} | form
    return org.http.post(f"{org.root}/-/oauth_token", data=body, timeout=30)


def sign_in(org: Organisation) -> dict[str, Any]:
    code = authorize(org)["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    reply = token(org, code_verifier=VERIFIER, **form)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_a_code_gives_both_tokens_and_says_whose_they_are(org: Organisation) -> None:
    granted = sign_in(org)
    assert (granted["token_type"], granted["expires_in"]) == ("bearer", 3600)
    assert granted["data"]["email"] == "erp-integration@nordfjell.example"
    assert granted["refresh_token"]
    org.token = granted["access_token"]
    assert org.get("/users/me")["name"] == "ERP Integration"


def test_the_state_comes_back(org: Organisation) -> None:
    assert authorize(org)["state"] == "s1"


def test_a_code_works_once_for_its_verifier_and_for_five_minutes(org: Organisation) -> None:
    for verifier, wait in (("wrong", 0), (VERIFIER, 300)):
        form = {"grant_type": "authorization_code", "redirect_uri": REDIRECT}
        code = authorize(org)["code"]
        org.pass_time(wait)
        assert token(org, code=code, code_verifier=verifier, **form).json()["error"] == "invalid_grant"
        assert token(org, code=code, code_verifier=VERIFIER, **form).json()["error"] == "invalid_grant"


def test_an_access_token_ends_after_an_hour_and_is_refreshed(org: Organisation) -> None:
    granted = sign_in(org)
    org.token = granted["access_token"]
    org.pass_time(3600)
    assert message(org.call("GET", "/users/me")) == (401, "Not Authorized")
    renewed = token(org, grant_type="refresh_token", refresh_token=granted["refresh_token"]).json()
    assert "refresh_token" not in renewed
    org.token = renewed["access_token"]
    assert org.call("GET", "/users/me").status_code == 200


def test_a_personal_token_does_not_end(org: Organisation) -> None:
    org.pass_time(400 * 86_400)
    assert org.call("GET", "/users/me").status_code == 200


def test_a_bad_refresh_token_is_an_oauth_error_and_not_an_api_one(org: Organisation) -> None:
    reply = token(org, grant_type="refresh_token", refresh_token="wrong")
    assert reply.status_code == 400
    assert set(reply.json()) == {"error", "error_uri", "error_description"}
    assert reply.json()["error"] == "invalid_grant"


def test_revoking_ends_the_refresh_token(org: Organisation) -> None:
    granted, login = sign_in(org), org.world.login
    form = {"client_id": login.client_id, "client_secret": login.client_secret}
    url = f"{org.root}/-/oauth_revoke"
    assert org.http.post(url, data=form | {"token": granted["refresh_token"]}, timeout=30).status_code == 200
    renewed = token(org, grant_type="refresh_token", refresh_token=granted["refresh_token"])
    assert renewed.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": "tasks:read"}, "forbidden_scopes"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_a_wrong_request_comes_back_as_an_error(
    org: Organisation, changes: dict[str, str], error: str
) -> None:
    assert authorize(org, **changes)["error"] == error


def test_an_app_without_full_permissions_has_no_default_scope(org: Organisation) -> None:
    org.switches["full_permissions"] = False
    assert authorize(org)["error"] == "forbidden_scopes"


def test_the_token_endpoint_can_be_down(org: Organisation) -> None:
    granted = sign_in(org)
    org.faults.arm("asana", "token_error", status=503)
    form = {"grant_type": "refresh_token", "refresh_token": granted["refresh_token"]}
    assert [token(org, **form).status_code for _ in range(2)] == [503, 200]
