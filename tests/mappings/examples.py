"""A small catalogue, folders of models and lakes to run them on."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from typing import Any

import pyarrow as pa

from mlc_dagster.lake import DayNote, Lake, with_system

COMPANY = "NO01"
DAY, NEXT_DAY = date(2026, 11, 20), date(2026, 11, 21)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MONEY = pa.decimal128(28, 8)
NAMED = pa.struct([("number", pa.string()), ("name", pa.string())])


class SmallCatalog:
    """Two entities, enough for a join and for lines."""

    schemas: Mapping[str, pa.Schema] = {
        "suppliers": pa.schema([("number", pa.string()), ("name", pa.string()), ("active", pa.bool_())]),
        "invoices": pa.schema(
            [
                ("number", pa.string()),
                ("status", pa.string()),
                ("date", pa.date32()),
                ("supplier", NAMED),
                ("amount", MONEY),
                ("rate", pa.float64()),
                ("changedAt", pa.timestamp("us", tz="UTC")),
                (
                    "lines",
                    pa.list_(pa.struct([("line", pa.int64()), ("text", pa.string()), ("cost", MONEY)])),
                ),
            ]
        ),
    }

    def schema(self, entity: str) -> pa.Schema:
        return self.schemas[entity]

    def key(self, entity: str) -> tuple[str, ...]:
        return ("number",)

    def entities(self) -> Sequence[str]:
        return list(self.schemas)


CATALOG = SmallCatalog()

INVOICES_SQL = """\
select
    invoice._key as source_key,
    {{ company }} || '|' || invoice.number as code,
    invoice.number as number,
    supplier.name as supplier_name,
    invoice.amount
from {{ changed('invoices') }} as invoice
left join {{ latest('suppliers') }} as supplier on supplier.number = invoice.supplier.number
"""
INVOICES_YML = """\
description: Invoices.
source: invoices
key: [code]
number: number
columns:
  code: {type: text, max_length: 60}
  number: {type: text}
  supplier_name: {type: text, max_length: 20}
  amount: {type: "decimal(18,2)"}
"""


def folder(path: Path, files: Mapping[str, str]) -> Path:
    """A mappings folder with these files; indentation common to all lines of a text is removed."""
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(dedent(text), "utf-8")
    return path


def invoices_folder(path: Path, **changes: str) -> Path:
    """A folder with the model target/invoices; `sql` and `yml` replace its files."""
    files = {
        "target/invoices.sql": changes.get("sql", INVOICES_SQL),
        "target/invoices.yml": changes.get("yml", INVOICES_YML),
    }
    return folder(path, files)


def record(key: str, **values: Any) -> dict[str, Any]:
    stamp = values.pop("stamp", NOON)
    system = {"_stamp": stamp, "_stamp_text": stamp.isoformat(), "_read_at": NOON, "_deleted": False}
    return {"_key": key, "number": key, **system, **values}


def invoice(key: str, amount: str = "10", **values: Any) -> dict[str, Any]:
    supplier = {"number": "50000", "name": "as printed"}
    return record(key, **{"amount": Decimal(amount), "supplier": supplier, "status": "Open", **values})


def write(lake: Lake, entity: str, *records: dict[str, Any], day: date = DAY, catalog: Any = CATALOG) -> None:
    table = pa.Table.from_pylist(list(records), schema=with_system(catalog.schema(entity)))
    lake.write_day(entity, COMPANY, day, table, DayNote(None, NOON, complete=True, total=len(records)))
