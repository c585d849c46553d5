"""What can be done to a task, by an app or by a person in the browser: one place for both."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mlc_sandbox.asana.errors import ApiError, bad
from mlc_sandbox.asana.login import Actor
from mlc_sandbox.asana.store import Project, Section, Story, Task, Workspace
from mlc_sandbox.asana.task_body import TaskBody
from mlc_sandbox.asana.values import array
from mlc_sandbox.asana.world import World

SELECT_ONE = "You should specify one of workspace, parent, projects"

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


class Tasks:
    """Every change leaves its stamp, stories and events. A refusal is an ApiError, and nothing changed."""

    def __init__(self, world: World) -> None:
        self.world, self.body = world, TaskBody(world)

    # Creating

    def create(self, actor: Actor, data: Mapping[str, Any], parent: Task | None = None) -> Task:
        """A new task, or a subtask. Refused as a whole, unless the switch wants it by half."""
        _only(data, (*WRITABLE, *CREATE_ONLY))
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
        values = self.body.read(actor, task, {key: data[key] for key in data if key != "custom_fields"})
        refused = None
        try:
            values |= self.body.read(actor, task, {key: data[key] for key in data if key == "custom_fields"})
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
        _only(data, WRITABLE)
        values = self.body.read(actor, task, data)
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

    # Stories

    def comment(self, actor: Actor, task: Task, said: str, rich: str | None = None) -> Story:
        """What somebody writes; the task counts as modified."""
        said = self.body.limited("text", said, "text_length")
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


def _only(data: Mapping[str, Any], writable: tuple[str, ...]) -> None:
    for name in data:
        if name not in writable:
            raise bad(f"{name}: Cannot write this property")
