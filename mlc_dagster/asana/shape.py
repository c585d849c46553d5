"""What a model's tasks look like: a row as the task the ERP wants, and a task as the columns it shows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

from mlc_dagster.asana.section import PRECISION, FieldKind, TaskSection, kind_of
from mlc_dagster.mappings import Model
from mlc_dagster.mappings.contract import Contract

Payload = Mapping[str, Any]
Task = Mapping[str, Any]

# Our own caps (section 2: not documented), and the documented ones (section 3).
NAME_LENGTH, NOTES_LENGTH, TEXT_LENGTH = 255, 32_000, 1024
# Numbers are JSON doubles at Asana: beyond this money is lost (section 3).
DIGITS = 15
# A subtask has no custom fields (section 2): its key stands in the last line of its notes.
KEY_LINE = "ERP line: "
CUT = "\n... cut here: Asana takes no more. The rest is in the ERP."


@dataclass(frozen=True, slots=True)
class Declared:
    """A custom field as it has to exist."""

    name: str
    kind: FieldKind
    precision: int = 0
    description: str = ""


@dataclass(frozen=True)
class Bound:
    """A custom field as the workspace has it. options: gid by name, those that are switched off apart."""

    gid: str
    name: str
    kind: str
    precision: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    disabled: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """A task as the ERP wants it; assignee is an e-mail address, fields are by column."""

    name: str
    notes: str
    due_on: date | None
    completed: bool
    section: str | None
    assignee: str | None
    comment: str | None
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Shape:
    """One model's tasks. `lines`: whether the table of lines stands in the notes."""

    model: str
    contract: Contract
    section: TaskSection
    lines: bool

    @classmethod
    def of(cls, model: Model, *, lines: bool) -> "Shape":
        """The shape a model's contract declares."""
        if not isinstance(model.section, TaskSection):
            raise TypeError(f"{model.key}: its contract has no section for Asana.")
        return cls(model.name, model.contract, model.section, lines)

    @cached_property
    def kinds(self) -> Mapping[str, FieldKind]:
        """The kind of custom field by column."""
        return {
            column: kind_of(self.contract, column, field) for column, field in self.section.fields.items()
        }

    def declared(self) -> Iterator[Declared]:
        """The custom fields that have to exist in each project."""
        if self.section.key_field:
            told = "The document in the ERP. Never change it: it is how the task is found again."
            yield Declared(self.section.key_field, "text", description=told)
        for column, each in self.section.fields.items():
            told = each.description or self.contract.columns[column].description
            yield Declared(each.name, self.kinds[column], self.precision(column), told)
            if each.vocabulary:
                yield Declared(each.other, "text", description=f"{each.name} that found no option.")

    def precision(self, column: str) -> int:
        """The decimals a number field keeps."""
        scale = self.contract.columns[column].column_type.scale
        stated = self.section.fields[column].precision
        return min(scale, PRECISION) if stated is None else stated

    def wanted(self, key: str, payload: Payload) -> Wanted:
        """The task a row stands for."""

        def part(name: str) -> Any:
            column = getattr(self.section, name)
            return payload.get(column) if column else None

        notes = [part("notes"), part("lines") if self.lines else None]
        last = f"\n\n{KEY_LINE}{key}" if self.section.parent else ""
        return Wanted(
            name=_shortened(str(part("name") or self.model)),
            notes=(_cut("\n\n".join(filter(None, notes)), NOTES_LENGTH - len(last)) + last).lstrip(),
            due_on=part("due_on"),
            completed=bool(part("completed")),
            section=part("section"),
            assignee=part("assignee"),
            comment=part("comment"),
            fields={column: self._value(column, payload.get(column)) for column in self.section.fields},
        )

    def found(self, task: Task, bound: Mapping[str, Bound]) -> dict[str, Any]:
        """What a task shows of the columns that are custom fields, in the form of `wanted`."""
        by_gid = {str(each["gid"]): each for each in task.get("custom_fields") or ()}
        return {
            column: self._found(column, by_gid, bound)
            for column, each in self.section.fields.items()
            if each.name in bound
        }

    def key(self, task: Task, bound: Mapping[str, Bound]) -> str | None:
        """The row a task belongs to; None for a task people made."""
        name = self.section.key_field
        if name is None:
            return key_in_notes(str(task.get("notes") or ""))
        gid = bound[name].gid
        texts = (each.get("text_value") for each in task.get("custom_fields") or () if each["gid"] == gid)
        return next((str(text) for text in texts if text), None)

    def unfit(self, payload: Payload) -> str | None:
        """Why Asana can never hold a row exactly; None when it can."""
        for column, each in self.section.fields.items():
            value, kind = payload.get(column), self.kinds[column]
            if kind == "number" and value is not None and (why := self._unfit_number(column, value)):
                return why
            if kind in ("text", "enum") and len(str(value or "")) > TEXT_LENGTH:
                return f"{each.name} has more than the {TEXT_LENGTH} characters of a text field."
        return None

    def _unfit_number(self, column: str, value: int | Decimal) -> str | None:
        number, name, places = Decimal(value), self.section.fields[column].name, self.precision(column)
        if number != round(number, places):
            return f"{name} is {number:f}: more than the {places} decimals of the field. Raise its precision."
        if len(number.normalize().as_tuple().digits) > DIGITS:
            return f"{name} is {number:f}: Asana keeps {DIGITS} digits, so it would not stay exact."
        return None

    def _value(self, column: str, value: Any) -> Any:
        if value is None or value == "":
            return None
        if self.kinds[column] == "number":
            return round(Decimal(value), self.precision(column))
        return value

    def _found(self, column: str, by_gid: Mapping[str, Task], bound: Mapping[str, Bound]) -> Any:
        each, kind = self.section.fields[column], self.kinds[column]
        shown = by_gid.get(bound[each.name].gid, {})
        if kind == "number":
            number = shown.get("number_value")
            return None if number is None else round(Decimal(number), self.precision(column))
        if kind == "date":
            day = (shown.get("date_value") or {}).get("date")
            return date.fromisoformat(day) if day else None
        if kind == "enum":
            other = by_gid.get(bound[each.other].gid, {}) if each.other in bound else {}
            return (shown.get("enum_value") or {}).get("name") or other.get("text_value") or None
        return shown.get("text_value") or None


def field_values(shape: Shape, fields: Mapping[str, Any], bound: Mapping[str, Bound]) -> dict[str, Any]:
    """Columns as the map of custom fields that a write takes (section 3)."""
    written: dict[str, Any] = {}
    for column, value in fields.items():
        each, kind = shape.section.fields[column], shape.kinds[column]
        field_ = bound[each.name]
        if kind == "enum":
            option = field_.options.get(value) if value is not None else None
            written[field_.gid] = option
            written[bound[each.other].gid] = None if option else value
        elif kind == "date":
            written[field_.gid] = {"date": value.isoformat()} if value else None
        else:
            written[field_.gid] = value
    return written


def key_in_notes(notes: str) -> str | None:
    """The key in the last line of a subtask's notes: it has no custom fields (section 2)."""
    last = notes.rstrip().rpartition("\n")[2]
    return last.removeprefix(KEY_LINE) if last.startswith(KEY_LINE) else None


def _shortened(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"


def _cut(notes: str, length: int) -> str:
    return notes if len(notes) <= length else notes[: length - len(CUT)] + CUT
