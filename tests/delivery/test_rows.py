"""A row's text is canonical and exact: equal rows give equal hashes, and every value comes back as it was."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlc_dagster.delivery.rows import Change, Op, Row, decode, encode

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(),
    st.dates(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.datetimes(timezones=st.just(UTC)),
)


@given(st.dictionaries(st.text(), values))
@example({"$decimal": "a column may have any name"})
def test_every_value_comes_back_with_its_type(payload: dict[str, Any]) -> None:
    found = decode(encode(payload))
    assert found == payload
    assert {name: type(value) for name, value in found.items()} == {n: type(v) for n, v in payload.items()}


@given(st.dictionaries(st.text(), st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.dates())))
def test_the_text_is_the_json_that_ledgers_hold_already(payload: dict[str, Any]) -> None:
    wanted = json.dumps(
        payload,
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
        default=lambda day: {"$date": day.isoformat()},
    )
    assert encode(payload) == wanted


def test_a_kept_row_is_the_row_it_was_made_of() -> None:
    row = Row("k", "s", "1", {"amount": Decimal("1.50"), "day": date(2026, 11, 20)})
    kept = Row.kept("k", "s", "1", encode(row.payload))
    assert kept == row
    assert replace(kept, payload={}).payload == {}
    assert not hasattr(kept, "amount")


def test_the_order_of_columns_does_not_matter() -> None:
    assert encode({"a": 1, "b": 2}) == encode({"b": 2, "a": 1})


def test_money_is_written_out_in_full() -> None:
    assert "1200000000000.00" in encode({"amount": Decimal("1200000000000.00")})
    assert "E" not in encode({"amount": Decimal("1E+12")})


def test_one_moment_has_one_text_in_any_zone() -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert encode({"at": noon}) == encode({"at": noon.astimezone(timezone(timedelta(hours=1)))})


def test_nordic_letters_stay_readable() -> None:
    assert "Blåbær" in encode({"name": "Blåbær"})


@pytest.mark.parametrize("value", [1.0, [1], {"a": 1}, b"x"])
def test_a_value_without_an_exact_text_is_refused_naming_its_column(value: object) -> None:
    with pytest.raises(TypeError, match="'amount'"):
        encode({"amount": value})


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(TypeError, match="no zone"):
        encode({"at": datetime(2026, 11, 20)})  # noqa: DTZ001


def test_a_date_is_not_taken_for_a_time() -> None:
    assert decode(encode({"day": date(2026, 11, 20)})) == {"day": date(2026, 11, 20)}


def test_the_hash_covers_target_payload_and_source_but_not_the_label() -> None:
    def hashed(source: str = "s", number: str = "INV-1", amount: str = "1.00", target: str = "t") -> str:
        return Change.of(Op.CREATE, Row("k", source, number, {"amount": Decimal(amount)}), target).hash

    assert hashed() == hashed(number="INV-2")
    assert hashed() != hashed(amount="1.01")
    assert hashed() != hashed(source="other")
    assert hashed() != hashed(target="other")


def test_a_hash_stays_what_it_was() -> None:
    """Another hash of the same row would send every row of every installation once more."""
    row = Row("k", "s", "n", {"b": Decimal("1.50"), "a": "Ærø", "c": None, "d": date(2026, 11, 20)})
    change = Change.of(Op.CREATE, row, "target")
    assert change.text == '{"a":"Ærø","b":{"$decimal":"1.50"},"c":null,"d":{"$date":"2026-11-20"}}'
    assert change.hash == "6e05ebe00126a44a2fecd39d640b09f81317da6eeb19a199d1538dbb076bfbb2"
