"""Tasks: one writer per model, a timeline by polls or time, effects at the start of the run, dumps."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mlc_sandbox.anaplan.model import Journal
from mlc_sandbox.anaplan.outcome import Outcome
from mlc_sandbox.anaplan.switches import Switches

NOT_STARTED, IN_PROGRESS, COMPLETE = "NOT_STARTED", "IN_PROGRESS", "COMPLETE"
CANCELLING, CANCELLED = "CANCELLING", "CANCELLED"

# A task that nobody polls ends after this time, so that a dead client cannot hold the model for ever.
ABANDONED = timedelta(hours=1)


def _task_id() -> str:
    return uuid.uuid4().hex.upper()


@dataclass(slots=True)
class Task:
    """One started import, export, process or action. `created_ms` is wire time."""

    kind: str  # imports | exports | processes | actions
    object_id: str
    object_name: str
    user: str
    created: datetime
    created_ms: int
    polls_needed: int
    seconds_needed: int
    prompts: dict[str, dict[str, str]] = field(default_factory=dict)  # import id or "" -> dimension -> item
    line: str = ""  # the request line that started it, for faults
    doomed: bool = False  # a fault cancels it
    id: str = field(default_factory=_task_id)
    state: str = NOT_STARTED
    ticks: int = 0
    ran: datetime | None = None
    ended: datetime | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    journal: Journal = field(default_factory=Journal)

    @property
    def over(self) -> bool:
        """Whether the state is terminal."""
        return self.state in (COMPLETE, CANCELLED)

    @property
    def successful(self) -> bool:
        """All steps went through; says nothing about rejected rows."""
        return all(outcome.successful for outcome in self.outcomes)

    @property
    def has_dump(self) -> bool:
        """Whether any step left rejected rows."""
        return any(outcome.has_dump for outcome in self.outcomes)


@dataclass(slots=True)
class Dump:
    """The failure dump of the last failing task of one import and user."""

    task_id: str
    text: str
    made: datetime


@dataclass(frozen=True, slots=True)
class Ran:
    """One import that ran, for inspection: what, when, for whom, with how many rows and which counts."""

    import_name: str
    task_id: str
    started: datetime
    user: str
    rows: int
    successful: bool
    counts: dict[str, int]
    cancelled: bool = False


Effect = Callable[[Task], list[Outcome]]


class TaskEngine:
    """The queue of one model. `effect` does a task's work and returns one outcome per step."""

    def __init__(self, switches: Switches, now: Callable[[], datetime], effect: Effect) -> None:
        self.switches, self._now, self._effect = switches, now, effect
        self.tasks: dict[str, Task] = {}
        self.dumps: dict[tuple[str, str], Dump] = {}
        self.history: list[Ran] = []

    @property
    def queue(self) -> list[Task]:
        """Tasks that are not over, in the order they were started."""
        return [task for task in self.tasks.values() if not task.over]

    @property
    def running(self) -> Task | None:
        """The task that holds the model now."""
        return next((task for task in self.queue if task.ran is not None), None)

    def add(self, task: Task) -> None:
        """Queue a task; it runs at once when the model is free."""
        self.tasks[task.id] = task
        self.advance()

    def tick(self) -> None:
        """A client asked for a task: one step for the task at the head of the queue."""
        queue = self.queue
        if queue:
            queue[0].ticks += 1
        self.advance()

    def advance(self) -> None:
        """Start and finish what is due."""
        for task in self.queue:
            if task.ran is None and not self._may_start(task):
                return
            if task.ran is None:
                self._run(task)
            if not self._is_done(task):
                return
            self._finish(task)

    def drain(self) -> None:
        """What waits for a free model: everything queued runs to its end first."""
        for task in self.queue:
            if task.ran is None:
                self._run(task)
            self._finish(task)

    def cancel(self, task: Task) -> None:
        """Best effort: a waiting task is gone at once, a running one is rolled back if the switch allows."""
        if task.over:
            return
        if task.ran is None:
            task.state, task.ended = CANCELLED, self._now()
        elif self.switches["cancel_rolls_back"]:
            task.state = CANCELLING
        self.advance()

    def _may_start(self, task: Task) -> bool:
        waited = self._now() - task.created >= timedelta(seconds=self.switches["task_start_seconds"])
        return waited and task.ticks >= self.switches["task_start_polls"]

    def _is_done(self, task: Task) -> bool:
        if task.ran is None:
            return False
        passed = self._now() - task.ran
        polled = task.ticks >= task.polls_needed and passed >= timedelta(seconds=task.seconds_needed)
        return polled or passed >= max(ABANDONED, timedelta(seconds=task.seconds_needed))

    def _run(self, task: Task) -> None:
        task.ran, task.state, task.ticks = self._now(), IN_PROGRESS, 0
        if task.doomed:
            task.state = CANCELLING
            return
        task.outcomes = self._effect(task)

    def run_again(self, task: Task) -> None:
        """Its file changed while it was read: take back what it did and read once more."""
        task.journal.roll_back()
        task.outcomes = self._effect(task)

    def _finish(self, task: Task) -> None:
        task.ended = self._now()
        if task.state == CANCELLING:
            task.journal.roll_back()
            task.state = CANCELLED
        else:
            task.state = COMPLETE
            self._keep_dumps(task)
        self._remember(task)
        task.journal = Journal()

    def _keep_dumps(self, task: Task) -> None:
        for outcome in task.outcomes:
            key = (task.user, outcome.object_id)
            if outcome.has_dump:
                self.dumps[key] = Dump(task.id, outcome.dump_text(), self._now())
            elif outcome.successful:
                self.dumps.pop(key, None)

    def _remember(self, task: Task) -> None:
        cancelled = task.state == CANCELLED
        for outcome in task.outcomes:
            if task.ran is None or not outcome.object_id.startswith("112"):
                continue
            self.history.append(
                Ran(
                    outcome.object_name,
                    task.id,
                    task.ran,
                    task.user,
                    outcome.rows,
                    outcome.successful,
                    outcome.counts,
                    cancelled,
                )
            )

    def dump(self, task: Task, import_id: str) -> str | None:
        """The dump of this task's import, while it is kept."""
        kept = self.dumps.get((task.user, import_id))
        if kept is None or kept.task_id != task.id:
            return None
        return kept.text if self._now() - kept.made <= timedelta(hours=self.switches["dump_hours"]) else None


def task_json(task: Task, *, details: bool = False) -> dict[str, Any]:
    """The `task` object of the API; `result` only once the task is over."""
    answer: dict[str, Any] = {"taskId": task.id, "taskState": task.state, "creationTime": task.created_ms}
    answer["progress"] = {NOT_STARTED: 0.0, IN_PROGRESS: 0.5, CANCELLING: 0.5}.get(task.state, 1.0)
    answer["currentStep"] = _step(task)
    if task.over and task.outcomes and task.state == COMPLETE:
        answer["result"] = _result(task, details=details)
    return answer


def _step(task: Task) -> str:
    if task.state == COMPLETE:
        return "Complete." if task.successful else "Failed."
    words = {NOT_STARTED: "Waiting", IN_PROGRESS: f"Processing {task.object_name}", CANCELLING: "Cancelling"}
    return words.get(task.state, "Cancelled.")


def _result(task: Task, *, details: bool) -> dict[str, Any]:
    if task.kind != "processes":
        return _outcome_json(task.outcomes[0]) | _times(task, details=details)
    nested = [
        _outcome_json(outcome) | {"objectName": outcome.object_name} | _times(task, details=details)
        for outcome in task.outcomes
    ]
    return {
        "successful": task.successful,
        "failureDumpAvailable": task.has_dump,
        "objectId": task.object_id,
        "nestedResults": nested,
    } | _times(task, details=details)


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "successful": outcome.successful,
        "failureDumpAvailable": outcome.has_dump,
        "objectId": outcome.object_id,
    }
    return answer | ({"details": outcome.details} if outcome.details else {})


def _times(task: Task, *, details: bool) -> dict[str, Any]:
    if not details or task.ran is None or task.ended is None:
        return {}
    seconds = int((task.ended - task.ran).total_seconds())
    return {"startTime": task.ran.isoformat(), "duration": f"PT{seconds}S"}
