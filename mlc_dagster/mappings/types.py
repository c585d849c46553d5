"""Column types of a contract, and the strict way from a SQL value to each of them."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

SIMPLE = ("text", "integer", "date", "timestamp", "boolean")
DECIMAL = re.compile(r"decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)")
INTEGERS = {
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT",
    "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
}  # fmt: skip
FLOATS = {"FLOAT", "DOUBLE", "REAL"}
SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A contract's type: text, integer, decimal(p,s), date, timestamp (UTC) or boolean."""

    kind: str
    precision: int = 0
    scale: int = 0

    @classmethod
    def parse(cls, text: str) -> "ColumnType":
        """The type a contract names.

        Raises:
            ValueError: there is no such type.
        """
        if text in SIMPLE:
            return cls(text)
        match = DECIMAL.fullmatch(text)
        if match and int(match[2]) <= int(match[1]) <= 38 and int(match[1]) > 0:
            return cls("decimal", int(match[1]), int(match[2]))
        raise ValueError(f"`{text}` is no type; use {', '.join(SIMPLE)} or decimal(28,4)")

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})" if self.kind == "decimal" else self.kind

    @property
    def sql(self) -> str:
        """The type in DuckDB."""
        names = {"text": "VARCHAR", "integer": "BIGINT", "timestamp": "TIMESTAMPTZ"}
        return names.get(self.kind, str(self).upper())

    @property
    def arrow(self) -> pa.DataType:
        """The type in Arrow."""
        if self.kind == "decimal":
            return pa.decimal128(self.precision, self.scale)
        return {
            "text": pa.string(),
            "integer": pa.int64(),
            "date": pa.date32(),
            "timestamp": pa.timestamp("us", tz="UTC"),
            "boolean": pa.bool_(),
        }[self.kind]

    def value(self, given: Any) -> Any:
        """A value written in a contract, as this type.

        Raises:
            ValueError: it does not fit.
        """
        if given is None or (
            self.kind in ("text", "date", "timestamp") and isinstance(given, self._python())
        ):
            return given
        if self.kind == "boolean" and isinstance(given, bool):
            return given
        if (
            self.kind in ("integer", "decimal")
            and isinstance(given, int | str)
            and not isinstance(given, bool)
        ):
            return self._number(given)
        raise ValueError(
            f"`{given}` is no {self}" + ("; put it in quotes" if isinstance(given, float) else "")
        )

    def _python(self) -> type:
        return {"text": str, "date": date, "timestamp": datetime}[self.kind]

    def _number(self, given: int | str) -> int | Decimal:
        try:
            number = Decimal(given)
            exact = number == number.quantize(Decimal(1).scaleb(-self.scale))
        except InvalidOperation:
            exact = False
        if not exact or (self.precision and number and number.adjusted() >= self.precision - self.scale):
            raise ValueError(f"`{given}` does not fit {self}")
        return int(number) if self.kind == "integer" else number


class CannotCast(Exception):
    """No value of the SQL type can become the contract's type without a loss or a guess."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


@dataclass(frozen=True, slots=True)
class Cast:
    """SQL for a value in the contract's type, null where it does not fit, and for the reason, or null."""

    value: str
    reason: str


def cast(column: str, wanted: ColumnType, max_length: int | None, found: str) -> Cast:
    """How a model's column of the DuckDB type `found` becomes the contract's type, row by row and strictly.

    Raises:
        CannotCast: no row could.
    """
    source = f'"{column}"'
    if found == '"NULL"':
        return Cast(f"cast(null as {wanted.sql})", "null")
    if found in FLOATS:
        raise CannotCast(
            f"`{column}` is {found}, which cannot hold money exactly; the contract says {wanted}.",
            "Keep decimals decimal: avg(), / and * with a number like 1e2 make a DOUBLE. "
            "Cast each step, as in cast(a * b as decimal(28,4)).",
        )
    value, bad = _value(source, wanted, found, column)
    reason = "null" if bad is None else _reason(bad, column, source, f"is no {wanted}")
    if wanted.kind == "decimal":
        reason = _reason(bad or "false", column, source, f"does not fit {wanted} without loss")
    if max_length is not None and wanted.kind == "text":
        too_long = f"length({value}) > {max_length}"
        text = f"'{column}: text of ' || length({value}) || ' characters is longer than {max_length}'"
        reason = f"case when {too_long} then {text} end"
    return Cast(value, reason)


def _value(source: str, wanted: ColumnType, found: str, column: str) -> tuple[str, str | None]:
    base = found.split("(", maxsplit=1)[0]
    shape = (
        "integer"
        if base in INTEGERS
        else {"VARCHAR": "text", "TIMESTAMP WITH TIME ZONE": "instant"}.get(base, base.lower())
    )
    if wanted.kind == "text" and shape not in ("struct", "map", "union") and not found.endswith("]"):
        return (source if shape == "text" else f"cast({source} as varchar)"), None
    plan = _PLANS.get((wanted.kind, shape))
    if plan is None:
        remedy = f"Cast it in the model, as in cast(... as {wanted.sql.lower()}), or change the contract."
        raise CannotCast(
            f"`{column}` is {found}; the contract says {wanted}, and that cannot be cast.", remedy
        )
    value, bad = plan
    names = {"x": source, "type": wanted.sql, "found": found, "scale": wanted.scale}
    return value.format(**names), bad.format(**names) if bad else None


def _reason(bad: str, column: str, source: str, words: str) -> str:
    text = f"'{column}: ' || {shown(source)} || ' {words}'"
    return f"case when {source} is not null and ({bad}) then {text} end"


def shown(source: str) -> str:
    """SQL for the begin of a value as a reason shows it: on one line, without control characters."""
    text = f"left(cast({source} as varchar), {SHOWN_CHARACTERS})"
    return f"regexp_replace({text}, '[[:cntrl:]]', ' ', 'g')"


# (contract's kind, SQL shape) -> (the value, when it does not fit). A cast back to the type of the source
# finds every rounding, and cannot overflow.
_PLAIN_NUMBER = "regexp_full_match({x}, '[+-]?[0-9]+([.][0-9]+)?')"
_DATE_TEXT = (
    "case when regexp_full_match({x}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') then try_cast({x} as date) end"
)
_INTEGER_TEXT = "case when regexp_full_match({x}, '[+-]?[0-9]+') then try_cast({x} as bigint) end"
_ROUNDED = "try_cast(try_cast({x} as {type}) as {found}) is distinct from {x}"
_PLANS: dict[tuple[str, str], tuple[str, str | None]] = {
    ("integer", "integer"): ("try_cast({x} as bigint)", "try_cast({x} as bigint) is null"),
    ("integer", "decimal"): ("try_cast({x} as bigint)", _ROUNDED),
    ("integer", "text"): (_INTEGER_TEXT, f"({_INTEGER_TEXT}) is null"),
    ("decimal", "integer"): ("try_cast({x} as {type})", "try_cast({x} as {type}) is null"),
    ("decimal", "decimal"): ("try_cast({x} as {type})", _ROUNDED),
    ("decimal", "text"): (
        "try_cast({x} as {type})",
        f"not {_PLAIN_NUMBER} or try_cast({{x}} as {{type}}) is null "
        "or length(rtrim(split_part({x}, '.', 2), '0')) > {scale}",
    ),
    ("date", "date"): ("{x}", None),
    ("date", "timestamp"): ("cast({x} as date)", "cast(cast({x} as date) as timestamp) <> {x}"),
    ("date", "text"): (_DATE_TEXT, f"({_DATE_TEXT}) is null"),
    ("timestamp", "instant"): ("{x}", None),
    ("timestamp", "timestamp"): ("cast({x} as timestamptz)", None),
    ("timestamp", "date"): ("cast({x} as timestamptz)", None),
    ("timestamp", "text"): ("try_cast({x} as timestamptz)", "try_cast({x} as timestamptz) is null"),
    ("boolean", "boolean"): ("{x}", None),
    ("boolean", "text"): (
        "case {x} when 'true' then true when 'false' then false end",
        "{x} not in ('true', 'false')",
    ),
}
