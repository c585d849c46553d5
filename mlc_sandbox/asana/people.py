"""People at work in the browser: the edits that an integration finds when it comes back."""

from __future__ import annotations

from typing import Any

from mlc_sandbox.asana.login import Actor
from mlc_sandbox.asana.places import Places
from mlc_sandbox.asana.store import Field, Project, Section, Story, Task
from mlc_sandbox.asana.tasks import Tasks
from mlc_sandbox.asana.values import KINDS, parts
from mlc_sandbox.asana.world import World

# The name and kind of value that an edit may carry, besides a task's own fields.
_OWN = ("name", "notes", "assignee", "completed", "due_on")


class People:
    """Names stand for gids: projects, sections, fields, options. `by` is a member's address.

    Raises KeyError for what is not there, ApiError for what Asana would refuse.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.doing, self.places = Tasks(world), Places(world)

    def edit(self, task: str, *, by: str = "ap-clerk@nordfjell.example", **changes: Any) -> None:
        """Rename, assign, complete, write a field, move or comment: `name`, `notes`, `assignee`, `completed`,
        `due_on`, `custom_fields` {field name: value; an option by its name}, `section`, `project`, `comment`.
        """
        with self.world.lock:
            found, actor = self._task(task), self._actor(by)
            unknown = set(changes) - {*_OWN, "custom_fields", "section", "project", "comment"}
            if unknown:
                raise ValueError(f"People do not edit {', '.join(sorted(unknown))} here.")
            data = {name: changes[name] for name in _OWN if name in changes}
            if "custom_fields" in changes:
                data["custom_fields"] = dict(
                    self._value(name, value) for name, value in changes["custom_fields"].items()
                )
            self.doing.update(actor, found, data)
            if "section" in changes or "project" in changes:
                self._move(actor, found, changes.get("project"), changes.get("section"))
            if "comment" in changes:
                self.doing.comment(actor, found, changes["comment"])

    def trash(self, task: str, *, by: str = "ap-clerk@nordfjell.example") -> None:
        """Delete a task."""
        with self.world.lock:
            self.doing.trash(self._actor(by), self._task(task))

    def restore(self, task: str, *, by: str = "ap-clerk@nordfjell.example") -> None:
        """Take it out of the trash."""
        with self.world.lock:
            self.doing.restore(self._actor(by), self._task(task))

    def edit_field(
        self, field: str, *, name: str | None = None, kind: str | None = None, locked: bool | None = None
    ) -> Field:
        """Rename a field, lock it, or make it one of another type; its values are gone then."""
        with self.world.lock:
            found = self.field(field)
            if name is not None:
                found.name = name
            if locked is not None:
                found.locked = locked
            if kind is not None:
                if kind not in KINDS:
                    raise ValueError(f"A field is one of {', '.join(KINDS)}, not {kind!r}.")
                found.kind, found.precision = kind, 0 if kind == "number" else None
                for task in self.world.all(Task):
                    task.values.pop(found.gid, None)
            return found

    # What tests and hands look at

    def tasks(self, project: str) -> list[dict[str, Any]]:
        """Every living task of a project by section, with exact values."""
        with self.world.lock:
            return [self._shown(task) for task in self.world.tasks_in(self.project(project).sections)]

    def task(self, gid: str) -> dict[str, Any]:
        """One task, in the trash or not."""
        with self.world.lock:
            return self._shown(self._task(gid))

    def _shown(self, task: Task) -> dict[str, Any]:
        world = self.world
        fields = {found.field.name: _simple(world, parts(found)) for found in world.fields_of(task)}
        stories = [world.get(Story, gid) for gid in task.stories]
        return {
            "gid": task.gid,
            "name": task.name,
            "notes": task.notes,
            "assignee": task.assignee and world.name_of(task.assignee),
            "completed": task.completed,
            "due_on": task.due_on,
            "trashed": task.trashed is not None,
            "parent": task.parent,
            "places": {
                world.get(Project, project).name: world.get(Section, section).name
                for project, section in task.places.items()
            },
            "custom_fields": fields,
            "comments": [story.text for story in stories if story.is_comment],
            "subtasks": [self._shown(world.get(Task, gid)) for gid in task.subtasks],
        }

    # Finding by name

    def project(self, name: str) -> Project:
        """By gid or name. Raises KeyError."""
        return _named(self.world.all(Project), name, "project")

    def field(self, name: str) -> Field:
        """By gid or name. Raises KeyError."""
        return _named(self.world.all(Field), name, "custom field")

    def _task(self, gid: str) -> Task:
        found: Task | None = self.world.get(Task, gid)
        if found is None:
            raise KeyError(f"There is no task {gid}.")
        return found

    def _actor(self, by: str) -> Actor:
        return Actor(self.world.person("by", by))

    def _value(self, name: str, value: Any) -> tuple[str, Any]:
        field = self.field(name)
        if field.kind == "enum" and value is not None:
            value = self._option(field, value)
        if field.kind == "multi_enum" and value is not None:
            value = [self._option(field, option) for option in value]
        return field.gid, value

    def _option(self, field: Field, name: str) -> str:
        return str(_named(field.options, name, f"option of {field.name}").gid)

    def _move(self, actor: Actor, task: Task, project: str | None, section: str | None) -> None:
        place = self.world.get(Project, next(iter(task.places), None))
        target = place if project is None else self.project(project)
        if target is None:
            raise KeyError("The task is in no project; say which.")
        sections = [self.world.get(Section, gid) for gid in target.sections]
        wanted = None if section is None else _named(sections, section, f"section of {target.name}")
        self.places.add(actor, task, target, section=wanted)


def _named(entities: list[Any], name: str, what: str) -> Any:
    for entity in entities:
        if name in (entity.gid, entity.name):
            return entity
    raise KeyError(f"There is no {what} {name!r}; there are: {', '.join(entity.name for entity in entities)}")


def _simple(world: World, value: dict[str, Any]) -> Any:
    """A value with the names of options and people."""
    held = next(iter(value.values()))
    if "enum_value" in value:
        return held and held.name
    if "multi_enum_values" in value:
        return [option.name for option in held]
    if "people_value" in value:
        return [world.name_of(gid) for gid in held]
    if "date_value" in value:
        return held and (held["date_time"] or held["date"])
    return held
