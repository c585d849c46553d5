"""A row for a destination, its exact text and hash, and the change that carries it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

# A float has already lost money, and nested values belong into columns of their own.
_TYPES = frozenset({str, int, bool, Decimal, date, datetime, type(None)})


class Op(StrEnum):
    """What a change does at the destination."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Row:
    """One row as the destination shall hold it.

    key: its identity at the destination; source_key: the ERP record it comes from, which may make many rows;
    number: the business number people search for; payload: columns of str, int, bool, Decimal, date, aware
    datetime or None.
    """

    key: str
    source_key: str
    number: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A row and what to do with it.

    hash: of the version the row is. text: its payload as encode wrote it. target_id: the destination's own
    id, where a former batch learnt one.
    """

    op: Op
    row: Row
    hash: str
    text: str
    target_id: str | None = None

    @classmethod
    def of(cls, op: Op, row: Row, target: str = "", target_id: str | None = None) -> "Change":
        """The change that carries a row to a target. Raises TypeError as encode does."""
        text = encode(row.payload)
        return cls(op, row, text_hash(text, row.source_key, target), text, target_id)


class Refusal(Protocol):
    """A row that broke the model's contract and goes to quarantine."""

    @property
    def key(self) -> str | None:
        """The row's key at the destination; None where it could not be made."""
        ...

    @property
    def source_key(self) -> str:
        """The ERP record."""
        ...

    @property
    def number(self) -> str | None:
        """The business number."""
        ...

    @property
    def reason(self) -> str:
        """The broken rule, in words."""
        ...

    @property
    def row(self) -> Mapping[str, Any]:
        """The columns as they came."""
        ...


def encode(payload: Mapping[str, Any]) -> str:
    """Write a payload as canonical JSON: equal payloads give equal text; decode gives the types back.

    A Decimal keeps its scale, so a column's text is as stable as its contract. Raises TypeError, naming the
    column, for a float and anything else that has no exact text.
    """
    if not _TYPES.issuperset(map(type, payload.values())):
        name, value = next((name, value) for name, value in payload.items() if type(value) not in _TYPES)
        raise TypeError(
            f"Column {name!r} holds a {type(value).__name__}. "
            "Use text, int, bool, Decimal, date or an aware datetime."
        )
    return _ENCODE(payload)


def decode(text: str) -> dict[str, Any]:
    """Read a payload written by encode, with its Decimals, dates and times."""
    return {
        name: _typed(value) if isinstance(value, dict) else value for name, value in json.loads(text).items()
    }


def text_hash(text: str, source_key: str, target: str) -> str:
    """SHA-256 over target, ERP record and encoded payload: what has to differ for a row to be sent again."""
    return hashlib.sha256(f"{target}\n{source_key}\n{text}".encode()).hexdigest()


def raw_text(row: Mapping[str, Any]) -> str:
    """Any columns as JSON text for people to read, in quarantine and reports; never read back."""
    return json.dumps(row, ensure_ascii=False, sort_keys=True, default=str)


def _tagged(value: Any) -> dict[str, str]:
    if isinstance(value, Decimal):
        return {"$decimal": format(value, "f")}
    if not isinstance(value, datetime):
        return {"$date": value.isoformat()}
    if value.tzinfo is None:
        raise TypeError(f"The time {value} has no zone. Use an aware datetime.")
    return {"$time": value.astimezone(UTC).isoformat()}


def _typed(tagged: dict[str, str]) -> Any:
    ((tag, text),) = tagged.items()
    return _READERS[tag](text)


_READERS: Mapping[str, Callable[[str], Any]] = {
    "$decimal": Decimal,
    "$date": date.fromisoformat,
    "$time": datetime.fromisoformat,
}


_ENCODE = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_tagged, check_circular=False
).encode
