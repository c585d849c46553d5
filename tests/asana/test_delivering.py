"""Documents become tasks: made once, changed only where they differ, ended with a word, never deleted."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from mlc_dagster.delivery import distrust
from mlc_dagster.delivery.errors import Stop
from mlc_dagster.delivery.rows import Change, Op
from mlc_sandbox.asana.store import Task
from mlc_sandbox.asana.world import World
from mlc_sandbox.server import Sandbox
from tests.asana.tenant import (
    DAY,
    INVOICES,
    LINES,
    ORDERS,
    Installation,
    card_of,
    cards,
    invoice,
    line,
    order,
)

Install = Callable[..., Installation]


@pytest.fixture
def project(world: World) -> str:
    return world.members["supplier_invoices"]


def test_an_invoice_is_a_task_with_everything_people_need(
    ours: Installation, world: World, project: str
) -> None:
    report = ours.deliver([invoice("10023", "1250.50")])
    assert (report.created, report.quarantined) == (1, 0)
    (card,) = cards(world, project).values()
    assert (card.name, card.section, card.completed) == ("Invoice 10023 Blåbær AS", "Open", False)
    assert card.due_on is not None
    assert card.notes.startswith("Tannhjul & ærlig stål\n\n1 | Tannhjul")
    assert card.fields == {
        "SupplierInvoiceId": "NO01|Invoice|10023",
        "Company": "NO01",
        "Vendor": "Blåbær AS",
        "Vendor number": "50000",
        "Document type": "Invoice",
        "Document number": "10023",
        "Vendor reference": "F-10023",
        "ERP status": "Open",
        "Amount": Decimal("1250.50"),
        "Balance": Decimal("1250.50"),
        "Currency": "NOK",
        "GL account": "4000",
        "Cost centre": "100",
    }


def test_an_order_is_a_task_of_its_own_project(ours: Installation, world: World) -> None:
    ours.deliver([order("500254")], name=ORDERS)
    (card,) = cards(world, world.members["purchase_orders"], "PurchaseOrderId").values()
    assert card.fields["PurchaseOrderId"] == "NO01|RegularOrder|500254"
    assert card.due_on == DAY


def test_new_documents_cost_a_call_each_ten_at_a_time(ours: Installation, sandbox: Sandbox) -> None:
    report = ours.deliver([invoice(str(number)) for number in range(100)])
    assert report.created == 100
    posts = sandbox.log.count("asana", method="POST", match="/batch")
    assert posts == 10 + 2, "ten a batch, and the first options of two vocabularies"
    # Beside the creates: fields, sections, options, the look for tasks that are there.
    assert sandbox.log.count("asana") - posts <= 10


def test_what_did_not_change_costs_nothing(ours: Installation, sandbox: Sandbox) -> None:
    ours.deliver([invoice("1"), invoice("2")])
    sandbox.log.reset()
    report = ours.deliver([invoice("1"), invoice("2")])
    assert report.unchanged == 2
    assert sandbox.log.count("asana") == 0


def test_a_changed_amount_is_one_call_for_the_changed_fields(
    ours: Installation, sandbox: Sandbox, world: World, project: str
) -> None:
    ours.deliver([invoice("1"), invoice("2")])
    sandbox.log.reset()
    report = ours.deliver([invoice("1", "75.25"), invoice("2")])
    assert report.updated == 1
    assert cards(world, project)["NO01|Invoice|1"].fields["Amount"] == Decimal("75.25")
    assert sandbox.log.count("asana", match="/batch") == 1


def test_a_document_that_is_sent_again_is_put_right_in_all_its_parts_though_it_has_changed_as_well(
    ours: Installation, sandbox: Sandbox, world: World, project: str
) -> None:
    ours.deliver([invoice("1")])
    (task,) = [task for task in world.all(Task) if project in task.places]
    sandbox.asana.people.edit(task.gid, custom_fields={"Amount": 1})
    distrust(ours.destination(), "NO01", ledger=ours.ledger, run_id="2", reason="people edited")
    ours.deliver([invoice("1", cost_centre="200")])
    fields = cards(world, project)["NO01|Invoice|1"].fields
    assert (fields["Amount"], fields["Cost centre"]) == (Decimal("100.00"), "200")


def test_a_change_that_was_refused_leaves_the_section_to_the_next_one(
    ours: Installation, sandbox: Sandbox, world: World, project: str
) -> None:
    ours.deliver([invoice("1")])
    sandbox.asana.people.edit_field("Amount", locked=True)
    assert ours.deliver([invoice("1", "7.00", board_section="Done")]).failed == 1
    sandbox.asana.people.edit_field("Amount", locked=False)
    ours.deliver([invoice("1", "8.00", board_section="Cancelled")])
    assert cards(world, project)["NO01|Invoice|1"].section == "Cancelled"


def test_a_document_that_changes_with_the_settings_is_brought_into_their_form_whole(
    install: Install, world: World, project: str
) -> None:
    before = install()
    before.set_up()
    before.deliver([invoice("1")])
    assert "Tannhjul | 2 stk" in cards(world, project)["NO01|Invoice|1"].notes
    ours = install(destinations={"supplier_invoices": {"lines": "none"}})
    ours.deliver([invoice("1", "7.00")])
    card = cards(world, project)["NO01|Invoice|1"]
    assert (card.fields["Amount"], "Tannhjul | 2 stk" in card.notes) == (Decimal("7.00"), False)


def test_a_task_that_was_made_anew_and_refused_its_comment_is_known_by_the_next_run(
    ours: Installation, sandbox: Sandbox, world: World, project: str
) -> None:
    ours.deliver([invoice("1")])
    (task,) = [task for task in world.all(Task) if project in task.places]
    sandbox.asana.people.trash(task.gid)
    voided = invoice("1", ended=True, ending="The ERP has voided it.", board_section="Cancelled")
    sandbox.faults.arm("asana", "no_access", match="POST .*/stories", times=1)
    assert ours.deliver([voided, invoice("2")]).failed == 1
    ours.deliver([voided, invoice("2"), invoice("3")])
    assert len(cards(world, project)) == 3
    assert len(cards(world, project)["NO01|Invoice|1"].comments) == 1


def test_a_paid_invoice_moves_to_done_and_is_completed(
    ours: Installation, world: World, project: str
) -> None:
    ours.deliver([invoice("1")])
    ours.deliver([invoice("1", status="Closed", board_section="Done", ended=True)])
    card = cards(world, project)["NO01|Invoice|1"]
    assert (card.section, card.completed, card.comments) == ("Done", True, ())


def test_a_voided_invoice_is_completed_with_a_word_why_once(
    ours: Installation, world: World, project: str
) -> None:
    ours.deliver([invoice("1")])
    voided = invoice(
        "1", status="Voided", board_section="Cancelled", ended=True, ending="The ERP has voided it."
    )
    ours.deliver([voided])
    ours.deliver([replace(voided, payload={**voided.payload, "amount": Decimal("99.0000")})])
    card = cards(world, project)["NO01|Invoice|1"]
    assert (card.section, card.completed) == ("Cancelled", True)
    assert len(card.comments) == 1
    assert card.comments[0].startswith("The ERP has voided it. [erp-sync:")


def test_a_deleted_document_completes_its_task_and_is_never_deleted(
    ours: Installation, world: World, project: str
) -> None:
    ours.deliver([invoice("1"), invoice("2")])
    report = ours.deliver([invoice("2")], gone=[invoice("1")])
    assert report.deleted == 1
    card = cards(world, project)["NO01|Invoice|1"]
    assert (card.section, card.completed, card.fields["ERP status"]) == ("Cancelled", True, "Deleted")
    assert card.comments[0].startswith("The ERP has deleted this document.")


def test_a_document_that_comes_back_gets_its_old_task_again(
    ours: Installation, world: World, project: str
) -> None:
    ours.deliver([invoice("1")])
    ours.deliver([], gone=[invoice("1")])
    ours.deliver([invoice("1", "80.00")])
    card = cards(world, project)["NO01|Invoice|1"]
    assert (card.section, card.completed, card.fields["Amount"]) == ("Open", False, Decimal("80.00"))


def test_a_task_that_people_deleted_is_made_anew_when_its_document_changes(
    ours: Installation, world: World, project: str
) -> None:
    ours.deliver([invoice("1")])
    (task,) = [task for task in world.all(Task) if project in task.places]
    task.trashed = world.clock.now()
    report = ours.deliver([invoice("1", "80.00")])
    assert report.updated == 1
    assert cards(world, project)["NO01|Invoice|1"].fields["Amount"] == Decimal("80.00")


def test_tasks_are_found_again_after_our_database_was_lost(
    ours: Installation, world: World, project: str, engine, tmp_path
) -> None:
    from mlc_dagster.database import connect, migrate

    ours.deliver([invoice("1"), invoice("2")])
    lost = connect(f"sqlite:///{tmp_path}/new.db")
    migrate(lost)
    new = replace(ours, engine=lost)
    new.set_up()
    report = new.deliver([invoice("1", "5.00"), invoice("2"), invoice("3")])
    assert report.created == 3
    found = cards(world, project)
    assert {key: card.fields["Amount"] for key, card in found.items()} == {
        "NO01|Invoice|1": Decimal("5.00"),
        "NO01|Invoice|2": Decimal("100.00"),
        "NO01|Invoice|3": Decimal("100.00"),
    }
    lost.dispose()


def test_vocabularies_get_options_and_the_rest_goes_into_text(
    ours: Installation, world: World, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlc_dagster.asana.projects.OPTIONS_AT_MOST", 3)
    ours.deliver([invoice(str(number), cost_centre=f"C{number}") for number in range(4)])
    shown = {key: card.fields for key, card in cards(world, project).items()}
    options = [fields["Cost centre"] for fields in shown.values() if "Cost centre" in fields]
    others = [fields["Cost centre (other)"] for fields in shown.values() if "Cost centre (other)" in fields]
    assert sorted(options + others) == ["C0", "C1", "C2", "C3"]
    assert len(options) == 2, "one of three is the first option every new field needs"


def test_an_amount_the_field_would_round_is_refused_not_rounded(ours: Installation) -> None:
    report = ours.deliver([invoice("1", "10.0050"), invoice("2")])
    assert (report.created, report.quarantined) == (1, 1)


def test_the_plan_says_what_documents_cost_and_their_lines_each_way(ours: Installation) -> None:
    rows = [order("1", line_count=3), order("2", line_count=2, ended=True, ending="The ERP has voided it.")]
    destination = ours.destination(ORDERS)
    new = [Change.of(Op.CREATE, row, destination.target) for row in rows]
    assert destination.calls(new) == 3, "a task each, and a comment"
    assert destination.advice(new) == "5 lines: 0 more calls in the notes, 5 as subtasks"
    ours.deliver(rows, name=ORDERS)
    ids = ours.ledger.target_ids(ORDERS, [row.key for row in rows])
    own = order("1", "7.00")
    changed = Change.of(Op.UPDATE, own, destination.target, target_id=ids[own.key])
    assert destination.calls([changed]) == 1, "nothing that people share is concerned"
    assert destination.advice([]) == ""


def test_before_the_set_up_nothing_is_sent_and_all_fields_and_the_command_are_named_once(
    install: Install,
) -> None:
    with pytest.raises(Stop) as stop:
        install().deliver([invoice("1")])
    told = str(stop.value)
    assert told.count("lacks") == told.count("mlc asana setup") == 1
    assert "it lacks the custom fields 'SupplierInvoiceId', 'Company', 'Vendor', " in told


def test_a_field_somebody_retyped_stops_the_delivery_with_its_name(ours: Installation, world: World) -> None:
    from mlc_sandbox.asana.store import Field

    ours.deliver([invoice("1")])
    (amount,) = [field for field in world.all(Field) if field.name == "Amount"]
    amount.kind = "text"
    with pytest.raises(Stop, match="'Amount' is of type text now"):
        ours.deliver([invoice("2")])


def test_a_field_somebody_renamed_is_still_ours(ours: Installation, world: World, project: str) -> None:
    from mlc_sandbox.asana.store import Field

    (amount,) = [field for field in world.all(Field) if field.name == "Amount"]
    amount.name = "Total"
    ours.deliver([invoice("1")])
    assert cards(world, project)["NO01|Invoice|1"].fields["Total"] == Decimal("100.00")


def test_lines_are_subtasks_where_the_settings_ask_for_them(install: Install, world: World) -> None:
    ours = install(destinations={"purchase_orders": {"lines": "subtasks"}})
    ours.set_up()
    ours.deliver([order("1")], name=ORDERS)
    ours.deliver([line("1", 1), line("1", 2)], name=LINES)
    (parent,) = [task for task in world.all(Task) if world.members["purchase_orders"] in task.places]
    assert parent.notes == ""
    names = sorted(world.get(Task, gid).name for gid in parent.subtasks)
    assert names == ["1 | Tannhjul | 2 stk | 250 NOK", "2 | Tannhjul | 2 stk | 250 NOK"]
    ours.deliver([line("1", 1)], name=LINES, gone=[line("1", 2)])
    done = {
        card.name[0]: card.completed
        for card in (card_of(world, world.get(Task, gid)) for gid in parent.subtasks)
    }
    assert done == {"1": False, "2": True}


def test_a_line_waits_for_its_order(install: Install) -> None:
    ours = install(destinations={"purchase_orders": {"lines": "subtasks"}})
    ours.set_up()
    report = ours.deliver([line("1", 1)], name=LINES)
    assert report.quarantined == 1
    ours.deliver([order("1")], name=ORDERS)
    assert ours.deliver([line("1", 1)], name=LINES).created == 1


def test_projects_by_supplier_are_made_once_each(install: Install, world: World) -> None:
    by = {"project_by": "supplier", "team": world.members["team"]}
    ours = install(destinations={"supplier_invoices": by})
    ours.set_up()
    rows = [invoice("1"), invoice("2", supplier_name="Nordlys AB"), invoice("3")]
    assert ours.deliver(rows).created == 3
    from mlc_sandbox.asana.store import Project

    made = {project.name: len(cards(world, project.gid)) for project in world.all(Project)}
    assert made["Supplier invoices: Blåbær AS"] == 2
    assert made["Supplier invoices: Nordlys AB"] == 1
    ours.deliver([invoice("1", supplier_name="Nordlys AB")])
    made = {project.name: len(cards(world, project.gid)) for project in world.all(Project)}
    assert (made["Supplier invoices: Blåbær AS"], made["Supplier invoices: Nordlys AB"]) == (1, 2)


def test_a_project_that_people_deleted_is_made_anew_and_holds_nothing_up(
    install: Install, world: World
) -> None:
    from mlc_sandbox.asana.store import Project

    by = {"project_by": "supplier", "team": world.members["team"]}
    ours = install(destinations={"supplier_invoices": by})
    ours.set_up()
    other = invoice("2", supplier_name="Nordlys AB")
    ours.deliver([invoice("1"), other])
    names = {each.name: each.gid for each in world.all(Project)}
    ours.asana.client.delete(f"/projects/{names['Supplier invoices: Nordlys AB']}")
    assert ours.deliver([invoice("1"), other, invoice("3")]).created == 1
    # Asana refuses a field of a task that is in no project with it; then the task is looked at.
    rows = [invoice("1"), invoice("2", "7.00", supplier_name="Nordlys AB"), invoice("3")]
    assert [ours.deliver(rows).failed, ours.deliver(rows).failed] == [1, 0]
    names = {each.name: each.gid for each in world.all(Project)}
    made = cards(world, names["Supplier invoices: Nordlys AB"])
    assert made["NO01|Invoice|2"].fields["Amount"] == Decimal("7.00")


def test_projects_are_made_from_a_template(install: Install, world: World) -> None:
    by = {"project_by": "supplier", "team": world.members["team"], "template": world.members["template"]}
    ours = install(destinations={"supplier_invoices": by})
    ours.set_up()
    ours.deliver([invoice("1")])
    from mlc_sandbox.asana.store import Project, Section

    (project,) = [each for each in world.all(Project) if each.name.startswith("Supplier invoices: ")]
    assert {"Requested", "Ordered"} <= {world.get(Section, gid).name for gid in project.sections}
    assert len(cards(world, project.gid)) == 1


def test_the_read_back_equals_the_ledger(ours: Installation, world: World, project: str) -> None:
    from mlc_dagster.delivery import reconcile

    ours.deliver([invoice("1"), invoice("2", "20.00")])
    ours.deliver([invoice("1")], gone=[invoice("2")])
    model = ours.destination()
    found = reconcile(
        ours.ledger, ours.asana.read_back("supplier_invoices"), INVOICES, "NO01", tombstone=model.tombstone
    )
    assert found.equal, found.differences
    (task,) = [task for task in world.all(Task) if project in task.places and not task.completed]
    amount = next(gid for gid, value in task.values.items() if value == Decimal("100"))
    task.values[amount] = Decimal("999")
    found = reconcile(
        ours.ledger, ours.asana.read_back("supplier_invoices"), INVOICES, "NO01", tombstone=model.tombstone
    )
    assert found.different == 1
