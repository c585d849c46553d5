"""`external`: who may use it, who sees it, and how it is found; each open point both ways."""

from __future__ import annotations

import pytest

from .conftest import Organisation, message
from .test_login import sign_in

ID = "erp.po.4711"


@pytest.fixture
def app(org: Organisation) -> Organisation:
    """The organisation seen by an OAuth app."""
    org.token = sign_in(org)["access_token"]
    return org


def test_an_app_sets_it_and_finds_the_task_by_it(app: Organisation) -> None:
    gid = app.task(external={"gid": ID, "data": '{"hash": "1"}'})
    assert app.get(f"/tasks/external:{ID}")["gid"] == gid
    shown = app.get(f"/tasks/{gid}", opt_fields="external")["external"]
    assert shown == {"gid": ID, "data": '{"hash": "1"}'}
    assert app.post(f"/tasks/external:{ID}/stories", {"text": "x"})["text"] == "x"


def test_another_caller_sees_nothing_of_it(app: Organisation) -> None:
    gid = app.task(external={"gid": ID})
    app.token = app.world.login.pat
    assert app.get(f"/tasks/{gid}", opt_fields="external") == {"gid": gid}
    assert message(app.call("GET", f"/tasks/external:{ID}")) == (404, f"task: Unknown object: external:{ID}")


def test_with_a_personal_token_it_is_ignored_allowed_or_refused(org: Organisation) -> None:
    gid = org.task(external={"gid": ID})
    assert org.get(f"/tasks/{gid}", opt_fields="external") == {"gid": gid}
    org.switches["external_with_pat"] = "allowed"
    org.put(f"/tasks/{gid}", {"external": {"gid": ID}})
    assert org.get(f"/tasks/external:{ID}")["gid"] == gid
    org.switches["external_with_pat"] = "refused"
    assert org.call("PUT", f"/tasks/{gid}", {"external": {"gid": ID}}).status_code == 403


def test_a_second_task_with_the_same_id_is_allowed_or_refused(app: Organisation) -> None:
    first = app.task(external={"gid": ID})
    app.task(external={"gid": ID})
    assert app.get(f"/tasks/external:{ID}")["gid"] == first
    app.switches["external_unique"] = True
    reply = app.call("POST", "/tasks", {"projects": [app.orders], "external": {"gid": ID}})
    assert reply.status_code == 400
    assert len(app.names()) == 2


def test_it_may_be_found_late(app: Organisation) -> None:
    app.switches["external_visible_seconds"] = 5
    gid = app.task(external={"gid": ID})
    assert app.call("GET", f"/tasks/external:{ID}").status_code == 404
    app.pass_time(5)
    assert app.get(f"/tasks/external:{ID}")["gid"] == gid


def test_an_encoded_colon_and_slash_are_understood_or_refused(app: Organisation) -> None:
    gid = app.task(external={"gid": "erp/po/1"})
    assert app.get("/tasks/external%3Aerp%2Fpo%2F1")["gid"] == gid
    app.switches["encoded_colon"] = "refused"
    assert app.call("GET", "/tasks/external%3Aerp%2Fpo%2F1").status_code == 400


@pytest.mark.parametrize("value", [{"gid": "x" * 1025}, {"data": "x" * 32_769}, {"id": "x"}, "x"])
def test_what_does_not_fit_is_refused(app: Organisation, value: object) -> None:
    assert app.call("POST", "/tasks", {"projects": [app.orders], "external": value}).status_code == 400
