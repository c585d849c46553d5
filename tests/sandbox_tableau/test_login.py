"""Sign-in by every way there is, sessions and their ends, other sites, versions, XML and JSON."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any, ClassVar

import pytest
import requests
import tableauserverclient as tsc
from tableauserverclient.server.endpoint.exceptions import FailedSignInError, ServerResponseError

from .conftest import Tenant, action, code, invoice

SCOPES = [
    "tableau:content:read",
    "tableau:file_uploads:create",
    "tableau:datasources:*",
    "tableau:hyper_data:update",
    "tableau:jobs:read",
    "tableau:users:read",
]


def jwt(tenant: Tenant, head: dict[str, Any] | None = None, secret: str = "", **claims: Any) -> str:
    now = int(time.time() + tenant.clock.advanced.total_seconds())
    app = tenant.secrets
    header = {"alg": "HS256", "typ": "JWT", "kid": app["TABLEAU_SECRET_ID"]} | (head or {})
    body = {
        "iss": app["TABLEAU_CLIENT_ID"],
        "sub": app["TABLEAU_USERNAME"],
        "aud": "tableau",
        "exp": now + 300,
        "jti": uuid.uuid4().hex,
        "scp": SCOPES,
    } | claims
    signed = b".".join(map(_part, (header, body)))
    key = (secret or app["TABLEAU_SECRET_VALUE"]).encode()
    return (signed + b"." + _url(hmac.new(key, signed, hashlib.sha256).digest())).decode()


def _part(value: dict[str, Any]) -> bytes:
    return _url(json.dumps(value).encode())


def _url(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def enter(tenant: Tenant, credentials: Any) -> tsc.Server:
    server = tenant.client()
    server.auth.sign_in(credentials)
    return server


def pat(tenant: Tenant, name: str = "erp-sync", **changes: str) -> tsc.PersonalAccessTokenAuth:
    secret = changes.get("secret", tenant.world.login.pats[name].secret)
    return tsc.PersonalAccessTokenAuth(name, secret, changes.get("site", "erp"))


def test_the_client_learns_the_version_after_it_has_signed_in(tenant: Tenant) -> None:
    assert (tenant.server.version, tenant.server.site_id) == ("3.29", tenant.world.site().id)
    paths = [call.path.partition("?")[0] for call in tenant.sandbox.log.calls("tableau")]
    assert paths == ["/tableau/api/2.4/auth/signin", "/tableau/api/2.4/serverInfo"]
    assert tenant.server.server_info.get().product_version == "2026.2.0"


class TestAccessTokens:
    @pytest.mark.parametrize(
        "changes", [{"secret": "wrong"}, {"secret": "Ørn"}, {"site": "nowhere"}, {"site": "board"}]
    )
    def test_a_wrong_secret_or_site_is_401001(self, tenant: Tenant, changes: dict[str, str]) -> None:
        with pytest.raises(FailedSignInError) as error:
            enter(tenant, pat(tenant, **changes))
        assert (error.value.code, error.value.summary) == ("401001", "Signin Error")

    def test_a_token_has_one_session(self, tenant: Tenant) -> None:
        second = tenant.sign_in()
        with pytest.raises(FailedSignInError) as error:
            tenant.server.datasources.get()
        assert error.value.code == "401002"
        assert second.datasources.get()
        other = tenant.sign_in("erp-sync-2")
        assert second.datasources.get()
        assert other.datasources.get()

    def test_a_refused_sign_in_ends_no_session(self, tenant: Tenant) -> None:
        with pytest.raises(FailedSignInError):
            enter(tenant, pat(tenant, secret="wrong"))
        assert tenant.server.datasources.get()

    def test_a_sign_in_that_arrives_late_ends_the_session_that_followed(self, tenant: Tenant) -> None:
        tenant.faults.arm("tableau", "late_call", match="signin", seconds=10)
        with pytest.raises(requests.ConnectionError):
            tenant.sign_in()
        tenant.server = tenant.sign_in()
        assert tenant.server.projects.get()
        tenant.pass_time(seconds=11)
        with pytest.raises(FailedSignInError, match="401002"):
            tenant.server.projects.get()

    def test_it_expires_after_fifteen_unused_days(self, tenant: Tenant) -> None:
        tenant.pass_time(days=14)
        assert tenant.sign_in()
        tenant.pass_time(days=14)
        assert tenant.sign_in()
        tenant.pass_time(days=15)
        with pytest.raises(FailedSignInError, match="401001"):
            tenant.sign_in()

    def test_days_that_pass_in_the_sandbox_count_as_unused(self, tenant: Tenant) -> None:
        tenant.control("PATCH", "/tokens/erp-sync", json={"unused_days": 14.5})
        tenant.sandbox.pass_day()
        with pytest.raises(FailedSignInError, match="401001"):
            tenant.sign_in()

    def test_it_ends_on_its_date_and_can_be_revoked(self, tenant: Tenant) -> None:
        today = f"{tenant.clock.now():%Y-%m-%d}"
        shown = tenant.control("PATCH", "/tokens/erp-sync", json={"ends": today})
        assert (shown["ends"], shown["sessions"]) == (today, 1)
        with pytest.raises(FailedSignInError, match="401001"):
            tenant.sign_in()
        tenant.control("PATCH", "/tokens/erp-sync-2", json={"revoked": True})
        with pytest.raises(FailedSignInError, match="401001"):
            tenant.sign_in("erp-sync-2")

    def test_more_tokens_can_be_made(self, tenant: Tenant) -> None:
        made = tenant.control("PUT", "/tokens/worker-3", json={"days": 30})
        assert made["secret"]
        assert tenant.sign_in("worker-3").datasources.get()
        assert "secret" not in tenant.control("GET", "/tokens")["worker-3"]


class TestSessions:
    def test_a_call_without_a_session_is_401000(self, tenant: Tenant) -> None:
        url = f"{tenant.root}/api/3.29/sites/{tenant.server.site_id}/users"
        reply = requests.get(url, timeout=30)
        assert (reply.status_code, code(reply)) == (401, "401000")

    @pytest.mark.parametrize(("kind", "alive"), [("idle", True), ("absolute", False)])
    def test_a_session_ends_unused_or_after_its_time(self, tenant: Tenant, kind: str, alive: bool) -> None:
        tenant.switches["session_ends"] = kind
        tenant.pass_time(minutes=100)
        assert tenant.server.datasources.get()
        tenant.pass_time(minutes=100)
        if alive:
            assert tenant.server.datasources.get()
            tenant.pass_time(minutes=121)
        with pytest.raises(FailedSignInError, match="401002"):
            tenant.server.datasources.get()

    def test_signing_out_ends_it(self, tenant: Tenant) -> None:
        token = tenant.server.auth_token
        tenant.server.auth.sign_out()
        assert token not in tenant.world.login.sessions

    def test_sessions_may_end_at_any_call(self, tenant: Tenant) -> None:
        tenant.faults.arm("tableau", "token_expired", match="/datasources")
        with pytest.raises(FailedSignInError, match="401002"):
            tenant.server.datasources.get()
        tenant.server = tenant.sign_in()
        assert tenant.control("DELETE", "/sessions") == {"ended": 1}
        with pytest.raises(FailedSignInError, match="401002"):
            tenant.server.datasources.get()

    def test_a_session_belongs_to_its_site(self, tenant: Tenant) -> None:
        for site, expected in ((tenant.world.site("board").id, "403004"), ("nowhere", "404000")):
            url = f"{tenant.root}/api/3.29/sites/{site}/datasources"
            reply = requests.get(url, headers={"x-tableau-auth": tenant.server.auth_token}, timeout=30)
            assert code(reply) == expected

    def test_the_site_is_found_by_its_name_in_addresses(self, tenant: Tenant) -> None:
        assert tenant.server.sites.get_by_id(tenant.server.site_id).content_url == "erp"
        reply = requests.get(
            f"{tenant.root}/api/3.29/sites/erp?key=contentUrl",
            headers={"x-tableau-auth": tenant.server.auth_token},
            timeout=30,
        )
        assert tenant.server.site_id in reply.text

    @pytest.mark.parametrize("listed", [False, True])
    def test_listing_sites_may_be_refused(self, tenant: Tenant, listed: bool) -> None:
        tenant.switches["list_sites"] = listed
        if listed:
            assert [site.name for site in tenant.server.sites.get()[0]] == ["ERP Reporting"]
        else:
            with pytest.raises(ServerResponseError, match="403069"):
                tenant.server.sites.get()

    def test_switching_to_the_same_or_a_foreign_site(self, tenant: Tenant) -> None:
        for site, expected in (("erp", 403), ("board", 401), ("nowhere", 404)):
            body = f'<tsRequest><site contentUrl="{site}"/></tsRequest>'
            headers = {"X-Tableau-Auth": tenant.server.auth_token}
            url = f"{tenant.root}/api/3.29/auth/switchSite"
            assert requests.post(url, body, headers=headers, timeout=30).status_code == expected


class TestPasswords:
    def credentials(self, tenant: Tenant) -> tsc.TableauAuth:
        return tsc.TableauAuth(tenant.secrets["TABLEAU_USERNAME"], tenant.secrets["TABLEAU_PASSWORD"], "erp")

    def test_a_password_ends_no_other_session(self, tenant: Tenant) -> None:
        servers = [enter(tenant, self.credentials(tenant)) for _ in range(2)]
        assert all(server.datasources.get() for server in (*servers, tenant.server))

    def test_with_mfa_it_is_refused(self, tenant: Tenant) -> None:
        tenant.switches["password_sign_in"] = False
        with pytest.raises(FailedSignInError, match="401001"):
            enter(tenant, self.credentials(tenant))


class TestConnectedApp:
    def test_a_signed_jwt_opens_a_session(self, tenant: Tenant) -> None:
        tenant.server = enter(tenant, tsc.JWTAuth(jwt(tenant), site_id="erp"))
        source = tenant.published(invoice(1))
        tenant.end(tenant.update(source, [action("insert")], [invoice(2)]))
        assert len(tenant.rows()) == 2

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"sub": "INTEGRATION@nordfjell.example"}, 5),
            ({"iss": "another"}, 126),
            ({"head": {"kid": "another"}}, 127),
            ({"head": {"alg": "none"}}, 16),
            ({"secret": "another"}, 16),
            ({"aud": "another"}, 16),
            ({"exp": 1}, 16),
            ({"exp": int(time.time()) + 10**6}, 16),
            ({"exp": "soon"}, 16),
            ({"exp": 10**30}, 16),
            ({"nbf": int(time.time()) + 10**6}, 16),
            ({"jti": ""}, 16),
        ],
    )
    def test_what_does_not_fit_is_refused_with_its_reason(
        self, tenant: Tenant, changes: dict[str, Any], reason: int
    ) -> None:
        with pytest.raises(FailedSignInError) as error:
            enter(tenant, tsc.JWTAuth(jwt(tenant, **changes), site_id="erp"))
        assert (error.value.code, f"errorCode={reason})" in error.value.detail) == ("401001", True)

    @pytest.mark.parametrize(("rule", "again"), [("refused", False), ("allowed", True)])
    def test_whether_a_jwt_works_twice(self, tenant: Tenant, rule: str, again: bool) -> None:
        tenant.switches["jwt_replay"] = rule
        token = tsc.JWTAuth(jwt(tenant), site_id="erp")
        enter(tenant, token)
        if again:
            enter(tenant, token)
        else:
            with pytest.raises(FailedSignInError):
                enter(tenant, token)

    @pytest.mark.parametrize("refusal", [401002, 403004])
    def test_a_scope_that_is_missing(self, tenant: Tenant, refusal: int) -> None:
        tenant.switches["scope_refusal"] = refusal
        server = enter(tenant, tsc.JWTAuth(jwt(tenant, scp=["tableau:content:read"]), site_id="erp"))
        assert server.datasources.get()
        with pytest.raises(
            ServerResponseError if refusal > 402000 else FailedSignInError, match=str(refusal)
        ):
            server.users.get()

    @pytest.mark.parametrize("allowed", [False, True])
    def test_whether_webhooks_work_under_a_jwt(self, tenant: Tenant, allowed: bool) -> None:
        tenant.switches["jwt_webhooks"] = allowed
        server = enter(tenant, tsc.JWTAuth(jwt(tenant), site_id="erp"))
        if allowed:
            assert server.webhooks.get()[0] == []
        else:
            with pytest.raises(FailedSignInError, match="401002"):
                server.webhooks.get()


class TestJson:
    """What a client that prefers JSON sends and gets."""

    HEADERS: ClassVar = {"Accept": "application/json", "Content-Type": "application/json"}

    def test_sign_in_and_lists_as_json(self, tenant: Tenant) -> None:
        secret = tenant.world.login.pats["erp-sync"].secret
        wanted = {"personalAccessTokenName": "erp-sync", "personalAccessTokenSecret": secret}
        body = {"credentials": wanted | {"site": {"contentUrl": "erp"}}}
        url = f"{tenant.root}/api/3.29/auth/signin"
        answer = requests.post(url, json=body, headers=self.HEADERS, timeout=30).json()["credentials"]
        assert answer["site"] == {"id": tenant.world.site().id, "contentUrl": "erp"}
        headers = self.HEADERS | {"X-Tableau-Auth": answer["token"]}
        site = f"{tenant.root}/api/3.29/sites/{answer['site']['id']}"
        groups = requests.get(f"{site}/groups?filter=name:eq:Sales", headers=headers, timeout=30).json()
        assert groups["pagination"] == {"pageNumber": "1", "pageSize": "100", "totalAvailable": "1"}
        assert groups["groups"]["group"][0]["name"] == "Sales"
        assert requests.get(f"{site}/webhooks", headers=headers, timeout=30).json() == {"webhooks": {}}

    def test_server_info_and_errors_as_json(self, tenant: Tenant) -> None:
        reply = requests.get(f"{tenant.root}/api/3.29/serverInfo", headers=self.HEADERS, timeout=30)
        version = {"value": "2026.2.0", "build": "20262.26.0616.0001"}
        assert reply.json() == {"serverInfo": {"productVersion": version, "restApiVersion": "3.29"}}
        reply = requests.post(f"{tenant.root}/api/3.29/auth/signin", "{", headers=self.HEADERS, timeout=30)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "400000")


class TestAddresses:
    def test_unknown_paths_and_wrong_methods(self, tenant: Tenant) -> None:
        assert code(tenant.call("GET", "/workbooks")) == "404003"
        assert code(tenant.call("PATCH", "/datasources")) == "405000"

    def test_without_accept_json_everything_is_xml_with_the_namespace(self, tenant: Tenant) -> None:
        reply = tenant.call("GET", "/datasources", headers={"Accept": "*/*"})
        assert reply.headers["Content-Type"].startswith("application/xml")
        assert '<tsResponse xmlns="http://tableau.com/api"><pagination' in reply.text
