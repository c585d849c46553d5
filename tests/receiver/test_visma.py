"""Visma's notifications: signed ones are signals of the company they name, all others are nothing."""

import base64
import hashlib
import hmac
from collections.abc import Iterator

import pytest
import requests
import sqlalchemy as sa

from mlc_dagster.receiver import Signals
from mlc_dagster.receiver.app import receiver
from mlc_dagster.visma.webhooks import VismaHooks, entity_of
from mlc_sandbox.server import Sandbox
from tests.receiver.conftest import in_public, kept
from tests.transport.clocks import ManualClock

SECRET = "subscription secret"
TENANTS = {"28CCF2FC-DC0A-51CC-870E-8F689325D96C": "NO01", "58e30cc0-ead1-590f-9c31-8bff7e8ab55d": "SE01"}
NO01, SE01 = TENANTS


def source(clock: ManualClock, tenants: dict[str, str] = TENANTS, **facts: object) -> VismaHooks:
    told = {"signature_header": "x-vwd-signature-v1", "refused_status": 200, **facts}
    return VismaHooks(SECRET, tenants, clock, **told)  # type: ignore[arg-type]


@pytest.fixture
def door(signals: Signals, clock: ManualClock) -> Iterator[str]:
    with in_public(receiver({"visma": source(clock)}, signals, seconds=30)) as url:
        yield f"{url}/hooks/visma/events"


def signature(body: bytes, secret: str = SECRET) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def notify(
    url: str,
    body: bytes = b"{}",
    *,
    id: str = "1",
    tenant: str = NO01,
    event: str = "Supplier Updated",
    **headers: str,
) -> int:
    told = {
        "x-vwd-signature-v1": signature(body),
        "x-vwd-notification-id": id,
        "x-vwd-tenant-id": tenant,
        "x-vwd-event-id": event,
        **headers,
    }
    return requests.post(url, data=body, headers=told, timeout=40).status_code


def test_what_the_erp_sends_is_a_signal_of_the_company_and_the_kind_of_record(
    signals: Signals, clock: ManualClock, engine: sa.Engine
) -> None:
    with Sandbox.running(seed=1, scale=0.02, companies=("NO01",)) as erp:
        [company] = erp.visma.config_section(erp.url)["companies"].values()
        hooks = source(clock, {company["tenant_id"]: "NO01"})
        with in_public(receiver({"visma": hooks}, signals, seconds=30)) as url:
            erp.visma.webhooks.subscribe(f"{url}/hooks/visma/events", SECRET)
            erp.faults.arm("visma", "webhook_duplicate")
            supplier = str(erp.visma.truth("NO01", "supplier")[0]["number"])
            erp.visma.change("NO01", "supplier", supplier, {"name": "Renamed"})
            assert [(each["status"], each["attempts"]) for each in erp.visma.webhooks.sent()] == [
                (200, 1)
            ] * 2
    assert kept(engine) == [("visma", "NO01/suppliers")], "the double is the same delivery"


def test_a_repeated_notification_counts_once_even_when_its_body_differs(door: str, engine: sa.Engine) -> None:
    assert notify(door, b"{}", id="7") == notify(door, b'{"again": true}', id="7") == 200
    assert len(kept(engine)) == 1
    assert notify(door, b"{}", id="8") == 200
    assert len(kept(engine)) == 2


def test_without_an_id_the_body_tells_a_repetition(door: str, engine: sa.Engine) -> None:
    for body in (b"1", b"1", b"2"):
        notify(door, body, id="")
    assert len(kept(engine)) == 2


@pytest.mark.parametrize(
    "forged",
    [
        {"x-vwd-signature-v1": ""},
        {"x-vwd-signature-v1": signature(b"another body")},
        {"x-vwd-signature-v1": signature(b"{}", "another secret")},
        {"x-vwd-signature-v1": "\u00e6\u00f8\u00e5"},
    ],
    ids=["none", "of another body", "of another secret", "no ascii"],
)
def test_a_forged_call_is_answered_politely_and_is_nothing(
    door: str, engine: sa.Engine, forged: dict[str, str]
) -> None:
    latin = {name: value.encode("latin-1").decode("latin-1") for name, value in forged.items()}
    assert notify(door, **latin) == 200, "the dispatcher repeats everything but a 200"
    assert kept(engine) == []


def test_a_refusal_can_be_told_where_the_dispatcher_is_known_to_take_it(
    signals: Signals, clock: ManualClock, engine: sa.Engine
) -> None:
    with in_public(receiver({"visma": source(clock, refused_status=401)}, signals, seconds=30)) as url:
        assert notify(f"{url}/hooks/visma/events", **{"x-vwd-signature-v1": "wrong"}) == 401
    assert kept(engine) == []


def test_the_name_of_the_signature_header_is_a_setting(
    signals: Signals, clock: ManualClock, engine: sa.Engine
) -> None:
    hooks = source(clock, signature_header="X-Visma-Signature")
    with in_public(receiver({"visma": hooks}, signals, seconds=30)) as url:
        door = f"{url}/hooks/visma/events"
        notify(door)
        assert kept(engine) == []
        notify(door, **{"X-Visma-Signature": signature(b"{}")})
    assert len(kept(engine)) == 1


def test_a_company_we_do_not_carry_is_nothing_to_us(door: str, engine: sa.Engine) -> None:
    assert notify(door, tenant="fd466017-f12c-5489-bd4b-fc512d6ba357") == 200
    assert kept(engine) == []


def test_a_notification_that_says_less_is_about_more(door: str, engine: sa.Engine) -> None:
    notify(door, id="1", tenant="")
    notify(door, id="2", tenant=SE01.upper(), event="f7e6a2c0-0000-4000-8000-000000000001")
    assert kept(engine) == [("visma", "*/suppliers"), ("visma", "SE01/*")]


def test_another_address_below_ours_is_nobodys(door: str, engine: sa.Engine) -> None:
    assert notify(door.replace("/events", "/other")) == 404
    assert kept(engine) == []


@pytest.mark.parametrize(
    ("event", "entity"),
    [
        ("AP Invoice Status Changed", "supplier_invoices"),
        ("Account Identity Changed", "gl_accounts"),
        ("Segment Value Changed", "dimensions"),
        ("supplier_changed", "suppliers"),
        ("Background API Operation Response Ready", None),
        ("", None),
    ],
)
def test_events_name_the_kind_of_record_in_old_words_and_new(event: str, entity: str | None) -> None:
    assert entity_of(event) == entity


def test_a_secret_that_does_not_fit_is_told_once_and_never_shown(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = source(clock)
    for _ in range(50):
        hooks.judge("events", {"x-vwd-signature-v1": "wrong"}, b"{}")
    assert caplog.text.count("no valid signature") == 1
    assert SECRET not in caplog.text
    clock.advance(301)
    hooks.judge("events", {}, b"{}")
    assert caplog.text.count("no valid signature") == 2
