"""Query filters of the lists: names and meaning as vendors/visma.md section 5 gives them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from mlc_sandbox.visma.errors import ApiError
from mlc_sandbox.world.documents import UNRELEASED
from mlc_sandbox.world.store import Row

Test = Callable[[Row], bool]
# (value, condition or None) -> test of a row, or None when the filter has no effect.
Filter = Callable[[str, str | None], Test | None]

_CONDITIONS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
# Dates with "T" or a space; one to three fraction digits; no zone (vendors/visma.md section 5).
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}:\d{2}(\.\d{1,3})?)?")


def moment(name: str, value: str) -> datetime:
    """A filter's date or time as naive wall time. ApiError 400 for a zone suffix or anything unparsable."""
    if not _MOMENT.fullmatch(value):
        raise ApiError(400, f"The value '{value}' is not valid for {name}.")
    try:
        return datetime.fromisoformat(value)
    except ValueError as error:
        raise ApiError(400, f"The value '{value}' is not valid for {name}.") from error


def condition(name: str, value: str) -> Callable[[Any, Any], bool]:
    """The comparison for a ...Condition parameter. Raises ApiError 400 for an unknown one."""
    if value not in _CONDITIONS:
        raise ApiError(400, f"The value '{value}' is not valid for {name}.")
    return _CONDITIONS[value]


def at(row: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, None where a part is missing."""
    value: Any = row
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def text(path: str, *, prefix: str = "") -> Filter:
    """Equal as text, case ignored."""

    def make(value: str, _: str | None) -> Test:
        wanted = (prefix + value).casefold()
        return lambda row: str(at(row, path)).casefold() == wanted

    return make


def flag(path: str) -> Filter:
    """A boolean filter, written true or false."""

    def make(value: str, _: str | None) -> Test:
        wanted = value.lower() in {"true", "1"}
        return lambda row: bool(at(row, path)) is wanted

    return make


def released(value: str, _: str | None) -> Test:
    """1 for released documents, 0 for the others; declared as an integer."""
    wanted = value.lower() in {"1", "true"}
    return lambda row: (row["status"] not in UNRELEASED) is wanted


def any_line(lines: str, path: str) -> Filter:
    """True when any line has the value."""

    def make(value: str, _: str | None) -> Test:
        wanted = value.casefold()
        return lambda row: any(str(at(line, path)).casefold() == wanted for line in row.get(lines, ()))

    return make


def key_after(field: str) -> Filter:
    """greaterThanValue: the old key-set filter."""

    def make(value: str, _: str | None) -> Test:
        return lambda row: str(row[field]) > value

    return make


def post_period(value: str, _: str | None) -> Test:
    """finPeriod is asked as YYYYPP, the field holds MMYYYY."""
    return lambda row: row["postPeriod"] == value[4:] + value[:4]


def dated(path: str) -> Filter:
    """A business date with its ...Condition; without the condition it has no effect."""

    def make(value: str, given: str | None) -> Test | None:
        limit = moment(path, value)
        if given is None:
            return None
        compare = condition(f"{path}Condition", given)

        def test(row: Row) -> bool:
            found = at(row, path)
            return isinstance(found, date) and compare(datetime.combine(found, time.min), limit)

        return test

    return make


def amount(path: str) -> Filter:
    """An amount with its ...Condition; without the condition it has no effect."""

    def make(value: str, given: str | None) -> Test | None:
        try:
            limit = Decimal(value)
        except InvalidOperation as error:
            raise ApiError(400, f"The value '{value}' is not valid for {path}.") from error
        if given is None:
            return None
        compare = condition(f"{path}Condition", given)
        return lambda row: isinstance(at(row, path), Decimal | int) and compare(at(row, path), limit)

    return make
