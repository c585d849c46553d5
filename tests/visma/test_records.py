"""From JSON text to typed columns: exact, tolerant of the vendor, and one bad record costs no other."""

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlc_dagster.visma.entities import ENTITIES
from mlc_dagster.visma.entity import Entity
from mlc_dagster.visma.fields import shape
from mlc_dagster.visma.merge import conform
from mlc_dagster.visma.records import BadRecord, Rows, to_rows
from mlc_dagster.visma.wire import Intake, Listed

INVOICES = ENTITIES["supplier_invoices"]
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def invoice(**fields: Any) -> dict[str, Any]:
    return {
        "documentType": "Invoice",
        "referenceNumber": "000123",
        "lastModifiedDateTime": "2026-11-20T10:00:00.123",
        **fields,
    }


def read(*records: Any) -> Rows:
    return read_text(json.dumps(records))


def read_text(text: str, entity: Entity = INVOICES) -> Rows:
    return to_whole_rows(entity, Intake(entity).listed(text.encode()))


def to_whole_rows(entity: Entity, listed: Listed) -> Rows:
    """The rows with every column of the entity, as they are written."""
    rows = to_rows(entity, "NO01", listed, read_at=NOW, zone="Europe/Oslo")
    return Rows(conform(rows.table, entity.schema), rows.bad)


def one(record: Any) -> dict[str, Any]:
    rows = read(record)
    assert rows.bad == ()
    return rows.table.to_pylist()[0]


def refused(record: Any) -> BadRecord:
    rows = read(invoice(referenceNumber="good"), record, invoice(referenceNumber="too"))
    assert rows.table.column("referenceNumber").to_pylist() == ["good", "too"]
    assert len(rows.bad) == 1
    return rows.bad[0]


def test_key_stamp_and_its_text_stand_beside_the_fields():
    row = one(invoice(amount=12.10))
    assert row["_key"] == "Invoice|000123"
    assert row["_stamp"] == datetime(2026, 11, 20, 9, 0, 0, 123000, tzinfo=UTC)
    assert row["_stamp_text"] == "2026-11-20T10:00:00.123"
    assert (row["_read_at"], row["_deleted"], row["amount"]) == (NOW, False, Decimal("12.1"))


@pytest.mark.parametrize(
    "text", ["0.1", "1234567890123456789.12345678", "-0.00000001", "7", "1e3", "1.50E-2"]
)
def test_money_is_exact_from_the_text_on(text):
    rows = read_text(f'[{{"documentType":"Invoice","referenceNumber":"1","amount":{text}}}]')
    assert rows.table.column("amount").to_pylist() == [Decimal(text)]


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**19), max_value=10**19))
def test_no_amount_is_ever_rounded(amount):
    text = f'[{{"documentType":"Invoice","referenceNumber":"1","amount":{amount:f}}}]'
    rows = read_text(text)
    assert rows.table.column("amount").to_pylist() == [amount]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"amount": "abc"}, 'amount: "abc" is no number'),
        ({"amount": "12,50"}, 'amount: "12,50" is no number'),
        ({"amount": True}, "amount: true is no number"),
        ({"amount": float("nan")}, "amount: NaN is no number"),
        ({"amount": 0.123456789}, "amount: .* is too large or too fine"),
        ({"amount": 10**20}, "amount: .* is too large or too fine"),
        ({"hold": "yes"}, 'hold: "yes" is neither true nor false'),
        ({"date": "20.11.2026"}, 'date: "20.11.2026" is no date'),
        ({"lastModifiedDateTime": "yesterday"}, 'lastModifiedDateTime: "yesterday" is no date-time'),
        # Python would read these, Arrow does not.
        *(
            ({"lastModifiedDateTime": text}, f'lastModifiedDateTime: "{re.escape(text)}" is no date-time')
            for text in ("2026-W45-1", "20261105T100000", "2026-11-05T10:00:00,5", "2026-11-05T10:00:00+01")
        ),
        ({"documentVersionNumber": 1.5}, 'documentVersionNumber: "1.5" is no whole number'),
        ({"supplier": "50000"}, 'supplier: "50000" is no section'),
        ({"supplier": ["50000"]}, r'supplier: \["50000"\] is no section'),
        ({"invoiceLines": {"lineNumber": 1}}, "invoiceLines: .* is no list"),
        (
            {"invoiceLines": [{"lineNumber": 1}, {"quantity": "x"}]},
            r'invoiceLines\[1\].quantity: "x" is no number',
        ),
        ({"description": ["x"]}, r'description: \["x"\] is no text'),
        ({"description": "\ud800"}, "description: .* is no valid text"),
        ({"referenceNumber": None}, "documentType and referenceNumber: missing"),
        ({"referenceNumber": ""}, "documentType and referenceNumber: missing"),
    ],
    ids=str,
)
def test_a_bad_value_costs_its_record_and_names_the_field(fields, reason):
    bad = refused(invoice(**fields))
    assert re.match(reason, bad.reason), bad.reason
    assert (bad.entity, bad.company) == ("supplier_invoices", "NO01")
    assert json.loads(bad.raw)["documentType"] == "Invoice"


@pytest.mark.parametrize("record", [None, "text", 5, []], ids=str)
def test_something_that_is_no_record_is_set_aside(record):
    assert refused(record).key is None


def test_a_bad_record_keeps_its_key_number_and_json_but_not_the_totals_of_its_list():
    bad = refused(invoice(amount="abc", metadata={"totalCount": 5}))
    assert (bad.key, bad.number) == ("Invoice|000123", "000123")
    assert json.loads(bad.raw) == invoice(amount="abc")


def test_wrapped_values_are_unwrapped_also_whole_sections():
    row = one(
        invoice(
            amount={"value": 5},
            hold={"value": True},
            supplier={"value": {"internalId": 1, "number": {"value": "50000"}, "name": "Norsk Stål"}},
            invoiceLines={"value": [{"lineNumber": {"value": 1}}]},
        )
    )
    assert (row["amount"], row["hold"], row["supplier"]["number"]) == (Decimal(5), True, "50000")
    assert row["invoiceLines"][0]["lineNumber"] == 1


def test_an_attribute_has_a_value_of_its_own_that_is_no_wrapper():
    record = {"number": "1", "attributes": [{"id": "A", "value": "B", "description": "c"}]}
    rows = read_text(json.dumps([record]), ENTITIES["suppliers"])
    assert rows.table.column("attributes").to_pylist() == [[{"id": "A", "value": "B", "description": "c"}]]


def test_unknown_fields_are_ignored_and_missing_sections_are_null():
    row = one(invoice(newIn2027={"a": 1}))
    assert row["supplier"] is None
    assert row["invoiceLines"] is None
    assert "newIn2027" not in row


@pytest.mark.parametrize("other", [{}, {"postPeriod": 112026}], ids=["as declared", "beside a misfit"])
def test_a_number_in_quotes_is_the_same_number(other):
    assert one(invoice(amount="12.50", documentVersionNumber="3", **other))["amount"] == Decimal("12.5")


PLAIN = {
    "documentVersionNumber": st.integers(-(2**62), 2**62),
    "amount": st.decimals(-(10**19), 10**19, places=8).map(lambda number: format(number, "f")),
    "description": st.text(st.characters(exclude_categories=["Cs"])).map(json.dumps),
    "hold": st.booleans().map(json.dumps),
    "dueDate": st.dates().map(lambda day: f'"{day.isoformat()}T00:00:00"'),
    "supplier": st.sampled_from(["null", "{}", '{"internalId":7,"number":"x","other":[1]}']),
    "taxDetailLines": st.sampled_from(["null", "[]", '[{"vatRate":25.0},{"vatId":{"number":"3"}}]']),
    "invoiceLines": st.sampled_from(["null", "[{}]", '[{"quantity":1E2}]', '[{"account":{"type":"A"}},{}]']),
    # Declared nowhere, and of another type each time.
    "newIn2027": st.sampled_from(["1", "1.5", '"2026-11-20"', "true", "{}", "[]", '[{"amount":1}]', "null"]),
}
RECORDS = st.lists(st.fixed_dictionaries({}, optional=PLAIN), max_size=4)
ODD = '{"referenceNumber":{"value":"odd"},"documentType":"Invoice"}'


def page_of(records: list[dict[str, str]], *more: str) -> str:
    texts = [
        "{"
        + "".join(f'"{name}":{value},' for name, value in fields.items())
        + f'"referenceNumber":"{number}",'
        '"documentType":"Invoice","metadata":{"totalCount":9,"maxPageSize":5}}'
        for number, fields in enumerate(records)
    ]
    return f"[{','.join([*texts, *more])}]"


@settings(deadline=None)
@given(RECORDS)
def test_what_arrow_takes_in_is_what_the_json_says(records):
    """The same answer twice; the second time one record more keeps it out of Arrow's own reader."""
    fast, slow = page_of(records), page_of(records, ODD)
    listed = Intake(INVOICES).listed(fast.encode())
    assert listed.array is not None
    assert Intake(INVOICES).listed(slow.encode()).array is None
    assert read_text(fast).table.to_pylist() == read_text(slow).table.to_pylist()[:-1]
    assert (listed.total, listed.cap) == ((9, 5) if records else (None, None))


@settings(deadline=None, max_examples=40)
@given(st.lists(RECORDS, min_size=2, max_size=4))
def test_what_the_first_pages_of_a_list_lacked_is_not_missed_on_later_ones(pages):
    intake = Intake(INVOICES)
    for records in pages:
        listed = intake.listed(page_of(records).encode())
        assert listed.array is not None
        alone = read_text(page_of(records, ODD)).table.to_pylist()[:-1]
        assert to_whole_rows(INVOICES, listed).table.to_pylist() == alone


def test_a_value_that_does_not_fit_on_a_later_page_is_looked_at_like_one_on_the_first():
    intake = Intake(INVOICES)
    first = intake.listed(json.dumps([invoice(amount=1)]).encode())
    assert [field.name for field in first.fields] == [
        "referenceNumber", "documentType", "status", "amount", "lastModifiedDateTime",
    ]  # fmt: skip
    for odd in ({"amount": "abc"}, {"supplier": 5}, {"amount": {"value": "x"}}):
        rows = to_whole_rows(INVOICES, intake.listed(json.dumps([invoice(), invoice(**odd)]).encode()))
        assert (len(rows.table), len(rows.bad)) == (1, 1)


def test_only_fields_that_came_before_are_looked_for():
    """Else each of the declared fields that a company does not use would cost as much as one it does."""
    intake = Intake(INVOICES)
    lines = [{"lineNumber": 1, "attachments": []}]
    record = invoice(amount=1, supplier={"number": "5"}, location={}, invoiceLines=lines, newIn2027=[1])
    body = json.dumps([record]).encode()
    intake.listed(body)
    again = intake.listed(body)
    assert again.array is not None
    assert again.array.type.get_field_index("vatAmount") < 0
    assert again.array.type.field("supplier").type.get_field_index("name") < 0


@pytest.mark.parametrize(
    "body",
    [b"", b"[", b'[{"amount":1}', b'[{"amount":1}] trailing', b"<html>", b'[{"amount":1}]}{"records":[]'],
)
def test_what_is_no_json_is_refused(body):
    with pytest.raises(ValueError):  # noqa: PT011 - the parser's own words
        Intake(INVOICES).listed(body)


@pytest.mark.parametrize("body", [b'{"message":"no"}', b"null", b"5"])
def test_json_that_is_no_list_is_refused(body):
    with pytest.raises(TypeError, match="no JSON array"):
        Intake(INVOICES).listed(body)


def test_bytes_that_are_no_text_are_marked_not_lost():
    body = b'[{"documentType":"Invoice","referenceNumber":"1","description":"\xff"}]'
    row = to_whole_rows(INVOICES, Intake(INVOICES).listed(body)).table.to_pylist()[0]
    assert row["description"] == "\ufffd"


def test_numbers_are_taken_for_texts_and_integers_for_amounts():
    row = one(invoice(postPeriod=112026, amount=7, exchangeRate=1.0))
    assert (row["postPeriod"], row["amount"]) == ("112026", Decimal(7))


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-08-14T00:00:00", date(2026, 8, 14)),
        ("2026-08-14T00:00:00Z", date(2026, 8, 14)),
        ("2026-08-14T00:00:00+02:00", date(2026, 8, 14)),
        ("2026-08-14T23:30:00-05:00", date(2026, 8, 14)),
        ("2026-08-14", date(2026, 8, 14)),
        ("0001-01-01T00:00:00", date(1, 1, 1)),
        ("", None),
        (None, None),
    ],
)
def test_a_business_date_is_never_shifted_by_a_zone(text, day):
    assert one(invoice(date=text))["date"] == day


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-08-14T10:00:00", datetime(2026, 8, 14, 8, tzinfo=UTC)),
        ("2026-11-20T10:00:00.12", datetime(2026, 11, 20, 9, 0, 0, 120000, tzinfo=UTC)),
        ("2026-08-14T10:00:00.1234567", datetime(2026, 8, 14, 8, 0, 0, 123456, tzinfo=UTC)),
        ("2026-08-14T10:00:00Z", datetime(2026, 8, 14, 10, tzinfo=UTC)),
        ("2026-08-14T10:00:00.123+01:00", datetime(2026, 8, 14, 9, 0, 0, 123000, tzinfo=UTC)),
        ("2026-10-25T02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-03-29T02:30:00", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        ("2026-08-14", datetime(2026, 8, 13, 22, tzinfo=UTC)),
    ],
)
def test_a_stamp_without_zone_is_wall_time_in_oslo(text, moment):
    row = one(invoice(lastModifiedDateTime=text))
    assert (row["_stamp"], row["_stamp_text"]) == (moment, text)


def test_stamps_of_several_forms_may_come_in_one_page():
    texts = ["2026-08-14T10:00:00", "2026-08-14T08:00:00Z", None, "2026-08-14T10:00:00+02:00"]
    rows = read(
        *(
            invoice(referenceNumber=str(number), lastModifiedDateTime=text)
            for number, text in enumerate(texts)
        )
    )
    eight = datetime(2026, 8, 14, 8, tzinfo=UTC)
    assert rows.table.column("_stamp").to_pylist() == [eight, eight, None, eight]


def test_a_section_that_is_null_has_null_fields_in_lines_too():
    row = one(
        invoice(
            invoiceLines=[
                {"lineNumber": 1, "subaccount": None},
                {"lineNumber": 2, "subaccount": {"active": True}},
            ]
        )
    )
    first, second = row["invoiceLines"]
    assert first["subaccount"] is None
    assert (second["subaccount"]["active"], second["subaccount"]["lastModifiedDateTime"]) == (True, None)


def test_an_empty_page_is_typed():
    assert read().table.schema == INVOICES.schema


def test_an_unknown_kind_in_a_declaration_is_refused():
    with pytest.raises(ValueError, match="'ADDRES' of mainAddress is unknown"):
        shape("ADDRES mainAddress")


@pytest.mark.parametrize("field", ["description", "referenceNumber"])
def test_half_a_surrogate_pair_is_told_in_words_that_every_database_takes(field: str) -> None:
    """The ERP cuts a text after so many UTF-16 units, and an emoji is two."""
    bad = refused(invoice(**{field: "Party \ud83c"}))
    assert bad.reason == rf'{field}: "Party \ud83c" is no valid text: half a surrogate pair'
    for text in (bad.reason, bad.key or "", bad.number or "", bad.raw):
        assert text.encode().decode() == text


def test_a_nul_in_a_number_is_refused_where_it_is_read_and_told_without_it() -> None:
    """JSON can carry one, PostgreSQL cannot: the ledger's key of such a document could not be written."""
    bad = refused(invoice(referenceNumber="10\x0023"))
    assert bad.reason == "documentType and referenceNumber: a NUL in it, which no database takes in a key"
    assert (bad.key, bad.number) == ("Invoice|10\ufffd23", "10\ufffd23")
