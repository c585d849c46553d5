"""Values and what operators make of them: blanks, exact fixed decimals, text without regard to case.

int is Int64, Decimal is the fixed decimal with four places, float is Double; None is BLANK.
Which type an operator gives: SQLBI, "Understanding numeric data type conversions in DAX".
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from mlc_sandbox.powerbi.dax.errors import DaxError, Position

Value = int | Decimal | float | str | bool | datetime | None
FOUR_PLACES = Decimal("0.0001")
DAY_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001 - the model's dates have no zone
_DAY_MICROSECONDS = 86_400_000_000


def key(value: Value) -> Hashable:
    """What makes two values one: Power BI's collation ignores case."""
    return value.casefold() if type(value) is str else value


def type_name(value: Value) -> str:
    """The engine's word for the value's type."""
    names = {bool: "True/False", int: "Integer", Decimal: "Currency", float: "Number", str: "Text"}
    return names.get(type(value), "Date")


def fixed(value: Decimal) -> Decimal:
    """Four decimal places."""
    return value.quantize(FOUR_PLACES, ROUND_HALF_EVEN)


def truth(value: Value) -> bool:
    """As a condition: BLANK and 0 are false."""
    if isinstance(value, str | datetime):
        raise DaxError(f"Cannot convert value '{value}' of type {type_name(value)} to type True/False.")
    return bool(value)


def text(value: Value) -> str:
    """As `&` sees it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value)


def days(value: datetime) -> int | float:
    """A date as the number it is: days since 30 December 1899."""
    delta = value - DAY_ZERO
    return delta.days if not delta.seconds and not delta.microseconds else delta / timedelta(days=1)


def _number(value: Value) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, datetime):
        return days(value)
    if isinstance(value, str):
        raise DaxError(f"Cannot convert value '{value}' of type Text to type Number.")
    return value


def _sum(left: Any, right: Any, work: Callable[[Any, Any], Any]) -> Any:
    if isinstance(left, float) or isinstance(right, float):
        return work(float(left), float(right))
    return work(left, right)


def add(left: Value, right: Value) -> Value:
    """BLANK is nothing: BLANK + x is x. A date plus days is a date."""
    if left is None or right is None:
        return right if left is None else left
    if type(left) is int and type(right) is int:
        return left + right
    for moment, other in ((left, right), (right, left)):
        if isinstance(moment, datetime) and not isinstance(other, datetime):
            return moment + timedelta(microseconds=round(_number(other) * _DAY_MICROSECONDS))
    result: Value = _sum(_number(left), _number(right), operator.add)
    return result


def subtract(left: Value, right: Value) -> Value:
    """BLANK counts as 0, two BLANKs stay BLANK. A date minus a date is a number of days."""
    if right is None:
        return left
    if isinstance(left, datetime) and not isinstance(right, datetime):
        return left - timedelta(microseconds=round(_number(right) * _DAY_MICROSECONDS))
    result: Value = _sum(0 if left is None else _number(left), _number(right), operator.sub)
    return result


def multiply(left: Value, right: Value) -> Value:
    """BLANK times anything is BLANK. Currency by currency is a Double, currency by anything else currency."""
    if left is None or right is None:
        return None
    one, two = _number(left), _number(right)
    exact = [isinstance(side, Decimal) for side in (one, two)]
    if all(exact):
        return float(one * two)
    if any(exact):
        return fixed(_decimal(one) * _decimal(two))
    result: Value = one * two
    return result


def divide(left: Value, right: Value, at: Position | None = None) -> Value:
    """BLANK divided is BLANK. Currency by an integer or a Double stays currency, all else is a Double.

    Raises:
        DaxError: by zero or BLANK; the engine gives an infinity there that no JSON can carry.
    """
    if left is None:
        return None
    one, two = _number(left), 0 if right is None else _number(right)
    if two == 0:
        raise DaxError("Division by zero gives infinity; use DIVIDE.", at)
    if isinstance(one, Decimal) and not isinstance(two, Decimal):
        return fixed(one / _decimal(two))
    return float(Decimal(one) / Decimal(two))


def negate(value: Value) -> Value:
    """BLANK stays BLANK."""
    result: Value = None if value is None else -_number(value)
    return result


def _decimal(value: Any) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


_ZEROS: dict[type, Value] = {bool: False, str: "", datetime: DAY_ZERO}


def _comparable(left: Value, right: Value, at: Position | None) -> tuple[Any, Any]:
    """Both as values that Python compares as the engine would: BLANK becomes the other's zero."""
    if left is None:
        left = _ZEROS.get(type(right), 0)
    if right is None:
        right = _ZEROS.get(type(left), 0)
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold(), right.casefold()
    if isinstance(left, str | bool) or isinstance(right, str | bool):
        if type(left) is type(right):
            return left, right
        raise DaxError(
            "DAX comparison operations do not support comparing values of type "
            f"{type_name(left)} with values of type {type_name(right)}.",
            at,
        )
    if isinstance(left, datetime) and isinstance(right, datetime):
        return left, right
    one, two = _number(left), _number(right)
    return (float(one), float(two)) if isinstance(one, float) or isinstance(two, float) else (one, two)


def comparison(sign: str, at: Position | None = None) -> Callable[[Value, Value], bool]:
    """The function behind a sign. Only `==` keeps BLANK apart from 0 and ""."""
    if sign == "==":

        def strictly(left: Value, right: Value) -> bool:
            if left is None or right is None:
                return left is right
            one, two = _comparable(left, right, at)
            return bool(one == two)

        return strictly
    names = {"=": "eq", "<>": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
    work: Callable[[Any, Any], bool] = getattr(operator, names[sign])

    def compare(left: Value, right: Value) -> bool:
        if type(left) is int and type(right) is int:
            return work(left, right)
        return work(*_comparable(left, right, at))

    return compare


def equal_keys(value: Value) -> frozenset[Hashable]:
    """The keys that `=` finds equal to the value: BLANK and the zero of its type are one."""
    if value is None:
        return frozenset({None, 0, "", DAY_ZERO})
    if value in (0, "", DAY_ZERO):
        return frozenset({None, key(value)})
    return frozenset({key(value)})


def sort_key(value: Value) -> tuple[int, Any]:
    """Orders values of one column: BLANK first, text without regard to case."""
    return (0, 0) if value is None else (1, key(value))
