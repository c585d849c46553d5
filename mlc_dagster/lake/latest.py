"""DuckDB over the lake's files: the newest version of each key."""

import tempfile
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from mlc_dagster.lake.partitions import Listing, read_parquet
from mlc_dagster.lake.storage import Storage

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
    """A private in-memory DuckDB that can read the lake's file system. The caller closes it."""
    connection = duckdb.connect(":memory:")
    for name, value in SETTINGS.items():
        connection.execute(f"set {name} = '{value}'")
    connection.execute("set temp_directory = ?", [str(Path(tempfile.gettempdir()) / "mlc-duckdb")])
    if not storage.local:
        connection.register_filesystem(storage.fs)
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


def newest_rows(storage: Storage, listing: Listing) -> pa.Table | None:
    """The newest version of each key as an Arrow table with the files' own types; None without files."""
    if not listing.files:
        return None
    with connect(storage) as connection:
        find_newest(connection, listing, "newest")
        places = connection.execute("select _file, file_row_number from newest order by all").fetchall()
    rows: dict[str, list[int]] = {storage.address(file.path): [] for file in listing.files}
    for file, row in places:
        rows[file].append(row)
    parts = [_rows_of_file(storage, file.path, rows[storage.address(file.path)]) for file in listing.files]
    table = pa.concat_tables(parts, promote_options="permissive").replace_schema_metadata(None)
    return table.drop_columns(["_day"]) if "_day" in table.column_names else table


def overtakes(storage: Storage, listing: Listing, day: date, old: pa.Table, new: pa.Table) -> bool:
    """Whether the later `_read_at` of otherwise equal rows changes which version of a key is the newest.

    It does where another day holds the same stamp, read in between: a tombstone of a record that came back.
    """
    scan = listing.scan()
    if scan is None:
        return False
    narrow = ["_key", "_stamp", "_read_at"]
    with connect(storage) as connection:
        connection.register("old", old.select(narrow))
        connection.register("new", new.select(narrow))
        found = connection.execute(
            f"select 1 from ({scan}) other join old using (_key) join new using (_key) "
            "where other._day <> ? and other._stamp is not distinct from old._stamp "
            "and other._read_at between old._read_at and new._read_at limit 1",
            [day],
        ).fetchone()
    return found is not None


def _rows_of_file(storage: Storage, path: str, rows: list[int]) -> pa.Table:
    if not rows:
        return storage.schema(path).empty_table()
    return storage.read(path).take(pa.array(rows, pa.int64()))
