"""Reading by company and modified day: what each day's file holds, what is read again, and what is not."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from mlc_dagster.lake import Lake, LakeOvertaken, LakeWriteFailed
from mlc_dagster.transport import Closed
from mlc_dagster.visma.deletes import ReadGuard
from mlc_dagster.visma.entities import ENTITIES
from mlc_dagster.visma.reader import ReadReport
from mlc_dagster.visma.wall import CLOCK_LAG, overlap
from tests.visma.conftest import OSLO, Erp


def invoice(erp: Erp, **wanted: Any) -> str:
    """The key of some supplier invoice."""
    return next(
        f"{row['documentType']}|{row['referenceNumber']}"
        for row in erp.truth("supplier_invoices")
        if all(row[name] == value for name, value in wanted.items())
    )


def stamp_day(row: dict[str, Any]) -> date:
    return row["_stamp"].astimezone(OSLO).date()


def test_every_day_asked_gets_a_typed_file_and_only_its_own_rows(erp):
    erp.visma.change("NO01", "supplierInvoice", invoice(erp), {"description": "today"})
    days = erp.days(back=20)
    told = []
    report = erp.read(
        "supplier_invoices", days, first_day=days[0], on_day=lambda day, rows: told.append((day, rows))
    )
    assert erp.lake.days("supplier_invoices", "NO01") == report.written == days
    assert told == [(day, report.rows[day]) for day in days]
    for day in days[1:]:
        table = erp.lake.read_day("supplier_invoices", "NO01", day)
        assert table.schema.equals(ENTITIES["supplier_invoices"].schema)
        assert {stamp_day(row) for row in table.to_pylist()} <= {day}


def files(erp: Erp, entity: str) -> list[str]:
    return [file.name for file in erp.lake.storage.list(erp.lake.storage.path(entity, "NO01"))]


@pytest.mark.parametrize("entity", ["supplier_invoices", "purchase_orders"])
def test_a_first_load_leaves_what_day_by_day_and_compaction_leave(new_erp, tmp_path, entity):
    at_once = new_erp(seed=5, scale=0.2, page_size=20)
    daily = replace(at_once, lake=Lake(str(tmp_path / "daily")), page_size=1000)
    days, told = at_once.days(back=40), []
    report = at_once.read(entity, days, first_day=days[0], on_day=lambda day, rows: told.append((day, rows)))
    for day in days:
        daily.read(entity, [day], first_day=days[0])
    daily.lake.compact(entity, "NO01", before=days[-1].replace(day=1))
    assert files(at_once, entity) == files(daily, entity)
    assert report.written == days
    assert told == [(day, daily.lake.count(entity, "NO01", day)) for day in days]
    assert report.changed == report.read == sum(rows for _, rows in told)
    for day in days:
        mine, theirs = (erp.lake.read_day(entity, "NO01", day) for erp in (at_once, daily))
        assert mine.schema == theirs.schema
        order = [("_key", "ascending")]
        assert mine.drop_columns("_read_at").sort_by(order) == theirs.drop_columns("_read_at").sort_by(order)
    complete = {day: note.complete for day, note in at_once.lake.notes(entity, "NO01").items()}
    assert complete == {day: note.complete for day, note in daily.lake.notes(entity, "NO01").items()}


def test_months_the_lake_knows_are_merged_day_by_day(erp):
    days = erp.days(back=75)
    known = days[0]
    erp.read("supplier_invoices", [known], first_day=known)
    report = erp.read("supplier_invoices", days, first_day=known)
    assert report.written == days[1:]
    assert f"{known.isoformat()[:7]}.parquet" in files(erp, "supplier_invoices")
    assert set(erp.held("supplier_invoices")) == erp.keys("supplier_invoices")


def test_the_first_day_of_the_axis_holds_everything_older(erp):
    days = erp.days(back=3)
    erp.read("suppliers", days, first_day=days[0])
    assert set(erp.held("suppliers")) == erp.keys("suppliers")


def test_days_that_are_not_asked_are_left_to_their_own_partition(erp):
    days = erp.days(back=10)
    erp.read("supplier_invoices", days[3:5], first_day=days[0])
    assert erp.lake.days("supplier_invoices", "NO01") == days[3:5]
    assert {stamp_day(row) for row in erp.held("supplier_invoices").values()} <= set(days[3:5])


def test_reading_day_by_day_gives_what_one_sweep_gives(new_erp):
    whole, daily = new_erp(seed=5), new_erp(seed=5)
    days = whole.days(back=15)
    whole.read("supplier_invoices", days, first_day=days[0])
    for day in days:
        daily.read("supplier_invoices", [day], first_day=days[0])
    assert whole.held("supplier_invoices").keys() == daily.held("supplier_invoices").keys()


def test_open_days_are_read_again_from_where_their_reading_ended_and_new_ones_whole(erp):
    before, *open_days = erp.days(back=2)
    axis = {"first_day": before - timedelta(days=9)}
    erp.visma.change("NO01", "supplierInvoice", invoice(erp), {"description": "today"})

    def asked_from(days: list[date]) -> str:
        erp.sandbox.log.reset()
        erp.read("supplier_invoices", days, **axis)
        paths = [call.path for call in erp.sandbox.log.calls("visma") if "lastModifiedDateTime=" in call.path]
        return parse_qs(urlsplit(paths[0]).query)["lastModifiedDateTime"][0]

    assert asked_from(open_days) == f"{open_days[0]}T00:00:00"
    notes = erp.lake.notes("supplier_invoices", "NO01")
    assert asked_from(open_days) == min(notes[day].next_from for day in open_days)
    assert asked_from([before, *open_days]) == f"{before}T00:00:00"


def test_a_gap_between_the_days_is_refused(erp):
    days = erp.days(back=3)
    with pytest.raises(ValueError, match="no contiguous range"):
        erp.read("suppliers", [days[0], days[2]])


def test_a_second_run_without_changes_writes_nothing_and_asks_once(erp):
    erp.read("purchase_orders")
    erp.sandbox.log.reset()
    before = erp.lake.fingerprint("purchase_orders", "NO01")
    report = erp.read("purchase_orders")
    assert (report.changed, report.written, report.calls) == (0, [], 1)
    assert erp.lake.fingerprint("purchase_orders", "NO01") == before
    assert erp.calls("purchase_orders", query="lastModifiedDateTime=") == 1


def test_the_next_run_goes_on_where_the_rows_ended_not_where_our_clock_stands(erp):
    key = invoice(erp)
    erp.visma.change("NO01", "supplierInvoice", key, {"description": "last change"})
    last = erp.visma.record("NO01", "supplierInvoice", key).wall
    erp.clock.sleep(3600)
    day = [last.date()]
    erp.read("supplier_invoices", day)
    note = erp.lake.note("supplier_invoices", "NO01", day[0])
    begin = datetime.fromisoformat(note.next_from)
    assert timedelta(minutes=5) <= last - begin <= timedelta(minutes=5, seconds=60)


def test_a_record_stamped_far_ahead_hides_no_change_that_comes_before_it(erp):
    ahead, now, later = sorted(erp.keys("suppliers"))[:3]
    erp.read("suppliers")
    table = erp.visma.table("NO01", "supplier")
    table.change(
        erp.visma.record("NO01", "supplier", ahead), {"name": "A"}, erp.clock.now() + timedelta(days=400)
    )
    erp.visma.change("NO01", "supplier", now, {"name": "Fjordheim AS"})
    erp.read("suppliers")
    erp.clock.sleep(600)
    erp.visma.change("NO01", "supplier", later, {"name": "Nordvik AS"})
    erp.read("suppliers")
    held = erp.held("suppliers")
    assert (held[now]["name"], held[later]["name"]) == ("Fjordheim AS", "Nordvik AS")


def test_a_record_committed_after_its_stamp_is_found_by_the_overlap(erp):
    keys = sorted(erp.keys("suppliers"))
    late = erp.visma.record("NO01", "supplier", keys[0])
    hidden_stamp = erp.clock.now()
    erp.clock.sleep(120)
    erp.visma.change("NO01", "supplier", keys[1], {"name": "Fjordheim AS"})
    erp.read("suppliers")
    # Another transaction that began two minutes ago commits only now, with its older stamp.
    table = erp.visma.table("NO01", "supplier")
    table.change(late, {"name": "Nordvik AS"}, hidden_stamp)
    erp.read("suppliers")
    assert erp.held("suppliers")[keys[0]]["name"] == "Nordvik AS"


def test_a_record_committed_an_hour_after_its_stamp_is_found_when_its_day_ends(erp):
    keys, stamp, first = sorted(erp.keys("suppliers")), erp.clock.now() + timedelta(minutes=1), erp.today
    erp.clock.sleep(3600)
    erp.visma.restamp("NO01", "supplier", keys[:1])
    erp.read("suppliers", [first])
    supplier = erp.visma.record("NO01", "supplier", keys[1])
    erp.visma.table("NO01", "supplier").change(supplier, {"name": "Late"}, stamp)
    erp.clock.sleep(86400)
    erp.read("suppliers", erp.days(back=1))
    assert erp.held("suppliers")[keys[1]]["name"] != "Late", "read from where the last reading ended"
    erp.clock.sleep(86400)
    erp.read("suppliers", erp.days(back=2))
    assert erp.lake.note("suppliers", "NO01", first).complete
    assert erp.held("suppliers")[keys[1]]["name"] == "Late"


def test_versions_of_a_day_are_merged_by_key(erp):
    first, second = sorted(erp.keys("suppliers"))[:2]
    day = erp.today
    erp.visma.change("NO01", "supplier", first, {"name": "Before AS"})
    erp.read("suppliers", [day], first_day=day - timedelta(days=1))
    erp.visma.change("NO01", "supplier", first, {"name": "After AS"})
    erp.visma.change("NO01", "supplier", second, {"name": "Another AS"})
    report = erp.read("suppliers", [day], first_day=day - timedelta(days=1))
    assert report.changed == 2
    rows = {row["_key"]: row["name"] for row in erp.lake.read_day("suppliers", "NO01", day).to_pylist()}
    assert (rows[first], rows[second]) == ("After AS", "Another AS")


def test_replaying_an_old_day_never_overwrites_new_data_with_old(erp):
    days = erp.days(back=5)
    erp.read("suppliers", days, first_day=days[0])
    key = sorted(erp.keys("suppliers"))[0]
    erp.visma.change("NO01", "supplier", key, {"name": "New Name AS"})
    erp.read("suppliers", [days[-1]], first_day=days[0])
    again = erp.read("suppliers", days[:-1], first_day=days[0])
    assert again.changed == 0
    assert erp.held("suppliers")[key]["name"] == "New Name AS"


def test_a_day_is_complete_only_when_it_was_read_well_after_its_end(erp):
    day = erp.today
    end = datetime.combine(day + timedelta(days=1), datetime.min.time(), OSLO).astimezone(UTC)
    erp.read("suppliers", [day])
    assert erp.lake.note("suppliers", "NO01", day).complete is False
    erp.clock.sleep((end - erp.clock.now()).total_seconds() + 60)
    erp.read("suppliers", [day])
    assert erp.lake.note("suppliers", "NO01", day).complete is False, "a late commit may still come"
    erp.clock.sleep((CLOCK_LAG + timedelta(minutes=90)).total_seconds())
    erp.read("suppliers", [day])
    note = erp.lake.note("suppliers", "NO01", day)
    assert (note.complete, note.next_from) == (True, None)


def test_a_complete_day_is_read_again_from_its_begin(erp):
    days = erp.days(back=6)
    erp.read("suppliers", days, first_day=days[0])
    erp.sandbox.log.reset()
    erp.read("suppliers", [days[2]], first_day=days[0])
    assert erp.calls("suppliers", query=f"lastModifiedDateTime={days[2]}T00%3A00%3A00&") == 1


def test_an_unreleased_invoice_that_was_deleted_becomes_a_tombstone_on_the_newest_day(erp):
    days = erp.days(back=3)
    erp.read("supplier_invoices", days, first_day=days[0])
    key = invoice(erp, status="Hold")
    before = erp.held("supplier_invoices")[key]
    erp.visma.delete("NO01", "supplierInvoice", key)
    report = erp.read("supplier_invoices", days[-1:], first_day=days[0])
    assert report.deleted == (key,)
    assert set(erp.held("supplier_invoices")) == erp.keys("supplier_invoices")
    tomb = next(
        row
        for row in erp.lake.read_day("supplier_invoices", "NO01", days[-1]).to_pylist()
        if row["_key"] == key
    )
    assert tomb["_deleted"]
    assert {name: tomb[name] for name in ("amount", "supplier", "_stamp")} == {
        name: before[name] for name in ("amount", "supplier", "_stamp")
    }
    again = erp.read("supplier_invoices", days[-1:], first_day=days[0])
    assert (again.deleted, again.written) == ((), [])
    replay = erp.read("supplier_invoices", days[:-1], first_day=days[0])
    assert key not in erp.held("supplier_invoices"), replay


def test_a_released_invoice_is_no_deleted_one(erp):
    erp.read("supplier_invoices")
    key = invoice(erp, status="Balanced")
    erp.visma.change("NO01", "supplierInvoice", key, {"status": "Open"})
    report = erp.read("supplier_invoices")
    assert (report.deleted, erp.held("supplier_invoices")[key]["status"]) == ((), "Open")


def test_a_tombstone_that_another_process_writes_meanwhile_is_not_written_over(erp, monkeypatch):
    """A sweep at the command line, while the daemon's run merges the same day."""
    erp.read("suppliers")
    gone, *others = sorted(erp.keys("suppliers"))
    erp.visma.delete("NO01", "supplier", gone)
    erp.visma.restamp("NO01", "supplier", others[:1])
    command = replace(erp, lake=Lake(erp.lake.url))
    parts = erp.lake.day_parts

    def meanwhile(*args: Any) -> Any:
        monkeypatch.setattr(erp.lake, "day_parts", parts)
        yield from parts(*args)
        command.read("suppliers", gone=[gone])

    monkeypatch.setattr(erp.lake, "day_parts", meanwhile)
    erp.read("suppliers")
    assert gone in erp.lake.latest("suppliers", "NO01").column("_key").to_pylist()
    assert erp.held("suppliers").keys() == erp.keys("suppliers")


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_a_tombstone_written_while_the_disk_is_slow_is_not_written_over(erp, monkeypatch, kind):
    """All rows are encoded by then; only the file's own move or upload is still to come."""
    if kind == "memory":
        erp.lake = Lake(f"memory://{uuid4().hex}")
    erp.read("suppliers")
    gone, *others = sorted(erp.keys("suppliers"))
    erp.visma.delete("NO01", "supplier", gone)
    erp.visma.restamp("NO01", "supplier", others[:1])
    command, put = replace(erp, lake=Lake(erp.lake.url)), erp.lake.storage.put

    def slow(path: str, write: Any, *rest: Any) -> None:
        def written(file: Any) -> None:
            write(file)
            monkeypatch.setattr(erp.lake.storage, "put", put)
            command.read("suppliers", gone=[gone])

        put(path, written, *rest)

    monkeypatch.setattr(erp.lake.storage, "put", slow)
    erp.read("suppliers")
    assert erp.held("suppliers").keys() == erp.keys("suppliers")


def test_what_another_process_read_later_stays_where_a_list_has_no_stamps(erp):
    """A command that is quicker to write than a run of the daemon, whose answer is older."""
    erp.read("financial_periods")
    changed, gone, *_ = sorted(erp.keys("financial_periods"))
    command = replace(erp, lake=Lake(erp.lake.url))

    def meanwhile(_report: ReadReport) -> None:
        erp.clock.sleep(60)
        erp.visma.change("NO01", "financialPeriod", changed, {"description": "meanwhile"})
        erp.visma.delete("NO01", "financialPeriod", gone)
        command.read("financial_periods")

    erp.clock.sleep(60)
    erp.visma.change("NO01", "financialPeriod", changed, {"description": "before"})
    erp.read("financial_periods", settle=meanwhile)
    assert erp.held("financial_periods")[changed]["description"] == "meanwhile"
    assert erp.held("financial_periods").keys() == erp.keys("financial_periods")


def test_a_day_that_others_replace_again_and_again_is_given_up_and_nothing_written_over(erp, monkeypatch):
    erp.read("suppliers")
    erp.visma.restamp("NO01", "supplier", [min(erp.keys("suppliers"))])
    files = iter(range(100))
    monkeypatch.setattr(erp.lake, "file", lambda *_: next(files))
    written = erp.lake.fingerprint("suppliers", "NO01")
    with pytest.raises(LakeOvertaken, match="run this read again"):
        erp.read("suppliers")
    assert erp.lake.fingerprint("suppliers", "NO01") == written


def test_a_record_that_came_back_after_a_look_missed_it_is_not_buried(erp):
    """Another read brought it into the lake, and went on to where this one no longer sees it."""
    erp.read("suppliers")
    key, other = sorted(erp.keys("suppliers"))[:2]
    erp.clock.sleep(60)
    looked, table = erp.clock.now(), erp.visma.table("NO01", "supplier")
    gone = table.delete(key)
    erp.clock.sleep(60)
    table.add(key, gone.facts, erp.clock.now(), gone.created, row=gone.row)
    erp.read("suppliers")
    erp.clock.sleep(3600)
    erp.visma.restamp("NO01", "supplier", [other])
    erp.read("suppliers")
    assert erp.read("suppliers", gone=[key], looked=looked).deleted == ()
    assert erp.held("suppliers").keys() == erp.keys("suppliers")


@pytest.mark.parametrize("answers", ["any", "main"])
def test_a_404_of_an_address_without_the_type_counts_where_it_finds_that_type(new_erp, answers):
    """Credit notes and debit notes stand in one list; an address may find invoices only."""
    erp = new_erp(untyped_address=answers)
    table = erp.visma.table("NO01", "customerInvoice")
    closed = next(record for record in table if table.row(record)["status"] == "Closed")
    for number, status in (("1", "Closed"), ("2", "Hold"), ("3", "Hold")):
        row = {**table.row(closed), "documentType": "DebitNote", "referenceNumber": number, "status": status}
        table.add(f"DebitNote|{number}", closed.facts, erp.clock.now(), row=row)
    erp.read("customer_invoices")
    erp.clock.sleep(60)
    table.delete("DebitNote|3")
    erp.sandbox.faults.arm("visma", "empty_list", match="released=0")
    assert erp.read("customer_invoices").deleted == (("DebitNote|3",) if answers == "any" else ())
    assert "DebitNote|2" in erp.held("customer_invoices")


def test_a_number_used_again_after_a_delete_is_alive_again(erp):
    erp.read("supplier_invoices")
    key = invoice(erp, status="Hold")
    table = erp.visma.table("NO01", "supplierInvoice")
    row = table.row(erp.visma.record("NO01", "supplierInvoice", key))
    erp.visma.delete("NO01", "supplierInvoice", key)
    erp.read("supplier_invoices")
    table.add(key, None, erp.clock.now(), row={**row, "description": "again"})
    erp.read("supplier_invoices")
    assert erp.held("supplier_invoices")[key]["description"] == "again"


def test_a_record_that_comes_back_as_it_was_is_alive_again(erp):
    """Its row equals the one of its day, which is older than the tombstone: only the reading tells."""
    days = erp.days(back=1)
    erp.read("employees", days, first_day=days[0])
    table, key = erp.visma.table("NO01", "employee"), min(erp.keys("employees"))
    gone = table.delete(key)
    assert erp.read("employees", days, first_day=days[0], gone=[key]).deleted == (key,)
    table.add(key, gone.facts, gone.stamp, gone.created, row=gone.row)
    table.get(key).counter = gone.counter
    erp.read("employees", days, first_day=days[0], whole=True)
    assert key in erp.held("employees")
    assert erp.read("employees", days, first_day=days[0], whole=True).written == []


def test_entities_without_a_filter_are_read_whole_and_only_differences_are_kept(erp):
    days = erp.days(back=1)
    erp.read("dimensions", days[:1], first_day=days[0])
    assert erp.read("dimensions", days[1:], first_day=days[0]).changed == 0
    record = erp.visma.record("NO01", "dimension", "SUBACCOUNT")
    erp.visma.table("NO01", "dimension").change(record, {"description": "Renamed"}, erp.clock.now())
    erp.visma.delete("NO01", "dimension", "PROJECT")
    report = erp.read("dimensions", days[1:], first_day=days[0])
    assert (report.changed, report.deleted) == (2, ("PROJECT",))
    assert erp.held("dimensions")["SUBACCOUNT"]["description"] == "Renamed"
    assert "PROJECT" not in erp.held("dimensions")


def test_a_whole_read_tells_of_what_vanished_and_buries_nothing_that_is_to_be_looked_for(erp):
    """Where a record went, and who names it by its number, only the key sweep finds out."""
    days = erp.days(back=1)
    erp.read("employees", days, first_day=days[0])
    key = sorted(erp.keys("employees"))[0]
    erp.visma.delete("NO01", "employee", key)
    assert erp.read("employees", days[1:], first_day=days[0]).missing == ()
    report = erp.read("employees", days[1:], first_day=days[0], whole=True)
    assert (report.missing, report.deleted) == ((key,), ())
    assert key in erp.held("employees")


@pytest.mark.parametrize("entity", ["financial_periods", "suppliers"])
def test_an_empty_whole_read_deletes_nothing_without_a_word(erp, entity):
    erp.read(entity)
    before = erp.lake.fingerprint(entity, "NO01")
    erp.sandbox.faults.arm("visma", "empty_list", times=None, match=ENTITIES[entity].path)
    with pytest.raises(ReadGuard, match=r"Nothing was deleted or written.*allow_deletes"):
        erp.read(entity, whole=True)
    assert erp.lake.fingerprint(entity, "NO01") == before
    believed = erp.read(entity, whole=True, allow_deletes=True)
    assert {*believed.deleted, *believed.missing} == erp.keys(entity)


def test_what_only_a_destination_remembers_is_gone_with_a_whole_read(erp):
    """The lake was lost, and the ERP deleted a record before it is read again."""
    there, days = erp.keys("dimensions"), erp.days(back=1)
    erp.visma.delete("NO01", "dimension", "PROJECT")
    report = erp.read("dimensions", days, first_day=days[0], elsewhere=there)
    assert report.deleted == ("PROJECT",)
    assert erp.held("dimensions").keys() == erp.keys("dimensions")
    again = erp.read("dimensions", days, first_day=days[0], elsewhere=there)
    assert (again.deleted, again.written) == ((), []), "a destination that was not told yet is told once"


def test_an_empty_list_is_not_believed_where_only_destinations_hold_anything(erp):
    erp.sandbox.faults.arm("visma", "empty_list", times=None, match="financialPeriod")
    with pytest.raises(ReadGuard, match=r"lacks 24 of the 24 records that the lake or a target holds"):
        erp.read("financial_periods", elsewhere=[f"2026{number:02}" for number in range(24)])


def test_an_empty_list_of_unreleased_documents_deletes_nothing(erp):
    erp.read("supplier_invoices")
    erp.sandbox.faults.arm("visma", "empty_list", times=None, match="released=0")
    report = erp.read("supplier_invoices")
    assert report.deleted == ()
    assert set(erp.held("supplier_invoices")) == erp.keys("supplier_invoices")


def test_a_draft_is_found_gone_although_the_last_released_documents_of_each_type_are_gone_too(erp):
    erp.read("supplier_invoices")
    states, held = ENTITIES["supplier_invoices"].unreleased.states, erp.held("supplier_invoices")
    draft = next(key for key in sorted(held) if held[key]["status"] in states)
    released = sorted(key for key in held if held[key]["status"] not in states)
    for key in {draft, *{key.partition("|")[0]: key for key in released}.values()}:
        erp.visma.delete("NO01", "supplierInvoice", key)
    assert erp.read("supplier_invoices").deleted == (draft,)


def test_a_wrong_company_number_deletes_nothing(new_erp):
    erp = new_erp(company_header="required")
    erp.read("supplier_invoices")
    company = erp.visma.companies["NO01"]
    company.company_id = "another"
    with pytest.raises(ReadGuard, match="company's tenant and rights"):
        erp.read("supplier_invoices")
    assert set(erp.held("supplier_invoices")) == erp.keys("supplier_invoices")


def test_a_text_amount_goes_to_quarantine_and_the_rest_to_the_lake(erp):
    number = invoice(erp).split("|")[1]
    erp.sandbox.faults.arm("visma", "broken_row", match="supplierInvoice", number=number, value="tolv tusen")
    report = erp.read("supplier_invoices")
    bad = report.quarantined[0]
    assert (bad.number, bad.reason) == (number, 'amount: "tolv tusen" is no number')
    assert '"amount":"tolv tusen"' in bad.raw
    assert len(erp.held("supplier_invoices")) == len(erp.keys("supplier_invoices")) - len(report.quarantined)
    assert report.counts()["quarantined"] == len(report.quarantined)


@pytest.mark.parametrize("fault", ["wrapped_values", "extra_fields"])
def test_the_vendors_known_habits_change_nothing(erp, fault):
    plain = erp.read("supplier_payments")
    erp.sandbox.faults.arm("visma", fault, times=None)
    report = erp.read("supplier_payments", whole=True)
    assert plain.changed > 0
    assert (report.changed, report.deleted, report.quarantined) == (0, (), ())


@pytest.mark.parametrize("fault", ["truncated_body", "invalid_json"])
def test_an_answer_cut_short_is_asked_for_again(erp, fault):
    erp.sandbox.faults.arm("visma", fault)
    erp.read("suppliers")
    assert set(erp.held("suppliers")) == erp.keys("suppliers")


@pytest.mark.parametrize(("form", "digits"), [("z", 3), ("offset", 7), ("none", 0), ("none", 2)])
def test_stamps_may_come_in_any_form(new_erp, form, digits):
    erp = new_erp(page_size=30, stamp_form=form, stamp_digits=digits)
    days = erp.days(back=5)
    erp.read("supplier_invoices", days, first_day=days[0])
    assert set(erp.held("supplier_invoices")) == erp.keys("supplier_invoices")
    again = erp.read("supplier_invoices", days[-1:], first_day=days[0])
    assert (again.changed, again.written) == (0, [])


def test_a_lockout_in_the_middle_of_a_sweep_ends_it_and_keeps_what_was_read_before(new_erp):
    erp = new_erp(page_size=20)
    erp.read("suppliers")
    erp.sandbox.faults.arm("visma", "rate_limit_lockout", after=1, match="supplierInvoice", retry_after=3600)
    with pytest.raises(Closed) as closed:
        erp.read("supplier_invoices")
    assert 3500 < (closed.value.opens_at - erp.clock.now()).total_seconds() <= 3600
    calls = erp.sandbox.log.count("visma")
    with pytest.raises(Closed):
        erp.read("purchase_orders")
    assert erp.sandbox.log.count("visma") == calls, "no call during a known lockout"
    assert set(erp.held("suppliers")) == erp.keys("suppliers")
    erp.clock.sleep(3600)
    erp.read("supplier_invoices")
    assert set(erp.held("supplier_invoices")) == erp.keys("supplier_invoices")


def test_a_short_lockout_is_waited_out(new_erp):
    erp = new_erp(page_size=20)
    erp.sandbox.faults.arm("visma", "rate_limit_lockout", after=1, match="supplierInvoice", retry_after=45)
    erp.read("supplier_invoices")
    assert set(erp.held("supplier_invoices")) == erp.keys("supplier_invoices")


def test_a_full_disk_keeps_the_days_written_before(erp, monkeypatch):
    days = erp.days(back=4)
    write, calls = erp.lake.storage.replace, []

    def full(path: str, *rest: Any) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        write(path, *rest)

    monkeypatch.setattr(erp.lake.storage, "replace", full)
    with pytest.raises(LakeWriteFailed):
        erp.read("suppliers", days, first_day=days[0])
    assert erp.lake.days("suppliers", "NO01") == days[:2]


def test_an_edit_in_the_hour_that_comes_twice_is_the_newer_one(erp):
    """02:50 in summer time, then 02:10 in winter time: the second text looks older and is not."""
    day = date(2026, 10, 25)
    key = sorted(erp.keys("suppliers"))[0]
    table, record = erp.visma.table("NO01", "supplier"), erp.visma.record("NO01", "supplier", key)
    table.change(record, {"name": "Summer AS"}, datetime(2026, 10, 25, 0, 50, tzinfo=UTC))
    erp.read("suppliers", [day], first_day=day - timedelta(days=1))
    table.change(record, {"name": "Winter AS"}, datetime(2026, 10, 25, 1, 10, tzinfo=UTC))
    erp.read("suppliers", [day], first_day=day - timedelta(days=1))
    held = erp.held("suppliers")[key]
    assert held["name"] == "Winter AS"
    assert held["_stamp"] > datetime(2026, 10, 25, 0, 50, tzinfo=UTC)
    assert erp.read("suppliers", [day], first_day=day - timedelta(days=1)).written == []


def test_an_edit_after_the_erps_clock_was_set_back_is_the_newer_one(erp):
    key, first = min(erp.keys("suppliers")), erp.today
    table, record = erp.visma.table("NO01", "supplier"), erp.visma.record("NO01", "supplier", key)
    table.change(record, {"name": "Fast clock AS"}, erp.clock.now() + timedelta(minutes=3))
    erp.read("suppliers", [first])
    table.change(record, {"name": "Right clock AS"}, erp.clock.now())
    erp.read("suppliers", [first])
    assert erp.held("suppliers")[key]["name"] == "Right clock AS"
    assert erp.read("suppliers", [first]).written == []


@pytest.mark.parametrize("deleted", [False, True])
def test_a_whole_read_follows_an_erp_that_was_set_back_to_yesterday(erp, deleted):
    key, first = min(erp.keys("suppliers")), erp.today
    table, record = erp.visma.table("NO01", "supplier"), erp.visma.record("NO01", "supplier", key)
    yesterday = erp.clock.now() - timedelta(minutes=1)
    table.change(record, {"name": "Yesterday AS"}, yesterday)
    erp.read("suppliers", [first])
    erp.clock.sleep(86400)
    table.change(record, {"name": "Today AS"}, erp.clock.now())
    erp.read("suppliers", erp.days(back=1), first_day=first)
    if deleted:
        table.delete(key)
        erp.read("suppliers", erp.days(back=1), first_day=first, gone=[key])
        table.add(key, record.facts, yesterday, record.created, row=record.row)
        record = erp.visma.record("NO01", "supplier", key)
    table.change(record, {"name": "Yesterday AS"}, yesterday)
    erp.read("suppliers", erp.days(back=1), first_day=first, whole=True)
    assert erp.held("suppliers")[key]["name"] == "Yesterday AS"
    assert erp.read("suppliers", erp.days(back=1), first_day=first, whole=True).written == []
    table.change(record, {"name": "Tomorrow AS"}, erp.clock.now())
    erp.read("suppliers", erp.days(back=1), first_day=first)
    assert erp.held("suppliers")[key]["name"] == "Tomorrow AS"


def test_in_the_night_of_the_clock_change_more_is_read_again(erp):
    assert overlap(date(2026, 10, 25), "Europe/Oslo") == timedelta(minutes=70)
    assert overlap(date(2026, 10, 24), "Europe/Oslo") == timedelta(minutes=5)
    assert overlap(date(2026, 3, 29), "Europe/Oslo") == timedelta(minutes=5)
