"""Writing a .hyper file of so many rows with 15 columns: `extract.py WRITER ROWS FOLDER`.

`ours` takes rows as the ledger hands them over, JSON texts in lines, and parses them too. `parquet` is the
fastest route of the vendor's sheet (section 13): `INSERT .. SELECT` from a finished Parquet file.
Both start a hyperd and count it. What they start from, texts or Parquet, lies in a file that was made before.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter, process_time
from typing import Any

import pyarrow.parquet as pq
from bare import tell
from tableauhyperapi import Connection, CreateMode, HyperProcess, Telemetry

from mlc_dagster.delivery.rows import encode
from mlc_dagster.mappings.types import ColumnType
from mlc_dagster.tableau import hyper, texts
from mlc_dagster.tableau.shape import Column

MONEY = "decimal(18,4)"
KINDS = (*("text",) * 6, *("integer",) * 2, *("date",) * 2, "timestamp", *(MONEY,) * 3, "boolean")
COLUMNS = tuple(Column(f"c{n}", f"Column {n}", ColumnType.parse(kind)) for n, kind in enumerate(KINDS))
KEY = COLUMNS[0]
DAY, TIME = date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)
# Rows are used again with another key, so that making them costs next to nothing.
SOME, MARK = 50_000, "NO01|Invoice|"
# Characters that are read at once, about as many as the ledger hands over.
READ = 1_500_000


def some_rows() -> list[tuple[str, str]]:
    """Texts as the ledger keeps them: what stands before the number in the key, and what after it."""
    names = [column.source for column in COLUMNS]
    texts = (encode(dict(zip(names, (MARK, *values(number)), strict=True))) for number in range(SOME))
    return [(before + MARK, after) for before, _, after in (text.partition(MARK) for text in texts)]


def values(number: int) -> tuple[Any, ...]:
    """One row without its key, with as many different values as documents have."""
    texts = ("NO01", f"Supplier {number % 900}", "Open", f"PO{number % 7000}", None)
    days = (DAY + timedelta(days=number % 365), DAY + timedelta(days=number % 397))
    money = (Decimal(number * step).scaleb(-4) for step in (10_001, 2_500, 37))
    stamp = TIME + timedelta(seconds=number * 37)
    return (*texts, number, number % 13, *days, stamp, *money, number % 3 == 0)


def all_rows(rows: list[tuple[str, str]], count: int) -> Iterator[str]:
    """So many rows, each with a key of its own."""
    for number in range(count):
        before, after = rows[number % SOME]
        yield f"{before}{number}{after}"


def ours(folder: Path, file: Path) -> None:
    """As a publication writes its file."""
    with file.open(encoding="utf-8") as lines:
        rows = (f"{some}{lines.readline()}".rstrip("\n") for some in iter(lambda: lines.read(READ), ""))
        hyper.write(folder / "ours.hyper", [hyper.Content(hyper.TABLE, COLUMNS, KEY, rows)])
    hyper.close()


def by_parquet(folder: Path, parquet: Path) -> None:
    """The sheet's route."""
    quiet = {"log_config": "", "default_database_version": "2"}
    file = folder / "route.hyper"
    declared = ", ".join(f'"{column.name}" {column.sql}' for column in COLUMNS)
    with (
        HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=quiet) as process,
        Connection(process.endpoint, str(file), CreateMode.CREATE_AND_REPLACE) as connection,
    ):
        connection.execute_command('CREATE SCHEMA "Extract"')
        connection.execute_command(f'CREATE TABLE "Extract"."Extract" ({declared})')
        connection.execute_command(
            f"INSERT INTO \"Extract\".\"Extract\" SELECT * FROM external('{parquet}', format => 'parquet')"
        )


def lines_of(folder: Path, rows: Iterator[str]) -> Path:
    """The texts that ours starts from."""
    file = folder / "rows.lines"
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(f"{row}\n" for row in rows)
    return file


def parquet_of(folder: Path, rows: Iterator[str]) -> Path:
    """The finished file the sheet's route starts from."""
    file = folder / "rows.parquet"
    with pq.ParquetWriter(file, texts.schema(COLUMNS)) as writer:
        for table in texts.tables(COLUMNS, rows):
            writer.write_table(table)
    return file


writer, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
folder.mkdir(parents=True, exist_ok=True)
make, write = {"ours": (lines_of, ours), "parquet": (parquet_of, by_parquet)}[writer]
source = make(folder, all_rows(some_rows(), count))
wall, cpu = perf_counter(), process_time()
write(folder, source)
took = {"engine_wall": perf_counter() - wall, "engine_cpu": process_time() - cpu}
# Of this process: hyperd takes what memory the machine has.
tell(rows=count, own_peak=getrusage(RUSAGE_SELF).ru_maxrss * 1024, **took)
