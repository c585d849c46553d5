"""Small tables and notes to write into a lake."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from mlc_dagster.lake import DayNote, Lake, with_system
from mlc_dagster.lake.lake import read_keys
from mlc_dagster.lake.partitions import Listing

MONEY = pa.decimal128(28, 8)
INVOICES = with_system(
    pa.schema(
        [
            ("referenceNumber", pa.string()),
            ("date", pa.date32()),
            ("amount", MONEY),
            ("supplier", pa.struct([("number", pa.string()), ("name", pa.string())])),
            ("invoiceLines", pa.list_(pa.struct([("lineNumber", pa.int64()), ("amount", MONEY)]))),
        ]
    )
)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def note(**changes: Any) -> DayNote:
    values = {"next_from": "2026-11-20 12:00:00", "read_at": NOON, "complete": False, "total": 1}
    return DayNote(**{**values, **changes})


def row(key: str, amount: str = "1.00", *, stamp: datetime | None = NOON, **changes: Any) -> dict[str, Any]:
    return {
        "_key": key,
        "_stamp": stamp,
        "_stamp_text": stamp.isoformat() if stamp else None,
        "_read_at": NOON,
        "_deleted": False,
        "referenceNumber": key,
        "date": date(2026, 11, 20),
        "amount": Decimal(amount),
        "supplier": {"number": "50000", "name": "Fjell & Sjø AS"},
        "invoiceLines": [{"lineNumber": 1, "amount": Decimal(amount)}],
        **changes,
    }


def table(*rows: dict[str, Any], schema: pa.Schema = INVOICES) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=schema)


def amounts(latest: pa.Table | None) -> dict[str, Decimal]:
    assert latest is not None
    return dict(zip(latest["_key"].to_pylist(), latest["amount"].to_pylist(), strict=True))


def keys(lake: Lake, entity: str, company: str, days: Collection[date] | None = None) -> set[str]:
    """The source keys in some days (None: all), tombstones included, as a run of a model reads them."""

    def read(listings: Mapping[str, Listing]) -> set[str]:
        with lake.connect() as connection:
            return read_keys(connection, listings[entity], days)

    return lake.steady([entity], company, read)


def days_from(first: date, count: int) -> Sequence[date]:
    return [first + timedelta(days=number) for number in range(count)]
