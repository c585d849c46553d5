"""Pages drift while a sweep runs: nothing is lost and nothing comes twice, whatever the order of the list."""

from datetime import datetime, timedelta

import pytest

from mlc_dagster.visma.entities import ENTITIES
from mlc_dagster.visma.sweep import NeverSettled
from tests.visma.conftest import API_NAMES, Erp, SandboxTime


def versions(erp: Erp, entity: str) -> dict[str, str]:
    """The row version of every record the ERP has."""
    return {record.key: record.time_stamp for record in erp.visma.table("NO01", API_NAMES[entity])}


def held(erp: Erp, entity: str) -> dict[str, str]:
    rows = erp.lake.latest(entity, erp.company).select(["_key", "_deleted", "timeStamp"]).to_pylist()
    return {row["_key"]: row["timeStamp"] for row in rows if not row["_deleted"]}


def arm(erp: Erp, entity: str, seed: int, *, times: int = 8, **amounts: int) -> None:
    path = ENTITIES[entity].path
    erp.sandbox.faults.arm(
        "visma", "drift", times=times, match=f"{path}\\?.*pageNumber", probability=0.7, seed=seed, **amounts
    )


class FastClock(SandboxTime):
    """A clock a day ahead of the ERP's: no stamp ever looks newer than the first look."""

    def now(self) -> datetime:
        return super().now() + timedelta(days=1)


class HastyClock(SandboxTime):
    """A clock some seconds ahead of the ERP's."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=20)


@pytest.mark.parametrize("clock", [SandboxTime, FastClock])
@pytest.mark.parametrize("order", ["key", "modified", "unstable"])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "amounts", [{"restamp": 3}, {"insert": 1, "delete": 1}, {"restamp": 2, "insert": 1, "delete": 1}], ids=str
)
def test_rows_that_change_vanish_and_arrive_during_a_sweep(new_erp, clock, order, seed, amounts):
    erp = new_erp(seed=seed, page_size=20, order=order)
    erp.clock = clock(erp.sandbox)
    before = versions(erp, "supplier_invoices")
    arm(erp, "supplier_invoices", seed, **amounts)
    erp.read("supplier_invoices", allow_deletes=True)
    erp.sandbox.faults.clear()
    now, read = versions(erp, "supplier_invoices"), held(erp, "supplier_invoices")
    untouched = {key for key, version in before.items() if now.get(key) == version}
    assert untouched <= read.keys(), "rows nobody touched were lost"
    assert {key: read[key] for key in untouched} == {key: now[key] for key in untouched}
    # What changed after its page had been read is inside the overlap of the next sweep.
    erp.read("supplier_invoices", allow_deletes=True)
    assert held(erp, "supplier_invoices") == versions(erp, "supplier_invoices")


def after_page(erp: Erp, number: int, happens) -> None:
    """Let something happen in the ERP, once, right after a page was read."""
    call, done = erp.client.call, []

    def called(method, path, *, params=None, **options):
        answer = call(method, path, params=params, **options)
        if (params or {}).get("pageNumber") == str(number) and not done:
            done.append(happens())
        return answer

    erp.client.call = called


@pytest.mark.parametrize("clock", [SandboxTime, FastClock])
def test_a_delete_balanced_by_an_insert_does_not_hide_a_lost_row(new_erp, clock):
    """The totals stay the same on all pages; only the deleted document itself gives it away."""
    erp = new_erp(page_size=20)
    erp.clock = clock(erp.sandbox)
    first = min(erp.keys("supplier_invoices"))
    erp.visma.change("NO01", "supplierInvoice", first, {"status": "Hold"})

    def swap() -> None:
        erp.visma.delete("NO01", "supplierInvoice", first)
        erp.visma.add("NO01", "supplierInvoice")

    after_page(erp, 1, swap)
    erp.read("supplier_invoices")
    assert erp.held("supplier_invoices").keys() == erp.keys("supplier_invoices")


@pytest.mark.parametrize("clock", [SandboxTime, HastyClock])
def test_a_renumbered_record_does_not_hide_a_lost_row(new_erp, clock):
    """One number vanishes, another arrives: totals and counts agree, only the fresh stamp tells."""
    erp = new_erp(page_size=10)
    erp.clock = clock(erp.sandbox)
    table = erp.visma.table("NO01", "supplier")

    def renumber() -> None:
        row = table.row(table.delete(min(erp.keys("suppliers"))))
        table.add("99999", None, erp.sandbox.clock.now(), row={**row, "number": "99999"})

    old = min(erp.keys("suppliers"))
    after_page(erp, 1, renumber)
    erp.read("suppliers")
    assert erp.keys("suppliers") <= erp.held("suppliers").keys() <= erp.keys("suppliers") | {old}


@pytest.mark.parametrize("clock", [SandboxTime, FastClock])
def test_what_arrives_after_its_page_was_read_is_found_by_the_next_read_at_the_latest(new_erp, clock):
    erp = new_erp(page_size=10)
    keys = sorted(erp.keys("suppliers"))
    erp.clock = clock(erp.sandbox)
    last = -(-len(keys) // 10)
    after_page(erp, last, lambda: erp.visma.change("NO01", "supplier", keys[-1], {"name": "Late AS"}))
    erp.read("suppliers")
    erp.read("suppliers")
    assert erp.held("suppliers")[keys[-1]]["name"] == "Late AS"


@pytest.mark.parametrize("order", ["key", "unstable"])
def test_journal_batches_split_over_pages_are_joined_also_while_rows_move(new_erp, order):
    erp = new_erp(scale=0.05, page_size=300, order=order)
    arm(erp, "journal_transactions", 3, times=3, restamp=2)
    if order == "unstable":
        erp.sandbox.faults.clear()
    swept = erp.sweep("journal_transactions")
    lines = {
        row["_key"]: [line["lineNumber"] for line in row["journalTransactionLines"]]
        for table in swept.tables(swept.index)
        for row in table.to_pylist()
    }
    truth = {
        f"{row['module']}|{row['batchNumber']}": [
            line["lineNumber"] for line in row["journalTransactionLines"]
        ]
        for row in erp.truth("journal_transactions")
    }
    assert lines == truth


def test_a_bulk_restamp_during_the_sweep_ends_and_loses_nothing(new_erp):
    erp = new_erp(page_size=20, order="modified")
    erp.sandbox.faults.arm("visma", "restamp_all", after=2, match="supplierInvoice\\?")
    report = erp.read("supplier_invoices")
    assert report.passes <= 3
    assert held(erp, "supplier_invoices") == versions(erp, "supplier_invoices")


def test_a_bulk_restamp_costs_one_sweep_and_the_next_read_finds_nothing_new(new_erp):
    erp = new_erp(page_size=50)
    erp.read("supplier_invoices")
    erp.visma.restamp("NO01", "supplierInvoice")
    report = erp.read("supplier_invoices")
    assert report.changed == len(versions(erp, "supplier_invoices"))
    assert held(erp, "supplier_invoices") == versions(erp, "supplier_invoices")
    again = erp.read("supplier_invoices")
    assert (again.changed, again.written) == (0, [])


def test_a_sweep_over_a_still_list_costs_its_pages_and_nothing_more(new_erp):
    erp = new_erp(page_size=20)
    records = len(versions(erp, "suppliers"))
    swept = erp.sweep("suppliers")
    assert (swept.passes, len(swept.index)) == (1, records)
    assert erp.calls("suppliers") == -(-records // 20)


def test_one_page_needs_no_second_look_and_no_spool(still_erp):
    before = still_erp.calls("suppliers")
    swept = still_erp.sweep("suppliers")
    assert swept.pages == 1
    assert still_erp.calls("suppliers") - before == 1
    assert still_erp.spool("suppliers").notes() == {}


def test_a_list_that_never_settles_is_refused(new_erp):
    erp = new_erp(page_size=5, order="unstable")
    with pytest.raises(NeverSettled, match="customers of NO01 changed during each of 2 passes"):
        erp.sweep("customers", passes=2)


def test_a_list_that_keeps_growing_is_read_all_the_same(new_erp):
    erp = new_erp(page_size=20)
    before = versions(erp, "supplier_invoices")
    arm(erp, "supplier_invoices", 5, times=1000, insert=1)
    erp.read("supplier_invoices")
    erp.sandbox.faults.clear()
    read = held(erp, "supplier_invoices")
    assert {key: read.get(key) for key in before} == before
    erp.read("supplier_invoices")
    assert held(erp, "supplier_invoices") == versions(erp, "supplier_invoices")
