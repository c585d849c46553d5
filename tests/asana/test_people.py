"""People work on the board too: what they do there stays, and what the ERP says is still right."""

from decimal import Decimal

import pytest

from mlc_sandbox.asana.store import Section, Task
from mlc_sandbox.asana.world import World
from mlc_sandbox.server import Sandbox
from tests.asana.tenant import Card, Installation, cards, invoice

KEY = "NO01|Invoice|1"
CLERK, BUYER = "ap-clerk@nordfjell.example", "buyer-nordics@nordfjell.example"


@pytest.fixture
def project(world: World) -> str:
    return world.members["supplier_invoices"]


@pytest.fixture
def task(ours: Installation, world: World, project: str) -> Task:
    ours.deliver([invoice("1", assignee=CLERK)])
    (made,) = [task for task in world.all(Task) if project in task.places]
    return made


def card(world: World, project: str) -> Card:
    return cards(world, project)[KEY]


def test_a_supplier_s_member_is_assigned_by_address(task: Task, world: World, project: str) -> None:
    assert card(world, project).assignee == CLERK


def test_an_address_of_nobody_in_the_workspace_leaves_the_task_unassigned(
    ours: Installation, world: World, project: str
) -> None:
    report = ours.deliver([invoice("1", assignee="nobody@nordfjell.example")])
    assert report.created == 1
    assert card(world, project).assignee is None


def test_another_member_for_the_supplier_reassigns_its_tasks(
    ours: Installation, task: Task, world: World, project: str
) -> None:
    ours.deliver([invoice("1", assignee=BUYER)])
    assert card(world, project).assignee == BUYER


def test_a_task_people_gave_to_somebody_else_stays_with_them(
    ours: Installation, task: Task, world: World, project: str
) -> None:
    task.assignee = world.members["controller"]
    ours.deliver([invoice("1", assignee=BUYER, title="Invoice 1 New name AS")])
    assert card(world, project).assignee == "controller@nordfjell.example"


def test_words_before_the_name_stay_when_the_name_changes(
    ours: Installation, task: Task, world: World, project: str
) -> None:
    task.name = f"URGENT: {task.name}"
    ours.deliver([invoice("1", assignee=CLERK, title="Invoice 1 New name AS")])
    assert card(world, project).name == "URGENT: Invoice 1 New name AS"


def test_a_name_people_wrote_themselves_stays(
    ours: Installation, task: Task, world: World, project: str
) -> None:
    task.name = "Ask the supplier"
    ours.deliver([invoice("1", assignee=CLERK, title="Invoice 1 New name AS")])
    assert card(world, project).name == "Ask the supplier"


def test_a_task_moved_by_hand_stays_where_it_is(
    ours: Installation, task: Task, world: World, project: str
) -> None:
    waiting = world.add(Section(world.new_gid(), "Waiting for goods", project, world.clock.now()))
    world.get(type(world.get(Section, task.places[project])), task.places[project]).tasks.remove(task.gid)
    task.places[project] = waiting.gid
    ours.deliver([invoice("1", assignee=CLERK, board_section="Done", ended=True, status="Closed")])
    shown = card(world, project)
    assert (shown.section, shown.completed, shown.fields["ERP status"]) == (
        "Waiting for goods",
        True,
        "Closed",
    )


def test_a_section_people_renamed_is_still_ours(
    ours: Installation, task: Task, world: World, project: str
) -> None:
    section = world.get(Section, task.places[project])
    section.name = "To be paid"
    ours.deliver([invoice("1", assignee=CLERK), invoice("2")])
    assert {each.section for each in cards(world, project).values()} == {"To be paid"}


def test_a_task_people_completed_stays_completed(
    ours: Installation, task: Task, world: World, project: str
) -> None:
    task.completed = True
    ours.deliver([invoice("1", "50.00", assignee=CLERK, title="Invoice 1 New name AS")])
    assert card(world, project).completed


def test_a_field_of_the_erp_is_put_right_with_the_next_change(
    ours: Installation, task: Task, world: World, project: str
) -> None:
    amount = next(gid for gid, value in task.values.items() if value == Decimal("100"))
    task.values[amount] = Decimal("1")
    ours.deliver([invoice("1", assignee=CLERK, title="Invoice 1 New name AS")])
    assert card(world, project).fields["Amount"] == Decimal("100")


def test_parts_the_settings_give_to_the_erp_are_put_right(install, world: World, project: str) -> None:
    ours = install(destinations={"supplier_invoices": {"people_may_change": []}})
    ours.set_up()
    ours.deliver([invoice("1", assignee=CLERK)])
    (task,) = [task for task in world.all(Task) if project in task.places]
    task.name, task.completed, task.assignee = "Mine", True, world.members["controller"]
    ours.deliver([invoice("1", assignee=BUYER, title="Invoice 1 New", ended=False, due_date=None)])
    shown = card(world, project)
    assert (shown.name, shown.assignee) == ("Invoice 1 New", BUYER)


def test_tasks_people_made_themselves_are_left_alone(
    ours: Installation, sandbox: Sandbox, world: World, project: str
) -> None:
    asana = ours.asana
    own = asana.client.create("/tasks", {"name": "Our own", "projects": [project]})
    ours.deliver([invoice("1")])
    ours.deliver([], gone=[invoice("1")])
    left = world.get(Task, own["gid"])
    assert (left.name, left.completed) == ("Our own", False)


def test_a_document_that_comes_back_gets_its_name_and_member_where_people_left_them_alone(
    ours: Installation, task: Task, world: World, project: str
) -> None:
    ours.deliver([], gone=[invoice("1")])
    ours.deliver([invoice("1", assignee=BUYER, title="Invoice 1 New name AS")])
    shown = card(world, project)
    assert (shown.name, shown.assignee) == ("Invoice 1 New name AS", BUYER)


def test_a_document_that_comes_back_keeps_the_name_and_member_people_gave_it(
    ours: Installation, sandbox: Sandbox, task: Task, world: World, project: str
) -> None:
    sandbox.asana.people.edit(task.gid, name="Ask the supplier", assignee="controller@nordfjell.example")
    ours.deliver([], gone=[invoice("1")])
    ours.deliver([invoice("1", assignee=BUYER, title="Invoice 1 New name AS")])
    shown = card(world, project)
    assert (shown.name, shown.assignee) == ("Ask the supplier", "controller@nordfjell.example")


def test_a_voided_document_whose_task_people_deleted_is_told_of_on_the_new_one(
    ours: Installation, sandbox: Sandbox, task: Task, world: World, project: str
) -> None:
    voided = {"status": "Voided", "board_section": "Cancelled", "ended": True, "ending": "Voided."}
    ours.deliver([invoice("1", **voided)])
    sandbox.asana.people.trash(task.gid)
    ours.deliver([invoice("1", "5.00", **voided)])
    assert len(card(world, project).comments) == 1


def test_words_before_the_name_stay_also_on_a_document_that_comes_back(
    ours: Installation, sandbox: Sandbox, task: Task, world: World, project: str
) -> None:
    sandbox.asana.people.edit(task.gid, name=f"URGENT: {task.name}")
    renamed = invoice("1", title="Invoice 1 New name AS")
    ours.deliver([renamed])
    ours.deliver([], gone=[renamed])
    ours.deliver([renamed])
    assert card(world, project).name == "URGENT: Invoice 1 New name AS"
