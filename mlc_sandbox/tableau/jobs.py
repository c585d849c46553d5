"""Asynchronous jobs: what they do, when, and how they end (section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mlc_sandbox.tableau.actions import ActionFailed, Rules
from mlc_sandbox.tableau.errors import ApiError
from mlc_sandbox.tableau.hyper import Unusable
from mlc_sandbox.tableau.publishing import Publication, publish
from mlc_sandbox.tableau.store import DataSource, FlowRun, Job, Site, Task, luid

if TYPE_CHECKING:
    from mlc_sandbox.tableau.world import World

PUBLISH, UPDATE, REFRESH, RUN_FLOW = "PublishDatasource", "UpdateUploadedFile", "RefreshExtract", "RunFlow"
# The list of jobs has other words than a single job.
LIST_KINDS: Mapping[str, str] = {
    PUBLISH: "publish_datasource",
    UPDATE: "update_uploaded_file",
    REFRESH: "refresh_extracts",
    RUN_FLOW: "run_flow",
}
CANCELLABLE = (REFRESH, RUN_FLOW)
CANCELLED = 2


@dataclass(slots=True)
class Update:
    """A data update that waits: which actions, with the uploaded file."""

    actions: list[dict[str, Any]]
    file: str | None


@dataclass(slots=True)
class Refresh:
    """A refresh of an extract, or a run of a flow, that waits."""


class Jobs:
    """All jobs that wait or have run; `order` says which are waiting, as (site, job)."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.order: list[tuple[str, str]] = []

    def start(self, site: Site, job: Job, line: str) -> Job:
        """Queue a job; faults armed for its request decide how it will end."""
        faults, now = self.world.faults, self.world.clock.wire()
        stuck = faults.take("tableau", "job_stuck", line)
        if stuck is not None:
            job.stuck_until = now + timedelta(seconds=stuck.get("seconds", 3600))
        job.fault = dict(faults.take("tableau", "job_ends", line) or {})
        site.jobs[job.id] = job
        self.order.append((site.id, job.id))
        if job.kind == REFRESH and job.datasource is not None:
            self.world.webhooks.fire(site, "refresh-started", site.datasources[job.datasource])
        return job

    def update(self, site: Site, source: DataSource, work: Update, line: str) -> Job:
        """Queue a data update."""
        job = Job(luid(), UPDATE, self.world.clock.wire(), source.name, work, source.id, source.connection)
        return self.start(site, job, line)

    def refresh(self, site: Site, source: DataSource, line: str = "", *, task: Task | None = None) -> Job:
        """Queue a refresh, perhaps of a task. Raises ApiError 409093 when one is queued already."""
        self.refuse_second(site, REFRESH, source.id)
        job = Job(luid(), REFRESH, self.world.clock.wire(), source.name, Refresh(), source.id)
        job.task = task.id if task else None
        return self.start(site, job, line)

    def run_flow(self, site: Site, flow: str, line: str = "") -> Job:
        """Queue a run of a flow. Raises ApiError 409093 when one is queued already."""
        self.refuse_second(site, RUN_FLOW, flow)
        job = Job(luid(), RUN_FLOW, self.world.clock.wire(), site.flows[flow].name, Refresh())
        run = FlowRun(luid(), flow, job.id)
        site.flow_runs[run.id], job.flow_run = run, run.id
        return self.start(site, job, line)

    def refuse_second(self, site: Site, kind: str, target: str) -> None:
        """Raises ApiError 409093 when such a job waits for the same data source or flow."""
        for job in self.waiting(site):
            flow = site.flow_runs[job.flow_run].flow if job.flow_run else None
            if job.kind == kind and target in (job.datasource, flow):
                raise ApiError(409093, f"Job for '{job.title}' is already queued. Not queuing a duplicate.")

    def waiting(self, site: Site) -> list[Job]:
        """The site's jobs that have not ended."""
        return [site.jobs[job] for where, job in self.order if where == site.id]

    def catch_up(self, *, all_of_it: bool = False) -> int:
        """Run what is due, in order; how many jobs ended."""
        ended = 0
        for where, number in list(self.order):
            site = self.world.sites[where]
            job = site.jobs[number]
            if all_of_it or self._due(job):
                self.order.remove((where, number))
                self._run(site, job)
                ended += 1
        return ended

    def release(self) -> int:
        """Everything that waits or is stuck happens now; how many there were."""
        return self.catch_up(all_of_it=True)

    def cancel(self, site: Site, job: Job) -> None:
        """Raises ApiError 403091 when it has ended, 403004 for a kind that cannot be cancelled."""
        if (site.id, job.id) not in self.order:
            raise ApiError(403091, "The job has already finished.")
        if job.kind not in CANCELLABLE:
            raise ApiError(403004, f"Jobs of type {job.kind} cannot be cancelled.")
        self.order.remove((site.id, job.id))
        self._end(job, CANCELLED, "Cancelled")

    def run_schedules(self) -> int:
        """A day's scheduled refreshes; how many."""
        due = [(site, task) for site in self.world.sites.values() for task in site.tasks.values()]
        for site, task in due:
            self.refresh(site, site.datasources[task.datasource], task=task)
            self.release()
        return len(due)

    def files(self) -> list[str]:
        """The files that waiting jobs still need."""
        works = [self.world.sites[where].jobs[job].work for where, job in self.order]
        return [work.file for work in works if isinstance(work, Update | Publication) and work.file]

    def _due(self, job: Job) -> bool:
        now = self.world.clock.wire()
        if job.stuck_until is not None and now < job.stuck_until:
            return False
        return now >= job.created + timedelta(seconds=self.world.switches["job_seconds"])

    def _run(self, site: Site, job: Job) -> None:
        code: int | None = self.world.switches["success_code"]
        note: str | None = None
        job.started = self.world.clock.wire()
        if not job.fault or job.fault.get("applied", False):
            try:
                self._do(site, job)
            except (ActionFailed, Unusable, ApiError) as error:
                code, note = 1, str(error)
        if isinstance(job.work, Update | Publication):
            self.world.files.drop(job.work.file)
        if job.fault:
            code, note = job.fault.get("code", 1), job.fault.get("note", note)
        self._end(job, code, note)
        self._tell(site, job, failed=code in (1, CANCELLED))

    def _tell(self, site: Site, job: Job, *, failed: bool) -> None:
        """Write a job's end into what it was about, and tell who asked for such events."""
        what = "failed" if failed else "succeeded"
        if job.task in site.tasks:
            task = site.tasks[job.task]
            task.failures = task.failures + 1 if failed else 0
        if (source := site.datasources.get(job.datasource or "")) is not None:
            self.world.note(source, f"{job.kind} {what}", job.id, job.note or "")
            if job.kind == REFRESH:
                self.world.webhooks.fire(site, f"refresh-{what}", source)
        if job.flow_run is not None:
            self.world.webhooks.fire(site, "completed", site.flows[site.flow_runs[job.flow_run].flow])

    def _end(self, job: Job, code: int | None, note: str | None) -> None:
        job.ended, job.code, job.note, job.work = self.world.clock.wire(), code, note, None
        job.started = job.started or job.ended

    def _do(self, site: Site, job: Job) -> None:
        if isinstance(job.work, Publication):
            job.datasource = publish(self.world, site, job.work).id
        elif isinstance(job.work, Update):
            self._update(site, job, job.work)
        elif job.kind == REFRESH:
            self._refreshed(site, job)

    def _refreshed(self, site: Site, job: Job) -> None:
        source = site.datasources.get(job.datasource or "")
        if source is None:
            raise ActionFailed("The data source is gone.")
        if source.file is not None:
            raise ActionFailed("The extract has no connection to refresh it from.")
        source.updated = self.world.clock.wire()

    def _update(self, site: Site, job: Job, work: Update) -> None:
        """On a copy of the file: nobody sees half of it."""
        world = self.world
        source = site.datasources.get(job.datasource or "")
        if source is None or source.file is None:
            raise ActionFailed("The data source is gone.")
        changed = world.files.copy(source.file)
        payload = world.files.path(work.file) if work.file else None
        try:
            world.hyper.apply(world.files.path(changed), payload, work.actions, self._rules())
        except (ActionFailed, Unusable):
            if world.switches["actions_atomic"]:
                world.files.drop(changed)
            else:
                self._replace(source, changed)
            raise
        self._replace(source, changed)
        if world.switches["update_fires_event"]:
            world.webhooks.fire(site, "updated", source)

    def _replace(self, source: DataSource, changed: str) -> None:
        self.world.files.drop(source.file)
        source.file, source.updated = changed, self.world.clock.wire()

    def _rules(self) -> Rules:
        switches = self.world.switches
        return Rules(
            by_position=switches["column_matching"] == "position",
            ignore_unknown=switches["unknown_column"] == "ignored",
            null_missing=switches["missing_column"] == "null",
            refuse_duplicates=switches["duplicate_source_keys"] == "fails",
            null_equals_null=switches["null_keys"] == "equal",
            more_operators=switches["more_operators"],
        )
