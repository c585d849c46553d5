"""Values reach Power BI exactly, or are refused with a reason."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from mlc_dagster.powerbi import values
from tests.powerbi.tenant import invoice, shipped, supplier

FACT = shipped().shapes["supplier_invoices"]
DIMENSION = shipped().shapes["suppliers"]
STAMP = values.Stamp("load", 7)


def posted(row, *, deleted: bool = False) -> dict:
    (post,) = values.posts(FACT, [(row.payload, deleted)], STAMP, 1)
    return json.loads(post.body, parse_float=Decimal)["rows"][0]


@pytest.mark.parametrize("text", ["0.0001", "-79228162514264337593543.9503", "123456789012345678901234.5678"])
def test_money_is_the_same_digits_in_the_body(text):
    amount = Decimal(text)
    assert posted(invoice("1", vat_amount=amount))["Vat amount"] == amount


def test_a_date_is_midnight_utc_and_a_time_is_moved_to_utc():
    assert posted(invoice("1", date=date(2026, 11, 20)))["Date"] == "2026-11-20T00:00:00Z"
    moment = datetime(2026, 11, 20, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert values._json(moment) == "2026-11-19T23:30:00.000Z"
    assert values._json(moment.astimezone(UTC)) == "2026-11-19T23:30:00.000Z"


def test_every_declared_column_is_sent_and_nothing_else():
    (table, _) = FACT.tables()
    assert set(posted(invoice("1"))) == set(table.types)
    assert posted(invoice("1", description=None))["Description"] is None


def test_a_deleted_row_says_its_key_and_nothing_of_its_values():
    row = posted(invoice("1"), deleted=True)
    kept = {name: value for name, value in row.items() if value is not None}
    marks = {"_load_id": "load", "_batch_no": 1, "_check": 0, "_version": 7, "_deleted": 1}
    assert kept == {"Code": "NO01|Invoice|1", **marks}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"description": "x" * 4001}, "text of 4001 characters"),
        ({"vat_amount": Decimal("0.00001")}, "more than 4 decimals"),
        ({"vat_amount": Decimal(10) ** 28}, "28 digits"),
        ({"code": ""}, "identifies the row"),
    ],
)
def test_what_power_bi_cannot_hold_is_refused_with_the_column(changes, reason):
    assert reason in (values.unfit(FACT, invoice("1", **changes).payload, cut=False) or "")


def test_the_largest_whole_numbers_are_refused():
    shape = shipped().shapes["timecards"]
    row = {"code": "a", "line_number": 2**63 - 1}
    assert "Int64" in (values.unfit(shape, row, cut=False) or "")
    assert values.unfit(shape, {"code": "a", "line_number": 2**63 - 2}, cut=False) is None


def test_the_check_number_follows_every_value_and_fits_a_sum_of_five_million():
    one, other = invoice("1"), invoice("1", description="Tannhjul & ærlig stal")
    assert values.check_number(one.payload) == values.check_number(invoice("1").payload)
    assert values.check_number(one.payload) != values.check_number(other.payload)
    assert 5_000_000 * 16**values.CHECK_DIGITS < 2**63


def test_posts_are_split_by_rows_and_by_bytes(monkeypatch):
    rows = [(supplier(str(number)).payload, False) for number in range(7)]
    assert [post.rows for post in values.posts(DIMENSION, rows, STAMP, 3)] == [3, 3, 1]
    monkeypatch.setattr(values, "POST_BYTES", 600)
    made = list(values.posts(DIMENSION, rows, STAMP, 3))
    assert all(len(post.body) < 700 for post in made)
    numbers = [row["_batch_no"] for post in made for row in json.loads(post.body)["rows"]]
    assert numbers == sorted(numbers)
    assert sum(post.rows for post in made) == 7
