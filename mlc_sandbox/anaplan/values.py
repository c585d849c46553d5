"""Cell values: exact reading from text by format, and the text a view or export shows."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

from mlc_sandbox.anaplan.model import Format, Value

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_COMPACT = re.compile(r"\d{8}")

# Row types of vendors/anaplan.md section 7, by format.
WRONG_FORMAT = {
    "NUMBER": "moduleImportNumberFormat",
    "DATE": "moduleImportDateFormat",
    "BOOLEAN": "moduleImportBooleanFormat",
    "LIST": "moduleImportInvalidListIdentifier",
}


def parse(text: str, form: Format, *, decimal_separator: str = ".", date_format: str = "yyyy-mm-dd") -> Value:
    """The value of a cell that is not LIST-formatted; empty text is no value. ValueError says why not."""
    if form.kind == "TEXT":
        return text or None
    text = text.strip()
    if not text:
        return None
    if form.kind == "NUMBER":
        return _number(text, decimal_separator)
    if form.kind == "BOOLEAN":
        if text.lower() not in _BOOLEANS:
            raise ValueError(f"Invalid boolean: {text}")
        return _BOOLEANS[text.lower()]
    return _date(text, date_format)


def _number(text: str, decimal_separator: str) -> Decimal:
    plain = text if decimal_separator == "." else text.replace(".", "x").replace(decimal_separator, ".")
    if not _NUMBER.fullmatch(plain):
        raise ValueError(f"Invalid number: {text}")
    return Decimal(plain)


def _date(text: str, date_format: str) -> date:
    shape = _COMPACT if date_format == "yyyymmdd" else _ISO
    try:
        if shape.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError(f"Invalid date: {text}")


def show(value: Value) -> str:
    """The text of a value in a view, an export or a list item; LIST values are resolved before."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, date) else value
