"""Floor 2, the shortest honest script: exact typed Parquet, a hash a row, a ledger.

`floor_ledger.py ERP FOLDER`. It trusts its pages, its stamps and its luck:
no retries, no drift, no deletes, no quarantine, no recovery.
"""

import hashlib
import json
import sqlite3
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from bare import Erp, tell

TEXT, MONEY, WHOLE = pa.string(), pa.decimal128(28, 8), pa.int64()
PAIR = {"number": TEXT, "name": TEXT}


def struct(**fields: pa.DataType) -> pa.DataType:
    return pa.struct(list(fields.items()))


LINE = struct(
    lineNumber=WHOLE, inventoryNumber=TEXT, transactionDescription=TEXT, quantity=MONEY, uom=TEXT,
    unitCostInCurrency=MONEY, costInCurrency=MONEY, account=struct(type=TEXT, number=TEXT, description=TEXT),
    vatCode=struct(id=TEXT, description=TEXT),
)  # fmt: skip
INVOICE = pa.schema({
    "documentType": TEXT, "referenceNumber": TEXT, "status": TEXT, "hold": pa.bool_(),
    "supplier": struct(internalId=WHOLE, **PAIR), "date": TEXT, "dueDate": TEXT, "postPeriod": TEXT,
    "financialPeriod": TEXT, "currencyId": TEXT, "exchangeRate": MONEY, "amount": MONEY, "vatAmount": MONEY,
    "balance": MONEY, "balanceInCurrency": MONEY, "detailTotalInCurrency": MONEY,
    "supplierReference": TEXT, "paymentRefNo": TEXT,
    "description": TEXT, "invoiceLines": pa.list_(LINE), "lastModifiedDateTime": TEXT,
    "createdDateTime": TEXT, "timeStamp": TEXT,
})  # fmt: skip
CASTS = {
    "date": pa.date32(), "dueDate": pa.date32(), "lastModifiedDateTime": pa.timestamp("ms"),
    "createdDateTime": pa.timestamp("ms"),
}  # fmt: skip


def typed(records: list[Any]) -> pa.Table:
    table = pa.Table.from_pylist(records, schema=INVOICE)
    for name, wanted in CASTS.items():
        moments = pc.cast(table[name], pa.timestamp("ms"))
        table = table.set_column(table.schema.get_field_index(name), name, pc.cast(moments, wanted))
    return table


def noted(record: dict[str, Any]) -> tuple[str, str, str]:
    """Key, hash and stamp of a record; the list's own totals are no part of it."""
    text = json.dumps({**record, "metadata": None}, sort_keys=True, default=str)
    key = f"{record['documentType']}|{record['referenceNumber']}"
    return key, hashlib.sha256(text.encode()).hexdigest(), record["lastModifiedDateTime"]


erp, folder = Erp(sys.argv[1]), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
ledger = sqlite3.connect(folder / "ledger.db")
ledger.execute("pragma journal_mode = wal")
ledger.execute("create table if not exists ledger (key text primary key, hash text, stamp text)")
(since,) = ledger.execute("select max(stamp) from ledger").fetchone()
known = dict(ledger.execute("select key, hash from ledger")) if since else {}
label = (since or "first").replace(":", "")
rows = changed = 0


def keep(number: int, records: list[Any]) -> tuple[int, list[tuple[str, str, str]]]:
    """Write a page's news to a file, whole or not at all."""
    news = [(record, note) for record in records if known.get((note := noted(record))[0]) != note[1]]
    if news:
        part = folder / f".{label}-{number}.parquet"
        pq.write_table(typed([record for record, _ in news]), part, compression="zstd")
        part.rename(folder / part.name.removeprefix("."))
    return len(records), [note for _, note in news]


for count, notes in erp.pages(keep, since, parse_float=Decimal):
    rows, changed = rows + count, changed + len(notes)
    with ledger:
        ledger.executemany("insert or replace into ledger values (?, ?, ?)", notes)
tell(rows=rows, changed=changed)
