"""Files are written exactly, without litter, and with memory that does not grow with the rows."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tableauhyperapi import CreateMode

from mlc_dagster.delivery import Row
from mlc_dagster.delivery.rows import encode
from mlc_dagster.mappings.types import ColumnType
from mlc_dagster.settings import REPOSITORY
from mlc_dagster.suite import mappings_in
from mlc_dagster.tableau import hyper, scratch, texts
from mlc_dagster.tableau.shape import Column, Shape
from tests.tableau.site import invoice


@pytest.fixture(scope="module")
def shape() -> Shape:
    return Shape.of(mappings_in(REPOSITORY / "dbt_like_mappings").models["tableau/supplier_invoices"])


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The system's temporary folder of this test. A socket's path has 107 characters, pytest's own many."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def content(shape: Shape, rows: Iterable[str]) -> hyper.Content:
    return hyper.Content(hyper.TABLE, shape.columns, shape.key, rows)


def encoded(*rows: Row) -> list[str]:
    """Rows as the ledger keeps them."""
    return [encode(row.payload) for row in rows]


def typed(kind: str) -> Column:
    """A column of that type."""
    return Column("value", "Value", ColumnType.parse(kind))


def parsed(column: Column, *payloads: dict[str, Any]) -> list[Any]:
    """What a column holds of rows that the ledger keeps."""
    return [
        value
        for table in texts.tables([column], map(encode, payloads))
        for value in table["Value"].to_pylist()
    ]


def test_no_file_is_left_beside_the_written_one(
    shape: Shape, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # A hyperd of its own, which starts in this folder and ends with it.
    monkeypatch.setattr(hyper, "_HYPERD", hyper._Hyperd())
    hyper.write(tmp_path / "x.hyper", [content(shape, encoded(invoice("1")))])
    assert len(list(temporary.iterdir())) == 1, "its sockets"
    hyper.close()
    assert [each.name for each in tmp_path.iterdir()] == ["x.hyper"]
    assert list(temporary.iterdir()) == []


DYING = """
import os, signal
from mlc_dagster.tableau import hyper, scratch
from mlc_dagster.tableau.shape import Column, ColumnType

key = Column("code", "Code", ColumnType.parse("text"))

def rows():
    yield '{"code":"1"}'
    os.kill(os.getpid(), signal.SIGKILL)

with scratch.folder() as folder:
    hyper.write(folder / "extract.hyper", [hyper.Content(hyper.TABLE, [key], key, rows())])
"""


def test_what_a_killed_process_left_goes_with_the_next_file_and_what_is_in_use_stays(
    temporary: Path,
) -> None:
    with scratch.folder() as ours:
        environment = {**os.environ, "TMPDIR": str(temporary)}
        died = subprocess.run([sys.executable, "-c", DYING], env=environment, check=False, timeout=60)
        assert died.returncode == -signal.SIGKILL
        assert len([*temporary.iterdir()]) == 3, "ours, the extract's and hyperd's"
        with scratch.folder() as another:
            assert {*temporary.iterdir()} == {ours, another}
    assert list(temporary.iterdir()) == []


def test_rows_are_read_as_they_are_written(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    def rows() -> Iterator[str]:
        nonlocal read
        for read in range(1, 101):
            yield encode(invoice(str(read)).payload)

    monkeypatch.setattr(texts, "PIECE", 5 * len(encode(invoice("1").payload)))
    written = 0
    for piece in texts.tables(shape.columns, rows()):
        written += piece.num_rows
        assert read - written <= 5 * texts.AHEAD + 5
    assert written == read == 100


def test_a_file_of_many_pieces_holds_every_row_once(
    shape: Shape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [invoice(str(number)) for number in range(60)]
    monkeypatch.setattr(texts, "PIECE", 3 * len(encode(sent[0].payload)))
    assert hyper.write(tmp_path / "x.hyper", [content(shape, encoded(*sent))]) == len(sent)
    found = sorted(hyper.rows(tmp_path / "x.hyper", shape), key=lambda row: row["code"])
    assert found == sorted((row.payload for row in sent), key=lambda row: row["code"])


@pytest.mark.parametrize("bad", [b"1", b"2", b"5"])
def test_a_piece_that_hyper_does_not_take_in_is_told(
    shape: Shape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: bytes
) -> None:
    store = hyper._store

    def unreadable(file: Path, piece: pa.Table, key: Column) -> None:
        store(file, piece, key)
        stored = file.read_bytes()
        file.write_bytes(stored[: len(stored) // 2] if b"NO01|Invoice|" + bad in stored else stored)

    monkeypatch.setattr(hyper, "_store", unreadable)
    monkeypatch.setattr(texts, "PIECE", 1)
    with pytest.raises(hyper.Unusable):
        hyper.write(tmp_path / "x.hyper", [content(shape, encoded(*map(invoice, "12345")))])


def test_a_text_holds_a_row_or_several_in_lines(shape: Shape, tmp_path: Path) -> None:
    one, two, three = encoded(invoice("1", description="a\nb"), invoice("2"), invoice("3"))
    hyper.write(tmp_path / "x.hyper", [content(shape, [one, f"{two}\n{three}"])])
    found = [(row["code"][-1], row["description"]) for row in hyper.rows(tmp_path / "x.hyper", shape)]
    assert found == [("1", "a\nb"), ("2", invoice("2").payload["description"]), ("3", found[1][1])]


ODD = {
    "description": 'line\nbreak \u2028 "quoted" \\ æ 漢 \x7f',
    "supplier_reference": "",
    "amount": Decimal("-99999999999999.9999"),
    "vat_amount": Decimal("0.0001"),
    "balance": None,
    "due_date": date(9999, 12, 31),
    "date": date(1, 1, 1),
    "changed_at": datetime(1969, 12, 31, 23, 59, 59, 1, UTC),
}


@pytest.mark.parametrize("beside", [{}, {"due_date": "soon"}], ids=["alone", "beside one that does not fit"])
def test_every_value_is_exact_and_nothing_is_nothing(
    shape: Shape, tmp_path: Path, beside: dict[str, str]
) -> None:
    empty = dict.fromkeys(invoice("2").payload) | {"code": "NO01|Invoice|2"}
    sent = [invoice("1", **ODD), replace(invoice("2"), payload=empty), invoice("3")]
    hyper.write(tmp_path / "x.hyper", [content(shape, encoded(*sent, invoice("4", **beside)))])
    found = {row["code"]: row for row in hyper.rows(tmp_path / "x.hyper", shape)}
    assert [found[row.key] for row in sent] == [row.payload for row in sent]


# A NUMERIC of a .hyper has 18 digits at most.
@pytest.mark.parametrize("scale", range(19))
def test_a_decimal_of_any_scale_is_exact(scale: int) -> None:
    column = typed(f"decimal(18,{scale})")
    most = Decimal(10**18 - 1).scaleb(-scale)
    values = [most, -most, Decimal(1).scaleb(-scale), Decimal("-0").scaleb(-scale), Decimal(0), None]
    found = parsed(column, *({column.source: value} for value in values))
    assert [None if value is None else (value, value.as_tuple().exponent) for value in found] == [
        None if value is None else (value, -scale) for value in values
    ]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("integer", [2**63 - 1, -(2**63), 0, None]),
        ("boolean", [True, False, None]),
        ("date", [date(1, 1, 1), date(1582, 10, 10), date(9999, 12, 31), None]),
        ("timestamp", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, UTC), None]),
        ("text", ["", " ", "null", "5", "true", "\\", '"', "{}", "\r\n\t\x01\x7f", "\u2028æ漢😀", None]),
        ("text", ['{"$decimal":"1"}', "{'$", '{"$', '{"$date":"2026-01-01"}', "x"]),
    ],
)
def test_a_value_is_read_as_it_was_encoded(kind: str, values: list[Any]) -> None:
    column = typed(kind)
    assert parsed(column, *({column.source: value} for value in values)) == values


COLUMNS = [
    Column(kind, kind.title(), ColumnType.parse(parsed))
    for kind, parsed in {
        "text": "text",
        "money": "decimal(18,4)",
        "day": "date",
        "moment": "timestamp",
        "whole": "integer",
        "flag": "boolean",
    }.items()
]
ROWS = st.fixed_dictionaries(
    {
        # PostgreSQL keeps no zero character, and UTF-8 no half of a pair.
        "text": st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        "money": st.none()
        | st.integers(1 - 10**18, 10**18 - 1).map(lambda number: Decimal(number).scaleb(-4)),
        "day": st.none() | st.dates(),
        "moment": st.none() | st.datetimes(timezones=st.just(UTC)),
        "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
        "flag": st.none() | st.booleans(),
    }
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(ROWS, min_size=1, max_size=20))
def test_any_rows_are_read_as_they_were_encoded(rows: list[dict[str, Any]]) -> None:
    found = [row for table in texts.tables(COLUMNS, map(encode, rows)) for row in table.to_pylist()]
    assert found == [{name.title(): value for name, value in row.items()} for row in rows]


def test_a_column_that_a_row_does_not_have_is_empty() -> None:
    assert parsed(typed("text"), {"another": "x"}, {"value": "y"}) == [None, "y"]
    assert parsed(typed("decimal(18,2)"), {"another": "x"}) == [None]


@pytest.mark.parametrize(
    ("kind", "before", "now"),
    [
        ("date", "soon", None),
        ("date", Decimal("1.00"), None),
        ("decimal(18,2)", Decimal("1.2345"), None),
        ("decimal(18,2)", Decimal("1.2300"), Decimal("1.23")),
        ("decimal(6,2)", Decimal("12345.00"), None),
        ("decimal(18,2)", 5, None),
        ("integer", "7", 7),
        ("integer", "1.5", None),
        ("integer", True, None),
        ("integer", Decimal(5), None),
        ("boolean", "maybe", None),
        ("timestamp", date(2026, 1, 1), None),
        ("text", 5, "5"),
        ("text", Decimal("5.00"), None),
        ("text", date(2026, 1, 1), None),
    ],
)
def test_a_value_of_before_a_column_changed_its_type_is_taken_where_it_reads_the_same_else_left_empty(
    kind: str, before: Any, now: Any
) -> None:
    column = typed(kind)
    assert parsed(column, {"value": before}, {"value": None}) == [now, None]


def test_the_contracts_descriptions_are_comments_of_the_columns(shape: Shape, tmp_path: Path) -> None:
    file = tmp_path / "x.hyper"
    hyper.write(file, [content(shape, encoded(invoice("1")))])
    query = "SELECT objsubid, description FROM pg_catalog.pg_description"
    with hyper._connected(file, CreateMode.NONE) as connection:
        found = dict(connection.execute_list_query(query))
    described = {column.name: column.comment for column in shape.columns}
    assert found == {number: text for number, text in enumerate(described.values(), 1) if text}
    assert described["Reference number"] == "The document number in Visma."


def test_a_key_that_two_companies_have_is_refused(shape: Shape, tmp_path: Path) -> None:
    mixed = replace(content(shape, encoded(invoice("1")) * 2), mixed=True)
    with pytest.raises(hyper.Unusable, match=r"two companies have a row 'NO01\|Invoice\|1'"):
        hyper.write(tmp_path / "x.hyper", [mixed])


def test_a_row_of_before_another_column_became_the_key_is_left_out(shape: Shape, tmp_path: Path) -> None:
    rows = encoded(invoice("1"), invoice("2", code=None))
    assert hyper.write(tmp_path / "x.hyper", [content(shape, rows)]) == 1


def test_a_file_without_our_columns_is_told(shape: Shape, tmp_path: Path) -> None:
    other = hyper.Content(hyper.TABLE, (shape.key,), shape.key, encoded(invoice("1")))
    hyper.write(tmp_path / "x.hyper", [other])
    with pytest.raises(hyper.Unusable, match="unknown column 'Company'"):
        list(hyper.rows(tmp_path / "x.hyper", shape))
