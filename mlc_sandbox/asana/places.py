"""Where a task stands: projects, sections, parents (vendors/asana.md sections 2 and 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlc_sandbox.asana.errors import bad
from mlc_sandbox.asana.login import Actor
from mlc_sandbox.asana.store import Project, Section, Task
from mlc_sandbox.asana.world import World

PROJECTS_OF_A_TASK = 20


@dataclass(frozen=True)
class Position:
    """Where in a list: at an end, or beside a task; `last` at its end."""

    last: bool = True
    beside: str | None = None
    before: bool = False


class Places:
    """Moves tasks. No move touches `modified_at`."""

    def __init__(self, world: World) -> None:
        self.world = world

    def position(self, data: Mapping[str, Any], actor: Actor, standard: Position) -> Position:
        """`insert_after` and `insert_before`; null is the top and the bottom. Raises ApiError 400."""
        given = [name for name in ("insert_after", "insert_before") if name in data]
        if len(given) > 1:
            raise bad("You may only provide one of insert_before or insert_after")
        if not given:
            return standard
        before = given[0] == "insert_before"
        if data[given[0]] is None:
            return Position(last=before)
        beside = self.world.named(Task, given[0], data[given[0]], actor)
        return Position(beside=beside.gid, before=before)

    def add(
        self,
        actor: Actor,
        task: Task,
        project: Project,
        *,
        section: Section | None = None,
        position: Position = Position(),
    ) -> None:
        """Into a project, or to another place in it. Raises ApiError 400."""
        if section is not None and section.project != project.gid:
            raise bad(f"section: Section {section.gid} is not in project {project.gid}")
        new = project.gid not in task.places
        if new and len(task.places) >= PROJECTS_OF_A_TASK:
            raise bad(f"A task can be in at most {PROJECTS_OF_A_TASK} projects")
        old: Section | None = self.world.get(Section, task.places.get(project.gid))
        if section is None:
            section = self._section_beside(project, position) or old
        target: Section = section or self.world.get(Section, project.sections[0])
        if old is not None:
            old.tasks.remove(task.gid)
        self._insert(target.tasks, task.gid, position)
        task.places[project.gid] = target.gid
        if new:
            self.world.record(actor, "added", task, parent=project)
        if old is not target:
            if old is not None:
                self.world.record(actor, "removed", task, parent=old)
            self.world.record(actor, "added", task, parent=target)
        self.world.touched(task, modified=False)

    def _section_beside(self, project: Project, position: Position) -> Section | None:
        """The section of the task it goes beside."""
        if position.beside is None:
            return None
        beside: Task = self.world.get(Task, position.beside)
        if project.gid not in beside.places:
            raise bad(f"Task {beside.gid} is not in project {project.gid}")
        found: Section = self.world.get(Section, beside.places[project.gid])
        return found

    def remove(self, actor: Actor, task: Task, project: Project) -> None:
        """Out of a project; repeating it does no harm."""
        section = self.world.get(Section, task.places.pop(project.gid, None))
        if section is None:
            return
        section.tasks.remove(task.gid)
        # The task is in none of the project's streams any more, so the project's own entry names it.
        self.world.record(actor, "removed", task, parent=section)
        self.world.record(actor, "removed", task, parent=project)
        self.world.touched(task, modified=False)

    def set_parent(self, actor: Actor, task: Task, parent: Task | None, position: Position) -> None:
        """Make it a subtask, or a task of its own. Raises ApiError 400 for a circle."""
        above = parent
        while above is not None:
            if above is task:
                raise bad("parent: Cannot set the parent of a task to itself or one of its subtasks")
            above = self.world.get(Task, above.parent)
        old: Task | None = self.world.get(Task, task.parent)
        if old is not None:
            old.subtasks.remove(task.gid)
            self.world.record(actor, "removed", task, parent=old)
        task.parent = None if parent is None else parent.gid
        if parent is not None:
            self._insert(parent.subtasks, task.gid, position)
            self.world.record(actor, "added", task, parent=parent)
        self.world.touched(task)

    def _insert(self, gids: list[str], gid: str, position: Position) -> None:
        if position.beside in gids:
            gids.insert(gids.index(position.beside) + (not position.before), gid)
        elif position.last:
            gids.append(gid)
        else:
            gids.insert(0, gid)
