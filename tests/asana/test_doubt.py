"""Calls nobody answered, limits, and answers that came in pieces: each document is one task in the end."""

from datetime import timedelta
from typing import Any

import pytest

from mlc_dagster.delivery import Report, distrust
from mlc_dagster.delivery.errors import Closed, Stop
from mlc_sandbox.asana.store import Task
from mlc_sandbox.asana.world import World
from mlc_sandbox.server import Sandbox
from tests.asana.tenant import Installation, cards, invoice

ROWS = [invoice(str(number)) for number in range(25)]
KEYS = {row.key for row in ROWS}
BATCH = "POST .*/batch"


@pytest.fixture
def project(world: World) -> str:
    return world.members["supplier_invoices"]


Lost = tuple[str, dict[str, Any]]
LOST: list[Lost] = [
    ("drop_connection", {"when": "before"}),
    ("drop_connection", {"when": "after"}),
    ("lost_answer", {"seconds": 0.1}),
    ("late_commit", {"seconds": 30, "answer_seconds": 0.1}),
    ("server_error", {"status": 500, "committed": True}),
    ("server_error", {"status": 504, "committed": True}),
    ("server_error", {"status": 504, "committed": False}),
    ("partial_batch", {}),
]


@pytest.mark.parametrize("lost", LOST, ids=str)
# The first two batches make options of vocabularies.
@pytest.mark.parametrize(("after", "external"), [(0, False), (2, False), (3, True)])
def test_a_create_without_an_answer_makes_one_task(
    ours: Installation, server: Sandbox, lost: Lost, after: int, external: bool
) -> None:
    sandbox, world = server, server.asana.world
    project = world.members["supplier_invoices"]
    if external:
        sandbox.asana.switches["external_with_pat"] = "allowed"
        assert ours.set_up()
    sandbox.faults.arm("asana", lost[0], match=BATCH, times=1, after=after, **lost[1])
    reports: list[Report] = []

    def work() -> Report:
        reports.append(ours.deliver(ROWS))
        return reports[-1]

    ours.heal(work)
    assert sandbox.faults.armed() == []
    assert set(cards(world, project)) == KEYS
    sandbox.log.reset()
    assert ours.deliver(ROWS).unchanged == len(ROWS)
    assert sandbox.log.count("asana") == 0


@pytest.mark.parametrize("lost", LOST, ids=str)
def test_a_change_without_an_answer_ends_right(
    ours: Installation, sandbox: Sandbox, world: World, project: str, lost: Lost
) -> None:
    ours.deliver(ROWS)
    changed = [invoice(str(number), "7.00", board_section="Done", ended=True) for number in range(25)]
    sandbox.faults.arm("asana", lost[0], match=BATCH, times=1, after=1, **lost[1])
    ours.heal(lambda: ours.deliver(changed))
    assert sandbox.faults.armed() == []
    sandbox.clock.advance(timedelta(minutes=5))
    found = cards(world, project)
    assert set(found) == KEYS
    assert {(card.section, card.completed, card.fields["Amount"]) for card in found.values()} == {
        ("Done", True, 7)
    }


@pytest.mark.parametrize("lost", LOST[:-1], ids=str)
def test_a_comment_without_an_answer_is_posted_once(
    ours: Installation, sandbox: Sandbox, world: World, project: str, lost: Lost
) -> None:
    ours.deliver([invoice("1")])
    # It looks at the task, changes it and moves it before.
    sandbox.faults.arm("asana", lost[0], match=BATCH, times=1, after=3, **lost[1])
    voided = invoice("1", ended=True, ending="The ERP has voided it.", board_section="Cancelled")
    ours.heal(lambda: ours.deliver([voided]))
    assert sandbox.faults.armed() == []
    sandbox.clock.advance(timedelta(minutes=5))
    assert len(cards(world, project)["NO01|Invoice|1"].comments) == 1


def test_a_late_create_is_waited_for_by_the_next_run_not_by_this_one(
    ours: Installation, sandbox: Sandbox
) -> None:
    sandbox.faults.arm("asana", "late_commit", match=BATCH, times=1, after=2, seconds=30, answer_seconds=0.1)
    with pytest.raises(Closed) as closed:
        ours.deliver(ROWS)
    wait = (closed.value.opens_at - ours.clock.now()).total_seconds()
    assert 60 < wait < 120


def test_too_many_calls_are_repeated_when_asana_says(
    ours: Installation, sandbox: Sandbox, world: World, project: str
) -> None:
    sandbox.faults.arm("asana", "rate_limit", match=BATCH, times=2, retry_after=10)
    assert ours.deliver(ROWS).created == len(ROWS)
    assert set(cards(world, project)) == KEYS


def test_an_hour_s_wait_holds_no_worker(
    ours: Installation, sandbox: Sandbox, world: World, project: str
) -> None:
    sandbox.faults.arm("asana", "rate_limit", match=BATCH, times=1, after=3, retry_after=3600)
    with pytest.raises(Closed):
        ours.deliver(ROWS)
    ours.heal(lambda: ours.deliver(ROWS))
    assert set(cards(world, project)) == KEYS


def test_a_task_of_a_batch_in_doubt_that_is_to_be_sent_again_is_not_made_twice(
    ours: Installation, sandbox: Sandbox, world: World, project: str
) -> None:
    """The batch in doubt has asked which tasks the project lists, and then made one more."""
    ours.deliver([invoice("1")])
    rows = [invoice("1", "7.00"), invoice("2")]
    sandbox.faults.arm("asana", "rate_limit", match=BATCH, times=1, after=1, retry_after=3600)
    with pytest.raises(Closed):
        ours.deliver(rows)
    assert ours.ledger.keys_in_doubt(ours.main, "NO01") == {row.key for row in rows}
    distrust(ours.destination(), "NO01", ledger=ours.ledger, run_id="2", reason="people edited")
    ours.heal(lambda: ours.deliver(rows))
    assert len([task for task in world.all(Task) if project in task.places]) == len(rows)


def test_a_free_workspace_s_quota_is_kept_to(install, sandbox: Sandbox, world: World, project: str) -> None:
    sandbox.asana.switches["calls_per_minute"] = 150
    ours = install(calls_per_minute=150)
    ours.set_up()
    rows = [invoice(str(number)) for number in range(200)]
    ours.heal(lambda: ours.deliver(rows))
    assert len(cards(world, project)) == 200
    assert sandbox.log.count("asana", status=429) == 0


def test_a_create_asana_makes_twice_is_shown_by_the_proof(
    ours: Installation, sandbox: Sandbox, world: World, project: str
) -> None:
    from mlc_dagster.delivery import reconcile
    from tests.asana.tenant import INVOICES

    ours.deliver([invoice("1")])
    (task,) = [task for task in world.all(Task) if project in task.places]
    twin = ours.asana.client.create("/tasks", {"name": "Twin", "projects": [project]})
    copied = world.get(Task, twin["gid"])
    copied.values = dict(task.values)
    read_back = ours.asana.read_back("supplier_invoices")
    found = reconcile(ours.ledger, read_back, INVOICES, "NO01", tombstone=ours.destination().tombstone)
    assert found.extra == 1
    assert any("more than once" in difference.words for difference in found.differences)


def test_a_revoked_token_stops_with_what_to_do(ours: Installation, sandbox: Sandbox) -> None:
    sandbox.faults.arm("asana", "unauthorized", times=10)
    with pytest.raises(Stop, match="token of the Asana pair"):
        ours.deliver([invoice("1")])


def test_a_free_plan_is_told_as_what_it_is(install, sandbox: Sandbox) -> None:
    from mlc_dagster.transport.errors import Misconfigured

    sandbox.asana.switches["premium"] = False
    with pytest.raises(Misconfigured, match="paid plan"):
        install().set_up()
