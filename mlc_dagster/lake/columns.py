"""The columns every lake table starts with, and the check that a table fits what the lake already holds."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

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


class Checked:
    """Parts of a table on their way to a file; `rows` counts them.

    Refuses parts without the system columns, a key that stands there twice, and a known column of another
    type than in `old`. `where` names entity, company and day. Raises TableRefused while it is gone through.
    """

    def __init__(self, parts: Iterable[pa.Table], where: str, old: pa.Schema | None) -> None:
        self._parts, self._where, self._old = parts, where, old
        self._keys: list[pa.Array] = []

    @property
    def rows(self) -> int:
        """How many rows have gone through."""
        return sum(map(len, self._keys))

    def __iter__(self) -> Iterator[pa.Table]:
        for part in self._parts:
            self._check_columns(part)
            self._keys += part.column("_key").chunks
            yield part.replace_schema_metadata(None)
        self._check_keys(pa.chunked_array(self._keys, pa.string()))

    def _check_columns(self, part: pa.Table) -> None:
        for field in SYSTEM:
            if field.name not in part.column_names:
                raise TableRefused(
                    self._where, f"the column {field.name} is missing", "Start from SYSTEM columns."
                )
            if (found := part.schema.field(field.name).type) != field.type:
                raise TableRefused(
                    self._where, f"{field.name} is {found}, not {field.type}", "Cast it before writing."
                )
        if nulls := part.column("_key").null_count:
            raise TableRefused(self._where, f"{nulls} rows have no _key", "Quarantine records without a key.")
        if self._old is not None:
            check_types(part.schema, self._old, self._where)

    def _check_keys(self, keys: pa.ChunkedArray) -> None:
        if pc.count_distinct(keys).as_py() != len(keys):
            counts = keys.value_counts().to_pylist()
            twice = next(item["values"] for item in counts if item["counts"] > 1)
            raise TableRefused(
                self._where, f"the key {twice} stands there twice", "Merge the rows by key first."
            )


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
