"""A sweep that is cut off goes on with the pages it has: none is read twice, and drift meanwhile is found."""

import os
from dataclasses import replace
from datetime import date, timedelta

import pytest

from mlc_dagster.lake import Lake
from mlc_dagster.transport import Again, Closed
from mlc_dagster.visma import pages as visma_pages
from mlc_dagster.visma.deletes import ReadGuard
from mlc_dagster.visma.reader import ReadReport
from tests.visma.conftest import API_NAMES, Erp

PAGE = 10
INVOICES = "supplier_invoices"


def pages_asked(erp: Erp, entity: str = INVOICES) -> list[int]:
    """The pages of the whole list that were answered, in order; looks at changes do not count."""
    path = {"supplier_invoices": "supplierInvoice", "journal_transactions": "journaltransaction"}[entity]
    calls = erp.sandbox.log.calls("visma", match=rf"/{path}\?")
    whole = [call.path for call in calls if call.status == 200 and "released=" not in call.path]
    listed = [path for path in whole if "lastModifiedDateTime=" not in path or "=1900-01-01" in path]
    return sorted(
        int(path.split("pageNumber=")[1].split("&")[0]) for path in listed if "pageSize=1&" not in path + "&"
    )


def pages(erp: Erp) -> list[int]:
    return list(range(1, -(-len(erp.keys(INVOICES)) // PAGE) + 1))


def lock(erp: Erp, after: int, match: str = r"supplierInvoice\?") -> None:
    erp.sandbox.faults.arm("visma", "rate_limit_lockout", after=after, match=match, retry_after=3600)


def cut_off(erp: Erp, after: int, **options) -> None:
    """Read until a lockout after some pages."""
    lock(erp, after)
    with pytest.raises(Closed):
        erp.read(INVOICES, **options)


def versions(erp: Erp) -> dict[str, str]:
    return {record.key: record.time_stamp for record in erp.visma.table("NO01", API_NAMES[INVOICES])}


def held(erp: Erp) -> dict[str, str]:
    return {key: row["timeStamp"] for key, row in erp.held(INVOICES).items()}


def left_behind(erp: Erp) -> list[str]:
    return [path for path in erp.lake.storage.fs.find(erp.lake.storage.path(".sweeps")) if path]


def put_aside_now(erp: Erp) -> None:
    """Give the pages the time of the sandbox, where days pass in no time."""
    now = erp.clock.now().timestamp()
    for path in left_behind(erp):
        os.utime(path, (now, now))


@pytest.fixture
def paged(new_erp) -> Erp:
    return new_erp(page_size=PAGE)


@pytest.mark.parametrize("after", [1, 2, 4])
def test_a_lockout_costs_no_page_that_was_read(paged, after):
    cut_off(paged, after)
    assert len(left_behind(paged)) == len(pages_asked(paged)) >= after
    assert paged.held(INVOICES) == {}
    paged.clock.sleep(3600)
    paged.read(INVOICES)
    assert pages_asked(paged) == pages(paged)
    assert held(paged) == versions(paged)
    assert left_behind(paged) == []


def test_an_entity_larger_than_a_window_is_read_over_several(new_erp):
    erp = new_erp(page_size=PAGE, rate_limit=5)
    days, windows = erp.days(), 1
    while True:
        try:
            # The days that were asked for first, as the resume sensor does: midnight may pass meanwhile.
            erp.read(INVOICES, days)
            break
        except Closed as closed:
            windows += 1
            erp.clock.sleep((closed.opens_at - erp.clock.now()).total_seconds())
    assert pages_asked(erp) == pages(erp)
    assert windows == -(-(len(pages(erp)) + 2) // 5), (
        "the look at unreleased documents and at changes included"
    )
    assert held(erp) == versions(erp)


@pytest.mark.parametrize("order", ["key", "modified", "unstable"])
@pytest.mark.parametrize("seed", range(3))
def test_what_moves_vanishes_and_arrives_between_the_windows_is_found(new_erp, order, seed):
    erp = new_erp(page_size=20, seed=seed, order=order)
    lock(erp, 2)
    with pytest.raises(Closed):
        erp.read(INVOICES)
    unreleased = [row for row in erp.truth(INVOICES) if row["status"] in ("Hold", "Balanced")]
    for row in unreleased[:2]:
        erp.visma.delete("NO01", "supplierInvoice", f"{row['documentType']}|{row['referenceNumber']}")
    erp.visma.add("NO01", "supplierInvoice")
    erp.visma.add("NO01", "supplierInvoice")
    erp.visma.restamp("NO01", "supplierInvoice", sorted(erp.keys(INVOICES))[:5])
    erp.clock.sleep(3600)
    erp.read(INVOICES, allow_deletes=True)
    assert held(erp) == versions(erp)


class Killed(Exception):
    """The process is killed when all pages are there and no day is written."""


def read_until_killed(erp: Erp, days: list[date], **options) -> None:
    def die(_report: ReadReport) -> None:
        raise Killed

    with pytest.raises(Killed):
        erp.read(INVOICES, days, settle=die, **options)
    assert left_behind(erp)
    erp.clock.sleep(60)


def killed_amid_a_whole_read(erp: Erp) -> tuple[list[date], str]:
    """Its days, and an invoice that was deleted since the last read; all its pages are put aside."""
    days = erp.days(back=1)
    erp.read(INVOICES, days, first_day=days[0])
    gone = next(
        f"{row['documentType']}|{row['referenceNumber']}"
        for row in erp.truth(INVOICES)
        if row["status"] == "Open"
    )
    erp.visma.delete("NO01", "supplierInvoice", gone)
    erp.clock.sleep(60)
    read_until_killed(erp, days[:1], first_day=days[0], whole=True)
    return days, gone


def test_what_others_read_since_a_whole_read_was_killed_is_not_taken_for_deleted(paged):
    days, gone = killed_amid_a_whole_read(paged)
    paged.visma.add("NO01", "supplierInvoice")
    paged.read(INVOICES, days[1:], first_day=days[0])
    report = paged.read(INVOICES, days[:1], first_day=days[0], whole=True)
    assert report.missing == (gone,)
    assert held(paged).keys() - {gone} == versions(paged).keys()


def test_one_deletion_is_no_empty_answer_though_others_have_read_all_the_rest_again(paged):
    days, gone = killed_amid_a_whole_read(paged)
    for key in paged.keys(INVOICES):
        paged.visma.change("NO01", "supplierInvoice", key, {"description": "again"})
    paged.read(INVOICES, days[1:], first_day=days[0])
    report = paged.read(INVOICES, days[:1], first_day=days[0], whole=True)
    assert report.missing == (gone,)


def test_a_split_batch_whose_parts_came_in_two_windows_is_whole(new_erp):
    erp = new_erp(scale=0.05, page_size=100)
    lock(erp, 3, r"journaltransaction\?")
    with pytest.raises(Closed):
        erp.read("journal_transactions")
    erp.clock.sleep(3600)
    erp.read("journal_transactions")
    asked = pages_asked(erp, "journal_transactions")
    assert asked == list(range(1, len(asked) + 1))
    lines = {
        key: [line["lineNumber"] for line in row["journalTransactionLines"]]
        for key, row in erp.held("journal_transactions").items()
    }
    assert lines == {
        f"{row['module']}|{row['batchNumber']}": [
            line["lineNumber"] for line in row["journalTransactionLines"]
        ]
        for row in erp.truth("journal_transactions")
    }


def test_a_read_that_lay_still_looks_at_what_changed_since(paged):
    cut_off(paged, after=len(pages(paged)))
    key = min(paged.keys(INVOICES))
    paged.clock.sleep(3600)
    paged.visma.change("NO01", "supplierInvoice", key, {"description": "meanwhile"})
    paged.read(INVOICES)
    assert paged.held(INVOICES)[key]["description"] == "meanwhile"


def test_records_that_did_not_parse_before_the_lockout_are_reported_after_it(paged):
    key = min(paged.keys(INVOICES))
    paged.visma.change("NO01", "supplierInvoice", key, {"amount": "much"})
    cut_off(paged, after=2)
    paged.clock.sleep(3600)
    assert [bad.key for bad in paged.read(INVOICES).quarantined] == [key]


def test_a_damaged_page_is_read_again(paged):
    cut_off(paged, after=3)
    damaged = sorted(left_behind(paged))[0]
    with paged.lake.storage.fs.open(damaged, "wb") as file:
        file.write(b"half a page")
    paged.clock.sleep(3600)
    paged.read(INVOICES)
    assert pages_asked(paged) == sorted([*pages(paged), 1])
    assert held(paged) == versions(paged)


def test_a_read_of_other_days_does_not_take_the_pages(paged):
    days = paged.days(back=1)
    cut_off(paged, after=3, days=days, first_day=days[0])
    before = len(pages_asked(paged))
    paged.clock.sleep(3600)
    paged.read(INVOICES, days[:1], first_day=days[0])
    assert len(pages_asked(paged)) == before + len(pages(paged))


def test_a_page_size_of_another_measure_begins_anew(paged):
    cut_off(paged, after=3)
    paged.clock.sleep(3600)
    paged.client.page_size = 2 * PAGE
    paged.read(INVOICES)
    assert held(paged) == versions(paged)


def test_pages_that_another_read_of_the_same_took_with_it_are_read_again(new_erp, monkeypatch):
    """Two pairs on their first morning: the quicker one ends, and removes the pages both go on from."""
    monkeypatch.setattr(visma_pages, "PIECE_BYTES", 1)
    erp = new_erp(page_size=20)
    days, other = erp.days(back=6), iter([replace(erp, lake=Lake(erp.lake.url))])

    def ends_meanwhile(_day: date, _rows: int) -> None:
        for quicker in other:
            quicker.read("suppliers", days, first_day=days[0])

    erp.read("suppliers", days, first_day=days[0], on_day=ends_meanwhile)
    assert erp.held("suppliers").keys() == erp.keys("suppliers")


def test_pages_nobody_came_back_for_are_removed_after_some_days(paged):
    cut_off(paged, after=3, days=paged.days(back=1), first_day=paged.days(back=1)[0])
    put_aside_now(paged)
    assert left_behind(paged)
    paged.clock.sleep(timedelta(days=3, minutes=1).total_seconds())
    paged.read(INVOICES)
    assert left_behind(paged) == []


def test_a_read_that_needs_windows_of_many_days_goes_on(paged):
    days = paged.days()
    for _ in range(3):
        cut_off(paged, after=1, days=days)
        put_aside_now(paged)
        paged.clock.sleep(timedelta(days=2).total_seconds())
    paged.read(INVOICES, days)
    assert pages_asked(paged) == pages(paged)
    assert held(paged) == versions(paged)


def test_pages_that_still_come_are_left_alone_by_other_reads(paged):
    days = paged.days(back=1)
    cut_off(paged, after=3, days=days, first_day=days[0])
    waiting = left_behind(paged)
    paged.clock.sleep(timedelta(days=4).total_seconds())
    put_aside_now(paged)
    paged.read(INVOICES, days[:1], first_day=days[0])
    assert left_behind(paged) == waiting


def test_an_answer_that_is_not_believed_is_not_kept(paged):
    paged.read(INVOICES)
    for record in list(paged.visma.table("NO01", "supplierInvoice"))[: len(pages(paged)) * PAGE // 2]:
        paged.visma.delete("NO01", "supplierInvoice", record.key)
    with pytest.raises(ReadGuard):
        paged.read(INVOICES, whole=True)
    assert left_behind(paged) == []


def test_an_error_of_the_erp_keeps_the_pages_too(paged):
    paged.sandbox.faults.arm("visma", "server_error", after=3, times=None, match=r"supplierInvoice\?")
    with pytest.raises(Again):
        paged.read(INVOICES)
    assert left_behind(paged)
    paged.sandbox.faults.clear()
    paged.read(INVOICES)
    assert pages_asked(paged) == pages(paged)


def test_a_read_cut_off_between_two_months_writes_only_the_others(paged, monkeypatch):
    days, write, written = paged.days(back=75), Lake.write_month, []

    def cut(self, entity, company, rows, notes):
        if written:
            raise OSError("the share is gone for a moment")
        written.append(min(notes))
        return write(self, entity, company, rows, notes)

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "write_month", cut)
        with pytest.raises(OSError, match="the share is gone"):
            paged.read(INVOICES, days, first_day=days[0])
    before = paged.lake.notes(INVOICES, "NO01")
    assert min(before) == written[0] == days[0]
    report = paged.read(INVOICES, days, first_day=days[0])
    assert not set(report.written[: -len(before)]) & set(before)
    assert {day: paged.lake.notes(INVOICES, "NO01")[day] for day in before} == before
    assert sum(report.rows.values()) == len(paged.keys(INVOICES))
    assert pages_asked(paged) == pages(paged)
    assert held(paged) == versions(paged)
    assert left_behind(paged) == []
