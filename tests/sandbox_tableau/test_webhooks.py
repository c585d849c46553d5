"""Webhooks: made and tried out with the official client, delivered to a receiver on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import tableauserverclient as tsc
from tableauserverclient.server.endpoint.exceptions import ServerResponseError

from .conftest import Tenant, action, invoice


class Receiver:
    """Keeps what it was sent; answers with `status`."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.status = 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/tableau/events"

    def events(self) -> list[str]:
        return [json.loads(body)["event_type"] for body in self.bodies]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def hook(tenant: Tenant, url: str, event: str = "datasource-refresh-failed") -> tsc.WebhookItem:
    item = tsc.WebhookItem()
    item.name, item.url, item.event = "erp", url, event
    return tenant.server.webhooks.create(item)


@pytest.fixture
def local(tenant: Tenant) -> Tenant:
    tenant.switches["webhook_scheme"] = "any"
    return tenant


def refresh(tenant: Tenant, **fault: Any) -> None:
    if fault:
        tenant.faults.arm("tableau", "job_ends", **fault)
    tenant.end(tenant.server.datasources.refresh(tenant.world.datasource("Exchange rates").id))
    tenant.world.webhooks.sent()


def test_a_webhook_is_made_found_and_deleted(tenant: Tenant) -> None:
    made = hook(tenant, "https://receiver.example/secret")
    [found], _ = tenant.server.webhooks.get()
    assert (found.id, found.url, found.event) == (made.id, made.url, "datasource-refresh-failed")
    assert found.owner_id == tenant.server.user_id
    assert tenant.server.webhooks.get_by_id(made.id).name == "erp"
    tenant.server.webhooks.delete(made.id)
    assert tenant.server.webhooks.get()[0] == []


@pytest.mark.parametrize(
    ("url", "event"),
    [("http://receiver.example/x", "datasource-created"), ("https://receiver.example/x", "database-on-fire")],
)
def test_an_address_without_https_or_an_unknown_event_is_refused(
    tenant: Tenant, url: str, event: str
) -> None:
    with pytest.raises(ServerResponseError, match="400000"):
        hook(tenant, url, event)


def test_a_test_sends_an_empty_payload_and_shows_the_answer(local: Tenant, receiver: Receiver) -> None:
    made = hook(local, receiver.url)
    assert b'status="204"' in local.server.webhooks.test(made.id).content
    assert receiver.bodies == [b""]


@pytest.mark.parametrize("resource", ["EXTRACTS", "DATASOURCE"])
def test_a_failed_refresh_is_told(local: Tenant, receiver: Receiver, resource: str) -> None:
    local.switches["refresh_event_resource"] = resource
    hook(local, receiver.url)
    refresh(local)
    assert receiver.bodies == []
    refresh(local, code=1)
    [body] = map(json.loads, receiver.bodies)
    assert sorted(body) == [
        "created_at",
        "event_type",
        "resource",
        "resource_luid",
        "resource_name",
        "site_luid",
    ]
    assert (body["event_type"], body["resource"]) == ("DatasourceRefreshFailed", resource)
    assert body["resource_luid"] == local.world.datasource("Exchange rates").id


def test_a_flow_that_ended_is_told_well_or_not(local: Tenant, receiver: Receiver) -> None:
    hook(local, receiver.url, "flow-completed")
    flow = local.server.flows.get_by_id(local.world.id("Supplier clean-up"))
    for fault in ({}, {"code": 1}):
        if fault:
            local.faults.arm("tableau", "job_ends", **fault)
        local.end(local.server.flows.refresh(flow))
    local.world.webhooks.sent()
    assert receiver.events() == ["FlowCompleted", "FlowCompleted"]
    assert json.loads(receiver.bodies[0])["resource_luid"] == flow.id


def test_a_site_may_not_know_the_event_of_flows(local: Tenant, receiver: Receiver) -> None:
    local.switches["flow_events"] = False
    with pytest.raises(ServerResponseError, match="400000"):
        hook(local, receiver.url, "flow-completed")


def test_publishing_changing_and_deleting_are_told(local: Tenant, receiver: Receiver) -> None:
    for event in ("created", "updated", "deleted"):
        hook(local, receiver.url, f"datasource-{event}")
    source = local.published(invoice(1))
    local.end(local.update(source, [action("insert")], [invoice(2)]))
    local.publish(local.pen.write([invoice(1)]), mode="Overwrite")
    local.server.datasources.delete(source.id)
    local.world.webhooks.sent()
    assert receiver.events() == ["DatasourceCreated", "DatasourceUpdated", "DatasourceDeleted"]


def test_events_may_be_lost_late_or_there_twice(local: Tenant, receiver: Receiver) -> None:
    hook(local, receiver.url, "datasource-refresh-succeeded")
    for name, seen in (("webhook_lost", 0), ("webhook_late", 0), ("webhook_duplicate", 2)):
        local.faults.arm("tableau", name)
        refresh(local)
        assert len(receiver.bodies) == seen
    local.sandbox.tableau.release()
    local.world.webhooks.sent()
    assert len(receiver.bodies) == 3
    assert receiver.bodies[0] == receiver.bodies[1]


def test_a_receiver_that_fails_is_asked_four_times(local: Tenant, receiver: Receiver) -> None:
    receiver.status = 500
    hook(local, receiver.url, "datasource-refresh-succeeded")
    refresh(local)
    assert len(receiver.bodies) == 4
    [sent] = local.control("GET", "/webhooks/deliveries")
    assert (sent["event"], sent["status"], sent["attempts"]) == ("DatasourceRefreshSucceeded", 500, 4)


def test_a_webhook_may_be_switched_off_after_failures(local: Tenant, receiver: Receiver) -> None:
    local.switches["webhook_disable_after"] = 2
    receiver.status = 500
    made = hook(local, receiver.url, "datasource-refresh-succeeded")
    for _ in range(3):
        refresh(local)
    assert len(receiver.bodies) == 8
    assert 'isEnabled="false"' in local.call("GET", f"/webhooks/{made.id}").text
    receiver.status = 200
    body = '<tsRequest><webhook isEnabled="true"/></tsRequest>'
    assert 'isEnabled="true"' in local.call("PUT", f"/webhooks/{made.id}", data=body).text
    refresh(local)
    assert len(receiver.bodies) == 9


def test_receivers_on_other_machines_are_never_called(tenant: Tenant) -> None:
    made = hook(tenant, "https://receiver.example/secret", "datasource-refresh-succeeded")
    refresh(tenant)
    assert [sent["status"] for sent in tenant.world.webhooks.sent()] == [None]
    assert b'status="0"' in tenant.server.webhooks.test(made.id).content
