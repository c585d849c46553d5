"""Webhooks: handshake inside the create call, signatures, heartbeat, retries, the end after a day."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from .conftest import Organisation, message


class Receiver:
    """A receiver on this machine: what came, and how it answers."""

    def __init__(self) -> None:
        self.deliveries: list[tuple[dict[str, str], bytes]] = []
        self.secret, self.status, self.echo = "", 200, True
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.take(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.target = f"http://127.0.0.1:{self.server.server_port}/hook/1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        secret = request.headers.get("X-Hook-Secret")
        if secret is None:
            self.deliveries.append((dict(request.headers), body))
        else:
            self.secret = secret
        request.send_response(self.status)
        if secret is not None and self.echo:
            request.send_header("X-Hook-Secret", secret)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def events(self) -> list[list[tuple[str, str]]]:
        return [
            [(event["resource"]["resource_type"], event["action"]) for event in json.loads(body)["events"]]
            for _, body in self.deliveries
        ]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


def hook(org: Organisation, receiver: Receiver, **values: Any) -> str:
    """A webhook on the orders whose first heartbeat has been taken."""
    made = org.post("/webhooks", {"resource": org.orders, "target": receiver.target} | values)
    settle(org)
    receiver.deliveries.clear()
    return str(made["gid"])


def settle(org: Organisation) -> None:
    """Everything due is delivered when this returns, whichever thread did it."""
    org.sandbox.asana.dispatcher.settle()


def test_the_handshake_happens_while_the_create_call_is_open(org: Organisation, receiver: Receiver) -> None:
    reply = org.call("POST", "/webhooks", {"resource": org.orders, "target": receiver.target})
    assert reply.status_code == 201
    assert reply.json()["X-Hook-Secret"] == receiver.secret != ""
    assert reply.json()["data"]["resource"]["gid"] == org.orders
    settle(org)
    assert receiver.events() == [[]]  # the heartbeat that follows the handshake


@pytest.mark.parametrize(("status", "echo"), [(500, True), (302, True), (200, False)])
def test_a_receiver_that_does_not_echo_gets_no_webhook(
    org: Organisation, receiver: Receiver, status: int, echo: bool
) -> None:
    receiver.status, receiver.echo = status, echo
    body = {"resource": org.orders, "target": receiver.target}
    assert org.call("POST", "/webhooks", body).status_code == 400
    assert org.get("/webhooks", workspace=org.workspace, limit=10) == []


def test_a_second_one_for_the_same_resource_and_target_is_refused(
    org: Organisation, receiver: Receiver
) -> None:
    hook(org, receiver)
    reply = org.call("POST", "/webhooks", {"resource": org.orders, "target": receiver.target})
    assert message(reply) == (
        403,
        "Duplicated webhook. You already have an existing webhook for the given resource and target. "
        "Delete the old one before creating another.",
    )


def test_asana_itself_refuses_this_machine(org: Organisation, receiver: Receiver) -> None:
    org.switches["loopback_targets"] = "refused"
    reply = org.call("POST", "/webhooks", {"resource": org.orders, "target": receiver.target})
    assert reply.status_code == 403


def test_a_delivery_is_signed_over_its_raw_bytes(org: Organisation, receiver: Receiver) -> None:
    hook(org, receiver)
    org.task()
    settle(org)
    ((headers, body),) = receiver.deliveries
    expected = hmac.new(receiver.secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Hook-Signature"] == expected
    assert receiver.events() == [[("task", "added"), ("task", "added")]]


def test_filters_pass_what_matches_any_of_them(org: Organisation, receiver: Receiver) -> None:
    filters = [
        {"resource_type": "task", "action": "changed", "fields": ["completed"]},
        {"resource_type": "story", "resource_subtype": "comment_added"},
    ]
    hook(org, receiver, filters=filters)
    gid = org.task()
    org.people.edit(gid, name="other", completed=True, comment="done")
    settle(org)
    told = [event for delivery in receiver.events() for event in delivery]
    assert told == [("task", "changed"), ("story", "added")]


def test_fields_go_with_changed_only(org: Organisation, receiver: Receiver) -> None:
    body = {"resource": org.orders, "target": receiver.target}
    filters = [{"resource_type": "task", "action": "added", "fields": ["name"]}]
    assert org.call("POST", "/webhooks", body | {"filters": filters}).status_code == 400


def test_a_workspace_wants_filters_and_tells_nothing_of_tasks(org: Organisation, receiver: Receiver) -> None:
    body = {"resource": org.workspace, "target": receiver.target}
    assert org.call("POST", "/webhooks", body).status_code == 400
    hook(org, receiver, resource=org.workspace, filters=[{"action": "added"}])
    org.task()
    org.post("/projects", {"name": "Bridge", "workspace": org.workspace, "team": org.team})
    settle(org)
    assert receiver.events() == [[("project", "added")]]


def test_a_put_replaces_filters_alone(org: Organisation, receiver: Receiver) -> None:
    gid = hook(org, receiver)
    assert org.call("PUT", f"/webhooks/{gid}", {"target": "http://127.0.0.1/x"}).status_code == 400
    assert org.put(f"/webhooks/{gid}", {"filters": [{"action": "deleted"}]})["filters"] == [
        {"action": "deleted"}
    ]
    org.task()
    settle(org)
    assert receiver.events() == []


def test_a_heartbeat_comes_every_eight_hours(org: Organisation, receiver: Receiver) -> None:
    hook(org, receiver)
    for _ in range(2):
        org.pass_time(8 * 3600)
        settle(org)
    assert receiver.events() == [[], []]


def test_a_failed_delivery_is_retried_later_and_later(org: Organisation, receiver: Receiver) -> None:
    gid = hook(org, receiver)
    receiver.status = 503
    org.task()
    settle(org)
    fields = "delivery_retry_count,next_attempt_after,failure_deletion_timestamp"
    failing = org.get(f"/webhooks/{gid}", opt_fields=fields)
    assert failing["delivery_retry_count"] == 1
    assert failing["failure_deletion_timestamp"] > failing["next_attempt_after"]
    settle(org)
    assert len(receiver.deliveries) == 1  # not before its time
    receiver.status = 204
    org.pass_time(10)
    settle(org)
    assert receiver.events()[0] == receiver.events()[1]
    assert org.get(f"/webhooks/{gid}", opt_fields=fields)["delivery_retry_count"] == 0


def test_a_webhook_that_fails_for_a_day_is_deleted(org: Organisation, receiver: Receiver) -> None:
    gid = hook(org, receiver)
    receiver.status = 500
    org.task()
    settle(org)
    org.pass_time(24 * 3600)
    settle(org)
    assert org.call("GET", f"/webhooks/{gid}").status_code == 404


def test_deliveries_get_lost_or_come_twice(org: Organisation, receiver: Receiver) -> None:
    hook(org, receiver)
    org.faults.arm("asana", "webhook_lost")
    org.task("a")
    settle(org)
    assert receiver.events() == []
    org.faults.arm("asana", "webhook_duplicate")
    org.people.edit(next(iter(org.world.tables[type(org.world.any(org.task("b")))])), comment="x")
    settle(org)
    told = receiver.events()
    assert len(told) > 1
    assert any(told.count(delivery) == 2 for delivery in told)
