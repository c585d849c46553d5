from datetime import date
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pytest

from mlc_dagster.lake import Lake, TableRefused
from tests.lake.examples import INVOICES, amounts, note, row, table

PLACE = ("supplier_invoices", "NO01")
OLD_DAY, NEW_DAY = date(2026, 10, 30), date(2026, 11, 20)

SUPPLIER = pa.struct([("number", pa.string()), ("name", pa.string()), ("country", pa.string())])
LINE = pa.struct([("lineNumber", pa.int64()), ("amount", pa.decimal128(28, 8)), ("vatCode", pa.string())])


def grown() -> pa.Schema:
    schema = INVOICES.set(INVOICES.get_field_index("supplier"), pa.field("supplier", SUPPLIER))
    schema = schema.set(schema.get_field_index("invoiceLines"), pa.field("invoiceLines", pa.list_(LINE)))
    return schema.append(pa.field("note", pa.string()))


@pytest.fixture(params=["local", "memory"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    return Lake(str(tmp_path) if request.param == "local" else f"memory://{uuid4().hex}")


@pytest.mark.parametrize("compacted", [False, True])
def test_fields_added_later_are_null_in_older_files(lake: Lake, compacted: bool) -> None:
    lake.write_day(*PLACE, OLD_DAY, table(row("old")), note())
    lines = [{"lineNumber": 1, "amount": None, "vatCode": "3"}]
    new = row("new", note="with a note", invoiceLines=lines, supplier={"number": "1", "country": "NO"})
    lake.write_day(*PLACE, NEW_DAY, table(new, schema=grown()), note())
    if compacted:
        assert lake.compact(*PLACE, before=NEW_DAY) == 1
    rows = {found["_key"]: found for found in lake.latest(*PLACE).to_pylist()}
    assert rows["old"]["note"] is None
    assert rows["old"]["supplier"] == {"number": "50000", "name": "Fjell & Sjø AS", "country": None}
    assert rows["old"]["invoiceLines"][0]["vatCode"] is None
    assert rows["new"]["note"] == "with a note"
    assert rows["new"]["supplier"]["country"] == "NO"
    assert lake.latest(*PLACE).schema == grown()


@pytest.mark.parametrize(
    ("column", "type_", "words"),
    [
        ("amount", pa.decimal128(28, 4), r"amount is decimal128\(28, 4\), was decimal128\(28, 8\)"),
        ("supplier", pa.struct([("number", pa.int64())]), r"supplier\.number is int64, was string"),
        (
            "invoiceLines",
            pa.list_(pa.struct([("lineNumber", pa.string())])),
            r"invoiceLines\[\]\.lineNumber is string",
        ),
        ("date", pa.timestamp("us"), r"date is timestamp\[us\], was date32"),
    ],
)
def test_a_changed_type_is_refused_and_says_what_to_do(
    lake: Lake, column: str, type_: pa.DataType, words: str
) -> None:
    lake.write_day(*PLACE, OLD_DAY, table(row("old")), note())
    schema = INVOICES.set(INVOICES.get_field_index(column), pa.field(column, type_))
    changed = pa.Table.from_pylist([{**row("new"), column: None}], schema=schema)
    with pytest.raises(TableRefused, match=words + r".*delete this entity's folder and backfill"):
        lake.write_day(*PLACE, NEW_DAY, changed, note())
    assert list(amounts(lake.latest(*PLACE))) == ["old"]
