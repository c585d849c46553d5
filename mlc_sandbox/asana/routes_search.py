"""Search: late, unordered among equals, without pages, with a quota of its own (section 7)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from mlc_sandbox.asana.calls import ApiCall, Reply
from mlc_sandbox.asana.errors import bad, pay
from mlc_sandbox.asana.http import Gate
from mlc_sandbox.asana.store import Field, Task, Workspace
from mlc_sandbox.asana.values import day, moment
from mlc_sandbox.asana.world import World

FOR_PREMIUM = "Search is only available to premium users."

Test = Callable[[Task], bool]


class SearchRoutes:
    """/workspaces/{gid}/tasks/search. Parameters that it does not know are ignored."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world = world
        gate.add("/workspaces/{workspace}/tasks/search", GET=self._search)

    def _search(self, call: ApiCall) -> Reply:
        self.world.in_path(Workspace, call.ids["workspace"], call.actor)
        if not self.world.switches["premium"]:
            raise pay(FOR_PREMIUM)
        self.world.limits.search(call.actor.token)
        tests = [test for name, value in call.query.items() for test in self._tests(name, value)]
        found = [task for task in self.world.searchable() if all(test(task) for test in tests)]
        self.world.rng.shuffle(found)
        key = {"created_at": "created", "completed_at": "completed_at", "due_date": "due_on"}.get(
            call.query.get("sort_by", ""), "modified"
        )
        found = [task for task in found if getattr(task, key) is not None]
        found.sort(key=lambda task: getattr(task, key), reverse=call.query.get("sort_ascending") != "true")
        limit = call.query.get("limit", "100")
        if not limit.isdigit() or not 1 <= int(limit) <= 100:
            raise bad(f"limit: Must be between 1 and 100: {limit}")
        return call.listing(found[: int(limit)], paged=False)

    def _tests(self, name: str, value: str) -> list[Test]:
        if name.startswith("custom_fields."):
            return self._field_tests(name.removeprefix("custom_fields."), value)
        subject, _, operator = name.partition(".")
        if operator in ("before", "after"):
            return _time_tests(subject, operator, value)
        makers: dict[str, Callable[[str], Test]] = {
            "projects.any": lambda text: lambda task: bool(set(text.split(",")) & set(task.places)),
            "projects.all": lambda text: lambda task: set(text.split(",")) <= set(task.places),
            "sections.any": lambda text: lambda task: bool(set(text.split(",")) & set(task.places.values())),
            "assignee.any": self._assignee,
            "completed": lambda text: lambda task: task.completed == (text == "true"),
            "is_subtask": lambda text: lambda task: (task.parent is not None) == (text == "true"),
            "resource_subtype": lambda text: lambda task: task.kind == text,
            "text": lambda text: lambda task: text.lower() in f"{task.name}\n{task.notes}".lower(),
        }
        return [makers[name](value)] if name in makers else []

    def _assignee(self, text: str) -> Test:
        people = {None if who == "null" else self.world.person("assignee", who) for who in text.split(",")}
        return lambda task: task.assignee in people

    def _field_tests(self, name: str, text: str) -> list[Test]:
        gid, _, operator = name.partition(".")
        field: Field | None = self.world.get(Field, gid)
        if field is None:
            return []
        if operator == "is_set":
            return [lambda task: (gid in task.values) == (text == "true")]
        wanted = _typed(field, text)
        compare = _COMPARE.get((field.kind, operator))
        if compare is None:
            return []
        return [lambda task: gid in task.values and compare(task.values[gid], wanted)]


def _typed(field: Field, text: str) -> Any:
    if field.kind == "number":
        try:
            return Decimal(text)
        except InvalidOperation:
            raise bad(f"custom_fields.{field.gid}: Value is not a Number: {text}") from None
    return day(f"custom_fields.{field.gid}", text) if field.kind == "date" else text


def _as_day(value: Any) -> date:
    return value.date() if isinstance(value, datetime) else value


_COMPARE: dict[tuple[str, str], Callable[[Any, Any], bool]] = {
    ("text", "value"): lambda held, wanted: held == wanted,
    ("text", "starts_with"): lambda held, wanted: held.startswith(wanted),
    ("text", "ends_with"): lambda held, wanted: held.endswith(wanted),
    ("text", "contains"): lambda held, wanted: wanted in held,
    ("number", "value"): lambda held, wanted: held == wanted,
    ("number", "less_than"): lambda held, wanted: held < wanted,
    ("number", "greater_than"): lambda held, wanted: held > wanted,
    ("enum", "value"): lambda held, wanted: held == wanted,
    ("date", "value"): lambda held, wanted: _as_day(held) == wanted,
    ("date", "before"): lambda held, wanted: _as_day(held) < wanted,
    ("date", "after"): lambda held, wanted: _as_day(held) > wanted,
}


def _time_tests(subject: str, operator: str, text: str) -> list[Test]:
    moments = {"created_at": "created", "modified_at": "modified", "completed_at": "completed_at"}
    attribute = moments.get(subject) or ("due_on" if subject == "due_on" else None)
    if attribute is None:
        return []
    limit: Any = day(subject, text) if attribute == "due_on" else moment(subject, text)

    def test(task: Task) -> bool:
        held: Any = getattr(task, attribute)
        return held is not None and (held < limit if operator == "before" else held > limit)

    return [test]
