"""What becomes of a JSON value in a column of each type (vendors/powerbi.md section 3)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

from mlc_sandbox.powerbi.switches import Switches

Value = int | Decimal | float | str | bool | datetime | None

# Vendor examples spell types in several ways; matching looks case-insensitive.
TYPES = {
    "int64": "Int64",
    "double": "Double",
    "decimal": "Decimal",
    "bool": "Boolean",
    "boolean": "Boolean",
    "datetime": "DateTime",
    "string": "String",
}
LONGEST_STRING = 4000
_TICKS = 300  # steps a second of a stored DateTime
_AMERICAN = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_DECIMAL = Context(prec=28, rounding=ROUND_HALF_UP)


class Unfit(ValueError):
    """The value does not fit the column's type."""


def convert(kind: str, value: Any, switches: Switches) -> Value:
    """A JSON value (numbers as int or Decimal) as it is stored. Raises Unfit with the reason."""
    if value is None:
        return None
    return _CONVERTERS[kind](value, switches)


def _int64(value: Any, switches: Switches) -> Value:  # noqa: ARG001
    if isinstance(value, Decimal) and value == value.to_integral_value():
        value = int(value)
    if type(value) is not int:
        raise Unfit("is no whole number")
    if not -(2**63) < value < 2**63 - 1:
        raise Unfit("is beyond Int64; the least and the largest Int64 are not allowed either")
    return value


def _double(value: Any, switches: Switches) -> Value:  # noqa: ARG001
    if type(value) not in (int, Decimal):
        raise Unfit("is no number")
    number = float(value)
    if math.isinf(number):
        raise Unfit("is beyond Double")
    return number


def _decimal(value: Any, switches: Switches) -> Value:  # noqa: ARG001
    if type(value) not in (int, Decimal):
        raise Unfit("is no number")
    try:
        return Decimal(value).quantize(Decimal("0.0001"), context=_DECIMAL)
    except InvalidOperation:
        raise Unfit("has more than 28 digits, four of them after the point") from None


def _boolean(value: Any, switches: Switches) -> Value:  # noqa: ARG001
    if not isinstance(value, bool):
        raise Unfit("is neither true nor false")
    return value


def _string(value: Any, switches: Switches) -> Value:
    if not isinstance(value, str):
        raise Unfit("is no text")
    if len(value) <= LONGEST_STRING:
        return value
    if switches["long_string"] == "cut":
        return value[:LONGEST_STRING]
    raise Unfit(f"has {len(value)} characters, more than {LONGEST_STRING}")


def _datetime(value: Any, switches: Switches) -> Value:
    """ISO 8601, or the month/day/year of a vendor example; stored without zone in steps of 1/300 s."""
    if not isinstance(value, str):
        raise Unfit("is no date")
    american = _AMERICAN.fullmatch(value)
    try:
        if american:
            month, day, year = map(int, american.groups())
            moment = datetime(year, month, day)  # noqa: DTZ001 - the model's dates have no zone
        else:
            moment = datetime.fromisoformat(value)
    except ValueError:
        raise Unfit("is no date in ISO 8601") from None
    if moment.tzinfo is not None and switches["datetime_offset"] == "converted":
        moment = moment.astimezone(UTC)
    moment = moment.replace(tzinfo=None)
    ticks = (moment.microsecond * _TICKS + 500_000) // 1_000_000
    return moment.replace(microsecond=0) + timedelta(microseconds=round(ticks * 1_000_000 / _TICKS))


_CONVERTERS: dict[str, Callable[[Any, Switches], Value]] = {
    "Int64": _int64,
    "Double": _double,
    "Decimal": _decimal,
    "Boolean": _boolean,
    "DateTime": _datetime,
    "String": _string,
}
