"""Files are written exactly, without litter, and with memory that does not grow with the rows."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from tableauhyperapi import CreateMode

from mlc_dagster.delivery import Row
from mlc_dagster.delivery.rows import encode
from mlc_dagster.settings import REPOSITORY
from mlc_dagster.suite import mappings_in
from mlc_dagster.tableau import hyper
from mlc_dagster.tableau.shape import Shape
from tests.tableau.site import invoice


@pytest.fixture(scope="module")
def shape() -> Shape:
    return Shape.of(mappings_in(REPOSITORY / "dbt_like_mappings").models["tableau/supplier_invoices"])


def content(shape: Shape, rows: Iterable[str]) -> hyper.Content:
    return hyper.Content(hyper.TABLE, shape.columns, shape.key, rows)


def texts(*rows: Row) -> list[str]:
    """Rows as the ledger keeps them."""
    return [encode(row.payload) for row in rows]


def test_no_file_is_left_beside_the_written_one(
    shape: Shape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # A hyperd of its own, which starts in this folder and ends with it.
    monkeypatch.setattr(hyper, "_HYPERD", hyper._Hyperd())
    hyper.write(tmp_path / "x.hyper", [content(shape, texts(invoice("1")))])
    hyper.close()
    assert [each.name for each in tmp_path.iterdir()] == ["x.hyper"]


def test_rows_are_taken_a_batch_at_a_time(
    shape: Shape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hyper, "ROWS_A_PIECE", 10)
    alive, most = 0, 0

    class Text(str):
        def __init__(self, _: str) -> None:
            nonlocal alive, most
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    rows = (Text(encode(invoice(str(number)).payload)) for number in range(100))
    assert hyper.write(tmp_path / "x.hyper", [content(shape, rows)]) == 100
    assert most <= 21


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


@pytest.mark.parametrize("beside", [{}, {"due_date": "soon"}], ids=["at once", "value by value"])
def test_every_value_is_exact_and_nothing_is_nothing(
    shape: Shape, tmp_path: Path, beside: dict[str, str]
) -> None:
    empty = dict.fromkeys(invoice("2").payload) | {"code": "NO01|Invoice|2"}
    sent = [invoice("1", **ODD), replace(invoice("2"), payload=empty), invoice("3")]
    hyper.write(tmp_path / "x.hyper", [content(shape, texts(*sent, invoice("4", **beside)))])
    found = {row["code"]: row for row in hyper.rows(tmp_path / "x.hyper", shape)}
    assert [found[row.key] for row in sent] == [row.payload for row in sent]


def test_a_value_of_before_a_column_changed_its_type_is_left_empty(shape: Shape, tmp_path: Path) -> None:
    old, new = invoice("1", due_date="soon"), invoice("2")
    hyper.write(tmp_path / "x.hyper", [content(shape, texts(old, new))])
    found = {row["code"]: row["due_date"] for row in hyper.rows(tmp_path / "x.hyper", shape)}
    assert found == {"NO01|Invoice|1": None, "NO01|Invoice|2": new.payload["due_date"]}


def test_the_contracts_descriptions_are_comments_of_the_columns(shape: Shape, tmp_path: Path) -> None:
    file = tmp_path / "x.hyper"
    hyper.write(file, [content(shape, texts(invoice("1")))])
    query = "SELECT objsubid, description FROM pg_catalog.pg_description"
    with hyper._connected(file, CreateMode.NONE) as connection:
        found = dict(connection.execute_list_query(query))
    described = {column.name: column.comment for column in shape.columns}
    assert found == {number: text for number, text in enumerate(described.values(), 1) if text}
    assert described["Reference number"] == "The document number in Visma."


def test_a_key_that_stands_twice_is_refused(shape: Shape, tmp_path: Path) -> None:
    with pytest.raises(hyper.Unusable, match="two companies have a row"):
        hyper.write(tmp_path / "x.hyper", [content(shape, texts(invoice("1")) * 2)])


def test_a_file_without_our_columns_is_told(shape: Shape, tmp_path: Path) -> None:
    other = hyper.Content(hyper.TABLE, (shape.key,), shape.key, texts(invoice("1")))
    hyper.write(tmp_path / "x.hyper", [other])
    with pytest.raises(hyper.Unusable, match="unknown column 'Company'"):
        list(hyper.rows(tmp_path / "x.hyper", shape))
