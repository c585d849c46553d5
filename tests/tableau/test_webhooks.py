"""Webhooks: made by the set-up, believed by the secret in their address, and of no weight otherwise."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from mlc_dagster.database.schema import signals as table
from mlc_dagster.receiver import Signals
from mlc_dagster.receiver.app import receiver
from mlc_dagster.tableau.webhooks import SOURCE
from mlc_dagster.transport.errors import InDoubt
from mlc_sandbox.server import Sandbox
from mlc_sandbox.tableau import World
from mlc_sandbox.tableau.store import Webhook
from tests.support.serving import served
from tests.tableau.site import APP, Installation, switched

BOTH = ["make the webhook datasource-refresh-failed", "make the webhook workbook-refresh-failed"]


@pytest.fixture(autouse=True)
def local(sandbox: Sandbox) -> None:
    """A receiver on this machine has no certificate."""
    sandbox.tableau.switches["webhook_scheme"] = "any"


@pytest.fixture
def signals(ours: Installation) -> Signals:
    return Signals(ours.engine, ours.clock)


@pytest.fixture
def door(ours: Installation, signals: Signals) -> Iterator[str]:
    """The receiver, in patience as a slow machine needs it."""
    with served(receiver({SOURCE: ours.tableau.hooks}, signals, seconds=30)) as url:
        yield url


def set_up(ours: Installation, door: str) -> list[str]:
    setup = ours.tableau.setup(door)
    return setup.apply(setup.plan())


def hooks(world: World) -> dict[str, Webhook]:
    """By event."""
    there = world.site().webhooks.values()
    found = {hook.event.removeprefix("webhook-source-event-"): hook for hook in there}
    assert len(found) == len(there)
    return found


def secret_of(hook: Webhook) -> str:
    return hook.url.rpartition("/")[2]


def refresh(world: World, sandbox: Sandbox) -> None:
    """The extract's refresh fails, and whoever asked is told."""
    sandbox.faults.arm("tableau", "job_ends", code=1, note="The login failed.")
    world.jobs.refresh(world.site(), world.datasource("Exchange rates"))
    sandbox.tableau.release()
    world.webhooks.sent()


def kept(ours: Installation) -> list[str]:
    with ours.engine.connect() as connection:
        return [str(tuple(row)) for row in connection.execute(sa.select(table))]


def test_the_set_up_makes_them_once(ours: Installation, world: World, door: str) -> None:
    assert ours.tableau.setup(door).plan().steps == BOTH
    assert set_up(ours, door) == []
    assert sorted(hooks(world)) == ["datasource-refresh-failed", "workbook-refresh-failed"]
    assert ours.tableau.setup(door).plan().steps == []


def test_without_a_receiver_there_are_none_and_the_set_up_says_why(ours: Installation) -> None:
    plan = ours.tableau.setup(None).plan()
    assert plan.steps == []
    assert "`receiver: url:`" in plan.hooks.unable


def test_a_failed_refresh_is_a_signal_that_does_not_tell_the_secret(
    ours: Installation, world: World, sandbox: Sandbox, door: str, signals: Signals
) -> None:
    set_up(ours, door)
    refresh(world, sandbox)
    assert list(signals.waiting(SOURCE)) == ["refreshes"]
    secret = secret_of(hooks(world)["datasource-refresh-failed"])
    assert len(secret) > 40
    assert secret not in "".join(kept(ours))
    assert secret not in repr(ours.tableau.client.webhooks())


@pytest.mark.parametrize(
    ("fault", "count"), [("webhook_duplicate", 1), ("webhook_late", 1), ("webhook_lost", 0)]
)
def test_a_signal_may_come_twice_late_or_never(
    ours: Installation, sandbox: Sandbox, door: str, fault: str, count: int
) -> None:
    set_up(ours, door)
    sandbox.faults.arm("tableau", fault)
    refresh(sandbox.tableau.world, sandbox)
    sandbox.tableau.release()
    sandbox.tableau.world.webhooks.sent()
    assert len(kept(ours)) == count


def test_tableaus_own_test_is_answered_and_is_no_news(ours: Installation, world: World, door: str) -> None:
    set_up(ours, door)
    for hook in hooks(world).values():
        assert world.webhooks.test(hook) == (200, "")
    assert kept(ours) == []


def test_who_does_not_know_the_secret_is_told_nothing(ours: Installation, world: World, door: str) -> None:
    def knock(place: str) -> int:
        return requests.post(f"{door}/hooks/tableau/{place}", data=b"{}", timeout=40).status_code

    assert knock("anything") == 404
    set_up(ours, door)
    secret = secret_of(hooks(world)["datasource-refresh-failed"])
    assert {knock(place) for place in ("anything", secret[:-1], secret + "x", secret.swapcase())} == {404}
    assert kept(ours) == []
    assert knock(secret) == 200


def test_a_webhook_that_tableau_switched_off_is_switched_on_by_the_set_up(
    ours: Installation, world: World, sandbox: Sandbox, signals: Signals
) -> None:
    with served(receiver({}, signals)) as door, switched(sandbox, webhook_disable_after=1):
        set_up(ours, door)
        refresh(world, sandbox)
        assert [sent["attempts"] for sent in world.webhooks.sent()] == [4]
        hook = hooks(world)["datasource-refresh-failed"]
        assert not hook.enabled
        assert ours.tableau.setup(door).plan().steps == [f"switch the webhook {hook.id} on again"]
        set_up(ours, door)
        assert hook.enabled


def test_webhooks_of_a_lost_secret_are_replaced(ours: Installation, world: World, door: str) -> None:
    set_up(ours, door)
    before = [hook.id for hook in hooks(world).values()]
    vault = ours.tableau._parts.vault
    [entry] = [name for name in vault.names() if name.startswith("tableau/webhook/")]
    vault.remove(entry)
    steps = ours.tableau.setup(door).plan().steps
    assert steps == [*BOTH, *(f"delete the webhook {id}, which is of no use any more" for id in before)]
    set_up(ours, door)
    assert {hook.id for hook in hooks(world).values()}.isdisjoint(before)
    assert ours.tableau.setup(door).plan().steps == []


def test_webhooks_of_others_are_left_alone(ours: Installation, world: World, door: str) -> None:
    event, url = "webhook-source-event-user-deleted", "https://x.example/hooks/tableau/1"
    world.site().webhooks["1"] = other = Webhook("1", "theirs", event, url, "u", ours.clock.now())
    set_up(ours, door)
    assert other in world.site().webhooks.values()


def test_after_a_lost_answer_the_set_up_may_be_repeated(
    ours: Installation, world: World, sandbox: Sandbox, door: str
) -> None:
    sandbox.faults.arm("tableau", "drop_connection", match="POST .*/webhooks", when="after")
    with pytest.raises(InDoubt):
        set_up(ours, door)
    set_up(ours, door)
    assert len(hooks(world)) == 2


@pytest.mark.parametrize("known", [True, False], ids=["the site knows flows", "the site knows no flows"])
def test_where_flows_are_ours_to_run_their_ends_are_told_too(
    install: Callable[..., Installation], world: World, sandbox: Sandbox, door: str, known: bool
) -> None:
    ours = install(run_flows=tuple(world.site().flows))
    with switched(sandbox, flow_events=known):
        undone = set_up(ours, door)
    assert ("flow-completed" in hooks(world)) == known
    assert [line.partition(":")[0] for line in undone] == (
        [] if known else ["the webhook flow-completed was refused"]
    )


@pytest.mark.parametrize("how", [{"scope_refusal": 401002}, {"scope_refusal": 403004}])
def test_with_credentials_that_may_not_the_rest_is_set_up_all_the_same(
    install: Callable[..., Installation], sandbox: Sandbox, door: str, how: dict[str, Any]
) -> None:
    ours = install(auth=APP, project="Finance")
    setup = ours.tableau.setup(door)
    with switched(sandbox, **how):
        plan = setup.plan()
        assert plan.steps == ["create the project 'Finance'"]
        assert plan.hooks.unable.startswith("webhooks cannot be made: ")
        assert setup.apply(plan) == []
    assert ours.tableau.look() == "project Finance"


def test_a_connected_app_that_may_makes_them(
    install: Callable[..., Installation], sandbox: Sandbox, world: World, door: str
) -> None:
    with switched(sandbox, jwt_webhooks=True):
        set_up(install(auth=APP), door)
    assert len(hooks(world)) == 2


def test_an_address_without_tls_is_refused_in_words(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    with switched(sandbox, webhook_scheme="https"):
        undone = set_up(ours, "http://127.0.0.1:1")
    assert ["https address with a valid certificate" in line for line in undone] == [True, True]
    assert hooks(world) == {}
