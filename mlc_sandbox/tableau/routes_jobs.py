"""Jobs, refreshes with their tasks, and runs of flows (sections 7 and 8)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox.tableau.calls import NO_CONTENT, ApiCall, Reply, reply
from mlc_sandbox.tableau.errors import ApiError
from mlc_sandbox.tableau.http import PUBLISH_ROLES, Method, Room
from mlc_sandbox.tableau.jobs import LIST_KINDS, PUBLISH, REFRESH, RUN_FLOW, UPDATE
from mlc_sandbox.tableau.paging import page
from mlc_sandbox.tableau.store import Flow, FlowRun, Job, Site, Task, luid
from mlc_sandbox.tableau.wire import node, stamp
from mlc_sandbox.tableau.world import VENDOR

_READ, _RUN = "tableau:tasks:read", "tableau:tasks:run"
_STATUS = {0: "Success", 1: "Failed", 2: "Cancelled", 3: "Success"}
_WEEKLY = ("Hourly", "Daily")


class JobRoutes(Room):
    """What runs, and what can be set running."""

    def routes(self) -> Sequence[Route]:
        """All routes of this room."""
        jobs, tasks = "tableau:jobs:read", "/tasks/extractRefreshes"
        return [
            self.gate.route("/jobs", GET=Method(self._jobs, jobs)),
            self.gate.route(
                "/jobs/{job}", GET=Method(self._job, jobs), PUT=Method(self._cancel, "tableau:jobs:cancel")
            ),
            self.gate.route(
                "/datasources/{datasource}/refresh",
                POST=Method(self._refresh, "tableau:datasources:update", "refreshes"),
            ),
            self.gate.route(
                tasks, GET=Method(self._tasks, _READ), POST=Method(self._create_task, "tableau:tasks:write")
            ),
            self.gate.route(
                f"{tasks}/{{task}}",
                GET=Method(self._task, _READ),
                DELETE=Method(self._delete_task, "tableau:tasks:delete"),
            ),
            self.gate.route(f"{tasks}/{{task}}/runNow", POST=Method(self._run_task, _RUN, "refreshes")),
            self.gate.route("/flows", GET=Method(self._flows, "tableau:content:read")),
            self.gate.route("/flows/runs", GET=Method(self._flow_runs, "tableau:flow_runs:read")),
            self.gate.route("/flows/runs/{run}", GET=Method(self._flow_run, "tableau:flow_runs:read")),
            self.gate.route("/flows/{flow}", GET=Method(self._flow, "tableau:content:read")),
            self.gate.route(
                "/flows/{flow}/run", POST=Method(self._run_flow, "tableau:flows:run", "refreshes")
            ),
        ]

    # Jobs

    def _jobs(self, call: ApiCall) -> Reply:
        found = [self._background(job) for job in self.site(call).jobs.values()]
        return reply(*page("backgroundJobs", found, call.query))

    def _job(self, call: ApiCall) -> Reply:
        job = self._find_job(call)
        ended = self._looked_at(job)
        return reply(job_element(self.site(call), job, ended=ended))

    def _cancel(self, call: ApiCall) -> Response:
        self.world.jobs.cancel(self.site(call), self._find_job(call))
        return Response()

    def _find_job(self, call: ApiCall) -> Job:
        found = self.site(call).jobs.get(call.ids["job"])
        if found is None or self.world.faults.take(VENDOR, "job_unknown", call.line) is not None:
            raise ApiError(404018, f"Job {call.ids['job']} does not exist.")
        return found

    def _looked_at(self, job: Job) -> bool:
        """Whether this look shows the job as ended; counts it."""
        shown = job.ended is not None and job.polls >= self.world.switches["job_polls"]
        job.polls += 1
        return shown

    def _background(self, job: Job) -> Element:
        ended = self._looked_at(job)
        running = "InProgress" if job.started else "Pending"
        attributes = {
            "id": job.id,
            "status": _STATUS.get(job.code if job.code is not None else 1, "Failed") if ended else running,
            "jobType": LIST_KINDS[job.kind],
            "priority": 0,
            "createdAt": job.created,
            "startedAt": job.started,
            "endedAt": job.ended if ended else None,
            "title": job.title,
            "subtitle": "Data Source" if job.kind != RUN_FLOW else "Flow",
        }
        return node("backgroundJob", attributes)

    # Refreshes and tasks

    def _refresh(self, call: ApiCall) -> Reply:
        self.require(call, PUBLISH_ROLES)
        site = self.site(call)
        source = site.datasources.get(call.ids["datasource"])
        if source is None:
            raise ApiError(404004, f"Data source {call.ids['datasource']} does not exist.")
        if source.file is not None and self.world.switches["refresh_of_hyper"] == "refused":
            raise ApiError(400000, f"'{source.name}' has no connection to refresh its extract from.")
        return reply(job_element(site, self.world.jobs.refresh(site, source, call.line)), status=202)

    def _tasks(self, call: ApiCall) -> Reply:
        return reply(node("tasks", {}, *(_task(task) for task in self.site(call).tasks.values())))

    def _task(self, call: ApiCall) -> Reply:
        return reply(_task(self._find_task(call)))

    def _create_task(self, call: ApiCall) -> Reply:
        self.require(call, PUBLISH_ROLES)
        site, request = self.site(call), call.request()
        refresh, schedule = request.find("extractRefresh"), request.find("schedule")
        source = None if refresh is None else refresh.find("datasource")
        if refresh is None or source is None or schedule is None:
            raise ApiError(400000, "The request needs extractRefresh with datasource, and schedule.")
        if source.get("id") not in site.datasources:
            raise ApiError(404004, f"Data source {source.get('id')} does not exist.")
        task = _scheduled(source.get("id", ""), schedule)
        task.incremental = refresh.get("type") == "IncrementalRefresh"
        site.tasks[task.id] = task
        inner = _refresh_element(task)
        planned = inner.find("schedule")
        assert planned is not None
        inner.remove(planned)
        return reply(inner, planned)

    def _delete_task(self, call: ApiCall) -> Reply:
        del self.site(call).tasks[self._find_task(call).id]
        return NO_CONTENT

    def _run_task(self, call: ApiCall) -> Reply:
        site = self.site(call)
        task = self._find_task(call)
        job = self.world.jobs.refresh(site, site.datasources[task.datasource], call.line, task=task)
        return reply(job_element(site, job))

    def _find_task(self, call: ApiCall) -> Task:
        found = self.site(call).tasks.get(call.ids["task"])
        if found is None:
            raise ApiError(404026, f"Task {call.ids['task']} does not exist.")
        return found

    # Flows

    def _flows(self, call: ApiCall) -> Reply:
        site = self.site(call)
        return reply(*page("flows", [_flow(site, flow) for flow in site.flows.values()], call.query))

    def _flow(self, call: ApiCall) -> Reply:
        return reply(_flow(self.site(call), self._find_flow(call)))

    def _run_flow(self, call: ApiCall) -> Reply:
        self.require(call, PUBLISH_ROLES)
        site, flow = self.site(call), self._find_flow(call)
        return reply(job_element(site, self.world.jobs.run_flow(site, flow.id, call.line)))

    def _flow_runs(self, call: ApiCall) -> Reply:
        site = self.site(call)
        return reply(node("flowRuns", {}, *(self._run(site, run) for run in site.flow_runs.values())))

    def _flow_run(self, call: ApiCall) -> Reply:
        site = self.site(call)
        if call.ids["run"] not in site.flow_runs:
            raise ApiError(404018, f"Flow run {call.ids['run']} does not exist.")
        return reply(self._run(site, site.flow_runs[call.ids["run"]]))

    def _run(self, site: Site, run: FlowRun) -> Element:
        shown = self._background(site.jobs[run.job])
        attributes = {
            "id": run.id,
            "flowId": run.flow,
            "status": shown.get("status"),
            "startedAt": shown.get("startedAt"),
            "completedAt": shown.get("endedAt"),
            "progress": 100 if shown.get("endedAt") else 0,
            "backgroundJobId": run.job,
        }
        return node("flowRun", attributes)

    def _find_flow(self, call: ApiCall) -> Flow:
        found = self.site(call).flows.get(call.ids["flow"])
        if found is None:
            raise ApiError(404003, f"Flow {call.ids['flow']} does not exist.")
        return found


def job_element(site: Site, job: Job, *, ended: bool = False) -> Element:
    """`<job/>` as its creation (not ended) and the single-job view show it."""
    attributes = {
        "id": job.id,
        "mode": "Asynchronous",
        "type": job.kind,
        "progress": 100 if ended else 0,
        "createdAt": job.created,
        "startedAt": job.started,
        "completedAt": _completed(job) if ended else None,
        "finishCode": job.code if ended else _pending_code(job),
    }
    return node("job", attributes, *_details(site, job, ended=ended))


def _pending_code(job: Job) -> int | None:
    """A publish job says 1 (failed) as long as it runs; the others say nothing."""
    return 1 if job.kind in (PUBLISH, REFRESH) else None


def _completed(job: Job) -> str | None:
    assert job.ended is not None
    form = job.fault.get("completed_at", "exact")
    if form == "fraction":  # a form that clients of this API cannot read
        return f"{job.ended:%Y-%m-%dT%H:%M:%S.%f}Z"
    return None if form == "missing" else stamp(job.ended)


def _details(site: Site, job: Job, *, ended: bool) -> list[Element]:
    source = site.datasources.get(job.datasource or "")
    named = None if source is None else node("datasource", {"id": source.id, "name": source.name})
    notes = node("notes", text=job.note) if ended and job.note else None
    if job.kind == UPDATE:
        connection = node("connectionLuid", text=job.connection)
        return [node("updateUploadedFileJob", {}, named, connection, notes)]
    if job.kind == RUN_FLOW:
        run = site.flow_runs[job.flow_run or ""]
        flow = node("flow", {"id": run.flow, "name": job.title})
        return [node("runFlowJobType", {"flowRunId": run.id}, flow, notes)]
    return [node("extractRefreshJob", {}, notes, named)] if job.kind == REFRESH or notes is not None else []


def _task(task: Task) -> Element:
    return node("task", {}, _refresh_element(task))


def _refresh_element(task: Task) -> Element:
    intervals = [node("interval", {name: value}) for name, value in task.intervals]
    details = node("frequencyDetails", {"start": task.start}, node("intervals", {}, *intervals))
    attributes = {
        "id": task.id,
        "type": "RefreshExtractTask",
        "priority": 50,
        "consecutiveFailedCount": task.failures,
        "incremental": task.incremental,
    }
    return node(
        "extractRefresh",
        attributes,
        node("schedule", {"frequency": task.frequency}, details),
        node("datasource", {"id": task.datasource}),
    )


def _scheduled(datasource: str, schedule: Element) -> Task:
    """Raises ApiError 409004: times on five-minute marks; hourly and daily need a day of the week."""
    frequency, details = schedule.get("frequency", ""), schedule.find("frequencyDetails")
    start = "" if details is None else details.get("start", "")
    intervals = [] if details is None else [item for one in details.iter("interval") for item in one.items()]
    if not re.fullmatch(r"\d\d:\d[05](:00)?", start):
        raise ApiError(409004, f"The start {start!r} is not on a five-minute mark.")
    if frequency not in (*_WEEKLY, "Weekly", "Monthly"):
        raise ApiError(409004, f"There is no frequency {frequency!r}.")
    if frequency in _WEEKLY and not any(name == "weekDay" for name, _ in intervals):
        raise ApiError(409004, f"{frequency} needs an interval with a weekDay.")
    return Task(luid(), datasource, frequency, start, intervals)


def _flow(site: Site, flow: Flow) -> Element:
    project = site.projects[flow.project]
    attributes = {"id": flow.id, "name": flow.name, "createdAt": flow.created, "updatedAt": flow.created}
    return node(
        "flow",
        attributes,
        node("project", {"id": project.id, "name": project.name}),
        node("owner", {"id": flow.owner}),
    )
