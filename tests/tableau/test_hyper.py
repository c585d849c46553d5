"""Files are written exactly, without litter, and with memory that does not grow with the rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tableauhyperapi import CreateMode

from mlc_dagster.settings import REPOSITORY
from mlc_dagster.suite import mappings_in
from mlc_dagster.tableau import hyper
from mlc_dagster.tableau.shape import Shape
from tests.tableau.site import invoice


@pytest.fixture(scope="module")
def shape() -> Shape:
    return Shape.of(mappings_in(REPOSITORY / "dbt_like_mappings").models["tableau/supplier_invoices"])


def content(shape: Shape, rows: Any) -> hyper.Content:
    return hyper.Content(hyper.TABLE, shape.columns, shape.key, rows)


def test_no_file_is_left_beside_the_written_one(
    shape: Shape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # A hyperd of its own, which starts in this folder and ends with it.
    monkeypatch.setattr(hyper, "_HYPERD", hyper._Hyperd())
    hyper.write(tmp_path / "x.hyper", [content(shape, [invoice("1").payload])])
    hyper.close()
    assert [each.name for each in tmp_path.iterdir()] == ["x.hyper"]


def test_rows_are_taken_a_batch_at_a_time(
    shape: Shape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hyper, "ROWS_A_BATCH", 10)
    alive, most = 0, 0

    class Payload(dict[str, Any]):
        def __init__(self, values: Any) -> None:
            nonlocal alive, most
            super().__init__(values)
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def rows() -> Iterator[Payload]:
        for number in range(100):
            yield Payload(invoice(str(number)).payload)

    assert hyper.write(tmp_path / "x.hyper", [content(shape, rows())]) == 100
    assert most <= 21


def test_a_value_of_before_a_column_changed_its_type_is_left_empty(shape: Shape, tmp_path: Path) -> None:
    old, new = invoice("1", due_date="soon").payload, invoice("2").payload
    hyper.write(tmp_path / "x.hyper", [content(shape, [old, new])])
    found = {row["code"]: row["due_date"] for row in hyper.rows(tmp_path / "x.hyper", shape)}
    assert found == {"NO01|Invoice|1": None, "NO01|Invoice|2": new["due_date"]}


def test_the_contracts_descriptions_are_comments_of_the_columns(shape: Shape, tmp_path: Path) -> None:
    file = tmp_path / "x.hyper"
    hyper.write(file, [content(shape, [invoice("1").payload])])
    query = "SELECT objsubid, description FROM pg_catalog.pg_description"
    with hyper._connected(file, CreateMode.NONE) as connection:
        found = dict(connection.execute_list_query(query))
    described = {column.name: column.comment for column in shape.columns}
    assert found == {number: text for number, text in enumerate(described.values(), 1) if text}
    assert described["Reference number"] == "The document number in Visma."


def test_a_key_that_stands_twice_is_refused(shape: Shape, tmp_path: Path) -> None:
    with pytest.raises(hyper.Unusable, match="two companies have a row"):
        hyper.write(tmp_path / "x.hyper", [content(shape, [invoice("1").payload] * 2)])


def test_a_file_without_our_columns_is_told(shape: Shape, tmp_path: Path) -> None:
    other = hyper.Content(hyper.TABLE, (shape.key,), shape.key, [invoice("1").payload])
    hyper.write(tmp_path / "x.hyper", [other])
    with pytest.raises(hyper.Unusable, match="unknown column 'Company'"):
        list(hyper.rows(tmp_path / "x.hyper", shape))
