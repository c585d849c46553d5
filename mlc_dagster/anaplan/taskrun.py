"""One run of a task, in steps a crash may interrupt anywhere: it is resumed, and never started twice."""

import hashlib
import logging
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from mlc_dagster.anaplan.answers import FileFormat, Task, TaskResult
from mlc_dagster.anaplan.client import AnaplanClient, Kind
from mlc_dagster.anaplan.csvfile import CsvFile
from mlc_dagster.anaplan.verdict import Verdict, judge, judge_step
from mlc_dagster.clock import Clock
from mlc_dagster.transport.errors import Again, CallFailed, Closed, InDoubt

DUMP_CHARACTERS = 20_000
# Anaplan removes an upload after 48 hours (vendors/anaplan.md section 6). A process that slept for more than
# this between upload and start uploads again.
FRESH = timedelta(hours=1)
PIECE_BYTES = 1_000_000
# Attempts to upload a file whose chunks stay without an answer.
UPLOADS = 3
# The role of a task, or of a step of a process, that reads no file of ours.
STEP = "step"

log = logging.getLogger(__name__)


class TaskBusy(Exception):
    """The object is running already, started by somebody else: its files must not be touched now."""


class StillRunning(Exception):
    """The deadline has passed before the end was seen. What is known is on file: a later run resumes it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between polls and until patience ends.

    Anaplan asks for no more than a poll every 5 s (vendors/anaplan.md section 3): small imports end within
    the first quick ones, long ones are asked every `longest`. `grace` is how long a start whose answer was
    lost may take to show up among the import's tasks.
    """

    first: float = 0.2
    growth: float = 2
    longest: float = 60
    deadline: float = 3600
    grace: float = 30

    def pauses(self) -> Iterator[float]:
        """Growing pauses with 20 % jitter, so that many runs do not poll in step."""
        pause = self.first
        while True:
            yield pause * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, no secret
            pause = min(pause * self.growth, self.longest)


@dataclass(frozen=True, slots=True)
class Action:
    """An import that passed pre-flight: its id, its file's id, and how the file is written."""

    id: str
    name: str
    file_id: str
    layout: FileFormat


@dataclass(frozen=True, slots=True)
class Load:
    """One file of a job and the import that reads it. `role` is list or data; `key` the columns of a code."""

    role: str
    action: Action
    file: CsvFile
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """What one task shall do: run an import, a process or an action, with the files its imports read.

    `parameters` answers runtime prompts, as the API takes them (vendors/anaplan.md section 7).
    """

    kind: Kind
    id: str
    name: str
    loads: tuple[Load, ...] = ()
    parameters: tuple[Mapping[str, str], ...] = ()

    @property
    def fingerprint(self) -> str:
        """Of the files' bytes: results are read line by line, so they must be those that were sent."""
        digest = hashlib.sha256()
        for load in self.loads:
            for piece in load.file.content.pieces(PIECE_BYTES):
                digest.update(piece)
        return digest.hexdigest()


@dataclass(slots=True)
class TaskRun:
    """The states are none, `starting` (the start may have been sent), `started` (task id known) and `done`.

    `note` is what an earlier process saved; `save` makes it durable before it returns. A state is saved
    before the call it announces, so whatever survives a crash says what may have happened.
    """

    client: AnaplanClient
    job: Job
    note: Mapping[str, Any]
    save: Callable[[Mapping[str, Any]], None]
    pace: Pace

    @property
    def begun(self) -> bool:
        """Whether the task may be running or have run."""
        return "state" in self.note

    def finish(self) -> dict[str, Verdict]:
        """Carry the task to its end from wherever it is; returns a verdict for each role.

        Raises:
            TaskBusy: before anything was sent.
            StillRunning: after the start; a later call resumes.
            CallFailed: of the client; `begun` says whether the task may have been started.
        """
        if self.note.get("state") == "done":
            return {role: Verdict(**verdict) for role, verdict in self.note["verdicts"].items()}
        if not self.begun:
            self._start()
        task_id = self.note.get("task") or self._adopt()
        verdicts = self._watch(task_id) if task_id else self._all(NOT_STARTED)
        kept = {role: asdict(verdict) for role, verdict in verdicts.items()}
        self._keep({"state": "done", "task": task_id, "verdicts": kept})
        return verdicts

    def _start(self) -> None:
        newest = self._newest()
        uploaded_at = self._upload()
        self._keep(
            {
                "state": "starting",
                "newest": newest,
                "object": self.job.id,
                "sha256": self.job.fingerprint,
                "rows": {load.role: len(load.file.keys) for load in self.job.loads},
            }
        )
        if self.client.clock.now() - uploaded_at > FRESH:
            self._upload()
        try:
            task = self.client.tasks.start(self.job.kind, self.job.id, self.job.parameters)
        except CallFailed as failure:
            if _refused(failure):
                self.save({})
                self.note = {}
                raise
            log.warning("the answer to the start of %s was lost, asking Anaplan: %s", self.job.name, failure)
        else:
            self._keep({"state": "started", "task": task.id})

    def _upload(self) -> datetime:
        """Upload every file; returns when the first upload began."""
        began = self.client.clock.now()
        for load in self.job.loads:
            self._put(load)
        return began

    def _put(self, load: Load) -> None:
        """Upload one file. A chunk without an answer may land late, in whatever is uploaded next: nothing is
        before the grace is over, in this run or, when it gives up, in the next.
        """
        for attempt in range(1, UPLOADS + 1):
            try:
                self.client.files.upload(load.action.file_id, load.file.content)
            except InDoubt as lost:
                log.warning("upload %d for %s waits for a lost chunk: %s", attempt, load.action.name, lost)
                self.client.clock.sleep(self.pace.grace)
                if attempt == UPLOADS:
                    raise
            else:
                return

    def _newest(self) -> int:
        """When the object's newest task was created, on Anaplan's clock: ours will be newer.

        Raises:
            TaskBusy: a task has not ended yet.
        """
        tasks = self.client.tasks.all(self.job.kind, self.job.id)
        for task in tasks:
            if not task.ended:
                raise TaskBusy(
                    f"it is already running as task {task.id}, which somebody else started. Nothing was "
                    f"sent; the next run tries again."
                )
        return tasks[0].created_at if tasks else 0

    def _adopt(self) -> str | None:
        """The task of a start whose answer was lost, None when there is none.

        It is the first one after those there were: a later one is somebody else's. Anaplan may hold a start
        back while the model is busy, so absence counts only once the grace is over and no transaction runs. A
        model without access shows no tasks: asking for the model tells (section 4).
        """
        for waited in self._waits():
            tasks = self.client.tasks.all(self.job.kind, self.note["object"])
            if new := [task for task in tasks if task.created_at > self.note["newest"]]:
                self._keep({"state": "started", "task": new[-1].id})
                return new[-1].id
            if waited >= self.pace.grace and not self.client.catalog.model().busy:
                return None
        raise AssertionError("the waits end with StillRunning")

    def _watch(self, task_id: str) -> dict[str, Verdict]:
        for waited in self._waits():
            task = self.client.tasks.one(self.job.kind, self.note["object"], task_id)
            if task is not None and task.ended:
                return self._judge(task)
            if task is None and waited >= self.pace.grace:
                self.client.catalog.model()  # raises when the task is hidden because our access is gone
                return self._all(FORGOTTEN)
        raise AssertionError("the waits end with StillRunning")

    def _judge(self, task: Task) -> dict[str, Verdict]:
        if self.note["sha256"] != self.job.fingerprint:
            return self._all(OTHER_LAYOUT)
        if self.job.kind != "processes":
            return {load.role: self._judge_load(task, load) for load in self.job.loads} or {
                STEP: judge_step(task)
            }
        return self._judge_process(task)

    def _judge_process(self, task: Task) -> dict[str, Verdict]:
        """Each import by its own nested result; any other step must only have succeeded."""
        whole = judge_step(task)
        nested = {result.object_id: result for result in task.result.nested} if task.result else {}
        if not nested:
            return self._all(whole if not whole.landed else DID_NOT_RUN)
        ours = {load.action.id: load for load in self.job.loads}
        verdicts = {
            load.role: self._judge_load(replace(task, result=nested[id_]), load)
            if id_ in nested
            else DID_NOT_RUN
            for id_, load in ours.items()
        }
        failed = [judge_step(replace(task, result=nested[id_])) for id_ in nested if id_ not in ours]
        return verdicts | {STEP: next((verdict for verdict in failed if not verdict.landed), DONE)}

    def _judge_load(self, task: Task, load: Load) -> Verdict:
        """Nothing locks a file while an import reads it, and no result tells whose it was (section 6)."""
        verdict = judge(task, self._dump(task, task.result, load), load.file, load.key)
        if verdict.landed and not self.client.files.holds(load.action.file_id, load.file.content):
            return OVERWRITTEN
        return verdict

    def _dump(self, task: Task, result: TaskResult | None, load: Load) -> str | None:
        if result is None or not result.dump:
            return None
        if self.job.kind == "processes":
            dump = self.client.tasks.process_dump(self.note["object"], task.id, load.action.id)
        else:
            dump = self.client.tasks.import_dump(self.note["object"], task.id)
        if dump is not None:
            # Anaplan keeps it for 48 hours and for the last failing task only.
            self._keep({"dumps": {**self.note.get("dumps", {}), load.role: dump[:DUMP_CHARACTERS]}})
        return dump

    def _all(self, verdict: Verdict) -> dict[str, Verdict]:
        return {load.role: verdict for load in self.job.loads} or {STEP: verdict}

    def _waits(self) -> Iterator[float]:
        return waits(self.client.clock, self.pace, f"task {self.note.get('task', 'not seen yet')}")

    def _keep(self, values: Mapping[str, Any]) -> None:
        note = {**self.note, **values}
        self.save(note)
        self.note = note


def waits(clock: Clock, pace: Pace, what: str) -> Iterator[float]:
    """Seconds waited so far, before each look; the first look is at once.

    Raises:
        StillRunning: patience is over; the text names `what` was waited for.
    """
    begun = clock.monotonic()
    for pause in pace.pauses():
        waited = clock.monotonic() - begun
        if waited > pace.deadline:
            break
        yield waited
        clock.sleep(pause)
    raise StillRunning(
        f"{what} has not ended after {pace.deadline:.0f} s. The next run asks again; look at the model's "
        f"transactions if it stays."
    )


def _refused(failure: CallFailed) -> bool:
    """Whether a start that failed certainly started nothing. A broken connection or answer leaves it open."""
    if isinstance(failure, Again | Closed):
        return True
    return not isinstance(failure, InDoubt) and failure.status is not None and failure.status >= 400


DONE = Verdict(landed=True)
NOT_STARTED = Verdict(False, "the start never reached Anaplan", "The rows go again with the next run.")
FORGOTTEN = Verdict(
    landed=False,
    reason="Anaplan no longer knows the task, so its result cannot be read",
    remedy="The rows go again: a code that is loaded twice is overwritten, not doubled.",
)
OTHER_LAYOUT = Verdict(
    landed=False,
    reason="the layout of its file was changed after the file was sent, so its result cannot be read line by "
    "line",
    remedy="The rows go again in the new layout.",
)
OVERWRITTEN = Verdict(
    landed=False,
    reason="the file Anaplan holds now is not the one that was sent, so other rows may have been read",
    remedy="Look for a job that uploads to this import's file: no two may share one. The rows go again.",
)
DID_NOT_RUN = Verdict(
    landed=False,
    reason="the process ended before this import ran",
    remedy="Look at the process's log in the model; the rows go again with the next run.",
)
