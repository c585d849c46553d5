"""The log-in (vendors/cleo.md section 3) and what a missing or old token meets."""

from __future__ import annotations

import pytest
import requests

from .conftest import Mailbox


def test_a_token_opens_the_mailbox(mailbox: Mailbox) -> None:
    reply = mailbox.login()
    assert (reply.status_code, reply.json()["token_type"]) == (200, "bearer")
    assert mailbox.listed() == []


def test_a_password_with_signs_that_must_be_percent_encoded(mailbox: Mailbox) -> None:
    """A client that writes the form by hand without encoding is refused."""
    assert {"+", "&", "%"} <= set(mailbox.world.login.password)
    raw = "&".join(f"{name}={value}" for name, value in mailbox.form().items())
    reply = requests.post(
        f"{mailbox.root}/api/authentication",
        data=raw,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        timeout=30,
    )
    assert reply.status_code == 401


@pytest.mark.parametrize("status", [400, 401])
def test_wrong_credentials_are_refused(mailbox: Mailbox, status: int) -> None:
    mailbox.switches["wrong_credentials_status"] = status
    for wrong in ({"password": "no"}, {"username": "no"}):
        reply = mailbox.login(**wrong)
        assert reply.status_code == status
        assert "access_token" not in reply.text
        assert reply.json()["message"]


def test_a_json_body_and_other_grants_are_refused(mailbox: Mailbox) -> None:
    url = f"{mailbox.root}/api/authentication"
    assert requests.post(url, json=mailbox.form(), timeout=30).status_code == 400
    assert mailbox.login(grant_type="client_credentials").status_code == 400
    assert mailbox.login(grant_type="refresh_token").status_code == 400


@pytest.mark.parametrize(("form", "seen"), [("number", 3600), ("text", "3600"), ("absent", None)])
def test_expires_in_has_three_forms(mailbox: Mailbox, form: str, seen: object) -> None:
    mailbox.switches["expires_in"] = form
    assert mailbox.login().json().get("expires_in") == seen


def test_a_refresh_token_works_once_where_there_are_any(mailbox: Mailbox) -> None:
    assert "refresh_token" not in mailbox.login().json()
    mailbox.switches["refresh_token"] = True
    refresh = mailbox.login().json()["refresh_token"]
    mailbox.token = mailbox.login(grant_type="refresh_token", refresh_token=refresh).json()["access_token"]
    assert mailbox.listed() == []
    assert mailbox.login(grant_type="refresh_token", refresh_token=refresh).status_code == 401


@pytest.mark.parametrize("header", ["", "Bearer nothing", "Basic bm86bm8="])
@pytest.mark.parametrize("path", ["/api/files/download", "/api/connections", "/api/nothing"])
def test_everything_else_needs_a_bearer_token(mailbox: Mailbox, header: str, path: str) -> None:
    reply = mailbox.call("GET", path, headers={"Authorization": header})
    assert (reply.status_code, list(reply.json())) == (401, ["message"])


def test_a_token_expires(mailbox: Mailbox) -> None:
    mailbox.switches["token_seconds"] = 60
    mailbox.token = mailbox.login().json()["access_token"]
    mailbox.pass_time(59)
    assert mailbox.call("GET", "/api/jobs").status_code == 200
    mailbox.pass_time(2)
    assert mailbox.call("GET", "/api/jobs").status_code == 401


@pytest.mark.parametrize(("body", "start"), [("html", "<html>"), ("empty", ""), ("json", "{")])
def test_a_401_may_have_another_body(mailbox: Mailbox, body: str, start: str) -> None:
    mailbox.switches["unauthorized_body"] = body
    reply = mailbox.call("GET", "/api/jobs", headers={"Authorization": "Bearer x"})
    assert reply.status_code == 401
    assert reply.text.startswith(start)
    assert bool(reply.text) == bool(start)
