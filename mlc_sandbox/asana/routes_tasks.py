"""Tasks: create, read, change, list, trash; their subtasks and dependencies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mlc_sandbox.asana.calls import ApiCall, Reply, nothing
from mlc_sandbox.asana.errors import bad
from mlc_sandbox.asana.http import Gate
from mlc_sandbox.asana.places import Places, Position
from mlc_sandbox.asana.store import Project, Section, Task, Workspace
from mlc_sandbox.asana.tasks import Tasks
from mlc_sandbox.asana.values import array, moment
from mlc_sandbox.asana.world import World

LINKS_OF_A_TASK = 30  # dependencies and dependents together
_SELECTORS = ("project", "section", "tag", "user_task_list", "assignee")
_EXACTLY_ONE = "Must specify exactly one of project, tag, section, user task list, or assignee + workspace"


class TaskRoutes:
    """/tasks and what hangs below one."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world = world
        self.tasks, self.places = Tasks(world), Places(world)
        gate.add("/tasks", GET=self._list, POST=self._create)
        gate.add("/tasks/{task}", GET=self._get, PUT=self._update, DELETE=self._delete)
        gate.add("/projects/{project}/tasks", GET=self._of_project)
        gate.add("/sections/{section}/tasks", GET=self._of_section)
        gate.add("/tasks/{task}/subtasks", GET=self._subtasks, POST=self._create_subtask)
        gate.add("/tasks/{task}/setParent", POST=self._set_parent)
        gate.add("/tasks/{task}/projects", GET=self._projects)
        gate.add("/tasks/{task}/addProject", POST=self._add_project)
        gate.add("/tasks/{task}/removeProject", POST=self._remove_project)
        gate.add("/tasks/{task}/addFollowers", POST=self._add_followers)
        gate.add("/tasks/{task}/removeFollowers", POST=self._remove_followers)
        for path, ours in (("Dependencies", True), ("Dependents", False)):
            gate.add(f"/tasks/{{task}}/{path.lower()}", GET=lambda call, ours=ours: self._linked(call, ours))
            gate.add(f"/tasks/{{task}}/add{path}", POST=lambda call, ours=ours: self._link(call, ours))
            gate.add(f"/tasks/{{task}}/remove{path}", POST=lambda call, ours=ours: self._unlink(call, ours))

    def _task(self, call: ApiCall) -> Task:
        return self.world.task(call.ids["task"], call.actor)

    def _create(self, call: ApiCall) -> Reply:
        return call.created(self.tasks.create(call.actor, call.data), "tasks")

    def _get(self, call: ApiCall) -> Reply:
        return call.one(self._task(call))

    def _update(self, call: ApiCall) -> Reply:
        task = self._task(call)
        self.tasks.update(call.actor, task, call.data)
        return call.one(task)

    def _delete(self, call: ApiCall) -> Reply:
        self.tasks.trash(call.actor, self._task(call))
        return nothing()

    # Lists

    def _list(self, call: ApiCall) -> Reply:
        given = [name for name in _SELECTORS if call.query.get(name)]
        if len(given) != 1 or ("assignee" in given) != bool(call.query.get("workspace")):
            raise bad(_EXACTLY_ONE)
        selector, value = given[0], call.query[given[0]]
        if selector == "assignee":
            self.world.named(Workspace, "workspace", call.query["workspace"], call.actor)
            person = self.world.person("assignee", value)
            tasks = [task for task in self.world.all(Task) if task.assignee == person and not task.trashed]
        elif selector == "project":
            tasks = self._in_project(self.world.named(Project, "project", value, call.actor))
        elif selector == "section":
            tasks = self.world.tasks_in([self.world.named(Section, "section", value, call.actor).gid])
        else:
            raise bad(f"{selector}: Unknown object: {value}")
        return call.listing(self._filtered(call, tasks))

    def _in_project(self, project: Project) -> list[Task]:
        return self.world.tasks_in(project.sections)

    def _of_project(self, call: ApiCall) -> Reply:
        project = self.world.in_path(Project, call.ids["project"], call.actor)
        return call.listing(self._filtered(call, self._in_project(project)))

    def _of_section(self, call: ApiCall) -> Reply:
        section = self.world.in_path(Section, call.ids["section"], call.actor)
        return call.listing(self._filtered(call, self.world.tasks_in([section.gid])))

    def _filtered(self, call: ApiCall, tasks: Sequence[Task]) -> list[Task]:
        found = list(tasks)
        if call.query.get("modified_since"):
            since = moment("modified_since", call.query["modified_since"])
            found = [task for task in found if task.modified >= since]
        if call.query.get("completed_since"):
            since = self._completed_since(call.query["completed_since"])
            found = [task for task in found if task.completed_at is None or task.completed_at >= since]
        return found

    def _completed_since(self, text: str) -> datetime:
        if text == "now" and self.world.switches["completed_since_now"] == "incomplete":
            return self.world.clock.now()
        return moment("completed_since", text)

    # Subtasks

    def _subtasks(self, call: ApiCall) -> Reply:
        found = [self.world.get(Task, gid) for gid in self._task(call).subtasks]
        return call.listing([task for task in found if task.trashed is None])

    def _create_subtask(self, call: ApiCall) -> Reply:
        return call.created(self.tasks.create(call.actor, call.data, self._task(call)), "tasks")

    def _set_parent(self, call: ApiCall) -> Reply:
        call.only("parent", "insert_after", "insert_before")
        task, wanted = self._task(call), call.need("parent")
        parent = None if wanted is None else self.world.named(Task, "parent", wanted, call.actor)
        where = self.places.position(call.data, call.actor, Position())
        self.places.set_parent(call.actor, task, parent, where)
        return call.one(task)

    # Projects and followers

    def _projects(self, call: ApiCall) -> Reply:
        return call.listing([self.world.get(Project, gid) for gid in self._task(call).places])

    def _add_project(self, call: ApiCall) -> Reply:
        call.only("project", "section", "insert_after", "insert_before")
        task = self._task(call)
        project = self.world.named(Project, "project", call.need("project"), call.actor)
        section = None
        if call.data.get("section") is not None:
            section = self.world.named(Section, "section", call.data["section"], call.actor)
        where = self.places.position(call.data, call.actor, Position())
        self.places.add(call.actor, task, project, section=section, position=where)
        return nothing()

    def _remove_project(self, call: ApiCall) -> Reply:
        call.only("project")
        project = self.world.named(Project, "project", call.need("project"), call.actor)
        self.places.remove(call.actor, self._task(call), project)
        return nothing()

    def _people(self, call: ApiCall) -> list[str]:
        call.only("followers")
        given = call.need("followers")
        named = given.split(",") if isinstance(given, str) else array("followers", given)
        return [self.world.person("followers", who) for who in named]

    def _add_followers(self, call: ApiCall) -> Reply:
        task = self._task(call)
        task.followers += [who for who in dict.fromkeys(self._people(call)) if who not in task.followers]
        return call.one(task)

    def _remove_followers(self, call: ApiCall) -> Reply:
        task, gone = self._task(call), self._people(call)
        task.followers = [who for who in task.followers if who not in gone]
        return call.one(task)

    # Dependencies: a task's own ones, or those of the tasks that wait for it

    def _linked(self, call: ApiCall, ours: bool) -> Reply:
        task = self._task(call)
        if ours:
            return call.listing([self.world.get(Task, gid) for gid in task.dependencies])
        return call.listing(self.world.dependents(task))

    def _others(self, call: ApiCall, ours: bool) -> list[Task]:
        name = "dependencies" if ours else "dependents"
        call.only(name)
        return [
            self.world.named(Task, f"{name}: [{number}]", gid, call.actor)
            for number, gid in enumerate(array(name, call.need(name)))
        ]

    def _link(self, call: ApiCall, ours: bool) -> Reply:
        task = self._task(call)
        pairs = [(task, other) if ours else (other, task) for other in self._others(call, ours)]
        new = [(waiting, on) for waiting, on in pairs if on.gid not in waiting.dependencies]
        links = len(task.dependencies) + len(self.world.dependents(task))
        if links + len(new) > LINKS_OF_A_TASK:
            raise bad(f"A task can have at most {LINKS_OF_A_TASK} dependencies and dependents combined")
        for waiting, on in new:
            waiting.dependencies.append(on.gid)
            self.world.touched(waiting)
        return nothing()

    def _unlink(self, call: ApiCall, ours: bool) -> Reply:
        task = self._task(call)
        for other in self._others(call, ours):
            waiting, on = (task, other) if ours else (other, task)
            if on.gid in waiting.dependencies:
                waiting.dependencies.remove(on.gid)
                self.world.touched(waiting)
        return nothing()
