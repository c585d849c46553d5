"""From the JSON text of an answer to a typed Arrow table; what does not fit is set aside with its reason."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.database.texts import storable
from mlc_dagster.lake import with_system
from mlc_dagster.transport import exact_json
from mlc_dagster.visma.entity import Entity
from mlc_dagster.visma.fields import MOMENT, Field, lake_columns, typed
from mlc_dagster.visma.tidy import Misfit, tidy_record, unwrapped
from mlc_dagster.visma.wall import CLOCK_LAG
from mlc_dagster.visma.wire import Listed

AHEAD = (
    "{stamp}: {text} is more than a day ahead of our clock. Save the record in the ERP again, which stamps "
    "it anew, or correct the clock that is wrong. It is read with the next run then"
)
_MISFITS = (pa.ArrowException, ValueError, TypeError, OverflowError)


@dataclass(frozen=True)
class BadRecord:
    """A record that does not fit its declaration: where it came from, why, and its JSON as received.

    ``key`` and ``number`` (what people call it by) are None when the record does not tell.
    """

    entity: str
    company: str
    key: str | None
    reason: str
    raw: str
    number: str | None = None


@dataclass(frozen=True)
class Rows:
    """Typed records and the ones that are none. Columns and parts of sections nothing came for may lack."""

    table: pa.Table
    bad: tuple[BadRecord, ...] = ()


def to_rows(entity: Entity, company: str, listed: Listed, *, read_at: datetime, zone: str) -> Rows:
    """Turn records into a table with columns of the entity. One bad record never costs the others."""
    if listed.array is not None:
        try:
            table = _table(entity, listed.fields, listed.array, read_at, zone)
        except _MISFITS:
            pass  # Such as a date that is none: the records are looked at one by one.
        else:
            whys = _whys(entity, table, read_at)
            if whys.null_count == len(whys):
                return Rows(table)
    records = listed.parsed
    try:
        table = _table(entity, entity.fields, _taken(entity, records), read_at, zone)
        return _set_aside(entity, company, records, table, read_at)
    except _MISFITS:
        return _one_by_one(entity, company, records, read_at, zone)


def record_key(entity: Entity, record: Any) -> str | None:
    """Return the key of a record as far as it can be told, None when it has none."""
    parts = [_at(record, name.removesuffix("?")) for name in entity.key]
    known = all(
        part not in (None, "") or name.endswith("?") for part, name in zip(parts, entity.key, strict=True)
    )
    return "|".join("" if part is None else str(part) for part in parts) if known else None


def _taken(entity: Entity, records: Sequence[Any]) -> pa.StructArray:
    return pa.array(records, type=entity.wire)


def _table(
    entity: Entity, fields: tuple[Field, ...], taken: pa.StructArray, read_at: datetime, zone: str
) -> pa.Table:
    columns = {f.name: typed(pc.struct_field(taken, f.name), f, zone) for f in fields}
    count = len(taken)
    stamp_text = pc.struct_field(taken, entity.stamp) if entity.stamp else pa.nulls(count, pa.string())
    system = {
        "_key": _keys(entity, columns),
        "_stamp": columns[entity.stamp] if entity.stamp else pa.nulls(count, MOMENT),
        "_stamp_text": stamp_text,
        "_read_at": pa.repeat(pa.scalar(read_at, MOMENT), count),
        "_deleted": pa.repeat(pa.scalar(False), count),
    }
    return pa.table([*system.values(), *columns.values()], schema=with_system(lake_columns(fields)))


def _keys(entity: Entity, columns: dict[str, pa.Array]) -> pa.Array:
    parts = []
    for name in entity.key:
        top, *below = name.removesuffix("?").split(".")
        part = columns[top]
        for step in below:
            part = pc.struct_field(part, step)
        part = pc.cast(part, pa.string())
        parts.append(pc.fill_null(part, "") if name.endswith("?") else _nothing_for_empty(part))
    return pc.binary_join_element_wise(*parts, "|")


def _nothing_for_empty(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _ahead(table: pa.Table, read_at: datetime) -> pa.ChunkedArray:
    """Return which records are stamped so far ahead of our clock that it is no clock's difference."""
    latest = pa.scalar(read_at + CLOCK_LAG, MOMENT)
    return pc.fill_null(pc.greater(table.column("_stamp"), latest), fill_value=False)


def _whys(entity: Entity, table: pa.Table, read_at: datetime) -> pa.ChunkedArray:
    """Return why each record is no good: it has no usable key, or its stamp is still to come; null: it is.

    A day holds what was stamped on it: read now, a record with such a stamp had no day, and would hide what
    it becomes once it is stamped sensibly.
    """
    keys, names = table.column("_key"), " and ".join(part for part in entity.key if not part.endswith("?"))
    with_nul = pc.fill_null(pc.match_substring(keys, "\0"), fill_value=False)
    return pc.case_when(
        pc.make_struct(keys.is_null(), with_nul, _ahead(table, read_at)),
        f"{names}: missing, so the record has no key",
        f"{names}: a NUL in it, which no database takes in a key",
        AHEAD,
    )


def _set_aside(
    entity: Entity, company: str, records: Sequence[Any], table: pa.Table, read_at: datetime
) -> Rows:
    whys = _whys(entity, table, read_at)
    stamps = table.column("_stamp_text").to_pylist()
    bad = [
        _bad(entity, company, record, why.format(stamp=entity.stamp, text=stamp))
        for record, why, stamp in zip(records, whys.to_pylist(), stamps, strict=True)
        if why is not None
    ]
    return Rows(table.filter(whys.is_null()), tuple(bad))


def _one_by_one(entity: Entity, company: str, records: Sequence[Any], read_at: datetime, zone: str) -> Rows:
    good: list[Any] = []
    tidied: list[Any] = []
    bad: list[BadRecord] = []
    for record in records:
        try:
            tidied.append(tidy_record(entity.fields, record))
            good.append(record)
        except Misfit as misfit:
            bad.append(_bad(entity, company, record, str(misfit)))
    table = _table(entity, entity.fields, _taken(entity, tidied), read_at, zone)
    rows = _set_aside(entity, company, good, table, read_at)
    return Rows(rows.table, (*bad, *rows.bad))


def _bad(entity: Entity, company: str, record: Any, reason: str) -> BadRecord:
    if isinstance(record, dict):
        # Totals of the list, not of the record: with them the same record would look new every time.
        record = {name: value for name, value in record.items() if name != "metadata"}
    try:
        raw = exact_json(record)
    except ValueError:
        raw = json.dumps(record, default=str)
    names = record_key(entity, record), _at(record, entity.number)
    key, number = (None if name is None else storable(str(name)) for name in names)
    return BadRecord(entity.name, company, key, reason, raw, number)


def _at(record: Any, path: str) -> Any:
    for step in path.split("."):
        record = unwrapped(record)
        record = record.get(step) if isinstance(record, dict) else None
    return unwrapped(record)
