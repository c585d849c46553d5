"""The Time dimension: the months of the model calendar, and the texts an import reads as one of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# How a builder may say that a column names periods: by their names, by a date in them, or by year and month.
PERIOD_FORMATS = ("Mmm yy", "yyyy-mm-dd", "yyyymm")


@dataclass(frozen=True, slots=True)
class Period:
    """A month of the model calendar; `name` is what Anaplan shows, such as Jan 26."""

    id: str
    name: str
    first: date


def calendar(first_year: int, years: int) -> dict[str, Period]:
    """The months of some years by id; the model calendar is "months" with years that begin in January."""
    days = [date(first_year + number // 12, number % 12 + 1, 1) for number in range(12 * years)]
    # The id is that of the sheet's examples in shape only: digits, no relation to the month.
    periods = [
        Period(f"54383{number:05d}", period_name(day), day) for number, day in enumerate(days, start=31)
    ]
    return {period.id: period for period in periods}


def period_name(day: date) -> str:
    """The month a day is in, as Anaplan shows it."""
    return f"{MONTHS[day.month - 1]} {day:%y}"


def find_period(periods: dict[str, Period], text: str, form: str = "Mmm yy") -> str | None:
    """The id of the period a text of this format means; None for other texts and outside the calendar."""
    name = _name(text.strip(), form)
    return next((period.id for period in periods.values() if period.name == name), None)


def _name(text: str, form: str) -> str | None:
    if form == "Mmm yy":
        return text
    if form == "yyyymm":
        text = f"{text[:4]}-{text[4:]}-01"
    try:
        return period_name(date.fromisoformat(text)) if _ISO.fullmatch(text) else None
    except ValueError:
        return None


_ISO = re.compile(r"\d{4}-\d\d-\d\d")
