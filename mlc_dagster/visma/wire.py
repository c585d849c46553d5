"""The body of a list's answer: straight into Arrow when every value is of its declared kind, else as JSON.

Arrow's reader takes numbers from their text, so money stays exact, and it makes no Python object of a value.
It knows no tolerance: what the vendor wraps, misspells or breaks is left to the JSON parser and `tidy.py`.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from mlc_dagster.transport import decimal_json
from mlc_dagster.visma.entity import Entity
from mlc_dagster.visma.tidy import unwrapped

# Where the totals stand: inside each record (section 4).
TOTALS = pa.field("metadata", pa.struct([("totalCount", pa.int64()), ("maxPageSize", pa.int64())]))
_LIST = "records"


class Listed:
    """The records of one answer; `array` holds them typed as declared, and is None when one does not fit."""

    def __init__(self, body: bytes = b"", *, array: pa.StructArray | None = None) -> None:
        self._body, self.array = body, array

    @classmethod
    def of(cls, entity: Entity, body: bytes) -> "Listed":
        """Take an answer in. Raises ValueError when it is no JSON, TypeError when it is no array."""
        listed = cls(body, array=_as_declared(entity, body))
        if listed.array is None and not isinstance(listed.parsed, list):
            raise TypeError("the answer is no JSON array")
        return listed

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


def _as_declared(entity: Entity, body: bytes) -> pa.StructArray | None:
    """Return the records in the types they are declared in; None when any of them is otherwise."""
    record = pa.struct([*entity.wire, TOTALS])
    # One object with one column: Arrow's reader wants objects, the vendor answers with an array.
    wrapped = b'{"' + _LIST.encode() + b'":' + body + b"}"
    try:
        table = arrow_json.read_json(
            pa.BufferReader(wrapped),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(wrapped) + 1),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=pa.schema([(_LIST, pa.list_(record))]),
                newlines_in_values=True,
                unexpected_field_behavior="ignore",
            ),
        )
        # The reader itself looks neither at the digits of a decimal nor at the encoding of a text.
        table.validate(full=True)
    except pa.ArrowException:
        return None
    lists = table.column(_LIST).combine_chunks()
    if len(lists) != 1 or lists.null_count:
        return None
    return lists.flatten()


def _parsed_totals(records: Sequence[Any]) -> tuple[int | None, int | None]:
    for record in records:
        metadata = unwrapped(record.get(TOTALS.name)) if isinstance(record, dict) else None
        if isinstance(metadata, dict):
            total, cap = unwrapped(metadata.get("totalCount")), unwrapped(metadata.get("maxPageSize"))
            if isinstance(total, int) and not isinstance(total, bool):
                return total, cap if isinstance(cap, int) and cap > 0 else None
    return None, None
