"""How long a load takes under Power BI's limits is known before it begins, and the limits are kept."""

from decimal import Decimal

import pytest

from mlc_dagster.delivery import Audit
from mlc_dagster.delivery.errors import Closed, Stop
from mlc_dagster.delivery.rows import Change, Op, encode
from mlc_dagster.powerbi import destination
from mlc_dagster.powerbi.remembered import Table
from tests.powerbi.tenant import DIMENSION, FACT, invoice, supplier


def creates(count: int) -> list[Change]:
    rows = [invoice(str(number)) for number in range(count)]
    return [Change(Op.CREATE, row, "h", encode(row.payload)) for row in rows]


def test_a_small_change_takes_as_long_as_it_needs_to_show(ours):
    assert ours.destination().seconds(creates(1)) < 5
    assert ours.destination().seconds([]) == 0


def test_rows_beyond_the_hours_budget_wait_for_it(install):
    ours = install(rows_per_hour=10_000, headroom_percent=100, modes={"supplier_invoices": "slots"})
    ours.set_up()
    table = ours.destination()
    assert table.seconds(creates(15_000)) == pytest.approx(1800 + destination.SHOWN_AFTER)


def test_a_table_with_250000_rows_has_its_posts_counted_by_the_hour(ours, monkeypatch):
    monkeypatch.setattr(destination, "LARGE_TABLE", 1)
    monkeypatch.setattr(destination, "POST_ROWS", 1)
    ours.deliver([invoice("1")])
    assert ours.destination().seconds(creates(192)) > 3600


def test_calls_are_about_those_that_are_made(ours, sandbox):
    ours.deliver([invoice("0")])
    changes = creates(3)
    forecast = ours.destination().calls(changes)
    sandbox.log.reset()
    ours.deliver([change.row for change in changes])
    assert abs(sandbox.log.count("powerbi", match="/myorg/") - forecast) <= 2


@pytest.fixture
def thousand_rows_an_hour(install):
    ours = install(
        rows_per_hour=10_000,
        posts_per_minute=1_200,
        headroom_percent=10,
        modes={"supplier_invoices": "slots"},
    )
    ours.set_up()
    return ours


def wait(ours, closed) -> None:
    ours.clock.sleep((closed.value.opens_at - ours.clock.now()).total_seconds() + 1)


def test_a_dimension_that_the_hour_does_not_cover_waits_before_it_is_cleared(
    thousand_rows_an_hour, world, sandbox
):
    ours = thousand_rows_an_hour
    ours.deliver([supplier(str(number)) for number in range(600)], name=DIMENSION)
    sandbox.log.reset()
    changed = [supplier(str(number), "New") for number in range(600)]
    with pytest.raises(Closed) as closed:
        ours.deliver(changed, name=DIMENSION)
    assert sandbox.log.count("powerbi", method="DELETE") == 0
    wait(ours, closed)
    ours.deliver(changed, name=DIMENSION)
    assert {row["Supplier"] for row in world.rows("Visma ERP", "Suppliers")} == {"New"}


def test_a_dimension_larger_than_an_hour_is_refused_with_words(thousand_rows_an_hour, sandbox):
    with pytest.raises(Stop, match="1500 rows are more than the 1000 of one hour"):
        thousand_rows_an_hour.deliver([supplier(str(number)) for number in range(1_500)], name=DIMENSION)
    assert sandbox.log.count("powerbi", method="DELETE") == 0


def test_a_load_larger_than_an_hour_goes_on_with_each_window_where_it_stopped(
    thousand_rows_an_hour, world, sandbox, monkeypatch
):
    monkeypatch.setattr(destination, "POST_ROWS", 300)
    ours, shown = thousand_rows_an_hour, 'EVALUATE ROW ( "x", [Supplier amount] )'
    ours.deliver([invoice("0", "7")])
    sandbox.log.reset()
    rows = [invoice(str(number), "2") for number in range(2_000)]
    for window in (1, 2):
        with pytest.raises(Closed, match="rows are loaded") as closed:
            ours.deliver(rows)
        assert world.query("Visma ERP", shown)[0]["[x]"] == 7, f"window {window}"
        wait(ours, closed)
    report = ours.deliver(rows)
    assert (report.complete, report.recovered) == (True, 1)
    assert world.query("Visma ERP", shown)[0]["[x]"] == Decimal(4_000)
    assert len(world.rows("Visma ERP", "Supplier invoices B")) == 2_000
    # Nothing went twice: one clearing, and no more posts than the rows need.
    assert sandbox.log.count("powerbi", method="DELETE") == 1
    assert sandbox.log.count("powerbi", method="POST", match="invoices B/rows") == 7
    told = next(event.detail for event in Audit(ours.engine).history("1") if "posted" in event.detail)
    assert [part.split(":")[0] for part in told["posted"].split(", ")] == [f"no {at}" for at in range(1, 8)]


def test_a_look_that_nobody_answers_leaves_a_load_where_it_stopped(
    thousand_rows_an_hour, world, sandbox, monkeypatch
):
    monkeypatch.setattr(destination, "POST_ROWS", 300)
    ours, rows = thousand_rows_an_hour, [invoice(str(number), "2") for number in range(1_300)]
    with pytest.raises(Closed, match="rows are loaded") as closed:
        ours.deliver(rows)
    wait(ours, closed)
    sandbox.faults.arm("powerbi", "server_error", match=".*/executeQueries", status=500, times=5)
    with pytest.raises(Closed):
        ours.deliver(rows)
    ours.heal(lambda: ours.deliver(rows))
    assert len(world.rows("Visma ERP", "Supplier invoices A")) == 1_300
    assert sandbox.log.count("powerbi", method="DELETE") == 1


def test_a_load_of_posts_larger_than_an_hour_is_made_of_smaller_ones(thousand_rows_an_hour, world, sandbox):
    ours = thousand_rows_an_hour
    ours.heal(lambda: ours.deliver([invoice(str(number), "2") for number in range(2_000)]))
    assert world.query("Visma ERP", 'EVALUATE ROW ( "x", [Supplier amount] )')[0]["[x]"] == Decimal(4_000)
    assert sandbox.log.count("powerbi", method="POST", match="invoices A/rows") == 2


@pytest.mark.parametrize("loaded", [[], [invoice("0", "2")]], ids=["not loaded", "loaded"])
def test_changes_beyond_an_hour_are_appended_over_several_and_none_goes_twice(
    install, world, sandbox, monkeypatch, loaded
):
    """Of a table that is not loaded yet a batch is large, and from the second on it is appended."""
    monkeypatch.setattr(destination, "WHOLE_ROWS", 1_500)
    ours = install(
        rows_per_hour=10_000, headroom_percent=10, modes={"supplier_invoices": "log"}, slots_up_to=1
    )
    ours.set_up()
    ours.deliver(loaded)
    rows = [invoice(str(number), "2") for number in range(3_000)]
    ours.heal(lambda: ours.deliver(rows))
    assert world.query("Visma ERP", 'EVALUATE ROW ( "x", [Supplier amount] )')[0]["[x]"] == Decimal(6_000)
    assert len(world.rows("Visma ERP", "Supplier invoices A")) == 3_000
    assert sandbox.log.count("powerbi", method="DELETE") == 1


def test_a_load_under_way_whose_rows_have_changed_begins_again(thousand_rows_an_hour, world, monkeypatch):
    """A database restored from a backup, say: what was posted so far is of no use."""
    monkeypatch.setattr(destination, "POST_ROWS", 300)
    ours = thousand_rows_an_hour
    rows = [invoice(str(number), "2") for number in range(1_300)]
    with pytest.raises(Closed) as closed:
        ours.deliver(rows)
    table = Table(ours.powerbi.memory, "Supplier invoices")
    table.save_load(check=table.state.load.check + 1)
    wait(ours, closed)
    ours.heal(lambda: ours.deliver(rows))
    assert len(world.rows("Visma ERP", "Supplier invoices A")) == 1_300
    assert len({row["_load_id"] for row in world.rows("Visma ERP", "Supplier invoices A")}) == 1


def test_while_posts_are_locked_out_no_table_is_cleared(ours, sandbox, world):
    ours.deliver([supplier("1")], name=DIMENSION)
    sandbox.faults.arm("powerbi", "rate_limit", match="POST .*/rows", retry_after=3392)
    with pytest.raises(Closed):
        ours.deliver([invoice("1")])
    with pytest.raises(Closed):
        ours.deliver([supplier("1", "New")], name=DIMENSION)
    assert len(world.rows("Visma ERP", "Suppliers")) == 1
    ours.heal(lambda: ours.deliver([supplier("1", "New")], name=DIMENSION))
    (row,) = world.rows("Visma ERP", "Suppliers")
    assert row["Supplier"] == "New"


def test_power_bi_never_has_to_refuse_for_its_limits(install, sandbox):
    """The budgets are ours to keep: with fewer posts allowed than are wanted, no call is answered 429."""
    sandbox.powerbi.switches["posts_per_minute"] = 10
    ours = install(modes={"supplier_invoices": "log"}, verify="off", posts_per_minute=10)
    ours.set_up()
    for start in range(20):
        ours.heal(lambda start=start: ours.deliver([invoice(str(start))], name=FACT))
    assert sandbox.log.count("powerbi", match="/tables/.*/rows", method="POST") > 20
    assert all(call.status != 429 for call in sandbox.log.calls())
