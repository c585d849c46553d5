"""The dataset is created once, whatever happens to the answer, and only added to after that."""

import pytest

from mlc_dagster.delivery.errors import Closed
from mlc_dagster.powerbi import schema
from mlc_dagster.powerbi.setup import SetupRefused
from mlc_dagster.powerbi.star import Column, Star
from mlc_dagster.transport.errors import Misconfigured
from mlc_sandbox.powerbi.switches import CHOICES
from tests.powerbi.tenant import Installation, invoice, shipped

CREATE = "POST .*/datasets[?]"
MEASURES = pytest.mark.parametrize("without_measures", CHOICES["put_without_measures"])


def datasets(world) -> list[str]:
    return [dataset.id for dataset in world.datasets.values() if dataset.name == "Visma ERP"]


def test_a_plan_changes_nothing(install, world):
    plan = install().powerbi.setup.plan()
    assert plan.steps == ("create dataset 'Visma ERP': 26 tables, 72 relationships, 64 measures",)
    assert datasets(world) == []


def test_it_keeps_all_rows_and_is_created_once(install, world):
    first = install().set_up()
    assert install().powerbi.setup.plan().steps == ()
    assert install().set_up() == first
    assert datasets(world) == [first]
    assert world.dataset("Visma ERP").retention == "None"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_to_the_creation_makes_no_second_dataset(install, sandbox, world, when):
    sandbox.faults.arm("powerbi", "drop_connection", when=when, match=CREATE)
    if when == "before":
        with pytest.raises(SetupRefused, match="Run it again later"):
            install().set_up()
    install().set_up()
    assert len(datasets(world)) == 1


def test_a_creation_that_takes_its_time_is_waited_for(install, sandbox, world):
    sandbox.powerbi.switches.update({"create_status": 202, "create_polls": 3})
    sandbox.faults.arm("powerbi", "drop_connection", when="after", match=CREATE)
    install().set_up()
    assert len(datasets(world)) == 1


def test_a_dataset_of_that_name_is_used_only_when_a_person_says_so(install, world):
    stranger = install()
    found = stranger.powerbi.client.create(shipped().body("Visma ERP"))
    with pytest.raises(SetupRefused, match=f"not known to be ours: {found}"):
        install().powerbi.setup.plan()
    setup = install().powerbi.setup
    assert setup.apply(setup.plan(adopt=found)) == found


def test_a_dataset_with_other_tables_is_never_adopted(install):
    body = shipped().body("Visma ERP")
    other = install().powerbi.client.create({**body, "tables": body["tables"][:1], "relationships": []})
    with pytest.raises(SetupRefused, match="other tables"):
        install().powerbi.setup.plan(adopt=other)


@pytest.mark.parametrize("face", [401, 403, 404])
def test_a_missing_role_says_what_to_switch_on_whatever_its_face(install, sandbox, face):
    sandbox.faults.arm("powerbi", "no_rights", face=face, times=9)
    with pytest.raises(Misconfigured, match="Member or Admin of the workspace"):
        install().powerbi.setup.plan()


def test_a_tenant_that_gets_no_new_push_dataset_is_not_told_of_roles(install, sandbox):
    sandbox.powerbi.switches["create_push"] = "deprecated"
    with pytest.raises(Misconfigured, match=r"makes no new push dataset.*--adopt ID.*section 7") as refused:
        install().set_up()
    assert "Member" not in str(refused.value)


def test_a_wrong_secret_is_told_in_entras_words_and_never_shown(install, monkeypatch):
    monkeypatch.setenv("POWERBI_CLIENT_SECRET", "not-the-secret")
    with pytest.raises(Misconfigured, match="AADSTS7000215") as refused:
        install().powerbi.setup.plan()
    assert "not-the-secret" not in str(refused.value)


def test_a_tenant_without_queries_is_remembered(install, sandbox):
    sandbox.powerbi.switches["execute_queries"] = "tenant_off"
    ours = install()
    ours.set_up()
    assert not ours.powerbi.verifies
    assert ours.deliver([invoice("1")]).complete


def changed(star: Star, table: str, *columns: Column) -> Star:
    """The star with other columns of one table."""
    shape = next(shape for shape in star.shapes.values() if shape.title == table)
    shapes = {**star.shapes, shape.model: type(shape)(**{**vars(shape), "columns": columns})}
    return Star(shapes, star.relationships, star.measures)


def with_star(ours: Installation, star: Star):
    powerbi = ours.powerbi
    powerbi.star = star
    return powerbi


@MEASURES
def test_a_new_column_is_added_on_request_and_rows_wait_for_it(ours, world, without_measures):
    world.switches["put_without_measures"] = without_measures
    ours.deliver([invoice("1", "7")])
    star = shipped()
    wider = changed(
        star, "Supplier invoices", *star.shapes["supplier_invoices"].columns, Column("New", "String")
    )
    powerbi = with_star(ours, wider)
    there = {table.name for table in wider.tables}
    (problem, _) = schema.differences(wider.shapes["supplier_invoices"], powerbi.dataset, there)
    assert "lacks column 'New'" in problem
    plan = powerbi.setup.plan()
    assert plan.steps == ("add New to 'Supplier invoices A'", "add New to 'Supplier invoices B'")
    powerbi.setup.apply(plan)
    assert schema.differences(wider.shapes["supplier_invoices"], powerbi.dataset, there) == []
    (row,) = world.query("Visma ERP", 'EVALUATE ROW ( "x", [Supplier amount] )')
    assert row["[x]"] == 7


def test_a_column_renamed_or_retyped_is_refused_by_name(ours):
    star = shipped()
    columns = star.shapes["suppliers"].columns
    renamed = Column("Trade name", "String", source="name")
    retyped = Column("Supplier number", "Int64", source="supplier_number")
    kept = [column for column in columns if column.source not in ("name", "supplier_number")]
    powerbi = with_star(ours, changed(star, "Suppliers", *kept, renamed, retyped))
    with pytest.raises(
        SetupRefused, match=r"lacks column 'Supplier' .* 'Supplier number' .* is String, and Int64"
    ):
        powerbi.setup.plan()


@MEASURES
def test_measures_are_declared_anew_and_the_active_slots_stay(ours, world, without_measures):
    world.switches["put_without_measures"] = without_measures
    ours.deliver([invoice("1", "7")])
    star = shipped()
    fewer = Star(star.shapes, star.relationships, star.measures[:-1])
    powerbi = with_star(ours, fewer)
    plan = powerbi.setup.plan()
    assert plan.steps == (f"declare measures anew: {star.measures[-1].name}",)
    powerbi.setup.apply(plan)
    (row,) = world.query("Visma ERP", 'EVALUATE ROW ( "x", [Supplier amount] )')
    assert row["[x]"] == 7


@MEASURES
@pytest.mark.parametrize("when", ["before", "after"])
def test_measures_declared_anew_amid_a_switch_never_name_two_slots(
    ours, sandbox, value, when, without_measures
):
    sandbox.powerbi.switches["put_without_measures"] = without_measures
    for amount in ("1", "2"):
        ours.deliver([invoice("1", amount)])
    # Its rows are the first POST, its control row is the second: slot A's.
    sandbox.faults.arm("powerbi", "drop_connection", match="POST .*/rows", after=1, when=when)
    with pytest.raises(Closed):
        ours.deliver([invoice("1", "3")])
    star = shipped()
    powerbi = with_star(ours, Star(star.shapes, star.relationships, star.measures[:-1]))
    powerbi.setup.apply(powerbi.setup.plan())
    assert value("[Supplier amount]") == 3
    ours.deliver([invoice("1", "3")])
    assert value("[Supplier amount]") == 3
