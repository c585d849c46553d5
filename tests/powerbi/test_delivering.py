"""What measures show after a delivery is what the ERP says: loads, logs, deletes, compaction."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from mlc_dagster.database.schema import budgets
from mlc_dagster.delivery import Audit, Quarantine, Row, reconcile
from mlc_dagster.delivery.errors import Stop
from mlc_dagster.delivery.leases import Leases
from mlc_dagster.delivery.rows import Change, Op
from mlc_dagster.delivery.writer import Writer
from mlc_dagster.powerbi import destination
from tests.powerbi.tenant import DAY, DIMENSION, FACT, Installation, invoice, supplier

Value = Callable[[str], Any]
BOTH = pytest.mark.parametrize("mode", ["slots", "log"])


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Posts and loads so small that a few rows are many calls."""
    monkeypatch.setattr(destination, "POST_ROWS", 2)


def installed(install: Callable[..., Installation], mode: str, **options: Any) -> Installation:
    ours = install(modes={"supplier_invoices": mode}, **options)
    ours.set_up()
    return ours


@BOTH
def test_measures_show_the_sums_and_counts_of_what_was_delivered(install, value: Value, mode):
    ours = installed(install, mode)
    report = ours.deliver([invoice("1", "100.10"), invoice("2", "0.0001"), invoice("3", "-7")])
    assert (report.created, report.complete) == (3, True)
    assert value("[Supplier amount]") == Decimal("93.1001")
    assert value("[Supplier documents]") == 3


@BOTH
def test_a_change_a_new_row_and_a_deleted_one_show_at_once(install, value: Value, mode):
    ours = installed(install, mode)
    first = [invoice("1", "1"), invoice("2", "10"), invoice("3", "100")]
    ours.deliver(first)
    report = ours.deliver([invoice("1", "1"), invoice("2", "20"), invoice("4", "1000")], gone=[first[2]])
    assert (report.created, report.updated, report.deleted, report.unchanged) == (1, 1, 1, 1)
    assert value("[Supplier amount]") == Decimal(1021)
    assert value("[Supplier documents]") == 3


@BOTH
def test_a_deleted_row_that_comes_back_counts_again(install, value: Value, mode):
    ours = installed(install, mode)
    row = invoice("1", "5")
    ours.deliver([row, invoice("2", "7")])
    ours.deliver([], gone=[row])
    assert value("[Supplier amount]") == 7
    ours.deliver([row])
    assert value("[Supplier amount]") == 12


@BOTH
def test_companies_share_a_table_and_keep_their_own_rows(install, value: Value, mode):
    ours = installed(install, mode)
    ours.deliver([invoice("1", "1")])
    ours.deliver([invoice("1", "10", company="SE01")], company="SE01")
    ours.deliver([invoice("1", "2")])
    assert value("[Supplier amount]") == 12


def test_unchanged_rows_cost_no_call(ours, sandbox):
    ours.deliver([invoice("1")])
    sandbox.log.reset()
    assert ours.deliver([invoice("1")]).unchanged == 1
    assert sandbox.log.count("powerbi") == 0


def test_the_budgets_of_a_dataset_are_named_after_it(ours):
    ours.deliver([invoice("1")])
    with ours.engine.connect() as connection:
        names = set(connection.execute(sa.select(budgets.c.name)).scalars())
    kinds = ("posts", "queries", "rows")
    assert names == {f"powerbi:{ours.workspace}:Visma ERP:{kind}" for kind in kinds}


def test_dimensions_slice_facts(ours, value: Value):
    ours.deliver([supplier("50000", "Blåbær"), supplier("50001", "Tyttebær")], name=DIMENSION)
    ours.deliver([invoice("1", "1"), invoice("2", "10", supplier="NO01|50001")])
    by_name = "CALCULATE ( [Supplier amount], 'Suppliers'[Supplier] = \"{}\" )"
    assert value(by_name.format("Tyttebær")) == 10
    ours.deliver([supplier("50001", "Multe")], name=DIMENSION)
    assert value(by_name.format("Multe")) == 10
    assert value("COUNTROWS ( 'Suppliers' )") == 2


def test_a_slice_never_finds_an_older_version(install, value: Value):
    ours = installed(install, "log")
    ours.deliver([invoice("1", "5", supplier="NO01|50000")])
    ours.deliver([supplier("50000"), supplier("50001", "New")], name=DIMENSION)
    ours.deliver([invoice("1", "5", supplier="NO01|50001")])
    assert value("CALCULATE ( [Supplier amount], 'Suppliers'[Supplier] = \"Blåbær AS\" )") is None
    assert value("CALCULATE ( [Supplier amount], 'Suppliers'[Supplier] = \"New\" )") == 5


def test_the_idle_slot_is_loaded_and_read_only_when_it_is_verified(ours, world):
    ours.deliver([invoice("1")])
    ours.deliver([invoice("1"), invoice("2")])
    assert len(world.rows("Visma ERP", "Supplier invoices A")) == 1
    assert len(world.rows("Visma ERP", "Supplier invoices B")) == 2


def test_a_log_that_has_become_long_is_loaded_whole(install, world, value: Value):
    ours = installed(install, "log", slots_up_to=2)
    for amount in range(1, 6):
        ours.deliver([invoice("1", str(amount)), invoice("2", str(10 * amount))])
        assert value("[Supplier amount]") == 11 * amount
    loads = [row["slot"] for row in world.rows("Visma ERP", "Measures")]
    assert loads == ["A", "B", "A"]


def test_a_fact_changes_from_slots_to_a_log_when_it_grows(install, world, value: Value, small_steps):
    ours = installed(install, "auto", slots_up_to=2)
    ours.deliver([invoice(str(number), "1") for number in range(1, 8)])
    assert value("[Supplier documents]") == 7
    assert [row["slot"] for row in world.rows("Visma ERP", "Measures")] == ["A"]
    assert len(world.rows("Visma ERP", "Supplier invoices A")) == 7


def test_a_batch_of_many_posts_tells_each_in_the_audit_trail(install, small_steps):
    ours = installed(install, "slots")
    ours.deliver([invoice(str(number)) for number in range(5)])
    event = next(event for event in Audit(ours.engine).history("1") if "posted" in event.detail)
    assert "no 1: 2 rows" in event.detail["posted"]
    assert "no 3: 1 rows" in event.detail["posted"]
    assert event.detail["load id"]
    assert event.detail["verified"] == "by query"


BUCKETS = ("not due", "1-30 days", "31-60 days", "61-90 days", "over 90 days")


def aged(today: date) -> list[Row]:
    """Two documents a bucket, at its borders; amounts tell them apart."""
    return [
        invoice(str(number), str(10**number), date=DAY, due_date=today - timedelta(days=days))
        for number, days in enumerate((-5, 0, 1, 30, 31, 60, 61, 90, 91, 400))
    ]


def test_a_failed_batch_replays_alone(install, sandbox, value: Value, monkeypatch):
    monkeypatch.setattr("mlc_dagster.powerbi.destination.POST_ROWS", 2)
    ours = install(modes={"supplier_invoices": "log"})
    ours.set_up()
    ours.deliver([invoice("0", "1")])
    rows = [invoice("0", "1"), *(invoice(str(number), "10") for number in range(1, 7))]
    # The second of three batches is refused for good.
    sandbox.faults.arm("powerbi", "server_error", match="POST .*/rows", after=1, times=1, status=400)
    first = ours.deliver(rows)
    assert (first.created, first.pending) == (4, 2)
    sandbox.log.reset()
    second = ours.deliver(rows)
    assert (second.created, second.unchanged) == (2, 5)
    assert sandbox.log.count("powerbi", method="POST", match="/rows$") == 1
    assert value("[Supplier amount]") == 61


def test_aging_counts_from_today(ours, value: Value, world):
    ours.deliver(aged(world.clock.now().date()))
    assert [value(f"[AP {bucket}]") for bucket in BUCKETS] == [11, 1100, 110000, 11000000, 1100000000]


def test_aging_counts_from_a_day_that_is_selected_whatever_the_documents_own_date(ours, value: Value):
    selected = date(2026, 6, 30)
    payload = dict.fromkeys(("year", "quarter", "month", "week", "weekday", "weekday_number"))
    days = [Row(str(day), "p", "p", {"day": day, **payload}) for day in (DAY, selected)]
    ours.deliver(days, name="powerbi/dates")
    ours.deliver(aged(selected))
    asked = "CALCULATE ( [AP {}], 'Dates'[Date] = DATE ( 2026, 6, 30 ) )"
    shown = [value(asked.format(bucket)) for bucket in BUCKETS]
    assert shown == [11, 1100, 110000, 11000000, 1100000000]


def test_a_row_that_power_bi_cannot_hold_goes_to_quarantine_and_the_rest_is_delivered(ours, value: Value):
    rows = [invoice("1", "1"), invoice("2", "2", description="x" * 4001)]
    report = ours.deliver(rows)
    assert (report.created, report.quarantined) == (1, 1)
    assert value("[Supplier documents]") == 1


def test_a_long_text_is_cut_only_where_the_settings_say_so_and_the_trail_tells(install, world):
    ours = install(long_text="cut")
    ours.set_up()
    assert ours.deliver([invoice("2", description="x" * 4001)]).created == 1
    (row,) = world.rows("Visma ERP", "Supplier invoices A")
    assert row["Description"] == "x" * 4000


@BOTH
def test_of_two_keys_that_differ_by_case_only_the_second_goes_to_quarantine(install, value: Value, mode):
    ours = installed(install, mode)
    report = ours.deliver([invoice("a1", "1"), invoice("A1", "10"), invoice("2", "100")])
    assert (report.created, report.quarantined) == (2, 1)
    assert value("[Supplier amount]") == 101
    (refused,) = Quarantine(ours.engine, ours.clock).open(FACT, "NO01")
    assert "'NO01|Invoice|a1'" in refused.reason


@BOTH
def test_a_new_key_never_takes_the_place_of_one_that_differs_by_case_only(install, value: Value, mode):
    ours = installed(install, mode)
    ours.deliver([invoice("a1", "1")])
    report = ours.deliver([invoice("A1", "10"), invoice("3", "100")])
    assert (report.created, report.quarantined) == (1, 1)
    ours.deliver([invoice("a1", "2")])
    assert value("[Supplier amount]") == 102


@BOTH
def test_a_key_that_changes_its_case_is_delivered(install, value: Value, mode):
    ours = installed(install, mode)
    ours.deliver([invoice("a1", "1"), invoice("2", "100")])
    report = ours.deliver([invoice("A1", "10")], gone=[invoice("a1")])
    assert (report.created, report.deleted, report.quarantined) == (1, 1, 0)
    assert value("[Supplier amount]") == 110
    found = reconcile(ours.ledger, ours.powerbi.read_back("supplier_invoices"), FACT, "NO01", tombstone=None)
    assert found.equal, found.differences


def test_before_the_set_up_a_delivery_says_what_to_run(install):
    with pytest.raises(Stop, match="mlc powerbi setup"):
        install().deliver([invoice("1")], name=FACT)


def test_a_company_of_a_shared_dimension_row_may_go_and_the_row_stays(ours, world):
    ours.deliver([supplier("1", company="X")], name=DIMENSION, company="NO01")
    ours.deliver([supplier("1", company="X")], name=DIMENSION, company="SE01")
    ours.deliver([], name=DIMENSION, company="NO01", gone=[supplier("1", company="X")])
    assert len(world.rows("Visma ERP", "Suppliers")) == 1
    read_back = ours.powerbi.read_back("suppliers")
    for company in ("NO01", "SE01"):
        found = reconcile(ours.ledger, read_back, DIMENSION, company, tombstone=None)
        assert found.equal, found.differences


def die_before_the_first_call(ours: Installation, rows: list[Row], name: str, company: str) -> None:
    """Leave behind what a process does that is killed when it has written down what it is about to send."""
    target = ours.destination(name).target
    with Leases(ours.engine, ours.clock).hold([f"delivery:{name}:{company}"], "dead") as hold:
        changes = [Change.of(Op.CREATE, row, target) for row in rows]
        Writer(ours.ledger, hold, name, company, "dead").intend(changes)


def test_after_a_death_a_key_of_two_companies_holds_nobody_back_once_it_is_mended(ours, value: Value):
    ours.deliver([invoice("1", "1", company="X")])
    same, mended = invoice("1", "10", company="X"), invoice("1", "10", company="SE01")
    die_before_the_first_call(ours, [same], FACT, "SE01")
    assert ours.deliver([invoice("1", "2", company="X")]).complete
    with pytest.raises(Stop, match="two companies have a row"):
        ours.deliver([same], company="SE01")
    assert ours.deliver([mended], company="SE01").complete
    assert value("[Supplier amount]") == 12


def test_after_a_death_a_dimension_that_was_too_large_is_loaded_once_it_is_limited(install, world):
    ours = install(rows_per_hour=10_000, headroom_percent=10)
    ours.set_up()
    ours.deliver([supplier("7", company="SE01")], name=DIMENSION, company="SE01")
    many = [supplier(str(number)) for number in range(1_000)]
    die_before_the_first_call(ours, many, DIMENSION, "NO01")
    with pytest.raises(Stop, match="1001 rows are more than the 1000 of one hour"):
        ours.deliver(many, name=DIMENSION)
    assert ours.deliver(many[:3], name=DIMENSION).complete
    assert len(world.rows("Visma ERP", "Suppliers")) == 4
