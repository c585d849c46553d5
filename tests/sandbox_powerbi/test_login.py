"""The token endpoint, and what the API makes of tokens; msal works on it unchanged."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import requests

from mlc_sandbox.powerbi.login import AUDIENCE, AUTHORITY

from .conftest import Tenant


def test_a_token_lives_for_a_random_time_between_60_and_90_minutes(tenant: Tenant) -> None:
    lives = [tenant.login().json()["expires_in"] for _ in range(20)]
    assert all(3600 <= seconds <= 5400 for seconds in lives)
    assert len(set(lives)) > 1


def test_the_answer_is_a_bearer_token_without_a_refresh_token(tenant: Tenant) -> None:
    body = tenant.login().json()
    assert set(body) == {"token_type", "expires_in", "ext_expires_in", "access_token"}
    assert body["token_type"] == "Bearer"


@pytest.mark.parametrize(
    ("changes", "status", "error", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", "AADSTS7000215"),
        ({"client_id": "wrong"}, 400, "unauthorized_client", "AADSTS700016"),
        ({"scope": AUDIENCE}, 400, "invalid_scope", "AADSTS70011"),
        ({"scope": f"{AUDIENCE}/Dataset.ReadWrite.All"}, 400, "invalid_scope", "AADSTS70011"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", "AADSTS70003"),
        ({"tenant": "wrong"}, 400, "invalid_request", "AADSTS90002"),
    ],
)
def test_refusals_carry_entras_codes(
    tenant: Tenant, changes: dict[str, str], status: int, error: str, code: str
) -> None:
    reply = tenant.login(**changes)
    assert (reply.status_code, reply.json()["error"]) == (status, error)
    assert reply.json()["error_description"].startswith(f"{code}: ")
    assert tenant.world.principal.secret not in reply.text


def test_a_token_endpoint_may_be_down(tenant: Tenant) -> None:
    tenant.faults.arm("powerbi", "token_error", status=503)
    assert [tenant.login().status_code for _ in range(2)] == [503, 200]


class TestBearer:
    def test_an_expired_token_is_403_with_a_code(self, tenant: Tenant) -> None:
        assert tenant.call("GET", "/groups").status_code == 200
        tenant.pass_time(5401)
        reply = tenant.call("GET", "/groups")
        assert (reply.status_code, reply.json()["error"]["code"]) == (403, "TokenExpired")

    def test_a_token_expires_in_the_middle_of_a_load(self, tenant: Tenant) -> None:
        tenant.faults.arm("powerbi", "token_expired", after=1)
        statuses = [tenant.call("GET", "/groups").status_code for _ in range(3)]
        assert statuses == [200, 403, 403]
        tenant.token = tenant.login().json()["access_token"]
        assert tenant.call("GET", "/groups").status_code == 200

    @pytest.mark.parametrize(("scheme", "status"), [("bearer", 403), ("Bearer", 200), ("Basic", 401)])
    def test_the_scheme_is_spelt_with_a_capital(self, tenant: Tenant, scheme: str, status: int) -> None:
        headers = {"Authorization": f"{scheme} {tenant.token}"}
        assert tenant.call("GET", "/groups", headers=headers).status_code == status

    def test_an_unknown_token_is_401(self, tenant: Tenant) -> None:
        tenant.token = "nobody"
        assert tenant.call("GET", "/groups").status_code == 401

    def test_a_token_for_another_audience_is_403(self, tenant: Tenant) -> None:
        reply = tenant.login(scope="https://graph.microsoft.com/.default")
        tenant.token = reply.json()["access_token"]
        assert tenant.call("GET", "/groups").status_code == 403


class Mapped:
    """An `http_client` for msal that sends what is meant for Entra to the sandbox."""

    def __init__(self, tenant: Tenant) -> None:
        self.login, self.session = f"{tenant.root}/login", requests.Session()

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        assert url.startswith(AUTHORITY), url
        return self.session.request(method, url.replace(AUTHORITY, self.login, 1), timeout=30, **options)

    def get(self, url: str, **options: Any) -> requests.Response:
        return self._send("GET", url, **options)

    def post(self, url: str, **options: Any) -> requests.Response:
        return self._send("POST", url, **options)

    def close(self) -> None:
        self.session.close()


class TestMsal:
    def application(self, tenant: Tenant, secret: str | None = None, **options: Any) -> Any:
        msal = pytest.importorskip("msal")
        principal = tenant.world.principal
        return msal.ConfidentialClientApplication(
            principal.client_id,
            authority=f"{AUTHORITY}/{principal.tenant_id}",
            client_credential=secret or principal.secret,
            http_client=Mapped(tenant),
            **options,
        )

    @pytest.mark.parametrize("options", [{}, {"instance_discovery": False}])
    def test_it_gets_a_token_that_works_and_keeps_it(self, tenant: Tenant, options: dict[str, Any]) -> None:
        application = self.application(tenant, **options)
        scopes = [f"{AUDIENCE}/.default"]
        tenant.sandbox.log.reset()
        first, second = (application.acquire_token_for_client(scopes=scopes) for _ in range(2))
        assert first["access_token"] == second["access_token"]
        assert second["token_source"] == "cache"
        assert tenant.sandbox.log.count("powerbi", method="POST", match="/token$") == 1
        tenant.token = first["access_token"]
        assert tenant.call("GET", "/groups").status_code == 200

    def test_a_wrong_secret_is_a_result_not_an_exception(self, tenant: Tenant) -> None:
        result = self.application(tenant, "wrong").acquire_token_for_client(scopes=[f"{AUDIENCE}/.default"])
        assert result["error"] == "invalid_client"
        assert "AADSTS7000215" in result["error_description"]

    def test_it_takes_no_authority_over_plain_http(self, tenant: Tenant) -> None:
        msal = pytest.importorskip("msal")
        logging.getLogger("msal").setLevel(logging.CRITICAL)
        for authority in (f"{tenant.root}/login/x", f"http://127.0.0.1/{tenant.world.principal.tenant_id}"):
            with pytest.raises(ValueError, match="https"):
                msal.ConfidentialClientApplication("x", authority=authority, instance_discovery=False)
