"""Connections, authenticators, users, actions and certificates (vendors/cleo.md sections 4 and 5)."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mlc_sandbox.cleo.harmony import READ_ONLY

from .conftest import Mailbox

SFTP = {
    "alias": "nordlys-sftp",
    "type": "sftp",
    "connect": {"host": "sftp.nordlys.example", "port": 10022, "username": "fjordvik", "password": "hush"},
}


@pytest.fixture(autouse=True)
def _allowed(mailbox: Mailbox) -> None:
    mailbox.switches["configuration_api"] = "allowed"


def create(mailbox: Mailbox, path: str = "/api/connections", **fields: Any) -> Any:
    reply = mailbox.call("POST", path, json={**SFTP, **fields})
    assert reply.status_code == 201, reply.text
    return reply.json()


def writable(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name not in READ_ONLY}


def test_a_mailbox_account_may_be_forbidden_to_look(mailbox: Mailbox) -> None:
    mailbox.switches["configuration_api"] = "forbidden"
    for path in ("connections", "authenticators", "actions", "certs"):
        assert mailbox.call("GET", f"/api/{path}").status_code == 403


class TestObjects:
    def test_a_created_object_is_found_under_its_link(self, mailbox: Mailbox) -> None:
        made = create(mailbox)
        assert re.fullmatch(r"[\w-]{22}", made["id"])
        assert made["meta"] == {"resourceType": "connection"}
        link = made["_links"]["self"]["href"]
        assert link.startswith("/api/")
        read = mailbox.call("GET", link)
        assert (read.status_code, read.json()) == (200, made)

    def test_a_put_replaces_the_whole_object(self, mailbox: Mailbox) -> None:
        made = create(mailbox, notes="old", enabled=False)
        body = {name: value for name, value in writable(made).items() if name != "notes"} | {"enabled": True}
        reply = mailbox.call("PUT", made["_links"]["self"]["href"], json=body)
        assert reply.status_code == 200
        assert reply.json()["enabled"] is True
        assert "notes" not in reply.json()

    def test_a_delete_takes_it_and_what_belongs_to_it_away(self, mailbox: Mailbox) -> None:
        made = create(mailbox)
        link = made["_links"]["self"]["href"]
        action = {"alias": "fetch", "type": "Commands", "commands": [], "connection": {"href": link}}
        assert mailbox.call("POST", "/api/actions", json=action).status_code == 201
        reply = mailbox.call("DELETE", link)
        assert (reply.status_code, reply.content) == (204, b"")
        assert mailbox.call("GET", link).status_code == 404
        assert mailbox.call("GET", "/api/actions").json()["totalResults"] == 0

    def test_passwords_are_never_returned_and_a_put_without_one_keeps_it(self, mailbox: Mailbox) -> None:
        made = create(mailbox)
        link = made["_links"]["self"]["href"]
        assert "hush" not in str(made)
        assert mailbox.call("PUT", link, json=writable(made)).status_code == 200
        assert mailbox.world.harmony.objects[made["id"]].secret == "hush"

    @pytest.mark.parametrize(("mode", "status"), [("refused", 400), ("ignored", 200)])
    def test_read_only_fields_in_a_put(self, mailbox: Mailbox, mode: str, status: int) -> None:
        mailbox.switches["read_only_fields"] = mode
        made = create(mailbox)
        assert mailbox.call("PUT", made["_links"]["self"]["href"], json=made).status_code == status

    @pytest.mark.parametrize("status", [400, 409])
    def test_an_alias_is_unique(self, mailbox: Mailbox, status: int) -> None:
        mailbox.switches["duplicate_alias_status"] = status
        create(mailbox)
        assert mailbox.call("POST", "/api/connections", json=SFTP).status_code == status

    @pytest.mark.parametrize("body", ["no json", "[]", '{"type": "sftp"}', '{"alias": "x"}'])
    def test_bodies_that_say_too_little_are_refused(self, mailbox: Mailbox, body: str) -> None:
        reply = mailbox.call("POST", "/api/connections", data=body)
        assert (reply.status_code, list(reply.json())) == (400, ["message"])

    def test_wrong_methods_and_paths(self, mailbox: Mailbox) -> None:
        assert mailbox.call("PATCH", "/api/connections").status_code == 405
        assert mailbox.call("GET", "/api/partners").status_code == 404


class TestOptimisticLocking:
    def test_a_stale_if_match_is_412(self, mailbox: Mailbox) -> None:
        made = create(mailbox)
        link = made["_links"]["self"]["href"]
        etag = mailbox.call("GET", link).headers["ETag"]
        mailbox.control("PATCH", "/resources/connections/nordlys-sftp", json={"notes": "by hand"})
        stale = mailbox.call("PUT", link, json=writable(made), headers={"If-Match": etag})
        assert stale.status_code == 412
        read = mailbox.call("GET", link)
        assert read.json()["notes"] == "by hand"
        fresh = mailbox.call(
            "PUT", link, json=writable(read.json()), headers={"If-Match": read.headers["ETag"]}
        )
        assert fresh.status_code == 200
        assert fresh.headers["ETag"] != read.headers["ETag"]

    @pytest.mark.parametrize(("mode", "without", "stale"), [("ignored", 200, 200), ("required", 428, 412)])
    def test_if_match_may_be_ignored_or_required(
        self, mailbox: Mailbox, mode: str, without: int, stale: int
    ) -> None:
        mailbox.switches["if_match"] = mode
        made = create(mailbox)
        link = made["_links"]["self"]["href"]
        assert mailbox.call("PUT", link, json=writable(made)).status_code == without
        reply = mailbox.call("PUT", link, json=writable(made), headers={"If-Match": '"old"'})
        assert reply.status_code == stale

    def test_there_may_be_no_etag(self, mailbox: Mailbox) -> None:
        mailbox.switches["etag"] = False
        assert "ETag" not in mailbox.call("GET", create(mailbox)["_links"]["self"]["href"]).headers


class TestLists:
    def test_pages_begin_at_0_and_tell_the_total(self, mailbox: Mailbox) -> None:
        for number in range(5):
            create(mailbox, alias=f"c{number}")
        seen: list[str] = []
        while True:
            page = mailbox.call(
                "GET", "/api/connections", params={"startIndex": len(seen), "count": 2}
            ).json()
            assert page["totalResults"] == 5
            seen += [found["alias"] for found in page["resources"]]
            if len(seen) >= page["totalResults"]:
                break
        assert seen == ["c0", "c1", "c2", "c3", "c4"]

    def test_count_is_capped(self, mailbox: Mailbox) -> None:
        mailbox.switches["page_size_most"] = 1
        for number in range(3):
            create(mailbox, alias=f"c{number}")
        page = mailbox.call("GET", "/api/connections", params={"count": 100}).json()
        assert (page["totalResults"], len(page["resources"])) == (3, 1)
        assert mailbox.call("GET", "/api/connections", params={"count": "-1"}).status_code == 400

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ('alias eq "a1"', ["a1"]),
            ('alias sw "a"', ["a1", "a2"]),
            ('type eq "sftp"', ["a1", "a2", "b1"]),
            ('alias eq "å \\" 1"', []),
            ('connect.host sw "sftp."', ["a1", "a2", "b1"]),
        ],
    )
    def test_filters_that_are_documented(self, mailbox: Mailbox, text: str, found: list[str]) -> None:
        for alias in ("a1", "a2", "b1"):
            create(mailbox, alias=alias)
        page = mailbox.call("GET", "/api/connections", params={"filter": text}).json()
        assert [one["alias"] for one in page["resources"]] == found

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ('alias ne "a1"', ["a2", "b1"]),
            ('alias co "1" and not (alias eq "b1")', ["a1"]),
            ('alias ew "2" or alias gt "a9"', ["a2", "b1"]),
        ],
    )
    def test_other_operators_are_refused_unless_switched_on(
        self, mailbox: Mailbox, text: str, found: list[str]
    ) -> None:
        for alias in ("a1", "a2", "b1"):
            create(mailbox, alias=alias)
        assert mailbox.call("GET", "/api/connections", params={"filter": text}).status_code == 400
        mailbox.switches["filter_operators"] = "scim"
        page = mailbox.call("GET", "/api/connections", params={"filter": text}).json()
        assert [one["alias"] for one in page["resources"]] == found

    @pytest.mark.parametrize("text", ["alias", 'alias eq "a', "alias eq a1", '"a" "b" "c" "d"', ""])
    def test_filters_that_cannot_be_read(self, mailbox: Mailbox, text: str) -> None:
        assert mailbox.call("GET", "/api/connections", params={"filter": text}).status_code == 400

    def test_defaults_are_shown_when_asked_for(self, mailbox: Mailbox) -> None:
        create(mailbox)
        plain, full = (
            mailbox.call("GET", "/api/connections", params=params).json()["resources"][0]
            for params in ({}, {"includeDefaults": "true"})
        )
        assert "retryLimit" not in plain
        assert full["retryLimit"] == 0


class TestUsersAndActions:
    def test_users_are_behind_their_authenticators_link(self, mailbox: Mailbox) -> None:
        (authenticator,) = mailbox.call("GET", "/api/authenticators").json()["resources"]
        users = authenticator["_links"]["users"]["href"]
        assert [user["username"] for user in mailbox.call("GET", users).json()["resources"]] == [
            "mlc-mailbox"
        ]
        made = mailbox.call("POST", users, json={"username": "bob", "accept": {"password": "hush"}}).json()
        assert made["meta"]["resourceType"] == "user"
        assert made["_links"]["authenticator"]["href"] == authenticator["_links"]["self"]["href"]
        assert "hush" not in str(made)
        found = mailbox.call("GET", users, params={"filter": 'username eq "bob"'}).json()["resources"]
        assert [user["id"] for user in found] == [made["id"]]
        assert mailbox.call("GET", "/api/users").status_code == 404

    def test_an_action_is_run_by_its_link(self, mailbox: Mailbox) -> None:
        parent = create(mailbox)["_links"]["self"]["href"]
        body = {"alias": "fetch", "type": "Commands", "commands": ["GET *"], "connection": {"href": parent}}
        action = mailbox.call("POST", "/api/actions", json=body).json()
        links = mailbox.call("GET", parent).json()["_links"]["actions"]
        assert links == [{"href": action["_links"]["self"]["href"]}]
        run = action["_links"]["run"]["href"]
        report = mailbox.call("POST", run, params={"timeout": 300, "messagesCount": 2})
        assert report.status_code == 200
        assert (report.json()["status"], report.json()["result"]) == ("completed", "success")
        assert len(report.json()["messages"]) == 2

    def test_an_actions_name_is_unique_within_its_parent_only(self, mailbox: Mailbox) -> None:
        parents = [create(mailbox, alias=alias)["_links"]["self"]["href"] for alias in ("a", "b")]
        body = {"alias": "fetch", "type": "Commands"}
        statuses = [
            mailbox.call("POST", "/api/actions", json=body | {"connection": {"href": parent}}).status_code
            for parent in (*parents, parents[0])
        ]
        assert statuses == [201, 201, 409]
        assert mailbox.call("POST", "/api/actions", json=body).status_code == 400


def certificate() -> str:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime(2026, 11, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 0xBEEF, now, now + timedelta(days=30))
    ).sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


def test_a_certificate_is_imported_once(mailbox: Mailbox) -> None:
    body = {"requestType": "importCert", "import": certificate()}
    first = mailbox.call("POST", "/api/certs", json=body)
    assert first.status_code == 201
    assert first.json()["_links"]["self"]["href"] == f"/api/certs/{first.json()['id']}"
    again = mailbox.call("POST", "/api/certs", json=body)
    assert (again.status_code, list(again.json())) == (409, ["message"])
    found = mailbox.call("GET", "/api/certs", params={"filter": 'serialNumber eq "beef"'}).json()
    assert [one["id"] for one in found["resources"]] == [first.json()["id"]]
    assert mailbox.call("POST", "/api/certs", json=body | {"import": "bm8="}).status_code == 400
