"""One run of one import, in steps a crash may interrupt anywhere: it is resumed, and never started twice."""

import hashlib
import logging
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mlc_dagster.anaplan.answers import FileFormat, Task
from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.csvfile import CsvFile
from mlc_dagster.anaplan.verdict import Verdict, judge
from mlc_dagster.transport.errors import Again, CallFailed, Closed, InDoubt

DUMP_CHARACTERS = 20_000

log = logging.getLogger(__name__)


class ImportBusy(Exception):
    """The import is running already, started by somebody else: its file must not be touched now."""


class StillRunning(Exception):
    """The deadline has passed before the import ended. Its task is on file: a later run resumes it."""


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


@dataclass(slots=True)
class ImportRun:
    """The states are none, `starting` (the start may have been sent), `started` (task id known) and `done`.

    `note` is what an earlier process saved; `save` makes it durable before it returns. A state is saved
    before the call it announces, so whatever survives a crash says what may have happened.
    """

    client: AnaplanClient
    action: Action
    file: CsvFile
    code_column: str
    note: Mapping[str, Any]
    save: Callable[[Mapping[str, Any]], None]
    pace: Pace

    @property
    def begun(self) -> bool:
        """Whether an import may be running or have run."""
        return "state" in self.note

    def finish(self) -> Verdict:
        """Carry the import to its end from wherever it is.

        Raises:
            ImportBusy: before anything was sent.
            StillRunning: after the start; a later call resumes.
            CallFailed: of the client; `begun` says whether the import may have been started.
        """
        if self.note.get("state") == "done":
            return Verdict(**self.note["verdict"])
        if not self.begun:
            self._start()
        task_id = self.note.get("task") or self._adopt()
        verdict = self._watch(task_id) if task_id else _not_started()
        self._keep({"state": "done", "task": task_id, "verdict": asdict(verdict)})
        return verdict

    def _start(self) -> None:
        newest = self._newest()
        self.client.files.upload(self.action.file_id, self.file.content)
        self._keep(
            {
                "state": "starting",
                "newest": newest,
                "import": self.action.id,
                "sha256": _fingerprint(self.file),
                "rows": len(self.file.keys),
            }
        )
        try:
            task = self.client.tasks.start("imports", self.action.id)
        except CallFailed as failure:
            if _refused(failure):
                self.save({})
                self.note = {}
                raise
            log.warning(
                "the answer to the start of %s was lost, asking Anaplan: %s", self.action.name, failure
            )
        else:
            self._keep({"state": "started", "task": task.id})

    def _newest(self) -> int:
        """When the import's newest task was created, on Anaplan's clock: ours will be newer.

        Raises:
            ImportBusy: a task has not ended yet.
        """
        tasks = self.client.tasks.all("imports", self.action.id)
        for task in tasks:
            if not task.ended:
                raise ImportBusy(
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
            tasks = self.client.tasks.all("imports", self.note["import"])
            if new := [task for task in tasks if task.created_at > self.note["newest"]]:
                self._keep({"state": "started", "task": new[-1].id})
                return new[-1].id
            if waited >= self.pace.grace and not self.client.catalog.model().busy:
                return None
        raise AssertionError("the waits end with StillRunning")

    def _watch(self, task_id: str) -> Verdict:
        for waited in self._waits():
            task = self.client.tasks.one("imports", self.note["import"], task_id)
            if task is not None and task.ended:
                return self._judge(task)
            if task is None and waited >= self.pace.grace:
                self.client.catalog.model()  # raises when the task is hidden because our access is gone
                return Verdict(
                    landed=False,
                    reason="Anaplan no longer knows the task, so its result cannot be read",
                    remedy="The rows go again: a code that is loaded twice is overwritten, not doubled.",
                )
        raise AssertionError("the waits end with StillRunning")

    def _judge(self, task: Task) -> Verdict:
        if self.note["sha256"] != _fingerprint(self.file):
            return Verdict(
                landed=False,
                reason="the layout of its file was changed after the file was sent, so its result cannot be "
                "read line by line",
                remedy="The rows go again in the new layout.",
            )
        has_dump = task.result is not None and task.result.dump
        dump = self.client.tasks.import_dump(self.note["import"], task.id) if has_dump else None
        if dump is not None:
            # Anaplan keeps it for 48 hours and for the last failing task only.
            self._keep({"dump": dump[:DUMP_CHARACTERS]})
        return judge(task, dump, self.file, self.code_column)

    def _waits(self) -> Iterator[float]:
        """Seconds waited so far, before each look; the first look is at once."""
        clock = self.client.clock
        begun = clock.monotonic()
        for pause in self.pace.pauses():
            waited = clock.monotonic() - begun
            if waited > self.pace.deadline:
                break
            yield waited
            clock.sleep(pause)
        task = self.note.get("task", "not seen yet")
        raise StillRunning(
            f"task {task} has not ended after {self.pace.deadline:.0f} s. The next run asks again; look at "
            f"the model's transactions if it stays."
        )

    def _keep(self, values: Mapping[str, Any]) -> None:
        note = {**self.note, **values}
        self.save(note)
        self.note = note


def _refused(failure: CallFailed) -> bool:
    """Whether a start that failed certainly started nothing. A broken connection or answer leaves it open."""
    if isinstance(failure, Again | Closed):
        return True
    return not isinstance(failure, InDoubt) and failure.status is not None and failure.status >= 400


def _fingerprint(file: CsvFile) -> str:
    return hashlib.sha256(file.content).hexdigest()


def _not_started() -> Verdict:
    return Verdict(False, "the start never reached Anaplan", "The rows go again with the next run.")
