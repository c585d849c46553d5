"""One record, value by value: unwraps what may be wrapped, and names the field that does not fit."""

import json
import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from mlc_dagster.database.texts import storable
from mlc_dagster.visma.fields import MONEY, Field

_SMALLEST_MONEY = Decimal(1).scaleb(-MONEY.scale)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# Of all that Python takes for a date-time, what Arrow does too.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_LARGEST_MONEY = Decimal(10) ** (MONEY.precision - MONEY.scale)


class Misfit(Exception):
    """A value does not fit its declared field."""


def tidy_record(fields: Iterable[Field], record: Any) -> dict[str, Any]:
    """Return the declared fields of a record, each as its kind wants it. Raises Misfit naming the field."""
    if not isinstance(record, dict):
        raise Misfit(f"{_shown(record)} is no record")
    return {f.name: _tidy(record.get(f.name), f, f.name) for f in fields}


def unwrapped(value: Any) -> Any:
    """Return what stands in ``{"value": ...}``, or the value itself (section 6: some arrive wrapped)."""
    return value["value"] if isinstance(value, dict) and value.keys() == {"value"} else value


def _tidy(value: Any, field: Field, path: str) -> Any:
    """Return the value as its field wants it. Raises Misfit naming the field."""
    if not any(f.name == "value" for f in field.fields):
        value = unwrapped(value)
    if value is None:
        return None
    if field.many:
        if not isinstance(value, list):
            raise Misfit(f"{path}: {_shown(value)} is no list")
        return [_tidy(element, field.one, f"{path}[{number}]") for number, element in enumerate(value)]
    if not field.kind:
        if not isinstance(value, dict):
            raise Misfit(f"{path}: {_shown(value)} is no section")
        return {f.name: _tidy(value.get(f.name), f, f"{path}.{f.name}") for f in field.fields}
    try:
        return _SCALARS[field.kind](value)
    except Misfit as misfit:
        raise Misfit(f"{path}: {_shown(value)} is {misfit}") from None


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Misfit("no text")
    try:
        str(value).encode()
    except UnicodeEncodeError:
        raise Misfit("no valid text: half a surrogate pair") from None
    return str(value)


def _integer(value: Any) -> int:
    number = _decimal(value)
    if number != int(number) or not -(2**63) <= number < 2**63:
        raise Misfit("no whole number")
    return int(number)


def _decimal(value: Any) -> Decimal:
    """A number in quotes is the same number: nothing of it has to be guessed."""
    quoted = isinstance(value, str) and _NUMBER.fullmatch(value)
    if isinstance(value, bool) or not (quoted or isinstance(value, int | Decimal)):
        raise Misfit("no number")
    number = Decimal(value)
    if not number.is_finite():
        raise Misfit("no number")
    if abs(number) >= _LARGEST_MONEY or number != number.quantize(_SMALLEST_MONEY):
        raise Misfit("too large or too fine for 20 digits before and 8 after the point")
    return number


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Misfit("neither true nor false")
    return value


def _day(value: Any) -> str | None:
    if value == "":
        return None
    try:
        return date.fromisoformat(value[:10]).isoformat()
    except (TypeError, ValueError):
        raise Misfit("no date") from None


def _moment(value: Any) -> str | None:
    if value == "":
        return None
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Misfit("no date-time") from None
    if not _MOMENT.fullmatch(value):
        raise Misfit("no date-time")
    return str(value)


def _shown(value: Any) -> str:
    return storable(json.dumps(value, default=str, ensure_ascii=False)[:60])


_SCALARS = {
    "s": _text,
    "g": _text,
    "i": _integer,
    "n": _decimal,
    "d": _day,
    "t": _moment,
    "u": _moment,
    "b": _boolean,
}
