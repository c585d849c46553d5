"""A look at all keys: what vanished, was renumbered or came late, and what it costs."""

from datetime import timedelta
from typing import Any

import pytest

from mlc_dagster.lake import Spool
from mlc_dagster.transport import Closed
from mlc_dagster.visma.entities import ENTITIES
from mlc_dagster.visma.keysweep import Limit, Looked, TooMuchGone, look
from tests.visma.conftest import API_NAMES, OSLO, Erp

# Lists in pages, all at once, without a path for one record, in pages of lines, with a filter demanded.
KINDS = ["suppliers", "gl_accounts", "gl_balances", "journal_transactions", "timecards"]


def look_at(erp: Erp, entity: str, *, limit: Limit | None = None, **options: Any) -> Looked:
    options = {"clock": erp.clock, "first_day": erp.today, **options}
    return look(erp.client, erp.lake, ENTITIES[entity], erp.company, limit=limit or Limit(), **options)


def take_away(erp: Erp, entity: str, count: int = 1) -> list[str]:
    keys = sorted(erp.keys(entity))[:count]
    for key in keys:
        erp.visma.delete(erp.company, API_NAMES[entity], key)
    return keys


@pytest.mark.parametrize("entity", KINDS)
def test_nothing_is_found_where_nothing_vanished(still_erp: Erp, entity: str) -> None:
    still_erp.read(entity)
    found = look_at(still_erp, entity)
    assert (found.vanished, found.late, found.back, dict(found.renumbered)) == ((), (), frozenset(), {})
    assert found.listed == found.held == len(still_erp.keys(entity))
    found.forget()


@pytest.mark.parametrize("entity", ["suppliers", "gl_balances"])
def test_a_record_that_vanished_is_found_and_becomes_a_tombstone(erp: Erp, entity: str) -> None:
    erp.read(entity)
    [gone] = take_away(erp, entity)
    found = look_at(erp, entity)
    assert found.vanished == (gone,)
    report = erp.read(entity, gone=found.vanished)
    assert report.deleted == (gone,)
    assert erp.held(entity).keys() == erp.keys(entity)


@pytest.mark.parametrize("entity", KINDS)
def test_what_only_a_destination_remembers_is_found_gone_where_the_erp_has_it_no_more(
    erp: Erp, entity: str
) -> None:
    """The lake was lost and read again after the ERP deleted a record: nobody saw it go."""
    there = erp.keys(entity)
    [gone] = take_away(erp, entity)
    erp.read(entity)
    found = look_at(erp, entity, elsewhere=there)
    assert found.vanished == (gone,)
    erp.read(entity, gone=found.vanished)
    found.forget()
    assert gone in erp.lake.latest(entity, "NO01").column("_key").to_pylist(), "else no run answers for it"
    assert erp.held(entity).keys() == erp.keys(entity)
    assert look_at(erp, entity, elsewhere=there).vanished == ()


def test_a_destination_that_remembers_much_more_than_the_erp_has_is_not_believed(erp: Erp) -> None:
    erp.read("suppliers")
    with pytest.raises(TooMuchGone):
        look_at(erp, "suppliers", elsewhere=[f"X{number}" for number in range(500)])


def test_a_list_of_some_thousand_lines_costs_its_pages_and_no_section_is_asked_for(still_erp: Erp) -> None:
    still_erp.read("supplier_invoices")
    whole = still_erp.sandbox.log.calls("visma", match=r"supplierInvoice\?")
    still_erp.page_size, still_erp.client.page_size = 10, 10
    still_erp.sandbox.log.reset()
    look_at(still_erp, "supplier_invoices").forget()
    still_erp.page_size = still_erp.client.page_size = 1000
    pages = -(-len(still_erp.keys("supplier_invoices")) // 10)
    calls = still_erp.sandbox.log.calls("visma", match=r"supplierInvoice")
    assert len(calls) == pages
    assert any("expand" in call.path for call in whole)
    assert not any("expand" in call.path for call in calls)


def test_a_number_that_changed_is_told_by_the_erps_own_id(erp: Erp) -> None:
    erp.read("suppliers")
    [old, *_] = sorted(erp.keys("suppliers"))
    erp.visma.renumber(erp.company, "supplier", old, "99001")
    found = look_at(erp, "suppliers")
    assert (found.vanished, dict(found.renumbered)) == ((old,), {old: "99001"})


def test_a_record_taken_into_another_is_gone_and_not_renumbered(erp: Erp) -> None:
    erp.read("suppliers")
    [gone] = take_away(erp, "suppliers")
    assert look_at(erp, "suppliers").renumbered == {}
    assert look_at(erp, "suppliers").vanished == (gone,)


def test_a_document_of_another_type_is_another_key(erp: Erp) -> None:
    erp.read("purchase_orders")
    table = erp.visma.table(erp.company, "purchaseorder")
    [record, *_] = [one for one in table if one.key.startswith("RegularOrder|")]
    number = record.key.split("|")[1]
    row = {**table.row(record), "orderType": "DropShip"}
    table.delete(record.key)
    table.add(f"DropShip|{number}", record.facts, erp.clock.now(), row=row)
    found = look_at(erp, "purchase_orders")
    assert found.vanished == (record.key,), "its number answers, with another type"
    erp.read("purchase_orders", gone=found.vanished)
    assert erp.held("purchase_orders").keys() == erp.keys("purchase_orders")


@pytest.mark.parametrize("answers", ["any", "main"])
def test_an_address_without_the_type_proves_nothing_so_the_list_is_read_once_more(
    new_erp: Any, answers: str
) -> None:
    """It may find regular orders only."""
    erp = new_erp(untyped_address=answers)
    blanket = min(key for key in erp.keys("purchase_orders") if key.startswith("Blanket|"))
    erp.read("purchase_orders")
    erp.clock.sleep(60)
    table, original = erp.visma.table(erp.company, "purchaseorder"), erp.client.call
    missed = table.delete(blanket)

    def moving(method: str, path: str, **options: Any) -> Any:
        """The first page is told without it, as if it had moved meanwhile."""
        answer = original(method, path, **options)
        if blanket not in erp.keys("purchase_orders"):
            table.add(blanket, missed.facts, missed.stamp, missed.created, row=missed.row)
        return answer

    erp.client.call = moving  # type: ignore[method-assign]
    assert look_at(erp, "purchase_orders").vanished == ()
    erp.client.call = original  # type: ignore[method-assign]
    [gone] = take_away(erp, "purchase_orders")
    assert look_at(erp, "purchase_orders").vanished == (gone,)


def test_many_missing_records_need_a_persons_word_and_are_then_asked_for_page_by_page(erp: Erp) -> None:
    erp.read("supplier_payments")
    gone = take_away(erp, "supplier_payments", 25)
    with pytest.raises(TooMuchGone, match="--entity supplier_payments --confirm 25"):
        look_at(erp, "supplier_payments")
    with pytest.raises(TooMuchGone):
        look_at(erp, "supplier_payments", limit=Limit(confirmed=24))
    erp.sandbox.log.reset()
    assert look_at(erp, "supplier_payments", limit=Limit(confirmed=25)).vanished == tuple(gone)
    assert erp.calls("supplier_payments") == 2, "the list twice, not each of 25"


@pytest.mark.parametrize(
    ("percent", "held", "believed"),
    [
        (10, 1000, 100),
        (10, 100, 20),  # a few, though more than the share
        (10, 30, 15),  # never more than half
        (10, 3, 1),
        (60, 30, 18),  # unless the share itself says so
        (0, 1000, 0),
    ],
)
def test_more_than_the_share_and_more_than_a_few_need_a_persons_word(
    percent: int, held: int, believed: int
) -> None:
    limit, entity = Limit(percent / 100), ENTITIES["gl_accounts"]
    limit.check(entity, "NO01", held=held, missing=believed)
    with pytest.raises(TooMuchGone):
        limit.check(entity, "NO01", held=held, missing=believed + 1)


def test_everything_missing_is_never_believed_by_its_share(new_erp: Any) -> None:
    erp = new_erp(company_header="required")
    erp.read("branches")
    held = len(erp.keys("branches"))
    take_away(erp, "branches", held)
    with pytest.raises(TooMuchGone):
        look_at(erp, "branches", limit=Limit(share=1.0))


def test_a_record_that_slipped_between_two_pages_is_not_gone(erp: Erp) -> None:
    erp.read("suppliers")
    erp.client.page_size = 5
    [first, *_] = sorted(erp.keys("suppliers"))
    erp.sandbox.visma.switches["order"] = "modified"
    original = erp.client.call

    def restamping(method: str, path: str, **options: Any) -> Any:
        answer = original(method, path, **options)
        if "pageNumber=1&" in answer.url:
            erp.visma.restamp(erp.company, "supplier", [first])
        return answer

    erp.client.call = restamping  # type: ignore[method-assign]
    assert look_at(erp, "suppliers").vanished == ()
    assert erp.sandbox.log.count("visma", match=r"/supplier/\d+") == 1, "it was asked for by its address"


def test_a_look_met_by_a_closed_window_goes_on_with_its_pages(new_erp: Any) -> None:
    erp = new_erp(page_size=10)
    erp.read("suppliers")
    [gone] = take_away(erp, "suppliers")
    pages = -(-len(erp.keys("suppliers")) // 10)
    erp.sandbox.log.reset()
    erp.sandbox.faults.arm("visma", "rate_limit_lockout", after=1, match="supplier", retry_after=1800)
    with pytest.raises(Closed):
        look_at(erp, "suppliers")
    erp.clock.sleep(1900)
    assert look_at(erp, "suppliers").vanished == (gone,)
    asked = [call.path.split("pageNumber=")[1].split("&")[0] for call in erp.sandbox.log.calls("visma")
             if "pageNumber=" in call.path and call.status == 200]  # fmt: skip
    assert sorted(map(int, asked)) == list(range(1, pages + 1)), "each page once"


def test_pages_that_go_with_another_look_while_they_are_taken_up_are_asked_for(
    new_erp: Any, monkeypatch: Any
) -> None:
    """A sweep at the command line is cut off, and the schedule's ends while the next one begins."""
    erp = new_erp(page_size=10)
    erp.read("suppliers")
    [gone] = take_away(erp, "suppliers")
    erp.sandbox.faults.arm("visma", "rate_limit_lockout", after=2, match="supplier", retry_after=1800)
    with pytest.raises(Closed):
        look_at(erp, "suppliers")
    erp.clock.sleep(1900)
    notes = Spool.notes

    def ends_meanwhile(spool: Spool) -> Any:
        monkeypatch.setattr(Spool, "notes", notes)
        found = notes(spool)
        look_at(erp, "suppliers").forget()
        return found

    monkeypatch.setattr(Spool, "notes", ends_meanwhile)
    assert look_at(erp, "suppliers").vanished == (gone,)


def test_a_version_stamped_into_a_day_that_was_over_is_found_late(erp: Erp) -> None:
    days = erp.days(6)
    erp.read("suppliers", days)
    erp.clock.sleep(timedelta(days=4).total_seconds())
    erp.read("suppliers", erp.days(10), first_day=days[0])
    table = erp.visma.table(erp.company, "supplier")
    record = erp.visma.record(erp.company, "supplier", sorted(erp.keys("suppliers"))[0])
    back = erp.clock.now() - timedelta(days=5)
    table.change(record, {"name": "Changed by a batch with an old stamp"}, back)
    found = look_at(erp, "suppliers", first_day=days[0])
    assert found.late == (back.astimezone(OSLO).date(),)
    erp.read("suppliers", erp.days((erp.today - found.late[0]).days), first_day=days[0])
    assert erp.held("suppliers")[record.key]["name"] == "Changed by a batch with an old stamp"


@pytest.mark.parametrize("days_ago", [0, 1, 5])
def test_records_of_an_erp_that_was_set_back_are_found_and_followed(erp: Erp, days_ago: int) -> None:
    """It shows the version of some day again: of today, of one that is still open, of one long over."""
    first, table = erp.today, erp.visma.table(erp.company, "supplier")
    record = erp.visma.record(erp.company, "supplier", min(erp.keys("suppliers")))
    before = erp.clock.now() - timedelta(minutes=1)
    table.change(record, {"name": "Before"}, before)
    erp.read("suppliers", [first])
    if days_ago:
        erp.clock.sleep(timedelta(days=days_ago).total_seconds())
        erp.read("suppliers", erp.days(days_ago), first_day=first)
    erp.clock.sleep(3600)
    table.change(record, {"name": "After"}, erp.clock.now())
    erp.read("suppliers", erp.days(days_ago), first_day=first)
    table.change(record, {"name": "Before"}, before)
    found = look_at(erp, "suppliers", first_day=first)
    assert (found.back, found.late, found.vanished) == ({record.key}, (first,), ())
    erp.read("suppliers", erp.days(days_ago), back=found.back, first_day=first)
    found.forget()
    assert erp.held("suppliers")[record.key]["name"] == "Before"
    again = look_at(erp, "suppliers", first_day=first)
    assert (again.back, again.late) == (frozenset(), ())


def test_what_a_run_reads_while_the_look_goes_on_was_not_set_back(erp: Erp, monkeypatch: Any) -> None:
    erp.read("suppliers")
    steady = erp.lake.steady

    def meanwhile(*args: Any) -> Any:
        monkeypatch.setattr(erp.lake, "steady", steady)
        erp.visma.restamp(erp.company, "supplier", [min(erp.keys("suppliers"))])
        erp.read("suppliers")
        return steady(*args)

    monkeypatch.setattr(erp.lake, "steady", meanwhile)
    found = look_at(erp, "suppliers")
    assert (found.back, found.late) == (frozenset(), ())


def test_what_does_not_parse_is_no_late_record(erp: Erp) -> None:
    days = erp.days(6)
    erp.read("suppliers", days)
    erp.clock.sleep(timedelta(days=4).total_seconds())
    erp.read("suppliers", erp.days(10), first_day=days[0])
    key = sorted(erp.keys("suppliers"))[0]
    table = erp.visma.table(erp.company, "supplier")
    table.change(erp.visma.record(erp.company, "supplier", key), {}, erp.clock.now() - timedelta(days=5))
    assert look_at(erp, "suppliers", first_day=days[0], unread=[key]).late == ()


def test_a_record_that_came_back_as_it_was_is_alive_again(erp: Erp) -> None:
    days = erp.days(6)
    erp.read("suppliers", days)
    erp.clock.sleep(timedelta(days=4).total_seconds())
    erp.read("suppliers", erp.days(10), first_day=days[0])
    table = erp.visma.table(erp.company, "supplier")
    record = erp.visma.record(erp.company, "supplier", sorted(erp.keys("suppliers"))[0])
    table.delete(record.key)
    erp.read("suppliers", gone=look_at(erp, "suppliers", first_day=days[0]).vanished, first_day=days[0])
    assert record.key not in erp.held("suppliers")
    table.add(record.key, record.facts, record.stamp, record.created, row=record.row)
    found = look_at(erp, "suppliers", first_day=days[0])
    assert found.back == {record.key}
    erp.read("suppliers", erp.days(10), back=found.back, first_day=days[0])
    assert erp.held("suppliers").keys() == erp.keys("suppliers")
