"""Stamps that make no sense: of .NET's first day, of the last there is, of a day that is still to come."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlc_dagster.visma.entities import ENTITIES
from mlc_dagster.visma.keysweep import Limit, look
from mlc_dagster.visma.news import has_news
from mlc_dagster.visma.records import Rows, to_rows
from mlc_dagster.visma.wire import Intake
from tests.visma.conftest import Erp

INVOICES = ENTITIES["supplier_invoices"]
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


def read(**fields: Any) -> Rows:
    record = {"documentType": "Invoice", "referenceNumber": "123", **fields}
    listed = Intake(INVOICES).listed(json.dumps([record]).encode())
    return to_rows(INVOICES, "NO01", listed, read_at=NOW, zone="Europe/Oslo")


def stamp(erp: Erp, key: str, moment: datetime, **fields: Any) -> None:
    """The ERP changes a supplier, and stamps it so."""
    table = erp.visma.table(erp.company, "supplier")
    table.change(erp.visma.record(erp.company, "supplier", key), fields, moment)


def news(erp: Erp, refused: set[str] | None = None) -> bool:
    suppliers = ENTITIES["suppliers"]
    return has_news(erp.client, erp.lake, suppliers, "NO01", clock=erp.clock, refused=refused or set())


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00", "0001-01-01T00:00:00+01:00", "0001-01-01"])
def test_a_record_stamped_on_the_first_day_there_is_can_be_calculated_with(text: str) -> None:
    [row] = read(lastModifiedDateTime=text).table.to_pylist()
    assert (row["_stamp"], row["_stamp_text"]) == (FIRST, text)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59.9999999", "9999-12-31T23:59:59-05:00"])
def test_another_moment_on_the_last_day_there_is_can_be_calculated_with(text: str) -> None:
    [row] = read(createdDateTime=text).table.to_pylist()
    assert row["createdDateTime"].year == 9999


@pytest.mark.parametrize("text", ["2026-11-21T13:01:00", "2099-01-01T00:00:00", "9999-12-31T23:59:59-05:00"])
def test_a_record_stamped_more_than_a_day_ahead_is_set_aside_with_what_to_do(text: str) -> None:
    rows = read(lastModifiedDateTime=text)
    assert not len(rows.table)
    [bad] = rows.bad
    assert (bad.key, bad.number) == ("Invoice|123", "123")
    assert bad.reason.startswith(f"lastModifiedDateTime: {text} is more than a day ahead of our clock")
    assert "Save the record in the ERP again" in bad.reason


def test_a_clock_of_the_erp_that_is_some_hours_ahead_of_ours_is_no_mistake() -> None:
    assert not read(lastModifiedDateTime="2026-11-21T12:59:00").bad


def test_what_is_stamped_far_ahead_waits_where_people_see_it_and_is_news_to_no_poll(erp: Erp) -> None:
    erp.read("suppliers")
    key = min(erp.keys("suppliers"))
    stamp(erp, key, erp.clock.now() + timedelta(days=3), name="Ahead AS")
    report = erp.read("suppliers")
    [bad] = report.quarantined
    assert bad.key == key
    assert not news(erp, {bad.raw})
    erp.visma.restamp(erp.company, "supplier", [key])
    assert news(erp, {bad.raw}), "saved again, it has a stamp that makes sense"
    assert erp.read("suppliers").quarantined == ()
    assert erp.held("suppliers")[key]["name"] == "Ahead AS"


def test_what_is_stamped_far_ahead_is_read_once_its_day_has_come(erp: Erp) -> None:
    first = erp.today
    erp.read("suppliers")
    key = min(erp.keys("suppliers"))
    stamp(erp, key, erp.clock.now() + timedelta(days=3), name="Ahead AS")
    assert erp.read("suppliers").quarantined
    erp.clock.sleep(timedelta(days=3).total_seconds())
    assert erp.read("suppliers", erp.days(3), first_day=first).quarantined == ()
    assert erp.held("suppliers")[key]["name"] == "Ahead AS"


def test_a_stamp_of_tomorrow_is_news_tomorrow_and_to_no_poll_before(erp: Erp) -> None:
    first = erp.today
    erp.read("suppliers")
    key = min(erp.keys("suppliers"))
    stamp(erp, key, erp.clock.now() + timedelta(hours=13), name="Tomorrow AS")
    erp.read("suppliers")
    assert not news(erp)
    erp.clock.sleep(timedelta(hours=13).total_seconds())
    assert news(erp)
    erp.read("suppliers", erp.days(1), first_day=first)
    assert erp.held("suppliers")[key]["name"] == "Tomorrow AS"
    assert not news(erp)


def test_where_every_stamp_is_the_first_there_is_the_next_read_asks_from_a_moment_that_exists(
    erp: Erp,
) -> None:
    for key in erp.keys("suppliers"):
        stamp(erp, key, FIRST)
    erp.read("suppliers")
    assert erp.held("suppliers").keys() == erp.keys("suppliers")
    assert not news(erp)
    assert erp.read("suppliers").changed == 0
    erp.visma.change(erp.company, "supplier", min(erp.keys("suppliers")), {"name": "New AS"})
    assert news(erp)


def test_a_table_stamped_far_ahead_is_not_taken_for_deleted_by_a_look_at_its_keys(erp: Erp) -> None:
    erp.read("suppliers")
    keys = sorted(erp.keys("suppliers"))
    for key in keys:
        stamp(erp, key, LAST)
    found = look(
        erp.client,
        erp.lake,
        ENTITIES["suppliers"],
        erp.company,
        clock=erp.clock,
        first_day=erp.today,
        limit=Limit(),
    )
    assert (found.vanished, found.late) == ((), ())
