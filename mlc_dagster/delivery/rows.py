"""A row for a destination, its exact text and hash, and the change that carries it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring as _quoted
from typing import TYPE_CHECKING, Any, Protocol


class Op(StrEnum):
    """What a change does at the destination."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class _Kept:
    """A payload as its text, until somebody asks for it: who counts rows or needs keys pays for no more."""

    __slots__ = ("_text",)
    _text: str

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Python comes here for an empty slot only.
            if name != "payload":
                raise AttributeError(name)
            _put(self, "payload", decode(self._text))
            return self.payload


@dataclass(frozen=True, slots=True)
class Row(_Kept):
    """One row as the destination shall hold it.

    key: its identity at the destination; source_key: the ERP record it comes from, which may make many rows;
    number: the business number people search for; payload: columns of str, int, bool, Decimal, date, aware
    datetime or None.
    """

    key: str
    source_key: str
    number: str
    payload: Mapping[str, Any]

    @classmethod
    def kept(cls, key: str, source_key: str, number: str, text: str) -> "Row":
        """A row from its payload's text, as encode wrote it."""
        row = cls.__new__(cls)
        _put(row, "key", key)
        _put(row, "source_key", source_key)
        _put(row, "number", number)
        _put(row, "_text", text)
        return row


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
    # As json.dumps would write it with sorted keys and no blanks, in less time.
    try:
        cells = [
            f"{begin}{_TEXTS[type(value := payload[name])](value)}" for name, begin in _names(tuple(payload))
        ]
    except KeyError:
        name, value = next((name, value) for name, value in payload.items() if type(value) not in _TEXTS)
        raise TypeError(
            f"Column {name!r} holds a {type(value).__name__}. "
            "Use text, int, bool, Decimal, date or an aware datetime."
        ) from None
    return f"{{{','.join(cells)}}}"


@lru_cache
def _names(columns: tuple[str, ...]) -> list[tuple[str, str]]:
    """Columns in the order they are written, each with what stands before its value."""
    return [(name, f"{_quoted(name)}:") for name in sorted(columns)]


def decode(text: str) -> dict[str, Any]:
    """Read a payload written by encode, with its Decimals, dates and times."""
    values: dict[str, Any] = json.loads(text)
    for name, value in values.items():
        if isinstance(value, dict):
            ((tag, written),) = value.items()
            values[name] = _READERS[tag](written)
    return values


def text_hash(text: str, source_key: str, target: str) -> str:
    """SHA-256 over target, ERP record and encoded payload: what has to differ for a row to be sent again."""
    return hashlib.sha256(f"{target}\n{source_key}\n{text}".encode()).hexdigest()


def raw_text(row: Mapping[str, Any]) -> str:
    """Any columns as JSON text for people to read, in quarantine and reports; never read back."""
    return json.dumps(row, ensure_ascii=False, sort_keys=True, default=str)


def _time_text(value: datetime) -> str:
    if value.tzinfo is None:
        raise TypeError(f"The time {value} has no zone. Use an aware datetime.")
    return f'{{"$time":"{value.astimezone(UTC).isoformat()}"}}'


_READERS: Mapping[str, Callable[[str], Any]] = {
    "$decimal": Decimal,
    "$date": date.fromisoformat,
    "$time": datetime.fromisoformat,
}

# A float has already lost money, and nested values belong into columns of their own.
_TEXTS: Mapping[type, Callable[[Any], str]] = {
    type(None): lambda _: "null",
    str: _quoted,
    bool: lambda value: "true" if value else "false",
    int: str,
    Decimal: lambda value: f'{{"$decimal":"{value:f}"}}',
    date: lambda value: f'{{"$date":"{value.isoformat()}"}}',
    datetime: _time_text,
}
_put = object.__setattr__
