"""Functions of values: logic, blanks, dates, rounding."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from mlc_sandbox.powerbi.dax import scalars
from mlc_sandbox.powerbi.dax.compiler import Compiler, Scalar, Scope, scalar_function
from mlc_sandbox.powerbi.dax.errors import DaxError
from mlc_sandbox.powerbi.dax.nodes import Call, Name
from mlc_sandbox.powerbi.dax.rowsets import Env
from mlc_sandbox.powerbi.dax.scalars import Value


def _arguments(compiler: Compiler, call: Call, scope: Scope) -> list[Scalar]:
    return [compiler.scalar(argument, scope) for argument in call.arguments]


def _plain(name: str, count: int, work: Callable[..., Value]) -> None:
    """A function of its arguments' values alone."""

    def build(compiler: Compiler, call: Call, scope: Scope) -> Scalar:
        arguments = _arguments(compiler, call, scope)

        def value(env: Env) -> Value:
            try:
                return work(*(argument(env) for argument in arguments))
            except DaxError as error:
                raise error.located(call.at) from error

        return value

    scalar_function(name, count)(build)


# Logic


@scalar_function("IF", 2, 3)
def _if(compiler: Compiler, call: Call, scope: Scope) -> Scalar:
    condition = compiler.condition(call.arguments[0], scope)
    chosen, *rest = [compiler.scalar(argument, scope) for argument in call.arguments[1:]]
    otherwise = rest[0] if rest else _blank
    return lambda env: (chosen if condition(env) else otherwise)(env)


@scalar_function("SWITCH", 3, None)
def _switch(compiler: Compiler, call: Call, scope: Scope) -> Scalar:
    wanted, *rest = _arguments(compiler, call, scope)
    otherwise = rest.pop() if len(rest) % 2 else _blank
    cases = list(zip(rest[::2], rest[1::2], strict=True))
    equal = scalars.comparison("=", call.at)

    def value(env: Env) -> Value:
        subject = wanted(env)
        for case, result in cases:
            if equal(subject, case(env)):
                return result(env)
        return otherwise(env)

    return value


@scalar_function("COALESCE", 2, None)
def _coalesce(compiler: Compiler, call: Call, scope: Scope) -> Scalar:
    arguments = _arguments(compiler, call, scope)

    def value(env: Env) -> Value:
        for argument in arguments:
            found = argument(env)
            if found is not None:
                return found
        return None

    return value


def _blank(env: Env) -> Value:  # noqa: ARG001
    return None


def _divide(left: Value, right: Value, otherwise: Value = None) -> Value:
    return otherwise if right is None or right == 0 else scalars.divide(left, right)


@scalar_function("DIVIDE", 2, 3)
def _divide_safely(compiler: Compiler, call: Call, scope: Scope) -> Scalar:
    arguments = _arguments(compiler, call, scope)
    return lambda env: _divide(*(argument(env) for argument in arguments))


_plain("BLANK", 0, lambda: None)
_plain("TRUE", 0, lambda: True)
_plain("FALSE", 0, lambda: False)
_plain("NOT", 1, lambda value: not scalars.truth(value))
_plain("AND", 2, lambda one, two: scalars.truth(one) and scalars.truth(two))
_plain("OR", 2, lambda one, two: scalars.truth(one) or scalars.truth(two))
_plain("ISBLANK", 1, lambda value: value is None)


# Numbers


def _round(value: Value, digits: Value) -> Value:
    """Half away from zero, as in Excel; the type stays."""
    if value is None:
        return None
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)  # type: ignore[arg-type]
    rounded = exact.quantize(Decimal(1).scaleb(-int(digits or 0)), ROUND_HALF_UP)  # type: ignore[arg-type]
    return type(value)(rounded)  # type: ignore[call-arg,arg-type]


def _whole(value: Any) -> Value:
    return None if value is None else int(value // 1)


_plain("ABS", 1, lambda value: None if value is None else abs(value))
_plain("ROUND", 2, _round)
_plain("INT", 1, _whole)


# Dates


def _moment(value: Value) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    if isinstance(value, str | bool):
        raise DaxError(f"Cannot convert value '{value}' of type {scalars.type_name(value)} to type Date.")
    return scalars.DAY_ZERO + timedelta(days=float(value))


def _part(name: str) -> Callable[[Value], Value]:
    def part(value: Value) -> Value:
        moment = _moment(value)
        return None if moment is None else int(getattr(moment, name))

    return part


def _date(year: Any, month: Any, day: Any) -> Value:
    """Months and days beyond their range roll over, as in Excel."""
    months = int(year or 0) * 12 + int(month or 0) - 1
    first = datetime(months // 12, months % 12 + 1, 1)  # noqa: DTZ001 - the model's dates have no zone
    return first + timedelta(days=int(day or 0) - 1)


for _name in ("year", "month", "day"):
    _plain(_name.upper(), 1, _part(_name))
_plain("DATE", 3, _date)


@scalar_function("TODAY", 0)
def _today(compiler: Compiler, call: Call, scope: Scope) -> Scalar:  # noqa: ARG001
    today = compiler.now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return lambda env: today  # noqa: ARG005


@scalar_function("NOW", 0)
def _now(compiler: Compiler, call: Call, scope: Scope) -> Scalar:  # noqa: ARG001
    now = compiler.now.replace(microsecond=0, tzinfo=None)
    return lambda env: now  # noqa: ARG005


_SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86400}
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}


def _boundaries(unit: str, moment: datetime) -> int:
    """How many boundaries of the unit lie before the moment."""
    if unit in _MONTHS:
        return (moment.year * 12 + moment.month - 1) // _MONTHS[unit]
    if unit == "WEEK":  # weeks start on Sunday
        return (moment.toordinal()) // 7
    since = moment - datetime(1, 1, 1)  # noqa: DTZ001 - the model's dates have no zone
    return (since.days * 86400 + since.seconds) // _SECONDS[unit]


@scalar_function("DATEDIFF", 3)
def _datediff(compiler: Compiler, call: Call, scope: Scope) -> Scalar:
    """How many boundaries of the unit lie between two dates."""
    *dates, unit_node = call.arguments
    unit = unit_node.name.upper() if isinstance(unit_node, Name) else ""
    if unit not in (*_SECONDS, *_MONTHS, "WEEK"):
        raise DaxError(
            "The third argument of DATEDIFF is DAY, WEEK, MONTH, QUARTER, YEAR, HOUR, ...", call.at
        )
    first, second = [compiler.scalar(date, scope) for date in dates]

    def value(env: Env) -> Value:
        start, end = _moment(first(env)), _moment(second(env))
        if start is None or end is None:
            return None
        return _boundaries(unit, end) - _boundaries(unit, start)

    return value
