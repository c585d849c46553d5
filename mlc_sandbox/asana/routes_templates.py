"""Project templates and the jobs that instantiate them (vendors/asana.md section 4)."""

from __future__ import annotations

from typing import Any

from mlc_sandbox.asana.calls import ApiCall, Reply, nothing
from mlc_sandbox.asana.errors import ApiError, bad, missing, too_many
from mlc_sandbox.asana.founding import new_project
from mlc_sandbox.asana.http import Gate
from mlc_sandbox.asana.login import Actor
from mlc_sandbox.asana.store import Job, Membership, Project, Section, Team, Template, Variable
from mlc_sandbox.asana.tasks import Tasks
from mlc_sandbox.asana.values import array, day, text
from mlc_sandbox.asana.world import World

_NEXT = {"not_started": "in_progress", "in_progress": "succeeded"}


class TemplateRoutes:
    """/project_templates and /jobs."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world, self.tasks = world, Tasks(world)
        gate.add("/project_templates", GET=self._list)
        gate.add("/teams/{team}/project_templates", GET=self._list)
        gate.add("/project_templates/{project_template}", GET=self._get, DELETE=self._delete)
        gate.add("/project_templates/{project_template}/instantiateProject", POST=self._instantiate)
        gate.add("/jobs/{job}", GET=self._job)

    def _template(self, call: ApiCall) -> Template:
        return self.world.in_path(Template, call.ids["project_template"], call.actor)

    def _list(self, call: ApiCall) -> Reply:
        team = call.ids.get("team") or call.query.get("team")
        if team is not None:
            self.world.in_path(Team, team, call.actor)
        return call.listing([found for found in self.world.all(Template) if team in (None, found.team)])

    def _get(self, call: ApiCall) -> Reply:
        return call.one(self._template(call))

    def _delete(self, call: ApiCall) -> Reply:
        self.world.remove(self._template(call))
        return nothing()

    def _instantiate(self, call: ApiCall) -> Reply:
        call.only(
            "name", "team", "privacy_setting", "is_strict", "public", "requested_dates", "requested_roles"
        )
        template = self._template(call)
        if not call.data.get("name"):
            raise missing("name")
        team = template.team
        if call.data.get("team") is not None:
            team = self.world.named(Team, "team", call.data["team"], call.actor).gid
        dates = self._given(call, "requested_dates", template.dates)
        for gid, value in dates.items():
            day(f"requested_dates: {gid}", value)
        absent = [variable.name for variable in template.dates if variable.gid not in dates]
        if absent and call.data.get("is_strict", False):
            raise ApiError(422, f"requested_dates: Missing values for: {', '.join(absent)}")
        roles = self._given(call, "requested_roles", template.roles)
        people = {gid: self.world.person(f"requested_roles: {gid}", value) for gid, value in roles.items()}
        running = [job for job in self.world.all(Job) if job.status in _NEXT]
        if len(running) >= self.world.switches.limit("jobs_at_once"):
            raise too_many(10)
        privacy = call.data.get("privacy_setting", "public_to_workspace")
        project = new_project(
            self.world, text("name", call.data["name"]), call.actor.user, team, privacy=privacy
        )
        project.template = template.gid
        self.world.add(Membership(self.world.new_gid(), project.gid, call.actor.user, "admin"))
        job = Job(
            self.world.new_gid(),
            call.actor.user,
            "project_template_instantiate_project",
            project.gid,
            template.gid,
            people,
        )
        return call.created(self.world.add(job), "jobs")

    def _given(self, call: ApiCall, name: str, variables: list[Variable]) -> dict[str, Any]:
        """Variable gid to value. Raises ApiError 400 for one that the template does not ask for."""
        items = array(name, call.data.get(name))
        if not all(isinstance(item, dict) for item in items):
            raise bad(f"{name}: Value is not an Array of JSON objects: {items}")
        given = {str(item.get("gid")): item.get("value") for item in items}
        for gid in given:
            if gid not in {variable.gid for variable in variables}:
                raise bad(f"{name}: Unknown object: {gid}")
        return given

    def _job(self, call: ApiCall) -> Reply:
        """A read shows the state, and so many reads bring the next one. Only the creator may look."""
        job = self.world.in_path(Job, call.ids["job"], call.actor)
        if job.owner != call.actor.user:
            raise ApiError(403, "You do not have access to this job.")
        if job.status in _NEXT:
            job.polls += 1
            if job.polls > self.world.switches["job_polls"]:
                job.status, job.polls = _NEXT[job.status], 0
                if job.status == "succeeded":
                    self._fill(call.actor, job)
        return call.one(job)

    def _fill(self, actor: Actor, job: Job) -> None:
        """Sections and tasks come last: until then the project is there and not complete."""
        project = self.world.get(Project, job.project)
        template: Template | None = self.world.get(Template, job.template)
        if project is None or template is None:
            job.status = "failed"
            return
        first = self.world.get(Section, project.sections[0])
        for number, (name, tasks) in enumerate(template.sections.items()):
            section = first
            if number:
                section = Section(self.world.new_gid(), "", project.gid, self.world.clock.now())
                project.sections.append(self.world.add(section).gid)
            section.name = name
            for task in tasks:
                place = {"project": project.gid, "section": section.gid}
                values: dict[str, Any] = {"name": task, "memberships": [place], "projects": [project.gid]}
                if job.roles:
                    values["assignee"] = next(iter(job.roles.values()))
                self.tasks.create(actor, values)
