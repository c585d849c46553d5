"""Notifications: signed, for the events Visma has, and late, lost or doubled on demand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import requests

from mlc_sandbox.server import Sandbox

SECRET = "subscription secret"


class Receiver:
    """A subscriber that keeps what arrives."""

    def __init__(self) -> None:
        self.messages: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        keep = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                keep.messages.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(keep.answers.pop(0) if keep.answers else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Tests read the messages instead."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/visma"

    def ids(self) -> list[str]:
        return [headers["x-vwd-notification-id"] for headers, _ in self.messages]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, daemon=True)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join()


@pytest.fixture
def erp(receiver: Receiver) -> Iterator[Sandbox]:
    with Sandbox.running(seed=1, scale=0.02, companies=("NO01",)) as sandbox:
        sandbox.visma.webhooks.subscribe(receiver.url, SECRET)
        yield sandbox


def a_supplier(erp: Sandbox) -> str:
    return str(erp.visma.truth("NO01", "supplier")[0]["number"])


def test_a_notification_is_signed_over_its_raw_body_and_names_tenant_and_event(
    erp: Sandbox, receiver: Receiver
) -> None:
    erp.visma.change("NO01", "supplier", a_supplier(erp), {"name": "Blåbær AS"})
    assert [sent["status"] for sent in erp.visma.webhooks.sent()] == [200]
    [(headers, body)] = receiver.messages
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).digest()
    assert headers["x-vwd-signature-v1"] == base64.b64encode(digest).decode()
    assert headers["x-vwd-event-id"] == "Supplier Updated"
    assert headers["x-vwd-tenant-id"] == erp.visma.companies["NO01"].tenant_id


def test_entities_without_events_say_nothing(erp: Sandbox, receiver: Receiver) -> None:
    erp.visma.add("NO01", "supplierPayment")
    assert erp.visma.webhooks.sent() == []
    assert receiver.messages == []


def test_a_doubled_notification_keeps_its_id_and_a_lost_one_never_comes(
    erp: Sandbox, receiver: Receiver
) -> None:
    erp.faults.arm("visma", "webhook_lost")
    erp.faults.arm("visma", "webhook_duplicate", after=0)
    erp.visma.change("NO01", "supplier", a_supplier(erp), {"name": "lost"})
    erp.visma.change("NO01", "supplier", a_supplier(erp), {"name": "twice"})
    assert len(erp.visma.webhooks.sent()) == 2
    first, second = receiver.ids()
    assert first == second


def test_a_late_notification_comes_after_newer_ones(erp: Sandbox, receiver: Receiver) -> None:
    erp.faults.arm("visma", "webhook_late")
    erp.visma.change("NO01", "supplier", a_supplier(erp), {"name": "late"})
    account = str(erp.visma.truth("NO01", "account")[0]["accountCD"])
    erp.visma.renumber("NO01", "account", account, "99001")
    requests.post(f"{erp.url}/control/webhooks/release", timeout=10).raise_for_status()
    events = [headers["x-vwd-event-id"] for headers, _ in receiver.messages]
    assert events == ["Account Identity Changed", "Supplier Updated"]


def test_a_renumbered_account_is_gone_under_its_old_number(erp: Sandbox) -> None:
    account = str(erp.visma.truth("NO01", "account")[0]["accountCD"])
    path = f"{erp.url}/control/visma/NO01/account/renumber"
    answer = requests.post(path, json={"key": account, "number": "99001"}, timeout=10)
    assert answer.json() == {"key": "99001"}
    numbers = {row["accountCD"] for row in erp.visma.truth("NO01", "account")}
    assert "99001" in numbers
    assert account not in numbers


def test_what_is_new_names_no_number_that_is_gone(erp: Sandbox) -> None:
    kept, *others = [str(row["number"]) for row in erp.visma.truth("NO01", "supplier")]
    for position, number in enumerate(others):
        erp.visma.renumber("NO01", "supplier", number, f"99{position:03}")
    made = erp.visma.add("NO01", "supplierInvoice"), erp.visma.add("NO01", "purchaseorder")
    keys = {record.key for record in made if record is not None}
    rows = [*erp.visma.truth("NO01", "supplierInvoice"), *erp.visma.truth("NO01", "purchaseorder")]
    parties = {
        row["supplier"]["number"]
        for row in rows
        if keys
        & {
            f"{row.get('documentType')}|{row.get('referenceNumber')}",
            f"{row.get('orderType')}|{row.get('orderNbr')}",
        }
    }
    assert parties == {kept}


def test_a_refused_notification_is_tried_again(erp: Sandbox, receiver: Receiver) -> None:
    receiver.answers = [500]
    erp.visma.change("NO01", "supplier", a_supplier(erp), {"name": "again"})
    assert [(sent["status"], sent["attempts"]) for sent in erp.visma.webhooks.sent()] == [(200, 2)]
    assert len(set(receiver.ids())) == 1


def test_only_receivers_on_this_machine_are_called(erp: Sandbox) -> None:
    with pytest.raises(ValueError, match="not on this machine"):
        erp.visma.webhooks.subscribe("http://erp.example.com/hook", SECRET)
