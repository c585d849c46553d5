"""DuckDB over the lake's files: the newest version of each key."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mlc_dagster.lake.partitions import Listing, read_parquet
from mlc_dagster.lake.storage import Storage

if TYPE_CHECKING:
    import duckdb

SETTINGS = {
    "TimeZone": "UTC",
    "threads": "2",
    "memory_limit": "2GB",
    # A database that fetches its own extensions would be a surprise in a closed network.
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
# A tombstone carries the stamp of the version it ends, so the later reading decides between equal stamps.
NEWEST_FIRST = "_stamp desc nulls last, _read_at desc, _day desc, file_row_number desc"
EMPTY_NEWEST = (
    "select null::varchar as _key, null::boolean as _deleted, null::varchar as _file, "
    "null::bigint as file_row_number where false"
)


def connect(storage: Storage) -> duckdb.DuckDBPyConnection:
    """A private in-memory DuckDB that can read the lake's files and no others. The caller closes it."""
    import duckdb  # noqa: PLC0415 - a step that only reads the ERP never asks the lake a question

    connection = duckdb.connect(":memory:")
    for name, value in SETTINGS.items():
        connection.execute(f"set {name} = '{value}'")
    connection.execute("set temp_directory = ?", [str(Path(tempfile.gettempdir()) / "mlc-duckdb")])
    if not storage.local:
        connection.register_filesystem(storage.fs)
    # SQL of a mapping reads what it is given: no file of this machine, such as the vault's key.
    allowed = storage.address(storage.path("")).replace("'", "''")
    connection.execute(f"set allowed_directories = ['{allowed}']")
    connection.execute("set enable_external_access = false")
    return connection


def find_newest(
    connection: duckdb.DuckDBPyConnection, listing: Listing, into: str, *, keys: str | None = None
) -> None:
    """Create the table `into` (_key, _deleted, _file, file_row_number): where each key's newest version is.

    `keys` names a relation with a column `_key` that limits the search. Reads narrow columns only.
    """
    scan = listing.scan()
    if scan is None:
        connection.execute(f"create temp table {into} as {EMPTY_NEWEST}")
        return
    limit = f"where _key in (select _key from {keys})" if keys else ""
    connection.execute(
        f"create temp table {into} as select _key, _deleted, _file, file_row_number from ({scan}) {limit} "
        f"qualify row_number() over (partition by _key order by {NEWEST_FIRST}) = 1"
    )


def register(connection: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema, *, newest: str) -> None:
    """Create the view `name`: the rows that the table `newest` points at, tombstones left out.

    The view has all columns of `schema`, null where a file was written before the column was added. Files
    without a newest version are not opened, and of the others only the columns a query uses are read.
    """
    empty = f"_{name}_empty"
    connection.register(f"{empty}_arrow", schema.empty_table())
    connection.execute(f"create temp table {empty} as select * from {empty}_arrow")
    connection.unregister(f"{empty}_arrow")
    used = connection.execute(f"select distinct _file from {newest} where not _deleted").fetchall()
    if not used:
        connection.execute(f"create temp view {name} as select * from {empty}")
        return
    files = read_parquet(sorted(str(row[0]) for row in used))
    own = ", ".join(f'"{column}"' for column in schema.names)
    connection.execute(
        f"create temp view {name} as select {own} from (select * from {empty} union all by name "
        f"select file.* from {files} file semi join (from {newest} where not _deleted) alive "
        "using (_file, file_row_number))"
    )


def newest_rows(storage: Storage, listing: Listing, keys: Collection[str] | None = None) -> pa.Table | None:
    """The newest version of each key, or of some, with the files' own types; None without files."""
    if not listing.files:
        return None
    with connect(storage) as connection:
        wanted = None
        if keys is not None:
            wanted = "wanted"
            connection.register(wanted, pa.table({"_key": pa.array(sorted(keys), pa.string())}))
        find_newest(connection, listing, "newest", keys=wanted)
        places = connection.execute("select _file, file_row_number from newest order by all").fetchall()
    rows: dict[str, list[int]] = {storage.address(file.path): [] for file in listing.files}
    for file, row in places:
        rows[file].append(row)
    parts = [_rows_of_file(storage, file.path, rows[storage.address(file.path)]) for file in listing.files]
    table = pa.concat_tables(parts, promote_options="permissive").replace_schema_metadata(None)
    return table.drop_columns(["_day"]) if "_day" in table.column_names else table


def _rows_of_file(storage: Storage, path: str, rows: list[int]) -> pa.Table:
    """The rows of a file by their numbers, in order; no more of the file than one part is held at a time."""
    found = [storage.schema(path).empty_table()]
    if not rows:
        return found[0]
    numbers, first = np.asarray(rows), 0
    for part in storage.parts(path):
        mine = numbers[np.searchsorted(numbers, first) : np.searchsorted(numbers, first + len(part))]
        if len(mine):
            found.append(part.take(pa.array(mine - first)))
        first += len(part)
    return pa.concat_tables(found)
