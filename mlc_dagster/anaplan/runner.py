"""Runs one task of a batch, and says in delivery's words what stopped it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.taskrun import Job, Pace, StillRunning, TaskBusy, TaskRun
from mlc_dagster.anaplan.verdict import Verdict
from mlc_dagster.clock import Clock
from mlc_dagster.delivery import errors as delivery
from mlc_dagster.delivery.destination import Batch
from mlc_dagster.transport import errors as transport

# A model that is offline comes back by itself or by an administrator; one call tells.
OFFLINE, LOOK_AGAIN = 424, timedelta(minutes=15)
NOUNS = {"imports": "import", "processes": "process", "actions": "action", "exports": "export"}


class NeedsSomebody(delivery.NotLanded):
    """A task failed in a way that only a change in the model can mend."""


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs the tasks of one destination, each resumed from the batch's checkpoint."""

    name: str
    client: AnaplanClient
    pace: Pace

    def run(self, batch: Batch, step: str, job: Job) -> Mapping[str, Verdict]:
        """Run a job to its end, or take up an earlier run of it; `step` names its place in the checkpoint.

        Returns a verdict for each role, all of them landed.

        Raises:
            NotLanded: it failed whole, was cancelled, or could not start.
            NeedsSomebody: it will fail again until somebody changes the model.
            InDoubtError: it was started and its end is not known.
            Closed, Stop: no task is running, and no call can be made.
        """
        where = f"{self.name} {batch.company}: {NOUNS[job.kind]} {job.name!r}"
        verdicts = self._finish(batch, step, job, where)
        for verdict in verdicts.values():
            if not verdict.landed:
                task = (batch.checkpoint.get(step) or {}).get("task")
                said = f"{where}{f', task {task}' if task else ''}: {verdict.reason}. {verdict.remedy}"
                raise NeedsSomebody(said) if verdict.stop else delivery.NotLanded(said)
        return verdicts

    def _finish(self, batch: Batch, step: str, job: Job, where: str) -> Mapping[str, Verdict]:
        run = TaskRun(
            client=self.client,
            job=job,
            note=batch.checkpoint.get(step) or {},
            save=lambda note: batch.save(**{step: dict(note)}),
            pace=self.pace,
        )
        try:
            return run.finish()
        except TaskBusy as busy:
            raise delivery.NotLanded(f"{where}: {busy}") from busy
        except StillRunning as running:
            raise delivery.InDoubtError(f"{where}: {running}") from running
        except transport.CallFailed as failure:
            if run.begun:
                raise in_doubt(failure, where) from failure
            raise translated(failure, self.name, self.client.clock) from failure


def in_doubt(failure: transport.CallFailed, where: str) -> delivery.InDoubtError:
    """A failed call while something of ours may be under way in the model."""
    opens_at = failure.opens_at if isinstance(failure, transport.Closed) else None
    return delivery.InDoubtError(f"{where}: {failure}", opens_at=opens_at)


def translated(failure: transport.CallFailed, name: str, clock: Clock) -> delivery.DeliveryError:
    """A failed call while nothing of ours is under way."""
    words = f"{name}: {failure}"
    if isinstance(failure, transport.Closed):
        return delivery.Closed(str(failure), opens_at=failure.opens_at)
    if failure.status == OFFLINE:
        return offline(words, clock)
    if isinstance(failure, transport.Again | transport.InDoubt):
        return delivery.NotLanded(words)
    return delivery.Stop(words)


def offline(words: str, clock: Clock) -> delivery.Closed:
    """A model in maintenance: nobody has to act, and the delivery goes on when it is back."""
    again = clock.now() + LOOK_AGAIN
    return delivery.Closed(f"{words} The model is asked again at {again:%Y-%m-%d %H:%M} UTC.", opens_at=again)
