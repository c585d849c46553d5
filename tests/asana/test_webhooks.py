"""Webhooks: made with the handshake inside the call, believed by their signature, made again when lost."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import requests
import sqlalchemy as sa
from cryptography.fernet import Fernet

from mlc_dagster.asana.connect import Asana
from mlc_dagster.asana.webhooks import PENDING, Book, Hook, Webhooks
from mlc_dagster.receiver import Signals
from mlc_dagster.receiver.app import receiver
from mlc_dagster.transport.errors import InDoubt, Misconfigured, Refused
from mlc_sandbox.asana.store import Webhook
from mlc_sandbox.asana.world import World
from mlc_sandbox.server import Sandbox
from tests.asana.tenant import INVOICES, Installation, invoice
from tests.support.serving import served

CALL = "POST .*/webhooks"
WAY_BACK = {"destinations": {"supplier_invoices": {"way_back": {"comments": True}}}}


@pytest.fixture
def ours(install: Callable[..., Installation], monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.setenv("MLC_VAULT_KEY", Fernet.generate_key().decode())
    return install(**WAY_BACK)


@pytest.fixture
def signals(ours: Installation) -> Signals:
    return Signals(ours.engine, ours.clock)


@pytest.fixture
def door(ours: Installation, signals: Signals) -> Iterator[str]:
    """The receiver, in patience as a slow machine needs it."""
    with served(receiver({"asana": ours.asana.hooks}, signals, seconds=30)) as url:
        yield url


@pytest.fixture
def project(world: World) -> str:
    return world.members["supplier_invoices"]


@pytest.fixture
def made(ours: Installation, door: str, project: str, sandbox: Sandbox) -> Webhook:
    """The webhook of the project, its first heartbeat delivered."""
    assert ours.asana.webhooks(door).make() == [project]
    sandbox.asana.dispatcher.settle()
    return only(sandbox.asana.world)


def only(world: World) -> Webhook:
    (webhook,) = world.all(Webhook)
    return webhook


def book(asana: Asana) -> Book:
    return asana._book


def comment(ours: Installation, sandbox: Sandbox, text: str = "Hello") -> None:
    """Somebody writes at a task of the project."""
    if not ours.asana.memory.all():
        ours.set_up()
    ours.deliver([invoice("1")], name=INVOICES)
    (task,) = ours.ledger.target_ids(INVOICES, ["NO01|Invoice|1"]).values()
    sandbox.asana.people.edit(task, comment=text)


def test_the_handshake_happens_within_the_call_and_the_heartbeat_is_answered(
    made: Webhook, project: str, signals: Signals, sandbox: Sandbox
) -> None:
    assert made.resource == project
    assert made.last_success is not None
    assert [sent.status for sent in sandbox.asana.dispatcher.sent[-1:]] == [200]
    # It says nothing happened, so nobody has to look.
    assert signals.newest("asana") is None


def test_a_comment_of_somebody_becomes_a_signal_and_a_change_of_ours_does_not(
    ours: Installation, made: Webhook, sandbox: Sandbox, signals: Signals
) -> None:
    ours.set_up()
    ours.deliver([invoice("1")])
    sandbox.asana.dispatcher.settle()
    assert signals.newest("asana") is None
    comment(ours, sandbox)
    sandbox.asana.dispatcher.settle()
    assert signals.newest("asana") is not None


def test_a_delivery_that_comes_twice_is_one_signal(
    ours: Installation, made: Webhook, sandbox: Sandbox, signals: Signals
) -> None:
    sandbox.faults.arm("asana", "webhook_duplicate")
    comment(ours, sandbox)
    sandbox.asana.dispatcher.settle()
    assert sandbox.asana.dispatcher.sent[-2:][0].status == sandbox.asana.dispatcher.sent[-1].status == 200
    assert signals.newest("asana") == 1


@pytest.mark.parametrize(
    ("signature", "status"),
    [("right", 200), ("of another body", 401), ("0" * 64, 401), ("", 401), ("ø", 401)],
)
def test_only_what_carries_the_signature_of_the_raw_body_is_believed(
    ours: Installation, made: Webhook, signals: Signals, signature: str, status: int
) -> None:
    body = b'{ "events": [ {"action": "added"} ] }'
    signed = {"right": body, "of another body": body.replace(b" ", b"")}.get(signature)
    if signed is not None:
        signature = hmac.new(made.secret.encode(), signed, hashlib.sha256).hexdigest()
    answer = requests.post(
        made.target, data=body, headers={"X-Hook-Signature": signature.encode("latin-1")}, timeout=40
    )
    assert answer.status_code == status
    assert (signals.newest("asana") is not None) == (status == 200)


def test_nobody_replaces_the_secret_once_the_webhook_is_made(ours: Installation, made: Webhook) -> None:
    hook = made.target.rpartition("/")[2]
    answer = requests.post(made.target, headers={"X-Hook-Secret": "mine"}, timeout=40)
    assert answer.status_code == 403
    assert "X-Hook-Secret" not in answer.headers
    assert book(ours.asana).secret(hook) == made.secret


def test_a_handshake_nobody_waits_for_any_more_is_refused(ours: Installation, door: str) -> None:
    book(ours.asana).write(Hook("abc", "1", None, ours.clock.now() + PENDING))
    ours.clock.sleep(PENDING.total_seconds() + 1)
    answer = requests.post(f"{door}/hooks/asana/abc", headers={"X-Hook-Secret": "mine"}, timeout=40)
    assert answer.status_code == 403


def test_an_address_that_was_never_made_is_unknown(door: str) -> None:
    answer = requests.post(f"{door}/hooks/asana/guess", headers={"X-Hook-Secret": "mine"}, timeout=40)
    assert answer.status_code == 404


def test_the_secret_of_the_answer_counts_whoever_shook_hands_meanwhile(
    ours: Installation, door: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overheard(self: Book, hook: str, secret: str, keep: Callable[..., None] = Book.keep_secret) -> None:
        keep(self, hook, secret)
        if len(stolen) == 0:
            stolen.append(hook)
            keep(self, hook, "mine")

    stolen: list[str] = []
    monkeypatch.setattr(Book, "keep_secret", overheard)
    ours.asana.webhooks(door).make()
    assert book(ours.asana).secret(stolen[0]) == only(sandbox.asana.world).secret


def test_the_secret_is_in_the_vault_and_nowhere_else(
    ours: Installation, made: Webhook, engine: sa.Engine
) -> None:
    with engine.connect() as connection:
        tables = sa.inspect(engine).get_table_names()
        held = str([connection.execute(sa.text(f"select * from {name}")).all() for name in tables])
    assert made.target.rpartition("/")[2] in held
    assert made.secret not in held


def test_making_again_changes_nothing(ours: Installation, door: str, made: Webhook, sandbox: Sandbox) -> None:
    sandbox.log.reset()
    assert ours.asana.webhooks(door).make() == []
    assert only(sandbox.asana.world) is made
    assert sandbox.log.count("asana") == 1


def test_a_webhook_that_asana_deleted_after_a_day_of_failures_is_made_again(
    ours: Installation, sandbox: Sandbox, project: str, signals: Signals
) -> None:
    with served(receiver({"asana": ours.asana.hooks}, signals, seconds=30)) as gone:
        ours.asana.webhooks(gone).make()
    for _ in range(40):
        sandbox.clock.advance(timedelta(hours=1))
        sandbox.asana.dispatcher.settle()
    assert sandbox.asana.world.all(Webhook) == []
    with served(receiver({"asana": ours.asana.hooks}, signals, seconds=30)) as door:
        assert ours.asana.webhooks(door).state() == [(project, None)]
        assert ours.asana.webhooks(door).make() == [project]
        assert [hook.project for hook in book(ours.asana).all()] == [project]
        assert only(sandbox.asana.world).target.startswith(door)
        assert ours.asana.webhooks(door).delete() == 1


def test_a_lost_answer_leaves_one_webhook_that_works(
    ours: Installation, door: str, sandbox: Sandbox, signals: Signals
) -> None:
    sandbox.faults.arm("asana", "drop_connection", match=CALL, when="after")
    ours.asana.webhooks(door).make()
    comment(ours, sandbox)
    sandbox.asana.dispatcher.settle()
    assert only(sandbox.asana.world).last_success is not None
    assert signals.newest("asana") is not None


def test_a_call_that_never_arrived_leaves_nothing_behind(
    ours: Installation, door: str, sandbox: Sandbox
) -> None:
    sandbox.faults.arm("asana", "drop_connection", match=CALL, when="before")
    with pytest.raises(InDoubt):
        ours.asana.webhooks(door).make()
    assert book(ours.asana).all() == []
    assert sandbox.asana.world.all(Webhook) == []


def test_an_address_that_asana_cannot_reach_is_told_in_its_words(
    ours: Installation, door: str, sandbox: Sandbox
) -> None:
    sandbox.asana.switches["loopback_targets"] = "refused"
    with pytest.raises((Refused, Misconfigured), match="cannot be reached"):
        ours.asana.webhooks(door).make()
    assert book(ours.asana).all() == []


def test_a_webhook_whose_database_was_lost_is_replaced(
    ours: Installation, door: str, made: Webhook, sandbox: Sandbox
) -> None:
    book(ours.asana).forget(made.target.rpartition("/")[2])
    assert len(ours.asana.webhooks(door).make()) == 1
    assert only(sandbox.asana.world).gid != made.gid


def test_webhooks_of_others_are_left_alone(
    ours: Installation, door: str, sandbox: Sandbox, project: str
) -> None:
    with served(receiver({"asana": ours.asana.hooks}, Signals(ours.engine, ours.clock), seconds=30)) as other:
        theirs = Webhooks(ours.asana.client, book(ours.asana), other, {project: False})
        theirs.make()
        gid = only(sandbox.asana.world).gid
        book(ours.asana).forget(only(sandbox.asana.world).target.rpartition("/")[2])
        ours.asana.webhooks(door).make()
        ours.asana.webhooks(door).delete()
        assert only(sandbox.asana.world).gid == gid


def test_custom_fields_are_asked_for_only_where_they_go_back(
    install: Callable[..., Installation], ours: Installation, door: str, sandbox: Sandbox
) -> None:
    ours.asana.webhooks(door).make()
    assert [wanted["resource_type"] for wanted in only(sandbox.asana.world).filters] == ["story"]
    ours.asana.webhooks(door).delete()
    more = install(destinations={"supplier_invoices": {"way_back": {"fields": ["Remark"]}}})
    more.asana.webhooks(door).make()
    assert [wanted["resource_type"] for wanted in only(sandbox.asana.world).filters] == ["story", "task"]
