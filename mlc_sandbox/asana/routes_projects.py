"""Projects, their sections, and what a project's board looks like (vendors/asana.md section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlc_sandbox.asana.calls import ApiCall, Reply, nothing
from mlc_sandbox.asana.errors import bad, missing
from mlc_sandbox.asana.founding import new_project
from mlc_sandbox.asana.http import Gate
from mlc_sandbox.asana.places import Places, Position
from mlc_sandbox.asana.store import Membership, Project, Section, Setting, Task, Team, Workspace
from mlc_sandbox.asana.values import day, text
from mlc_sandbox.asana.world import World

VIEWS = ("list", "board", "calendar", "timeline")
PRIVACY = ("public_to_workspace", "private_to_team", "private")
_WRITABLE = (
    "name",
    "notes",
    "archived",
    "color",
    "default_view",
    "due_on",
    "start_on",
    "privacy_setting",
    "owner",
    "team",
)
# What the successor of a project's `team` is announced with (section 1).
_TEAM_CHANGE = "name=team_sunset;info=https://developers.asana.com/docs/deprecations;affected=true"


class ProjectRoutes:
    """/projects and /sections."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world, self.places = world, Places(world)
        gate.add("/projects", GET=self._list, POST=self._create)
        gate.add("/projects/{project}", GET=self._get, PUT=self._update, DELETE=self._delete)
        gate.add("/workspaces/{workspace}/projects", GET=self._list, POST=self._create)
        gate.add("/teams/{team}/projects", GET=self._list, POST=self._create)
        gate.add("/projects/{project}/task_counts", GET=self._counts)
        gate.add("/projects/{project}/sections", GET=self._sections, POST=self._create_section)
        gate.add("/projects/{project}/sections/insert", POST=self._insert_section)
        gate.add(
            "/sections/{section}",
            GET=lambda call: call.one(self._section(call)),
            PUT=self._rename_section,
            DELETE=self._delete_section,
        )
        gate.add("/sections/{section}/addTask", POST=self._add_task)

    def _project(self, call: ApiCall) -> Project:
        return self.world.in_path(Project, call.ids["project"], call.actor)

    def _list(self, call: ApiCall) -> Reply:
        team = call.ids.get("team") or call.query.get("team")
        if "workspace" in call.ids:
            self.world.in_path(Workspace, call.ids["workspace"], call.actor)
        if team is not None:
            self.world.in_path(Team, team, call.actor)
        archived = {"true": True, "false": False}.get(call.query.get("archived", ""))
        found = [
            project
            for project in self.world.all(Project)
            if self.world.sees(project, call.actor.user)
            and team in (None, project.team)
            and archived in (None, project.archived)
        ]
        return call.listing(found)

    def _get(self, call: ApiCall) -> Reply:
        return call.one(self._project(call))

    def _create(self, call: ApiCall) -> Reply:
        call.only(*_WRITABLE, "workspace", "followers")
        if not call.data.get("name"):
            raise missing("name")
        team, values = self._team(call), self._read(call.data)
        project = new_project(self.world, "", call.actor.user, team)
        self._write(project, values)
        self.world.add(Membership(self.world.new_gid(), project.gid, call.actor.user, "admin"))
        if team is not None:
            self.world.add(Membership(self.world.new_gid(), project.gid, team, "editor"))
        self.world.record(call.actor, "added", project, parent=self.world.workspace)
        reply = call.created(project, "projects")
        if "team" in call.data or "team" in call.ids:
            reply.headers["Asana-Change"] = _TEAM_CHANGE
        return reply

    def _team(self, call: ApiCall) -> str | None:
        """An organization's project has a team; the team's own address names it."""
        if "workspace" in call.ids:
            self.world.in_path(Workspace, call.ids["workspace"], call.actor)
        if "team" in call.ids:
            return self.world.in_path(Team, call.ids["team"], call.actor).gid
        if call.data.get("team") is not None:
            return self.world.named(Team, "team", call.data["team"], call.actor).gid
        if "workspace" not in call.ids:
            if "workspace" not in call.data:
                raise missing("workspace")
            self.world.named(Workspace, "workspace", call.data["workspace"], call.actor)
        if self.world.switches["team_required"]:
            raise bad("Missing required team field")
        return None

    def _read(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """What a body says, as attributes of a project. Raises ApiError 400."""
        if data.get("default_view", "list") not in VIEWS:
            raise bad(f"default_view: Not a valid view: {data['default_view']}")
        if data.get("privacy_setting", "private") not in PRIVACY:
            raise bad(f"privacy_setting: Not a valid privacy setting: {data['privacy_setting']}")
        names = {"default_view": "view", "privacy_setting": "privacy"}
        names |= {name: name for name in ("archived", "color")}
        read = {attribute: data[name] for name, attribute in names.items() if name in data}
        read |= {name: text(name, data[name]) for name in ("name", "notes") if name in data}
        for name in ("due_on", "start_on"):
            if name in data:
                read[name] = None if data[name] is None else day(name, data[name])
        if "owner" in data:
            read["owner"] = None if data["owner"] is None else self.world.person("owner", data["owner"])
        return read

    def _write(self, project: Project, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            setattr(project, name, value)
        project.modified = self.world.clock.now()

    def _update(self, call: ApiCall) -> Reply:
        call.only(*_WRITABLE)
        project = self._project(call)
        self._write(project, self._read(call.data))
        self.world.record(call.actor, "changed", project, change={"field": "name", "action": "changed"})
        return call.one(project)

    def _delete(self, call: ApiCall) -> Reply:
        project = self._project(call)
        for gid in project.sections:
            section = self.world.get(Section, gid)
            for task in section.tasks:
                del self.world.get(Task, task).places[project.gid]
            self.world.remove(section)
        for belonging in (*self.world.all(Setting), *self.world.all(Membership)):
            if belonging.project == project.gid:
                self.world.remove(belonging)
        self.world.record(call.actor, "deleted", project)
        self.world.remove(project)
        return nothing()

    def _counts(self, call: ApiCall) -> Reply:
        """Nothing without opt_fields, and dear: every task is touched."""
        tasks = self.world.tasks_in(self._project(call).sections)
        call.view.cost += len(tasks)
        done = sum(task.completed for task in tasks)
        milestones = [task for task in tasks if task.kind == "milestone"]
        done_milestones = sum(task.completed for task in milestones)
        counts = {
            "num_tasks": len(tasks),
            "num_incomplete_tasks": len(tasks) - done,
            "num_completed_tasks": done,
            "num_milestones": len(milestones),
            "num_incomplete_milestones": len(milestones) - done_milestones,
            "num_completed_milestones": done_milestones,
        }
        wanted = call.selection or {}
        return Reply({"data": {name: count for name, count in counts.items() if name in wanted}})

    # Sections

    def _section(self, call: ApiCall) -> Section:
        return self.world.in_path(Section, call.ids["section"], call.actor)

    def _sections(self, call: ApiCall) -> Reply:
        return call.listing([self.world.get(Section, gid) for gid in self._project(call).sections])

    def _create_section(self, call: ApiCall) -> Reply:
        call.only("name", "insert_after", "insert_before")
        project = self._project(call)
        if not call.data.get("name"):
            raise missing("name")
        beside = [
            self._beside(call, project, name)
            for name in ("insert_after", "insert_before")
            if name in call.data
        ]
        section = Section(
            self.world.new_gid(), text("name", call.data["name"]), project.gid, self.world.clock.now()
        )
        self.world.add(section)
        project.sections.insert(beside[0] if beside else len(project.sections), section.gid)
        self.world.record(call.actor, "added", section, parent=project)
        return call.created(section, "sections")

    def _beside(self, call: ApiCall, project: Project, name: str) -> int:
        other = self.world.named(Section, name, call.data[name], call.actor)
        if other.gid not in project.sections:
            raise bad(f"{name}: Section {other.gid} is not in project {project.gid}")
        return project.sections.index(other.gid) + (name in ("insert_after", "after_section"))

    def _insert_section(self, call: ApiCall) -> Reply:
        call.only("section", "before_section", "after_section")
        project = self._project(call)
        moved = self.world.named(Section, "section", call.need("section"), call.actor)
        beside = [name for name in ("before_section", "after_section") if name in call.data]
        if len(beside) != 1 or moved.gid not in project.sections:
            raise bad("You must provide exactly one of before_section or after_section")
        self._beside(call, project, beside[0])
        project.sections.remove(moved.gid)
        project.sections.insert(self._beside(call, project, beside[0]), moved.gid)
        return nothing()

    def _rename_section(self, call: ApiCall) -> Reply:
        call.only("name")
        section = self._section(call)
        section.name = text("name", call.need("name"))
        self.world.record(call.actor, "changed", section, change={"field": "name", "action": "changed"})
        return call.one(section)

    def _delete_section(self, call: ApiCall) -> Reply:
        section = self._section(call)
        project = self.world.get(Project, section.project)
        if self.world.tasks_in([section.gid]) or len(project.sections) == 1:
            raise bad("Cannot delete a section that has tasks, or the last section of a project")
        project.sections.remove(section.gid)
        self._rescue_trash(section, project)
        self.world.record(call.actor, "deleted", section, parent=project)
        self.world.remove(section)
        return nothing()

    def _rescue_trash(self, section: Section, project: Project) -> None:
        """Tasks in the trash keep a place to come back to."""
        first = self.world.get(Section, project.sections[0])
        for gid in section.tasks:
            self.world.get(Task, gid).places[project.gid] = first.gid
            first.tasks.append(gid)

    def _add_task(self, call: ApiCall) -> Reply:
        call.only("task", "insert_after", "insert_before")
        section = self._section(call)
        task = self.world.named(Task, "task", call.need("task"), call.actor)
        where = self.places.position(call.data, call.actor, Position(last=False))
        project = self.world.get(Project, section.project)
        self.places.add(call.actor, task, project, section=section, position=where)
        return nothing()
