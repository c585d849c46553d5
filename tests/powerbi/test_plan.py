"""How long a load takes under Power BI's limits is known before it begins, and the limits are kept."""

from decimal import Decimal

import pytest

from mlc_dagster.delivery.errors import Closed
from mlc_dagster.delivery.rows import Change, Op, encode
from mlc_dagster.powerbi import destination
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
    assert table.seconds(creates(15_000)) == pytest.approx(1800 + destination.VISIBLE_SECONDS)


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


def test_a_load_that_the_hour_does_not_cover_waits_before_it_clears_anything(install, world, sandbox):
    ours = install(rows_per_hour=10_000, headroom_percent=100, modes={"supplier_invoices": "slots"})
    ours.set_up()
    ours.deliver([invoice(str(number), "1") for number in range(6_000)])
    sandbox.log.reset()
    with pytest.raises(Closed) as closed:
        ours.deliver([invoice(str(number), "2") for number in range(6_000)])
    assert sandbox.log.count("powerbi", method="DELETE") == 0
    ours.clock.sleep((closed.value.opens_at - ours.clock.now()).total_seconds() + 1)
    ours.deliver([invoice(str(number), "2") for number in range(6_000)])
    (row,) = world.query("Visma ERP", 'EVALUATE ROW ( "x", [Supplier amount] )')
    assert row["[x]"] == Decimal(12_000)


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
    """The budgets are ours to keep: with the vendor's limits on, no call is answered 429."""
    ours = install(modes={"supplier_invoices": "log"})
    ours.set_up()
    for start in range(0, 200):
        ours.heal(lambda start=start: ours.deliver([invoice(str(start))], name=FACT))
    assert all(call.status != 429 for call in sandbox.log.calls())
