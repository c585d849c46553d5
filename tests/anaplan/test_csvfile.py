"""The bytes of a file for Anaplan."""

import csv
import io
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlc_dagster.anaplan.answers import FileFormat
from mlc_dagster.anaplan.csvfile import render, text

PLAIN = FileFormat(headers=("code", "amount"))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-8"), "0.00000001"),
        (Decimal("10.50000000"), "10.5"),
        (Decimal("100"), "100"),
        (Decimal("-0.00"), "0"),
        (Decimal("-12.30"), "-12.3"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (None, ""),
        (date(2026, 2, 3), "2026-02-03"),
        (datetime(2026, 2, 3, 1, 30, tzinfo=timezone(timedelta(hours=2))), "2026-02-02T23:30:00Z"),
        ("a\r\nb\u2028c", "a b c"),
    ],
)
def test_a_value_is_written_plainly(value: Any, cell: str) -> None:
    assert text(value, PLAIN) == cell


def test_decimals_take_the_separator_of_the_data_source() -> None:
    comma = FileFormat(headers=(), decimal_separator=",")
    assert text(Decimal("-1234.50"), comma) == "-1234,5"


def test_a_float_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="float"):
        text(0.1, PLAIN)


def test_separators_and_delimiters_of_the_data_source_are_used() -> None:
    layout = FileFormat(headers=(), separator="\t", delimiter="'")
    file = render([("k", {"code": "it's", "amount": "a\tb"})], ("code", "amount"), layout)
    assert file.content.whole() == b"code\tamount\n'it''s'\t'a\tb'\n"


def test_columns_stand_in_the_order_asked_for_and_absent_ones_are_blank() -> None:
    file = render([("k", {"amount": Decimal(1), "other": "x"})], ("code", "amount"), PLAIN)
    assert file.content.whole() == b"code,amount\n,1\n"


def test_lines_are_counted_from_the_header() -> None:
    file = render(
        [("a", {"code": "a"}), ("b", {"code": "b\nb"}), ("c", {"code": "c"})], ("code", "amount"), PLAIN
    )
    assert [file.key_of(line) for line in (1, 2, 3, 4, 5)] == [None, "a", "b", "c", None]


def test_a_row_the_encoding_cannot_hold_is_left_out_and_lines_still_match() -> None:
    latin = FileFormat(headers=(), encoding="ISO-8859-1")
    file = render([("a", {"code": "å"}), ("b", {"code": "ł"}), ("c", {"code": "ø"})], ("code",), latin)
    assert file.content.whole() == "code\nå\nø\n".encode("iso-8859-1")
    assert list(file.refused) == ["b"]
    assert "UTF-8" in file.refused["b"]
    assert file.key_of(3) == "c"


def test_without_a_text_delimiter_a_separator_in_a_text_refuses_the_row() -> None:
    bare = FileFormat(headers=(), delimiter="")
    file = render([("a", {"code": "x,y"}), ("b", {"code": 'x"y'})], ("code",), bare)
    assert list(file.refused) == ["a"]
    assert file.content.whole() == b'code\nx"y\n'


def test_utf_16_is_written_without_a_mark() -> None:
    layout = FileFormat(headers=(), encoding="UTF-16LE")
    assert render([("a", {"code": "é"})], ("code",), layout).content.whole() == "code\né\n".encode(
        "utf-16-le"
    )


def test_a_mark_that_an_encoding_begins_with_stands_once_at_the_beginning() -> None:
    layout = FileFormat(headers=(), encoding="UTF-16")
    assert render([("a", {"code": "é"})], ("code",), layout).content.whole().decode("utf-16") == "code\né\n"


def test_a_number_that_is_none_is_refused() -> None:
    file = render([("a", {"code": Decimal("NaN")})], ("code",), PLAIN)
    assert file.refused == {"a": "NaN is not a number"}


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=2, max_size=2))
def test_what_is_written_is_read_back_as_one_line(cells: list[str]) -> None:
    row = dict(zip(("code", "amount"), cells, strict=True))
    file = render([("k", row)], ("code", "amount"), PLAIN)
    lines = list(csv.reader(io.StringIO(file.content.whole().decode(), newline="")))
    assert lines[1:] == [[text(cell, PLAIN) for cell in cells]]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**18), max_value=10**18))
def test_no_decimal_changes_its_value(value: Decimal) -> None:
    cell = text(value, PLAIN)
    assert Decimal(cell) == value
    assert "E" not in cell
