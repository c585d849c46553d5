"""What can be done to a task, by an app or by a person in the browser: one place for both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from mlc_sandbox.asana import html
from mlc_sandbox.asana.errors import ApiError, bad, pay
from mlc_sandbox.asana.login import Actor
from mlc_sandbox.asana.store import (
    External,
    Field,
    FieldValue,
    Project,
    Section,
    Story,
    Task,
    Workspace,
)
from mlc_sandbox.asana.values import array, day, moment, text
from mlc_sandbox.asana.world import World

FIELDS_FOR_FREE = "Custom Fields are not available for free users or guests."
SELECT_ONE = "You should specify one of workspace, parent, projects"
PROJECTS_OF_A_TASK, LINKS_OF_A_TASK = 20, 30
EXTERNAL_GID, EXTERNAL_DATA = 1024, 32_768
KINDS = ("default_task", "milestone", "approval")
APPROVALS = ("pending", "approved", "rejected", "changes_requested")

# What a request may write, and only when it creates.
WRITABLE = (
    "name",
    "notes",
    "html_notes",
    "completed",
    "due_on",
    "due_at",
    "start_on",
    "assignee",
    "custom_fields",
    "external",
    "resource_subtype",
    "approval_status",
    "liked",
)
CREATE_ONLY = ("workspace", "projects", "memberships", "followers", "tags", "parent")

# Attributes whose change is an event, with the name it has there.
_EVENTS = {
    "name": "name",
    "notes": "notes",
    "completed": "completed",
    "due_on": "due_on",
    "due_at": "due_at",
    "start_on": "start_on",
    "assignee": "assignee",
    "values": "custom_fields",
    "kind": "resource_subtype",
    "approval": "approval_status",
    "liked": "liked",
}


@dataclass(frozen=True)
class Position:
    """Where in a list: at an end, or beside a task; `last` at its end."""

    last: bool = True
    beside: str | None = None
    before: bool = False


class Tasks:
    """Every change leaves its stamp, stories and events. A refusal is an ApiError, and nothing changed."""

    def __init__(self, world: World) -> None:
        self.world = world

    # Creating

    def create(self, actor: Actor, data: Mapping[str, Any], parent: Task | None = None) -> Task:
        """A new task, or a subtask. Refused as a whole, unless the switch wants it by half."""
        self._known(data, (*WRITABLE, *CREATE_ONLY))
        if data.get("parent") is not None:
            parent = self.world.named(Task, "parent", data["parent"], actor)
        places = self._wanted_places(data, actor, parent)
        if parent is None and not places and not data.get("workspace"):
            raise bad(SELECT_ONE)
        if data.get("workspace"):
            self.world.named(Workspace, "workspace", data["workspace"], actor)
        now = self.world.clock.now()
        task = Task(self.world.new_gid(), "", now, now, actor.user)
        task.places = {project.gid: section.gid for project, section in places}
        task.followers = [
            self.world.person("followers", who) for who in array("followers", data.get("followers"))
        ]
        values = self._read(actor, task, {key: data[key] for key in data if key != "custom_fields"})
        refused = None
        try:
            values |= self._read(actor, task, {key: data[key] for key in data if key == "custom_fields"})
        except ApiError as error:
            if self.world.switches["create_with_bad_field"] == "refused":
                raise
            refused = error
        self._found(actor, task, values, places, parent)
        if refused is not None:
            raise refused
        return task

    def _found(
        self,
        actor: Actor,
        task: Task,
        values: Mapping[str, Any],
        places: list[tuple[Project, Section]],
        parent: Task | None,
    ) -> None:
        for name, value in values.items():
            setattr(task, name, value)
        self.world.add(task)
        if actor.user not in task.followers:
            task.followers.append(actor.user)
        if parent is not None:
            task.parent = parent.gid
            parent.subtasks.append(task.gid)
            self.world.record(actor, "added", task, parent=parent)
        for project, section in places:
            section.tasks.append(task.gid)
            self.world.record(actor, "added", task, parent=project)
            self.world.record(actor, "added", task, parent=section)
        if parent is None and not places:
            self.world.record(actor, "added", task, parent=self.world.workspace)
        self.world.touched(task)

    def _wanted_places(
        self, data: Mapping[str, Any], actor: Actor, parent: Task | None
    ) -> list[tuple[Project, Section]]:
        switches = self.world.switches
        found: dict[str, tuple[Project, Section]] = {}
        for number, gid in enumerate(array("projects", data.get("projects"))):
            project = self.world.named(Project, f"projects: [{number}]", gid, actor)
            found[project.gid] = (project, self.world.get(Section, project.sections[0]))
        if switches["memberships_on_create"] == "honoured":
            for number, wanted in enumerate(array("memberships", data.get("memberships"))):
                place = self._membership(f"memberships: [{number}]", wanted, actor)
                found[place[0].gid] = place
        if parent is not None and switches["projects_with_parent"] == "dropped":
            return []
        return list(found.values())

    def _membership(self, where: str, wanted: Any, actor: Actor) -> tuple[Project, Section]:
        if not isinstance(wanted, dict):
            raise bad(f"{where}: Value is not a JSON object: {wanted}")
        project = self.world.named(Project, f"{where}: project", wanted.get("project"), actor)
        if wanted.get("section") is None:
            return project, self.world.get(Section, project.sections[0])
        section = self.world.named(Section, f"{where}: section", wanted["section"], actor)
        if section.project != project.gid:
            raise bad(f"{where}: section: Section {section.gid} is not in project {project.gid}")
        return project, section

    # Changing

    def update(self, actor: Actor, task: Task, data: Mapping[str, Any]) -> None:
        """Write the keys that are there; what stays equal leaves no trace."""
        self._known(data, WRITABLE)
        values = self._read(actor, task, data)
        changed = {name: value for name, value in values.items() if getattr(task, name) != value}
        before = {name: getattr(task, name) for name in changed}
        for name, value in changed.items():
            setattr(task, name, value)
        for name in changed:
            if name in _EVENTS:
                self._tell(actor, task, name, before[name])
        if changed:
            self.world.touched(task)

    def _tell(self, actor: Actor, task: Task, attribute: str, before: Any) -> None:
        field = _EVENTS[attribute]
        if attribute == "values":
            for gid in sorted(set(before) | set(task.values)):
                if before.get(gid) != task.values.get(gid):
                    new = {"gid": gid, "resource_type": "custom_field"}
                    told = {"field": field, "action": "changed", "new_value": new}
                    self.world.record(actor, "changed", task, change=told)
            return
        change: dict[str, Any] = {"field": field, "action": "changed"}
        if attribute == "assignee" and task.assignee is not None:
            change["new_value"] = {"gid": task.assignee, "resource_type": "user"}
        self.world.record(actor, "changed", task, change=change)
        noted = self._story_text(task, attribute)
        if noted is not None:
            self._story(actor, task, *noted)

    def _story_text(self, task: Task, attribute: str) -> tuple[str, str] | None:
        """The subtype and text of the system's story about a change."""
        if attribute == "name":
            return "name_changed", f'changed the name to "{task.name}"'
        if attribute == "assignee":
            if task.assignee is None:
                return "unassigned", "unassigned"
            return "assigned", f"assigned to {self.world.name_of(task.assignee)}"
        if attribute == "completed":
            done = task.completed
            return ("marked_complete", "marked complete") if done else ("marked_incomplete", "reopened")
        if attribute == "due_on":
            return "due_date_changed", f"changed the due date to {task.due_on or 'none'}"
        return None

    # Reading values: each gives attributes of Task

    def _known(self, data: Mapping[str, Any], writable: tuple[str, ...]) -> None:
        for name in data:
            if name not in writable:
                raise bad(f"{name}: Cannot write this property")

    def _read(self, actor: Actor, task: Task, data: Mapping[str, Any]) -> dict[str, Any]:
        if data.get("due_on") is not None and data.get("due_at") is not None:
            raise bad("You may only provide one of due_on or due_at!")
        if "start_on" in data and "due_on" not in data and "due_at" not in data:
            raise bad("start_on: You must also provide due_on or due_at")
        readers: dict[str, Callable[[Any], dict[str, Any]]] = {
            "name": lambda value: {"name": self._text("name", value, "name_length")},
            "notes": lambda value: {
                "notes": self._text("notes", value, "text_length"),
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

    def _text(self, field: str, value: Any, switch: str) -> str:
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

    # Stories

    def comment(self, actor: Actor, task: Task, said: str, rich: str | None = None) -> Story:
        """What somebody writes; the task counts as modified."""
        said = self._text("text", said, "text_length")
        story = self._story(actor, task, "comment_added", said)
        story.html = rich
        self.world.touched(task)
        return story

    def _story(self, actor: Actor, task: Task, kind: str, said: str) -> Story:
        story = Story(self.world.new_gid(), task.gid, self.world.clock.now(), actor.user, said, kind)
        story.source = "api" if actor.token else "web"
        self.world.add(story)
        task.stories.append(story.gid)
        self.world.record(actor, "added", story, parent=task)
        return story

    # Trash

    def trash(self, actor: Actor, task: Task) -> None:
        """With its subtasks."""
        self._trash(actor, task, self.world.clock.now())

    def restore(self, actor: Actor, task: Task) -> None:
        """Out of the trash, with its subtasks."""
        self._trash(actor, task, None)

    def _trash(self, actor: Actor, task: Task, when: datetime | None) -> None:
        task.trashed = when
        self.world.record(actor, "undeleted" if when is None else "deleted", task)
        self.world.touched(task, modified=False)
        for gid in task.subtasks:
            self._trash(actor, self.world.get(Task, gid), when)


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
