"""The check that a target shows what it was sent: what it says, what it costs, and when it is skipped."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from mlc_dagster.database.schema import records
from mlc_dagster.definitions import defs
from mlc_dagster.delivery import Comparison
from mlc_dagster.graph.equality import NAME, SLOW_TAG, verdict
from mlc_dagster.graph.partitions import RANGE_START, key
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.settings import load_settings
from mlc_sandbox.anaplan import hub
from tests.graph.conftest import MakeHouse
from tests.support.house import QUIET, House

MODULE = "DAT01 Suppliers"


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    return proving(make_house())


def proving(house: House, view: str | None = f"{MODULE}.All") -> House:
    """An installation that carries suppliers and reads them back by a view, or not at all."""
    given = {"list_import": "Suppliers list", "data_import": "Suppliers data"}
    given |= {"read_back": view} if view else {}
    house.set("pairs", "anaplan", "destinations", value={"suppliers": given})
    house.settings, house.definitions = load_settings(house.settings.file), defs()
    return house


def told_by(feed: str) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(dg.AssetKey(["anaplan", feed]), NAME)


def told(house: House, feed: str = "suppliers") -> Any:
    """The newest evaluation of the check; None when it was skipped."""
    storage = house.instance.event_log_storage
    record, *_ = storage.get_asset_check_execution_history(told_by(feed), limit=1)
    event = record.event and record.event.dagster_event
    return (
        event.asset_check_evaluation_data
        if event and event.event_type_value == "ASSET_CHECK_EVALUATION"
        else None
    )


def shown(house: House) -> dict[str, Any]:
    return {name: value.value for name, value in told(house).metadata.items()}


def edit(house: House, line_item: str, value: Any) -> str:
    """Somebody changes a cell of the first supplier; returns its code."""
    module = house.sandbox.anaplan.world.model.named("modules", MODULE)
    coordinates = next(iter(module.cells))
    module.cells[coordinates] = module.cells[coordinates] | {line_item: value}
    return next(iter(house.modules()[MODULE]))


def test_after_a_delivery_the_target_is_read_and_found_equal(house: House) -> None:
    assert house.run().success
    suppliers = len(house.modules()[MODULE])
    assert told(house).passed
    assert told(house).description == f"NO01: all {suppliers} rows are shown as they were delivered."
    assert (shown(house)["NO01 expected"], shown(house)["NO01 found"]) == (suppliers, suppliers)
    assert shown(house)["calls"] == 3, "a token, the views' names, the view"
    [kept] = house.suite().comparisons.all()
    assert (kept.destination, kept.company, kept.expected) == ("anaplan/suppliers", "NO01", suppliers)
    assert kept.equal


def test_every_feed_reads_back_equal_as_the_erp_really_fills_it(make_house: MakeHouse) -> None:
    feeds = [feed for feed in hub.FEEDS if not feed.optional]
    house = make_house(destinations=[feed.key for feed in feeds])
    for feed in feeds:
        house.set("pairs", "anaplan", "destinations", feed.key, "read_back", value=f"{feed.module_name}.All")
    house.settings, house.definitions = load_settings(house.settings.file), defs()
    assert house.run().success
    found = {feed.key: told(house, feed.key) for feed in feeds}
    assert {name: check.description for name, check in found.items() if not check.passed} == {}
    assert all(check.metadata["NO01 expected"].value > 0 for check in found.values())
    totals = [record.data for record in found["supplier_invoices"].metadata["totals"].records]
    assert {line["column"]: Decimal(line["difference"]) for line in totals} == dict.fromkeys(
        ("amount", "vat_amount", "balance"), 0
    )
    assert all(Decimal(line["shown"]) > 0 for line in totals)


def test_a_destination_that_is_not_read_back_has_no_such_check(make_house: MakeHouse) -> None:
    house = proving(make_house(), view=None)
    checks = {key.name for key in house.definitions.resolve_asset_graph().asset_check_keys}
    assert "nothing_left_behind" in checks
    assert NAME not in checks


def test_a_cell_edited_by_hand_fails_the_check_and_not_the_run(house: House) -> None:
    assert house.run().success
    code = edit(house, "name", "Somebody's own")
    assert house.run().success
    assert not told(house).passed
    assert told(house).severity is dg.AssetCheckSeverity.ERROR
    (difference,) = told(house).metadata["differences"].records
    assert (difference.data["record"], difference.data["column"]) == (code, "name")
    assert difference.data["shown"] == "Somebody's own"
    assert "mlc resend anaplan/suppliers --company NO01" in shown(house)["what_to_do"]


def test_a_deleted_row_that_shows_values_again_is_for_a_repair_not_for_a_resend() -> None:
    spec = dg.AssetCheckSpec(NAME, asset="suppliers")
    found = Comparison("anaplan/suppliers", "NO01", expected=5, found=6, different=1, revived=1)
    told = verdict(spec, [found], {"calls": 3})
    assert not told.passed
    assert told.metadata["what_to_do"].value == (
        "- NO01: 1 rows were deleted and are still there, or again. "
        "`mlc reconcile anaplan/suppliers --company NO01 --repair` lets them be deleted again."
    )


def test_what_was_not_compared_is_not_called_equal() -> None:
    found = Comparison("anaplan/suppliers", "NO01", expected=5, found=5, unseen={"name", "currency"})
    told = verdict(dg.AssetCheckSpec(NAME, asset="suppliers"), [found], {"calls": 3})
    assert told.passed
    assert (told.description or "").endswith("Not shown, so not compared: currency, name.")


def test_a_row_nobody_sent_is_a_warning(house: House) -> None:
    assert house.run().success
    world = house.sandbox.anaplan.world
    items = world.model.named("lists", "Suppliers")
    some = next(iter(items.items.values()))
    extra = type(some)("301000009999", "#9999", code="made by hand")
    items.items[extra.id] = extra
    assert house.run().success
    assert (told(house).passed, told(house).severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "1 were never sent" in told(house).description


@pytest.mark.parametrize("fault", [{"name": "rate_limit", "retry_after": 3600}, {"name": "server_error"}])
def test_a_target_that_cannot_be_read_now_is_not_compared_and_nothing_is_red(
    make_house: MakeHouse, fault: dict[str, Any]
) -> None:
    house = proving(make_house(patience=1))
    house.sandbox.faults.arm("anaplan", match="/views", times=None, **fault)
    assert house.run().success
    assert told(house) is None
    house.sandbox.faults.clear()
    house.clock.sleep(3601)
    assert house.run().success
    assert told(house).passed


def test_a_target_that_cannot_be_read_for_two_weeks_is_told(house: House) -> None:
    house.sandbox.faults.arm("anaplan", "rate_limit", match="/views", times=None, retry_after=3600)
    assert house.run().success
    assert told(house) is None, "it was delivered to a moment ago"
    house.clock.sleep(16 * 86_400)
    assert house.run().success
    assert (told(house).passed, told(house).severity) == (False, dg.AssetCheckSeverity.WARN)
    assert f"NO01: not compared with the ledger since {house.today}." in told(house).description
    house.sandbox.faults.clear()
    house.clock.sleep(3601)
    assert house.run().success
    assert told(house).passed
    house.sandbox.faults.arm("anaplan", "rate_limit", match="/views", times=None, retry_after=3600)
    assert house.run().success
    assert told(house) is None, "it was compared a moment ago"


def test_a_view_that_is_not_there_warns_with_who_must_act(make_house: MakeHouse) -> None:
    house = proving(make_house(), "DAT01 Suppliers.Nothing")
    assert house.run().success
    assert (told(house).passed, told(house).severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "The model builder must create it" in told(house).description


def test_rows_the_target_refused_are_not_compared_and_counted(house: House) -> None:
    house.sandbox.faults.arm("anaplan", "reject_rows", match="Suppliers data", matching=".")
    house.run()
    assert told(house).passed
    assert shown(house)["NO01 failed"] > 0
    assert "Not compared:" in told(house).description


def slowly(house: House) -> list[dg.RunRequest]:
    """What the schedule asks for."""
    schedule = house.definitions.resolve_schedule_def("reconcile_anaplan")
    context = dg.build_schedule_context(
        instance=house.instance,
        scheduled_execution_time=house.clock.now(),
        resources={"suite": SuiteResource(settings_file=str(house.settings.file))},
        repository_def=house.definitions.get_repository_def(),
    )
    return list(schedule.evaluate_tick(context).run_requests or [])


def test_on_its_schedule_every_company_is_compared_without_a_delivery(house: House) -> None:
    assert slowly(house) == [], "nothing was delivered yet"
    assert house.run().success
    assert [request.tags[RANGE_START] for request in slowly(house)] == [key("NO01", house.today)]
    assert house.run("SE01").success
    first, second = slowly(house)
    assert [request.tags[SLOW_TAG] for request in (first, second)] == ["anaplan", "anaplan"]
    assert first.asset_check_keys == second.asset_check_keys == [told_by("suppliers")]
    with house.suite().engine.begin() as connection:
        lost = records.update().where(records.c.key == "NO01|50001").values(hash="of an older row")
        assert connection.execute(lost).rowcount == 1
    imports = house.imports()
    done = (
        house.definitions.resolve_implicit_global_asset_job_def()
        .get_subset(asset_check_selection={told_by("suppliers")})
        .execute_in_process(instance=house.instance, tags=first.tags, run_config=QUIET)
    )
    assert done.success
    assert house.imports() == imports
    assert not told(house).passed
    assert "1 are otherwise in the lake, and no run would send them" in told(house).description
    assert shown(house)["NO01 stale"] == 1


def test_while_a_vendor_is_closed_nothing_is_compared(house: House) -> None:
    suite = house.suite()
    day, opens = house.today, house.clock.now() + timedelta(hours=1)
    suite.deferrals.store(
        pair="anaplan", company="NO01", first_day=day, last_day=day, opens_at=opens, reason="a lockout"
    )
    assert slowly(house) == []


def test_companies_are_compared_apart(house: House) -> None:
    assert house.run("NO01").success
    assert house.run("SE01").success
    assert told(house).description.startswith("SE01: all ")
    assert "NO01 expected" not in shown(house)
