"""Refreshes of extracts and runs of flows that ended badly, and were not made good since (section 8)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from mlc_dagster.tableau.client import RefreshRun, RefreshTask, TableauClient

# A task says by itself whether its last refresh failed, however long ago; of flows and of refreshes that
# people start there is only the list of jobs.
LOOK_BACK = timedelta(hours=24)


@dataclass(frozen=True)
class Failure:
    """What could not be refreshed. note: Tableau's words or empty; model: ours, where it is our own."""

    title: str
    note: str
    model: str | None = None


def failures(client: TableauClient, ours: Mapping[str, str]) -> list[Failure]:
    """What failed last, by its title. `ours`: models by the title of their data source.

    Raises transport's CallFailed.
    """
    failed = {_title(client, task): "" for task in client.refresh_tasks() if task.failures}
    for run in _newest(client.refresh_runs(client.clock.now() - LOOK_BACK)):
        if run.failed:
            job = client.job(run.job)
            failed[run.title] = job.note if job else ""
    return [Failure(title, note, ours.get(title)) for title, note in sorted(failed.items())]


def _newest(runs: Iterable[RefreshRun]) -> list[RefreshRun]:
    """The last run of each; a flow may be called like a data source."""
    by_time = sorted(runs, key=lambda run: run.created)
    return list({(run.kind, run.title): run for run in by_time}.values())


def _title(client: TableauClient, task: RefreshTask) -> str:
    found = client.datasource(task.target) if task.kind == "datasource" else None
    return found.name if found else f"{task.kind} {task.target}"
