"""The body of a list's answer: straight into Arrow when every value is of its declared kind, else as JSON.

Arrow's reader takes numbers from their text, so money stays exact, and it makes no Python object of a value.
It knows no tolerance: what the vendor wraps, misspells or breaks is left to the JSON parser and `tidy.py`.

A company uses a part of the fields an entity has, and each declared field that does not come costs about as
much as one that does. So a list's first answer tells which fields to look for in the others.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from mlc_dagster.transport import decimal_json
from mlc_dagster.visma.entity import Entity
from mlc_dagster.visma.fields import Field, only, used, wire_struct
from mlc_dagster.visma.tidy import unwrapped

# Where the totals stand: inside each record (section 4).
TOTALS = pa.field("metadata", pa.struct([("totalCount", pa.int64()), ("maxPageSize", pa.int64())]))
_LIST = "records"


class Listed:
    """The records of one answer. `array` holds them typed as declared, and is None when one does not fit;
    `fields` are the declared fields it has, all others came in no record.
    """

    def __init__(
        self, body: bytes = b"", *, array: pa.StructArray | None = None, fields: tuple[Field, ...] = ()
    ) -> None:
        self._body, self.array, self.fields = body, array, fields

    @classmethod
    def parts(cls, records: Sequence[Any]) -> "Listed":
        """Return records that came one by one."""
        listed = cls()
        listed.__dict__["parsed"] = records
        return listed

    @cached_property
    def parsed(self) -> Any:
        """The records as Python objects, numbers as Decimal or int."""
        return decimal_json(self._body.decode("utf-8", errors="replace"))

    def __len__(self) -> int:
        return len(self.parsed if self.array is None else self.array)

    @cached_property
    def _totals(self) -> tuple[int | None, int | None]:
        if self.array is None:
            return _parsed_totals(self.parsed)
        totals = pc.struct_field(self.array, TOTALS.name)
        told = totals.filter(pc.is_valid(pc.struct_field(totals, "totalCount")))
        first = told[0].as_py() if len(told) else {}
        return first.get("totalCount"), first.get("maxPageSize") or None

    @property
    def total(self) -> int | None:
        """Return totalCount: all records of the list, or all lines; None when no record tells."""
        return self._totals[0]

    @property
    def cap(self) -> int | None:
        """Return maxPageSize: the most records a page may have; None when no record tells."""
        return self._totals[1]


class Intake:
    """Takes in the answers of one list. Thread-safe."""

    def __init__(self, entity: Entity) -> None:
        self._entity = entity
        self._known: frozenset[str] | None = None

    def listed(self, body: bytes) -> Listed:
        """Take an answer in. Raises ValueError when it is no JSON, TypeError when it is no array."""
        for take in (self._known_only, self._everything):
            if (listed := take(body)) is not None:
                return listed
        listed = Listed(body)
        if not isinstance(listed.parsed, list):
            raise TypeError("the answer is no JSON array")
        return listed

    def _known_only(self, body: bytes) -> Listed | None:
        """Take in the fields that came before; None when others came too, or a value does not fit."""
        known = self._known
        if known is None:
            return None
        fields = only(self._entity.fields, known)
        # Arrow adds what it was not asked for, with a type of its own guess; nobody looks at its values.
        array = _as_declared(fields, body, others="infer")
        if array is None or _has_more(array.type, self._entity.fields, fields):
            return None
        return Listed(body, array=array, fields=fields)

    def _everything(self, body: bytes) -> Listed | None:
        """Take in all declared fields, and keep in mind which came; None when a value does not fit."""
        entity = self._entity
        array = _as_declared(entity.fields, body, others="ignore")
        if array is None:
            return None
        # What another thread learns at this moment may be lost: then it is learned once more.
        self._known = (self._known or entity.indexed).union(used(entity.fields, array))
        return Listed(body, array=array, fields=only(entity.fields, self._known))


def _as_declared(fields: tuple[Field, ...], body: bytes, *, others: str) -> pa.StructArray | None:
    """Return the records in the types they are declared in; None when any of them is otherwise."""
    record = pa.struct([*wire_struct(fields), TOTALS])
    # One object with one column: Arrow's reader wants objects, the vendor answers with an array.
    wrapped = b'{"' + _LIST.encode() + b'":' + body + b"}"
    try:
        table = arrow_json.read_json(
            pa.BufferReader(wrapped),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(wrapped) + 1),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=pa.schema([(_LIST, pa.list_(record))]),
                newlines_in_values=True,
                unexpected_field_behavior=others,
            ),
        )
        # The reader itself looks neither at the digits of a decimal nor at the encoding of a text.
        table.validate(full=True)
    except pa.ArrowException:
        return None
    if table.column_names != [_LIST]:
        return None
    lists = table.column(_LIST).combine_chunks()
    if len(lists) != 1 or lists.null_count:
        return None
    return lists.flatten()


def _has_more(type_: pa.StructType, declared: tuple[Field, ...], asked: tuple[Field, ...]) -> bool:
    """Whether records of a type have declared fields that were not asked for, null apart."""
    among = {field.name: field for field in asked}
    for field in declared:
        place = type_.get_field_index(field.name)
        if place < 0 or pa.types.is_null(type_.field(place).type):
            continue
        if field.name not in among:
            return True
        one = type_.field(place).type
        section = one.value_type if field.many else one
        if field.fields and _has_more(section, field.fields, among[field.name].fields):
            return True
    return False


def _parsed_totals(records: Sequence[Any]) -> tuple[int | None, int | None]:
    for record in records:
        metadata = unwrapped(record.get(TOTALS.name)) if isinstance(record, dict) else None
        if isinstance(metadata, dict):
            total, cap = unwrapped(metadata.get("totalCount")), unwrapped(metadata.get("maxPageSize"))
            if isinstance(total, int) and not isinstance(total, bool):
                return total, cap if isinstance(cap, int) and cap > 0 else None
    return None, None
