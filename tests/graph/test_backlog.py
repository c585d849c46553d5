"""A company with a long history: how much is to be read, how far it is, and when it ends."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pytest

from mlc_dagster.operations.backlog import Interrupted, backlogs, hours, interrupted, total
from mlc_dagster.operations.overview import overview
from tests.graph.conftest import MakeHouse
from tests.graph.test_lockouts import asked_to_run, launch, refused, resume
from tests.support.house import House
from tests.support.planning import expected

SUPPLIERS, INVOICES = "DAT01 Suppliers", "DAT01 Supplier Invoices"


@pytest.fixture
def house(make_house: MakeHouse) -> Iterator[House]:
    """Its ERP gives three suppliers a page."""
    house = make_house(destinations=["suppliers"], patience=0)
    switches = house.sandbox.visma.switches
    before = dict(switches)
    switches["page_cap"] = 3
    yield house
    for name, value in before.items():
        switches[name] = value


def pages(house: House) -> int:
    return -(-len(house.sandbox.visma.truth("NO01", "supplier")) // 3)


def test_before_the_first_read_all_is_to_be_read_for_its_pages(house: House) -> None:
    [suppliers] = backlogs(house.suite(), "NO01")
    assert (suppliers.days, suppliers.pages, suppliers.kept) == (4, pages(house), 0)
    assert suppliers.records == len(house.sandbox.visma.truth("NO01", "supplier"))


def test_after_it_nothing_is_left_and_nothing_is_asked(house: House) -> None:
    assert house.read("suppliers").success
    house.sandbox.log.reset()
    assert backlogs(house.suite(), "NO01") == []
    assert house.sandbox.log.count("visma") == 0


def test_pages_of_a_read_that_met_a_lockout_count_as_done(house: House) -> None:
    house.sandbox.faults.arm("visma", "rate_limit_lockout", after=4, match="supplier", retry_after=1800)
    house.read("suppliers")
    house.clock.sleep(1900)
    [suppliers] = backlogs(house.suite(), "NO01")
    assert 0 < suppliers.kept < suppliers.pages
    assert suppliers.calls == suppliers.pages - suppliers.kept


def test_more_calls_than_the_share_of_an_hour_take_several(house: House) -> None:
    house.sandbox.visma.switches["rate_limit"] = 100
    suite = house.suite()
    found = backlogs(suite, "NO01")
    assert suite.visma("NO01").http.budget.left() is not None
    assert hours(suite, "NO01", total(found)) == 1
    assert hours(suite, "NO01", 250) == 4, "80 an hour are ours, and one of them is used"


def test_the_current_days_may_go_first_and_the_history_after_them(make_house: MakeHouse) -> None:
    house = make_house(destinations=["suppliers", "supplier_invoices"])
    [invoice, *_] = house.sandbox.visma.truth("NO01", "supplierInvoice")
    supplier, key = invoice["supplier"]["number"], f"{invoice['documentType']}|{invoice['referenceNumber']}"
    house.sandbox.visma.change("NO01", "supplier", supplier, {"name": "New today"})
    house.sandbox.visma.change("NO01", "supplierInvoice", key, {"description": "New today"})
    # The ERP's clock is a day behind ours.
    assert house.run(first=house.days[-2]).success
    today = house.modules()
    assert today[SUPPLIERS][f"NO01|{supplier}"]["name"] == "New today"
    assert 0 < len(today[INVOICES]) < len(house.sandbox.visma.truth("NO01", "supplierInvoice"))
    assert len(today[SUPPLIERS]) == len(house.sandbox.visma.truth("NO01", "supplier")), "what they refer to"
    left = {one.entity: one.days for one in backlogs(house.suite(), "NO01")}
    assert left == {"supplier_invoices": 2}, "the history is still to be read"
    assert house.run().success
    wanted, found = expected(house.sandbox, ["NO01"]), house.modules()
    for module in (SUPPLIERS, INVOICES):
        assert found[module] == wanted[module]


SHARE = 8


@pytest.fixture
def ten_years(make_house: MakeHouse) -> Iterator[House]:
    """A company with changes of ten years. The ERP gives two records a page; 8 calls an hour are ours."""
    house = make_house(destinations=["suppliers", "supplier_invoices"], patience=0)
    table = house.sandbox.visma.table("NO01", "supplierInvoice")
    for years, record in enumerate(list(table)[:10], start=1):
        table.change(record, {}, house.clock.now() - timedelta(days=365 * years))
    switches = house.sandbox.visma.switches
    before = dict(switches)
    switches["page_cap"], switches["rate_limit"] = 2, 10
    yield house
    for name, value in before.items():
        switches[name] = value


def used(house: House) -> int:
    """The calls of this hour, by the ERP's own count."""
    return max(window.used for window in house.sandbox.visma.limits.windows.values())


def test_ten_years_of_a_new_company_come_hour_by_hour_and_then_all_is_delivered(ten_years: House) -> None:
    house, hour = ten_years, timedelta(hours=1, seconds=1)
    backlog = [total(backlogs(house.suite(), "NO01"))]
    assert house.run().success
    while interrupted(house.suite())["NO01"]:
        assert used(house) <= SHARE
        assert house.imports() == 0, "a part is not delivered"
        assert isinstance(resume(house), dg.SkipReason), "the hour is not over"
        house.sandbox.clock.advance(hour)
        backlog.append(total(backlogs(house.suite(), "NO01")))
        assert backlog[-1] < backlog[-2]
        [request] = asked_to_run(resume(house))
        assert launch(house, request).success
    assert used(house) <= SHARE
    assert refused(house) == []
    assert len(backlog) > 3
    assert isinstance(resume(house), dg.SkipReason), "nothing waits"
    wanted, found = expected(house.sandbox, ["NO01"]), house.modules()
    for module in (SUPPLIERS, INVOICES):
        assert found[module] == wanted[module]


def test_how_far_a_read_came_is_told_while_the_hour_is_closed_and_nobody_can_be_asked(
    ten_years: House,
) -> None:
    house = ten_years
    assert house.read("supplier_invoices").success
    house.sandbox.log.reset()
    [reading, *_] = overview(house.suite(), house.clock.now())
    assert reading.interrupted == [Interrupted("supplier_invoices", days=4, here=8, pages=10)]
    assert reading.hours == 2, "this one, which is used up, and one more"
    assert house.sandbox.log.count("visma") == 0
    seen = house.instance.fetch_observations(dg.AssetKey(["visma", "supplier_invoices"]), limit=1).records
    observed = seen[0].asset_observation
    assert observed is not None
    told = {name: value.value for name, value in observed.metadata.items()}
    assert told == {"company": "NO01", "days_not_read": 4, "pages_here": 8, "pages": 10, "hours_to_go": 1}
