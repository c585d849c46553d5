"""What a task's body says, as attributes of the task (vendors/asana.md sections 2, 3 and 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from mlc_sandbox.asana import html
from mlc_sandbox.asana.errors import ApiError, bad, pay
from mlc_sandbox.asana.login import Actor
from mlc_sandbox.asana.store import External, Field, FieldValue, Task
from mlc_sandbox.asana.values import day, moment, text
from mlc_sandbox.asana.world import World

FIELDS_FOR_FREE = "Custom Fields are not available for free users or guests."
EXTERNAL_GID, EXTERNAL_DATA = 1024, 32_768
KINDS = ("default_task", "milestone", "approval")
APPROVALS = ("pending", "approved", "rejected", "changes_requested")


class TaskBody:
    """Reads and checks; changes nothing. Raises ApiError: 400, 402 for fields on a free plan, 403."""

    def __init__(self, world: World) -> None:
        self.world = world

    def read(self, actor: Actor, task: Task, data: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes that the keys of a body stand for; keys of the task's place are left out."""
        if data.get("due_on") is not None and data.get("due_at") is not None:
            raise bad("You may only provide one of due_on or due_at!")
        if "start_on" in data and "due_on" not in data and "due_at" not in data:
            raise bad("start_on: You must also provide due_on or due_at")
        readers: dict[str, Callable[[Any], dict[str, Any]]] = {
            "name": lambda value: {"name": self.limited("name", value, "name_length")},
            "notes": lambda value: {
                "notes": self.limited("notes", value, "text_length"),
                "html_notes": None,
            },
            "html_notes": self._html,
            "completed": lambda value: self._completed(actor, task, value),
            "due_on": lambda value: {"due_on": _day("due_on", value), "due_at": None},
            "due_at": _due_at,
            "start_on": lambda value: {"start_on": _day("start_on", value)},
            "assignee": lambda value: {"assignee": self._assignee(value)},
            "custom_fields": lambda value: {"values": self._values(task, value)},
            "external": lambda value: self._external(actor, task, value),
            "resource_subtype": _kind,
            "approval_status": lambda value: self._approval(actor, value),
            "liked": lambda value: {"liked": _flag("liked", value)},
        }
        read: dict[str, Any] = {}
        for name, value in data.items():
            if name in readers:
                read |= readers[name](value)
        return read

    def _assignee(self, value: Any) -> str | None:
        return None if value is None else self.world.person("assignee", value)

    def limited(self, field: str, value: Any, switch: str) -> str:
        """Text no longer than the switch says; null is no text."""
        if value is None:
            return ""
        value = text(field, value)
        most = self.world.switches[switch]
        if most and len(value) > most:
            raise bad(f"{field}: Text is longer than {most} characters")
        return str(value)

    def _html(self, value: Any) -> dict[str, Any]:
        return {"html_notes": value, "notes": html.plain("html_notes", value)}

    def _completed(self, actor: Actor, task: Task, value: Any) -> dict[str, Any]:
        done = _flag("completed", value)
        if done == task.completed:
            return {}
        approval = {}
        if task.kind == "approval":
            approval = {"approval": "approved" if done else "pending"}
        if not done:
            return {"completed": False, "completed_at": None, "completed_by": None} | approval
        now = self.world.clock.now()
        return {"completed": True, "completed_at": now, "completed_by": actor.user} | approval

    def _approval(self, actor: Actor, value: Any) -> dict[str, Any]:
        if value not in APPROVALS:
            raise bad(f"approval_status: Not a valid approval status: {value}")
        done = value != "pending"
        now = self.world.clock.now() if done else None
        by = actor.user if done else None
        return {"approval": value, "completed": done, "completed_at": now, "completed_by": by}

    def _values(self, task: Task, value: Any) -> dict[str, FieldValue]:
        """All values of the task with the given ones merged in, key by key."""
        if not isinstance(value, dict):
            raise bad(f"custom_fields: Value is not a JSON object: {value}")
        if value and not self.world.switches["premium"]:
            raise pay(FIELDS_FOR_FREE)
        merged, here = dict(task.values), self.world.field_gids(task)
        for gid, given in value.items():
            field: Field | None = self.world.get(Field, gid)
            left_over = gid in merged and given is None
            if field is None or (gid not in here and not left_over):
                raise bad(f"Custom field with ID {gid} is not on given object")
            if field.locked:
                raise ApiError(403, f"custom_fields: {gid}: You do not have access to edit this field.")
            stored = self.world.reader.read(field, given)
            if stored is None:
                merged.pop(gid, None)
            else:
                merged[gid] = stored
        return merged

    def _external(self, actor: Actor, task: Task, value: Any) -> dict[str, Any]:
        by_pat = self.world.switches["external_with_pat"] if actor.app is None else "allowed"
        if by_pat == "refused":
            raise ApiError(403, "external: Only OAuth apps can write this property")
        if by_pat == "ignored":
            return {}
        held = {scope: found for scope, found in task.external.items() if scope != actor.scope}
        if value is None:
            return {"external": held}
        if not isinstance(value, dict) or not set(value) <= {"gid", "data"}:
            raise bad(f"external: Value is not a JSON object: {value}")
        old = task.external.get(actor.scope)
        given = {name: text(f"external: {name}", part) for name, part in value.items() if part is not None}
        gid = given.get("gid", None if old is None else old.gid)
        content = given.get("data", None if old is None else old.data)
        if len(gid or "") > EXTERNAL_GID or len(content or "") > EXTERNAL_DATA:
            raise bad(f"external: Longer than {EXTERNAL_GID} (gid) or {EXTERNAL_DATA} (data) characters")
        if gid is not None and self.world.switches["external_unique"] and self._taken(actor, task, gid):
            raise bad(f"external: gid: Another task has this external gid: {gid}")
        wait = timedelta(seconds=self.world.switches["external_visible_seconds"])
        same = old is not None and old.gid == gid
        visible = old.visible if same and old is not None else self.world.clock.wire() + wait
        return {"external": held | {actor.scope: External(gid, content, visible)}}

    def _taken(self, actor: Actor, task: Task, gid: str) -> bool:
        return any(
            other.trashed is None and actor.scope in other.external and other.external[actor.scope].gid == gid
            for other in self.world.all(Task)
            if other.gid != task.gid
        )


def _flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise bad(f"{field}: Value is not a Boolean: {value}")
    return value


def _day(field: str, value: Any) -> date | None:
    return None if value is None else day(field, value)


def _kind(value: Any) -> dict[str, Any]:
    if value not in KINDS:
        raise bad(f"resource_subtype: Not a valid resource subtype: {value}")
    return {"kind": value, "approval": "pending" if value == "approval" else None}


def _due_at(value: Any) -> dict[str, Any]:
    if value is None:
        return {"due_at": None, "due_on": None}
    at = moment("due_at", value)
    on: date = at.date()
    return {"due_at": at, "due_on": on}
