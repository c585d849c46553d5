"""Numbers, dates and times as X12 writes them (vendor sheet x12.md, section 3). Decimal only; nothing is
rounded.
"""

import re
from datetime import date, datetime, time
from decimal import Decimal

_NUMBER = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:E-?\d{1,2})?", re.ASCII)
_WHOLE = re.compile(r"-?\d+", re.ASCII)
_DATE = re.compile(r"\d{8}|\d{6}", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d)?(\d{1,2})?", re.ASCII)


def write_decimal(value: Decimal) -> str:
    """Type R: a point only with decimals, no leading or trailing zeros, never an exponent. 0.250 is `.25`."""
    if not value.is_finite():
        raise ValueError(f"{value} is no number")
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    digits = digits.lstrip("0") or "0"
    return digits if digits == "0" else sign + digits


def write_implied(value: Decimal) -> str:
    """Type N2: 3003.13 is `300313`.

    Raises:
        ValueError: the value has more than two decimals, which N2 cannot say.
    """
    if not value.is_finite():
        raise ValueError(f"{value} is no number")
    shifted = value.scaleb(2)
    if shifted != shifted.to_integral_value():
        raise ValueError(f"{value} has more than two decimals")
    return str(int(shifted))


def read_decimal(text: str) -> Decimal:
    """Type R as partners write it: `.25`, `0.25`, `10.00`, `1E3`.

    Raises:
        ValueError: it is no number.
    """
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no decimal number")
    return Decimal(text)


def read_implied(text: str, decimals: int = 2) -> Decimal:
    """Types N0 and N2.

    Raises:
        ValueError: it is no whole number. A point in an N2 makes the amount ambiguous and is refused.
    """
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no whole number")
    return Decimal(text).scaleb(-decimals)


def is_whole(text: str) -> bool:
    """Digits and nothing else: what a count or a control number is made of."""
    return text.isascii() and text.isdigit()


def digits(text: str) -> int:
    """The length of a number as the standard counts it: without sign, point and exponent sign."""
    return sum(character.isdigit() for character in text)


def write_date(value: date) -> str:
    """Type DT: CCYYMMDD."""
    return f"{value:%Y%m%d}"


def read_date(text: str) -> date:
    """CCYYMMDD, or YYMMDD as ISA09 and old group headers have it (00 to 99 is 2000 to 2099).

    Raises:
        ValueError: no day of the calendar.
    """
    if _DATE.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no date")
    full = text if len(text) == 8 else "20" + text
    return date(int(full[:4]), int(full[4:6]), int(full[6:]))


def write_time(value: time) -> str:
    """Type TM: HHMM, with seconds where there are some."""
    return f"{value:%H%M%S}" if value.second else f"{value:%H%M}"


def read_time(text: str) -> time:
    """HHMM, HHMMSS, HHMMSSd or HHMMSSdd.

    Raises:
        ValueError: no time of day.
    """
    match = _TIME.fullmatch(text)
    if match is None or (match[4] and not match[3]):
        raise ValueError(f"{text!r} is no time")
    fraction = int((match[4] or "0").ljust(2, "0")) * 10_000
    return time(int(match[1]), int(match[2]), int(match[3] or 0), fraction)


def moment(day: str, clock: str) -> datetime:
    """A date and a time of one document as one value without a zone: times are local."""
    return datetime.combine(read_date(day), read_time(clock))
