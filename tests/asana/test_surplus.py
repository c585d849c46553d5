"""Tasks that should not be there, or not be open: what a repair makes of them."""

from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from mlc_dagster.database.schema import records
from mlc_dagster.delivery import Comparison, condemn, reconcile
from mlc_sandbox.asana.store import Task, User
from mlc_sandbox.asana.world import World
from mlc_sandbox.server import Sandbox
from tests.asana.tenant import INVOICES, Card, Installation, card_of, cards, invoice

DRAFT = invoice("1", notes="Tannhjul", assignee="ap-clerk@nordfjell.example")


def compared(ours: Installation) -> Comparison:
    read_back = ours.asana.read_back("supplier_invoices")
    return reconcile(ours.ledger, read_back, INVOICES, "NO01", tombstone=ours.destination().tombstone)


def repaired(ours: Installation) -> None:
    """As `mlc reconcile --repair` and the next run do."""
    found, feed = compared(ours).surplus.values(), ours.destination()
    assert condemn(feed, "NO01", found, ledger=ours.ledger, run_id="2", reason="nobody sent it") == 1
    assert ours.deliver([]).deleted == 1
    assert compared(ours).equal


def only_card(world: World) -> Card:
    (task,) = [task for task in world.all(Task) if task.places]
    return card_of(world, task, next(iter(task.places)))


def forget(ours: Installation) -> None:
    """Our database was put back to a time before the task."""
    with ours.engine.begin() as connection:
        connection.execute(sa.delete(records))


def test_a_task_whose_document_is_deleted_and_that_people_opened_again_is_closed_again(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    ours.deliver([DRAFT])
    ours.deliver([], gone=[DRAFT])
    closed = only_card(world)
    (task,) = [task for task in world.all(Task) if task.places]
    status = next(gid for gid, value in task.values.items() if value == "Deleted")
    sandbox.asana.people.edit(task.gid, completed=False)
    task.values[status] = "Open"
    assert (compared(ours).revived, only_card(world).completed) == (1, False)
    repaired(ours)
    assert only_card(world).fields == closed.fields
    assert only_card(world).comments == closed.comments
    assert (only_card(world).name, only_card(world).notes) == (closed.name, closed.notes)


@pytest.mark.parametrize("by_supplier", [False, True])
def test_a_task_of_no_document_is_closed_with_nothing_open_on_it_and_keeps_its_words(
    install, world: World, by_supplier: bool
) -> None:
    place = {"project_by": "supplier", "team": world.members["team"]}
    ours = install(destinations={"supplier_invoices": place} if by_supplier else {})
    ours.set_up()
    ours.deliver([DRAFT])
    before = only_card(world)
    forget(ours)
    found = compared(ours)
    assert (found.extra, found.copies, list(found.surplus)) == (1, 0, [DRAFT.key])
    repaired(ours)
    after = only_card(world)
    assert (after.completed, after.section) == (True, "Cancelled")
    assert (after.fields["ERP status"], after.fields["Balance"]) == ("Deleted", 0)
    assert (after.name, after.notes, after.due_on) == (before.name, before.notes, before.due_on)
    assert len(after.comments) == len(before.comments) + 1


def test_a_copy_of_a_task_is_left_to_people(ours: Installation, world: World) -> None:
    ours.deliver([DRAFT])
    (task,) = [task for task in world.all(Task) if task.places]
    project = next(iter(task.places))
    twin = ours.asana.client.create("/tasks", {"name": "Twin", "projects": [project]})
    world.get(Task, twin["gid"]).values = dict(task.values)
    assert (compared(ours).copies, compared(ours).surplus) == (1, {})


def test_a_second_task_of_one_create_is_named_and_left_to_people(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    """It has none of its fields, so no key either."""
    sandbox.faults.arm("asana", "double_create", times=1)
    ours.deliver([DRAFT])
    task, twin = [task for task in world.all(Task) if task.places]
    found = compared(ours)
    assert (found.extra, found.copies, found.surplus) == (1, 1, {})
    assert [(each.key, each.words) for each in found.differences] == [
        (twin.gid, f"is there without a key, as a copy of {DRAFT.key}")
    ]
    sandbox.asana.people.trash(twin.gid)
    assert compared(ours).equal
    assert task.trashed is None


@pytest.mark.parametrize("who", ["people, with our name", "we, with another name"])
def test_other_tasks_without_a_key_are_nobodys_copies(ours: Installation, world: World, who: str) -> None:
    ours.deliver([DRAFT])
    (task,) = [task for task in world.all(Task) if task.places]
    name = task.name if who.startswith("people") else "Read me first"
    other = ours.asana.client.create("/tasks", {"name": name, "projects": [next(iter(task.places))]})
    if who.startswith("people"):
        person = next(user.gid for user in world.all(User) if user.gid != world.members["integration"])
        world.get(Task, other["gid"]).created_by = person
    assert compared(ours).equal


def copied(ours: Installation, sandbox: Sandbox, world: World) -> tuple[Task, Task]:
    """A task, and a copy that somebody has made of it when there was a newer one."""
    ours.deliver([DRAFT])
    (task,) = [task for task in world.all(Task) if task.places]
    sandbox.clock.advance(timedelta(minutes=5))
    ours.deliver([DRAFT, invoice("2")])
    sandbox.clock.advance(timedelta(minutes=5))
    twin = ours.asana.client.create("/tasks", {"name": "Twin", "projects": [next(iter(task.places))]})
    copy = world.get(Task, twin["gid"])
    copy.values = dict(task.values)
    copy.modified = world.clock.now()
    # The search for unknown tasks meets it.
    ours.deliver([DRAFT, invoice("2"), invoice("3")])
    return task, copy


def test_a_change_goes_to_the_task_and_not_to_its_copy(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    task, copy = copied(ours, sandbox, world)
    ours.deliver([invoice("1", "7.00"), invoice("2"), invoice("3"), invoice("4")])
    assert card_of(world, task).fields["Amount"] == Decimal("7.00")
    assert card_of(world, copy).fields["Amount"] == Decimal("100.00")


def test_a_copy_that_people_delete_again_leaves_one_task(
    ours: Installation, sandbox: Sandbox, world: World
) -> None:
    task, copy = copied(ours, sandbox, world)
    sandbox.asana.people.trash(copy.gid)
    ours.deliver([invoice("1", "7.00"), invoice("2"), invoice("3"), invoice("4")])
    assert card_of(world, task).fields["Amount"] == Decimal("7.00")
    assert len(cards(world, world.members["supplier_invoices"])) == 4
