"""The columns every lake table starts with, and the check that a table fits what the lake already holds."""

from collections.abc import Iterator

import pyarrow as pa

from mlc_dagster.lake.errors import TableRefused

UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")
SYSTEM = pa.schema(
    [
        ("_key", pa.string()),
        ("_stamp", UTC_MICROSECONDS),
        ("_stamp_text", pa.string()),
        ("_read_at", UTC_MICROSECONDS),
        ("_deleted", pa.bool_()),
    ]
)
DAY = pa.field("_day", pa.date32())


def with_system(schema: pa.Schema) -> pa.Schema:
    """The schema of a lake table for an entity whose own fields are `schema`."""
    own = [field for field in schema if field.name not in SYSTEM.names]
    return pa.schema([*SYSTEM, *own])


def check_table(table: pa.Table, where: str) -> None:
    """Refuse a table without the system columns, or with two rows for one key.

    Raises:
        TableRefused: names the column or the key, and `where` (entity, company, day).
    """
    for field in SYSTEM:
        if field.name not in table.column_names:
            raise TableRefused(where, f"the column {field.name} is missing", "Start from SYSTEM columns.")
        if (found := table.schema.field(field.name).type) != field.type:
            raise TableRefused(where, f"{field.name} is {found}, not {field.type}", "Cast it before writing.")
    keys = table.column("_key")
    if keys.null_count:
        raise TableRefused(where, f"{keys.null_count} rows have no _key", "Quarantine records without a key.")
    if len(keys.unique()) != len(keys):
        counts = keys.value_counts().to_pylist()
        twice = next(item["values"] for item in counts if item["counts"] > 1)
        raise TableRefused(where, f"the key {twice} stands there twice", "Merge the rows by key first.")


def check_types(new: pa.Schema, old: pa.Schema, where: str) -> None:
    """Refuse a table that gives a known column another type. New and missing columns are fine.

    Raises:
        TableRefused: names every such column with both types.
    """
    conflicts = list(_conflicts(new, old, ""))
    if conflicts:
        raise TableRefused(
            where,
            "types differ from the files already there: " + "; ".join(conflicts),
            "The lake is derived state: delete this entity's folder and backfill it, or rename the column.",
        )


def _conflicts(new: pa.Schema | pa.StructType, old: pa.Schema | pa.StructType, path: str) -> Iterator[str]:
    known = {field.name: field.type for field in old}
    for field in new:
        if field.name in known:
            yield from _type_conflicts(field.type, known[field.name], path + field.name)


def _type_conflicts(new: pa.DataType, old: pa.DataType, path: str) -> Iterator[str]:
    if pa.types.is_struct(new) and pa.types.is_struct(old):
        yield from _conflicts(new, old, path + ".")
    elif pa.types.is_list(new) and pa.types.is_list(old):
        yield from _type_conflicts(new.value_type, old.value_type, path + "[]")
    elif new != old:
        yield f"{path} is {new}, was {old}"
