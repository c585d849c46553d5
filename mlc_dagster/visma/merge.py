"""Versions of records: which of two is the newer, and whether they differ at all. Whole columns at a time."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.visma.entity import Entity

MICROSECOND = pa.scalar(timedelta(microseconds=1), pa.duration("us"))


def newest(entity: Entity, rows: pa.Table) -> pa.Table:
    """Return the row of each key with the newest stamp, the first of equal ones.

    Of a BY_LINE entity all of them: they are the parts of a split record. Only `_key` and `_stamp` are looked
    at, so the rows may be light ones.
    """
    keys = rows.column("_key")
    if pc.count_distinct(keys).as_py() == len(keys):
        return rows
    order = pc.sort_indices(
        rows.select(["_key", "_stamp"]), sort_keys=[("_key", "ascending"), ("_stamp", "descending")]
    )
    ordered = keys.take(order).to_numpy(zero_copy_only=False)
    keep = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    if entity.lines:
        stamps = pc.fill_null(pc.cast(rows.column("_stamp").take(order), pa.int64()), 0).to_numpy()
        keep = stamps == stamps[keep][np.cumsum(keep) - 1]
    return rows.take(order.filter(pa.array(keep)))


def unite(entity: Entity, before: pa.Table, after: pa.Table) -> pa.Table:
    """Return the rows of two passes: the later pass wins, parts of one version stay together."""
    if entity.lines:
        return newest(entity, pa.concat_tables([before, after]))
    return pa.concat_tables([after, without(before, after.column("_key"))])


def several(keys: pa.ChunkedArray) -> pa.Array:
    """Return the keys that stand there more than once."""
    counts = keys.value_counts()
    return pc.struct_field(counts, "values").filter(pc.greater(pc.struct_field(counts, "counts"), 1))


def joined(entity: Entity, table: pa.Table) -> pa.Table:
    """Join the parts of records that were split over pages: the newest stamp's lines, each number once."""
    twice = several(table.column("_key"))
    if not len(twice):
        return table
    split = pc.is_in(table.column("_key"), twice)
    parts = sorted(table.filter(split).to_pylist(), key=lambda row: str(row["_key"]))
    whole = [_join(entity, list(group)) for _, group in groupby(parts, key=lambda row: row["_key"])]
    return pa.concat_tables(
        [table.filter(pc.invert(split)), pa.Table.from_pylist(whole, schema=table.schema)]
    )


def changed(new: pa.Table, old: pa.Table) -> pa.Array:
    """Return for each row of ``new`` whether ``old`` lacks its key or differs, ``_read_at`` aside."""
    place = pc.index_in(new.column("_key"), old.column("_key").combine_chunks()).combine_chunks()
    result = place.is_null().to_numpy(zero_copy_only=False).copy()
    common = np.flatnonzero(~result)
    mine = new.take(pa.array(common)).drop_columns("_read_at").combine_chunks()
    theirs = old.take(place.drop_null()).drop_columns("_read_at").combine_chunks()
    restamped = ~_same(mine.column("_stamp"), theirs.column("_stamp"))
    result[common[restamped]] = True
    alike = np.flatnonzero(~restamped)
    if len(alike):
        pick = pa.array(alike)
        result[common[alike[_differences(mine.take(pick), theirs.take(pick))]]] = True
    return pa.array(result)


def newer(new: pa.Table, old: pa.Table) -> pa.Array:
    """Return for each row of ``new`` whether nothing newer is in ``old``: by the stamp, then by the reading.

    A page that waited in a spool may be older than what another read found meanwhile, which lists without
    stamps have nothing else to tell by.
    """
    place = pc.index_in(new.column("_key"), old.column("_key").combine_chunks())
    stamps, read_at = (old.column(name).take(place) for name in ("_stamp", "_read_at"))
    older = pc.fill_null(pc.less(new.column("_stamp"), stamps), fill_value=False)
    later = pc.fill_null(pc.greater(new.column("_stamp"), stamps), fill_value=False)
    waited = pc.fill_null(pc.less(new.column("_read_at"), read_at), fill_value=False)
    return pc.invert(pc.or_(older, pc.and_not(waited, later))).combine_chunks()


def in_order(new: pa.Table, held: pa.Table) -> pa.Table:
    """Give each row of ``new`` a stamp in order with the version that ``held`` has of its key.

    The ERP keeps one version of a record, so what was read later is the later edit, also where its stamp
    looks older: in the hour that comes twice, or after the ERP's clock was set back, or the ERP itself to an
    earlier state. Such a stamp becomes the one held and a microsecond; its text stays.
    """
    if not len(held):
        return new
    place = pc.index_in(new.column("_key"), held.column("_key").combine_chunks())
    before, text, read_at = (held.column(name).take(place) for name in ("_stamp", "_stamp_text", "_read_at"))
    stamps = new.column("_stamp")
    same = pc.fill_null(pc.equal(new.column("_stamp_text"), text), fill_value=False)
    later = pc.fill_null(pc.greater_equal(new.column("_read_at"), read_at), fill_value=False)
    next_one = pc.if_else(later, pc.add(before, MICROSECOND), stamps)
    overtaken = pc.fill_null(pc.less_equal(stamps, before), fill_value=False)
    ordered = pc.if_else(overtaken, pc.if_else(same, before, next_one), stamps)
    column = new.schema.get_field_index("_stamp")
    return new.set_column(column, new.schema.field(column), ordered)


def without(table: pa.Table, keys: Collection[str] | pa.ChunkedArray) -> pa.Table:
    """Return the rows of all other keys."""
    values = keys if isinstance(keys, pa.ChunkedArray) else pa.array(list(keys), pa.string())
    if not len(values):
        return table
    return table.filter(pc.invert(pc.is_in(table.column("_key"), values)))


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the columns of the schema; null where the table is older than a column."""
    return pa.concat_tables([schema.empty_table(), table], promote_options="permissive").select(schema.names)


def _same(left: pa.ChunkedArray, right: pa.ChunkedArray) -> Any:
    equal = pc.fill_null(pc.equal(left, right), fill_value=False)
    both_null = pc.and_(left.is_null(), right.is_null())
    return pc.or_(equal, both_null).to_numpy()


def _differences(left: pa.Table, right: pa.Table) -> list[int]:
    """Return the positions where aligned tables differ, by halving: equal stretches cost one comparison."""
    if left.equals(right):
        return []
    if len(left) == 1:
        return [0]
    half = len(left) // 2
    second = _differences(left.slice(half), right.slice(half))
    return [*_differences(left.slice(0, half), right.slice(0, half)), *(half + place for place in second)]


def _join(entity: Entity, parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    lines_name = entity.lines or ""
    newest = max((part["_stamp"] for part in parts if part["_stamp"]), default=None)
    same = [part for part in parts if part["_stamp"] == newest]
    lines = {line["lineNumber"]: line for part in same for line in part[lines_name] or ()}
    return {**same[-1], lines_name: [lines[number] for number in sorted(lines)]}
