"""The cheap question of the polling sensor: one call, and no change is skipped."""

from datetime import timedelta

import pytest

from mlc_dagster.visma.entities import ENTITIES
from mlc_dagster.visma.news import has_news
from tests.visma.conftest import API_NAMES, Erp


def news(erp: Erp, entity: str, **options) -> bool:
    return has_news(erp.client, erp.lake, ENTITIES[entity], "NO01", clock=erp.clock, **options)


@pytest.mark.parametrize(
    "entity", ["suppliers", "supplier_invoices", "gl_accounts", "journal_transactions", "timecards"]
)
def test_nothing_new_costs_one_call_and_a_change_is_seen(erp, entity):
    assert news(erp, entity), "never read"
    erp.read(entity)
    erp.sandbox.log.reset()
    assert not news(erp, entity)
    assert erp.sandbox.log.count("visma") == 1
    key = min(erp.keys(entity))
    erp.visma.restamp("NO01", API_NAMES[entity], [key])
    assert news(erp, entity)
    erp.read(entity)
    assert not news(erp, entity)
    erp.visma.restamp("NO01", API_NAMES[entity], [key])
    assert news(erp, entity), "the same record once more"


@pytest.mark.parametrize("entity", ["supplier_invoices", "journal_transactions"])
def test_a_table_restamped_as_a_whole_is_news_once(new_erp, entity):
    erp = new_erp(scale=0.1, page_size=20, long_books=False)
    days = erp.days(back=2)
    erp.read(entity, days, first_day=days[0])
    erp.visma.restamp("NO01", API_NAMES[entity])
    assert news(erp, entity)
    erp.read(entity, days[-1:], first_day=days[0])
    assert not news(erp, entity)


def test_an_edit_on_a_later_page_of_a_table_restamped_as_a_whole_is_news(new_erp):
    erp = new_erp(scale=0.1, page_size=20, long_books=False)
    days = erp.days(back=2)
    erp.read("supplier_invoices", days, first_day=days[0])
    erp.visma.restamp("NO01", "supplierInvoice")
    erp.clock.sleep(60)
    erp.read("supplier_invoices", days[-1:], first_day=days[0])
    erp.sandbox.log.reset()
    assert not news(erp, "supplier_invoices")
    assert erp.sandbox.log.count("visma") == 2, "the page, and what is newer than all of them"
    erp.visma.restamp("NO01", "supplierInvoice", [max(erp.keys("supplier_invoices"))])
    assert news(erp, "supplier_invoices")


def test_what_came_on_a_day_that_was_left_open_is_news_also_when_a_later_day_was_read_alone(erp):
    days, keys = erp.days(back=2), sorted(erp.keys("suppliers"))
    erp.read("suppliers", days, first_day=days[0])
    erp.clock.sleep(3 * 3600)
    erp.visma.restamp("NO01", "supplier", keys[:1])
    erp.clock.sleep(18 * 3600)
    erp.visma.restamp("NO01", "supplier", keys[1:2])
    erp.clock.sleep(3600)
    erp.read("suppliers", [erp.today], first_day=days[0])
    assert news(erp, "suppliers")
    erp.read("suppliers", erp.days(back=1), first_day=days[0])
    assert not news(erp, "suppliers")


def test_what_came_on_a_day_between_those_that_were_read_is_news(erp):
    first, key = erp.today, min(erp.keys("suppliers"))
    erp.read("suppliers", [first])
    erp.clock.sleep(86400)
    erp.visma.restamp("NO01", "supplier", [key])
    erp.clock.sleep(4 * 86400)
    erp.read("suppliers", [first + timedelta(days=2)], first_day=first)
    assert erp.lake.note("suppliers", "NO01", first + timedelta(days=2)).complete
    assert news(erp, "suppliers")


def test_a_record_committed_late_with_an_older_stamp_is_news(erp):
    keys = sorted(erp.keys("suppliers"))
    stamp = erp.clock.now()
    erp.clock.sleep(60)
    erp.visma.restamp("NO01", "supplier", keys[:1])
    erp.read("suppliers")
    erp.visma.table("NO01", "supplier").change(
        erp.visma.record("NO01", "supplier", keys[1]), {"name": "x"}, stamp
    )
    assert news(erp, "suppliers")


def test_a_record_in_quarantine_is_no_news_and_another_one_is(erp):
    key = min(erp.keys("supplier_invoices"))
    erp.visma.change("NO01", "supplierInvoice", key, {"amount": "abc"})
    report = erp.read("supplier_invoices")
    refused = {bad.raw for bad in report.quarantined}
    assert len(refused) == 1
    assert not news(erp, "supplier_invoices", refused=refused)
    assert news(erp, "supplier_invoices")


def test_entities_without_a_change_filter_are_never_news(erp):
    erp.read("dimensions")
    erp.sandbox.log.reset()
    assert not news(erp, "dimensions")
    assert erp.sandbox.log.count("visma") == 0
