"""What Asana's documentation leaves open: whichever way it is, the tasks are right."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster.asana import client, projects
from mlc_dagster.database import connect, migrate
from mlc_dagster.delivery import distrust, reconcile
from mlc_dagster.delivery.errors import Closed
from mlc_dagster.transport.errors import Refused
from mlc_sandbox.asana.limits import WRITE
from mlc_sandbox.asana.store import Field, Project, Task
from mlc_sandbox.asana.switches import CHOICES
from mlc_sandbox.asana.world import World
from mlc_sandbox.server import Sandbox
from tests.asana.tenant import DAY, INVOICES, LINES, ORDERS, Installation, cards, invoice, line, order
from tests.support.sandbox_time import SandboxTime

Install = Callable[..., Installation]
VOIDED = {
    "status": "Voided",
    "board_section": "Cancelled",
    "ended": True,
    "ending": "The ERP has voided it.",
}


@pytest.fixture
def project(world: World) -> str:
    return world.members["supplier_invoices"]


def tasks(world: World, project: str) -> list[Task]:
    return [task for task in world.all(Task) if project in task.places and task.trashed is None]


def field(world: World, name: str) -> Field:
    return next(each for each in world.all(Field) if each.name == name)


@pytest.mark.parametrize("way", CHOICES["memberships_on_create"])
def test_a_new_task_stands_in_its_section(
    ours: Installation, sandbox: Sandbox, world: World, project: str, way: str
) -> None:
    sandbox.asana.switches["memberships_on_create"] = way
    ours.deliver([invoice("1"), invoice("2", **VOIDED)])
    shown = {key: (card.section, len(card.comments)) for key, card in cards(world, project).items()}
    assert shown == {"NO01|Invoice|1": ("Open", 0), "NO01|Invoice|2": ("Cancelled", 1)}


@pytest.mark.parametrize("way", CHOICES["create_with_bad_field"])
def test_a_task_that_is_refused_run_after_run_is_made_at_most_once(
    ours: Installation, sandbox: Sandbox, world: World, project: str, way: str
) -> None:
    sandbox.asana.switches.update(create_with_bad_field=way, number_digits=5)
    good, bad = invoice("1"), invoice("2", "1234567.89")
    for _ in range(3):
        assert ours.deliver([good, bad]).failed == 1
    made = 1 if way == "refused" else 2
    assert len(tasks(world, project)) == made
    sandbox.asana.switches["number_digits"] = 0
    ours.deliver([good, bad])
    assert len(tasks(world, project)) == 2
    assert cards(world, project)["NO01|Invoice|2"].fields["Amount"] == Decimal("1234567.89")
    assert ours.deliver([good, bad]).unchanged == 2


@pytest.mark.parametrize("way", CHOICES["trashed_task"])
def test_a_task_in_the_trash_is_made_anew_when_everything_is_sent_again(
    ours: Installation, sandbox: Sandbox, world: World, project: str, way: str
) -> None:
    sandbox.asana.switches["trashed_task"] = way
    rows = [invoice("1"), invoice("2")]
    ours.deliver(rows)
    sandbox.asana.people.trash(tasks(world, project)[0].gid)
    distrust(ours.destination(), "NO01", ledger=ours.ledger, run_id="run 2", reason="tasks were lost")
    ours.deliver(rows)
    assert set(cards(world, project)) == {row.key for row in rows}
    assert ours.deliver(rows).unchanged == 2


@pytest.mark.parametrize("way", CHOICES["duplicate_attach"])
def test_the_set_up_survives_a_lost_answer_to_an_attachment(
    install: Install, sandbox: Sandbox, world: World, way: str
) -> None:
    sandbox.asana.switches["duplicate_attach"] = way
    sandbox.faults.arm("asana", "drop_connection", match=".*addCustomFieldSetting", times=1, when="after")
    ours = install()
    ours.set_up()
    assert ours.asana.setup.plan().steps == ()
    assert ours.deliver([invoice("1")]).created == 1


@pytest.mark.parametrize("way", CHOICES["duplicate_option_name"])
def test_options_whose_making_nobody_answered_are_used(
    ours: Installation, sandbox: Sandbox, world: World, project: str, way: str
) -> None:
    sandbox.asana.switches["duplicate_option_name"] = way
    sandbox.faults.arm("asana", "drop_connection", match=".*/batch", times=1, when="after")
    rows = [invoice(str(number), cost_centre=f"C{number}") for number in range(3)]
    ours.heal(lambda: ours.deliver(rows))
    shown = sorted(card.fields["Cost centre"] for card in cards(world, project).values())
    assert shown == ["C0", "C1", "C2"]
    names = [option.name for option in field(world, "Cost centre").options]
    assert len(names) == len(set(names))


def test_the_five_hundredth_option_is_the_last_and_later_values_are_text(
    ours: Installation, world: World, project: str
) -> None:
    board = ours.destination()._places.of(invoice("1").payload).board  # type: ignore[attr-defined]
    board.make_room({"cost_centre": [f"C{number:03}" for number in range(498)]})
    rows = [invoice("1", cost_centre="C497"), invoice("2", cost_centre="X1"), invoice("3", cost_centre="X2")]
    assert ours.deliver(rows).created == 3
    assert len(field(world, "Cost centre").options) == projects.OPTIONS_AT_MOST
    shown = [
        (card.fields.get("Cost centre"), card.fields.get("Cost centre (other)"))
        for card in cards(world, project).values()
    ]
    assert sorted(shown, key=str) == [("C497", None), ("X1", None), (None, "X2")]
    found = reconcile(ours.ledger, ours.asana.read_back("supplier_invoices"), INVOICES, "NO01", tombstone={})
    assert found.equal, found.differences


@pytest.mark.parametrize("retry_after", ["always", "never"])
@pytest.mark.parametrize("limit", [{"calls_per_minute": 60}, {"cost_per_minute": 300}], ids=str)
def test_limits_lower_than_the_settings_say_cost_time_only(
    ours: Installation, sandbox: Sandbox, world: World, retry_after: str, limit: dict[str, int]
) -> None:
    rows = [invoice(str(number)) for number in range(30)]
    sandbox.asana.switches.update(retry_after=retry_after, **limit)
    ours.heal(lambda: ours.deliver(rows))
    assert set(cards(world, world.members["supplier_invoices"])) == {row.key for row in rows}


class BusyToken(SandboxTime):
    """Another program has writes in flight with our token, until we have waited once."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox.clock)
        self._flights = sandbox.asana.world.limits.in_flight
        self._flights[sandbox.asana.world.login.pat, WRITE] = 8

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._flights.clear()


def test_a_batch_that_finds_too_many_in_flight_waits_and_is_sent_again(
    ours: Installation, sandbox: Sandbox, world: World, project: str
) -> None:
    sandbox.asana.switches["retry_after"] = "not_in_flight"
    ours.deliver([invoice("0")])
    busy = replace(ours, clock=BusyToken(sandbox))
    assert busy.deliver([invoice(str(number)) for number in range(1, 25)]).created == 24
    assert len(cards(world, project)) == 25
    assert sandbox.log.count("asana", status=429) >= 1


def test_a_listing_whose_token_expires_on_the_way_begins_again(
    ours: Installation, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [invoice(str(number)) for number in range(12)]
    ours.deliver(rows)
    monkeypatch.setattr(client, "PAGE", 5)
    shown = ours.asana.read_back("supplier_invoices").rows("NO01")  # type: ignore[union-attr]
    found = [next(shown).key]
    sandbox.clock.advance(timedelta(minutes=16))
    found += [row.key for row in shown]
    assert sorted(found) == sorted(row.key for row in rows)


def test_a_project_too_long_for_one_listing_is_read_by_section(
    ours: Installation, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [invoice(str(number)) for number in range(24)]
    rows += [invoice(str(number), status="Closed", board_section="Done") for number in range(24, 48)]
    ours.deliver(rows)
    monkeypatch.setattr(client, "PAGE", 10)
    sandbox.asana.switches["listing_end"] = 30
    read_back = ours.asana.read_back("supplier_invoices")
    found = reconcile(ours.ledger, read_back, INVOICES, "NO01", tombstone={})
    assert (found.found, found.equal) == (48, True)


@pytest.mark.parametrize("way", CHOICES["subtasks_in_project_lists"])
def test_a_line_people_put_into_the_project_is_no_document(
    install: Install, sandbox: Sandbox, world: World, way: str
) -> None:
    sandbox.asana.switches["subtasks_in_project_lists"] = way
    ours = install(destinations={"purchase_orders": {"lines": "subtasks"}})
    ours.set_up()
    ours.deliver([order("1")], name=ORDERS)
    ours.deliver([line("1", 1)], name=LINES)
    (subtask,) = [task for task in world.all(Task) if task.parent]
    sandbox.asana.people.edit(subtask.gid, project="Purchase orders")
    found = reconcile(ours.ledger, ours.asana.read_back("purchase_orders"), ORDERS, "NO01", tombstone={})
    assert found.equal, found.differences
    ours.deliver([line("1", 1, title="1 | Tannhjul | 3 stk | 250 NOK")], name=LINES)
    assert subtask.name == "1 | Tannhjul | 3 stk | 250 NOK"


def test_a_line_with_a_long_text_keeps_its_key(install: Install, world: World) -> None:
    ours = install(destinations={"purchase_orders": {"lines": "subtasks"}})
    ours.set_up()
    ours.deliver([order("1")], name=ORDERS)
    ours.deliver([line("1", 1, notes="x" * 40_000)], name=LINES)
    (subtask,) = [task for task in world.all(Task) if task.parent]
    assert len(subtask.notes) <= 32_000
    assert subtask.notes.endswith("\nERP line: NO01|RegularOrder|1|1")


def test_a_task_whose_project_changed_leaves_the_old_one_also_after_a_crash(
    install: Install, sandbox: Sandbox, world: World
) -> None:
    by = {"project_by": "branch", "team": world.members["team"]}
    ours = install(destinations={"supplier_invoices": by})
    ours.set_up()
    ours.deliver([invoice("1", branch="1")])
    # The first batch looks, the second moves, the third leaves.
    sandbox.faults.arm("asana", "drop_connection", match=".*/batch", times=20, after=2, when="before")
    moved = invoice("1", branch="2")
    with pytest.raises(Exception, match="batch"):
        ours.deliver([moved])
    sandbox.faults.clear()
    ours.heal(lambda: ours.deliver([moved]))
    made = {each.name: len(cards(world, each.gid)) for each in world.all(Project)}
    assert (made["Supplier invoices: 1"], made["Supplier invoices: 2"]) == (0, 1)


@pytest.mark.parametrize("by", ["supplier", "branch", "erp_project"])
def test_documents_without_a_place_go_into_a_project_of_their_own(
    install: Install, world: World, by: str
) -> None:
    column = {"supplier": "supplier_name"}.get(by, by)
    ours = install(destinations={"supplier_invoices": {"project_by": by, "team": world.members["team"]}})
    ours.set_up()
    ours.deliver([invoice("1", **{column: "A"}), invoice("2", **{column: None})])
    made = {each.name: list(cards(world, each.gid)) for each in world.all(Project)}
    assert made["Supplier invoices: A"] == ["NO01|Invoice|1"]
    assert made["Supplier invoices: None"] == ["NO01|Invoice|2"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_project_whose_making_nobody_answered_is_made_once(
    install: Install, sandbox: Sandbox, world: World, when: str
) -> None:
    by = {"project_by": "branch", "team": world.members["team"], "template": world.members["template"]}
    ours = install(destinations={"supplier_invoices": by})
    ours.set_up()
    sandbox.faults.arm("asana", "drop_connection", match=".*instantiateProject", times=1, when=when)
    ours.heal(lambda: ours.deliver([invoice("1", branch="1")]))
    made = [each for each in world.all(Project) if each.name == "Supplier invoices: 1"]
    assert [len(cards(world, each.gid)) for each in made] == [1]


def test_a_restored_database_that_knows_only_a_task_of_the_trash_finds_the_later_one(
    install: Install, sandbox: Sandbox, world: World, project: str, tmp_path: Path
) -> None:
    engine = connect(f"sqlite:///{tmp_path}/old.db")
    migrate(engine)
    old = replace(install(), engine=engine)
    old.set_up()
    old.deliver([invoice("1")])
    engine.dispose()
    shutil.copy(tmp_path / "old.db", tmp_path / "copy.db")
    sandbox.asana.people.trash(tasks(world, project)[0].gid)
    old.deliver([invoice("1", "5.00", title="Invoice 1 New name AS")])
    restored = replace(old, engine=connect(f"sqlite:///{tmp_path}/copy.db"))
    restored.deliver([invoice("1", "6.00", title="Invoice 1 Newest name AS")])
    (card,) = cards(world, project).values()
    assert (card.name, card.fields["Amount"]) == ("Invoice 1 Newest name AS", Decimal("6.00"))
    engine.dispose()
    restored.engine.dispose()


def test_a_restored_database_finds_the_tasks_of_every_company_whoever_comes_first(
    install: Install, world: World, project: str, tmp_path: Path
) -> None:
    engine = connect(f"sqlite:///{tmp_path}/old.db")
    migrate(engine)
    old = replace(install(), engine=engine)
    old.set_up()
    old.deliver([invoice("1")])
    engine.dispose()
    shutil.copy(tmp_path / "old.db", tmp_path / "copy.db")
    second = [invoice("2", company="SE01"), invoice("3", company="SE01")]
    old.deliver(second, company="SE01")
    restored = replace(old, engine=connect(f"sqlite:///{tmp_path}/copy.db"))
    restored.deliver([invoice("1"), invoice("4")])
    restored.deliver(second[:1], company="SE01")
    restored.deliver(second, company="SE01")
    assert len(cards(world, project)) == len(tasks(world, project)) == 4
    engine.dispose()
    restored.engine.dispose()


def test_a_line_in_doubt_whose_order_people_deleted_holds_nothing_up(
    install: Install, sandbox: Sandbox, world: World
) -> None:
    ours = install(destinations={"purchase_orders": {"lines": "subtasks"}})
    ours.set_up()
    ours.deliver([order("1"), order("2")], name=ORDERS)
    sandbox.faults.arm("asana", "drop_connection", match=".*/batch", times=1, when="after")
    with pytest.raises(Closed):
        ours.deliver([line("1", 1)], name=LINES)
    first = next(task for task in world.all(Task) if task.name == "Order 1 Blåbær AS")
    sandbox.asana.people.trash(first.gid)
    sandbox.clock.advance(timedelta(minutes=5))
    report = ours.heal(lambda: ours.deliver([line("1", 1), line("2", 1)], name=LINES))
    assert (report.created, report.failed) == (1, 1)


OTHER_WAYS: list[dict[str, Any]] = [
    {
        "bad_option": "ignored",
        "completed_since_now": "refused",
        "date_as_text": "accepted",
        "name_length": 255,
        "projects_with_parent": "honoured",
        "reference_form": "compact",
        "team_required": False,
        "text_length": 32_000,
        "without_limit": "cut",
    },
    {
        "external_with_pat": "allowed",
        "external_unique": True,
        "external_visible_seconds": 60,
        "encoded_colon": "refused",
    },
]


@pytest.mark.parametrize("ways", OTHER_WAYS, ids=["of tasks", "of external ids"])
def test_documents_that_come_change_and_go_leave_one_right_task_each(
    install: Install, sandbox: Sandbox, world: World, project: str, ways: dict[str, Any]
) -> None:
    sandbox.asana.switches.update(ways)
    ours = install(destinations={"purchase_orders": {"lines": "subtasks"}})
    ours.set_up()
    rows = [invoice("1"), invoice("2", title="Invoice 2 " + "Ærlig " * 100, notes="ø" * 40_000), invoice("3")]
    sandbox.faults.arm("asana", "drop_connection", match=".*/batch", times=1, after=2, when="after")
    ours.heal(lambda: ours.deliver(rows))
    assert sandbox.faults.armed() == []
    ours.deliver([order("1")], name=ORDERS)
    ours.deliver([line("1", 1)], name=LINES)
    first = next(task for task in tasks(world, project) if task.name == rows[0].payload["title"])
    sandbox.asana.people.trash(first.gid)
    later = [invoice("1", cost_centre="200", due_date=None), invoice("2", **VOIDED)]
    ours.heal(lambda: ours.deliver(later, gone=[rows[2]]))
    ours.deliver([line("1", 1, title="1 | Tannhjul | 3 stk | 250 NOK")], name=LINES)
    shown = cards(world, project)
    assert {key: (card.section, card.due_on) for key, card in shown.items()} == {
        "NO01|Invoice|1": ("Open", None),
        "NO01|Invoice|2": ("Cancelled", DAY + timedelta(days=30)),
        "NO01|Invoice|3": ("Cancelled", DAY + timedelta(days=30)),
    }
    for name in (INVOICES, ORDERS):
        read_back = ours.asana.read_back(name.split("/")[1])
        found = reconcile(ours.ledger, read_back, name, "NO01", tombstone={})
        assert found.equal, found.differences


def test_a_project_that_takes_no_more_fields_is_named_and_the_set_up_goes_on_where_it_stopped(
    install: Install, sandbox: Sandbox
) -> None:
    sandbox.asana.switches["fields_per_project"] = 5
    ours = install()
    with pytest.raises(Refused, match="A project can have at most 5 custom fields"):
        ours.set_up()
    assert ours.asana.setup.plan().make == ()
    sandbox.asana.switches["fields_per_project"] = 0
    ours.set_up()
    assert ours.asana.setup.plan().steps == ()
    assert ours.deliver([invoice("1")]).created == 1
