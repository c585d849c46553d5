"""Values: what a custom field takes and shows, dates, gids (vendors/asana.md sections 2 and 3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from mlc_sandbox.asana.errors import ApiError, bad
from mlc_sandbox.asana.store import Entity, Field, FieldValue
from mlc_sandbox.asana.switches import Switches

ENUMS = ("enum", "multi_enum")
KINDS = ("text", "number", "enum", "multi_enum", "date", "people")
TEXT_LENGTH = 1024

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def gid_text(field: str, value: Any) -> str:
    """A gid as a body carries it. Raises ApiError 400 for a number, or for text that is none."""
    if not isinstance(value, str):
        raise bad(f"{field}: Not a valid GID type: {_type_name(value)}")
    if not value.isdigit():
        raise bad(f"{field}: Not a recognized ID: {value}")
    return value


def _type_name(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | Decimal):
        return "number"
    return "null" if value is None else "object"


def text(field: str, value: Any) -> str:
    """Text. Raises ApiError 400."""
    if not isinstance(value, str):
        raise bad(f"{field}: Value is not a String: {value}")
    return value


def array(field: str, value: Any) -> list[Any]:
    """An array; null is an empty one. Raises ApiError 400."""
    if not isinstance(value, list | None):
        raise bad(f"{field}: Value is not an Array: {value}")
    return value or []


def day(field: str, value: Any) -> date:
    """`yyyy-mm-dd`. Raises ApiError 400."""
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise bad(f"{field}: Date must be in ISO-8601 (yyyy-mm-dd) format, not: {value}")


def moment(field: str, value: Any) -> datetime:
    """An ISO 8601 time; UTC when it names no zone. Raises ApiError 400."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise bad(f"{field}: Datetime must be in ISO-8601 format, not: {value}") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


@dataclass(eq=False)
class FieldOnTask(Entity):
    """A field as a task shows it. `enabled` is False when the field has left the task's projects."""

    resource_type = "custom_field"

    field: Field
    value: FieldValue | None
    enabled: bool = True


def parts(found: FieldOnTask) -> dict[str, Any]:
    """The value under the name that the field's type has, such as `number_value`."""
    field, value = found.field, found.value
    if field.kind == "enum":
        return {"enum_value": _option(field, value)}
    if field.kind == "multi_enum":
        chosen = [_option(field, gid) for gid in value] if isinstance(value, tuple) else []
        return {"multi_enum_values": [option for option in chosen if option is not None]}
    if field.kind == "people":
        return {"people_value": value if isinstance(value, tuple) else ()}
    if field.kind == "date":
        return {"date_value": _date_parts(value)}
    right = Decimal if field.kind == "number" else str
    return {f"{field.kind}_value": value if isinstance(value, right) else None}


def _option(field: Field, gid: Any) -> Any:
    return next((option for option in field.options if option.gid == gid), None)


def _date_parts(value: Any) -> dict[str, Any] | None:
    if isinstance(value, datetime):
        return {"date": value.date(), "date_time": value}
    return {"date": value, "date_time": None} if isinstance(value, date) else None


def display(found: FieldOnTask, name_of: Callable[[str], str]) -> str | None:
    """The value as people see it; None without one."""
    value = next(iter(parts(found).values()))
    if value is None or value in ([], ()):
        return None
    if found.field.kind == "multi_enum":
        return ", ".join(option.name for option in value)
    if found.field.kind == "people":
        return ", ".join(map(name_of, value))
    if found.field.kind == "enum":
        return str(value.name)
    if found.field.kind == "date":
        return str((value["date_time"] or value["date"]).isoformat())
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


class Reader:
    """Takes a value from a request into what the field stores. Raises ApiError 400."""

    def __init__(self, switches: Switches, person: Callable[[str, Any], str]) -> None:
        self.switches, self._person = switches, person

    def read(self, field: Field, value: Any) -> FieldValue | None:
        """`null` clears, and so do an empty list and an empty text."""
        if value is None or value in ("", []):
            return None
        reading: Callable[[Field, Any], FieldValue | None] = getattr(self, f"_{field.kind}")
        return reading(field, value)

    def _text(self, field: Field, value: Any) -> str:
        if not isinstance(value, str):
            raise _wrong(field, "String", value)
        if len(value) > TEXT_LENGTH:
            raise bad(f"custom_fields: {field.gid}: Text is longer than {TEXT_LENGTH} characters")
        return value

    def _number(self, field: Field, value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise _wrong(field, "Number", value)
        exact = Decimal(value)
        most = self.switches["number_digits"]
        if most and len(exact.normalize().as_tuple().digits) > most:
            raise bad(f"custom_fields: {field.gid}: Number has more than {most} digits")
        # Asana keeps doubles: what a double cannot hold is lost here as it is there.
        kept = Decimal(repr(float(exact)))
        return kept.quantize(Decimal(1).scaleb(-(field.precision or 0)), ROUND_HALF_UP)

    def _enum(self, field: Field, value: Any) -> str | None:
        return self._chosen(field, gid_text(f"custom_fields: {field.gid}", value))

    def _multi_enum(self, field: Field, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise _wrong(field, "Array", value)
        gids = [self._chosen(field, gid_text(f"custom_fields: {field.gid}", item)) for item in value]
        return tuple(gid for gid in gids if gid is not None)

    def _chosen(self, field: Field, gid: str) -> str | None:
        option = _option(field, gid)
        if option is not None and option.enabled:
            return gid
        if self.switches["bad_option"] == "ignored":
            return None
        raise bad(f"custom_fields: {field.gid}: Not a valid enum option: {gid}")

    def _date(self, field: Field, value: Any) -> date:
        where = f"custom_fields: {field.gid}"
        if isinstance(value, str) and self.switches["date_as_text"] == "accepted":
            return day(where, value)
        if not isinstance(value, dict) or not set(value) <= {"date", "date_time"}:
            raise bad(f"{where}: Value is not a date object: {value}")
        if value.get("date_time") is not None:
            return moment(where, value["date_time"])
        return day(where, value.get("date"))

    def _people(self, field: Field, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise _wrong(field, "Array", value)
        return tuple(dict.fromkeys(self._person(f"custom_fields: {field.gid}", who) for who in value))


def _wrong(field: Field, kind: str, value: Any) -> ApiError:
    return bad(f"custom_fields: {field.gid}: Value is not a {kind}: {value}")
