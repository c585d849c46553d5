"""What removes the old by itself, once a day, where mlc.yaml says that something may go."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

import dagster as dg

from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.steps import COMPANY_TAG
from mlc_dagster.operations import retention
from mlc_dagster.settings import Settings
from mlc_dagster.suite import Suite

JOB = "retention"
AT_NIGHT = "30 3 * * *"
RUNS_AT_ONCE = 200
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def retention_of(settings: Settings) -> dg.Definitions:
    """Nothing where everything is kept."""
    if not settings.retention.model_dump(exclude_none=True):
        return dg.Definitions()
    return dg.Definitions(jobs=[retention_job], schedules=[at_night])


@dg.op(description="Removes what is older than mlc.yaml says and on no legal hold.")
def remove_old(context: dg.OpExecutionContext, suite: SuiteResource) -> None:
    """Our own tables, then Dagster's runs."""
    house = suite.open()
    removed = retention.remove(house, by=context.run_id)
    counts = {found.what: found.count for found in removed}
    counts["runs of Dagster's"] = remove_runs(context.instance, house)
    context.add_output_metadata(counts)


@dg.job(name=JOB, description="Removes what is old, as the section `retention` of mlc.yaml says.")
def retention_job() -> None:
    """One step."""
    remove_old()


at_night = dg.ScheduleDefinition(
    name=JOB,
    job=retention_job,
    cron_schedule=AT_NIGHT,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Removes what is old, every night.",
)


def old_runs(instance: dg.DagsterInstance, house: Suite) -> list[dg.DagsterRun]:
    """Ended runs that are older than the settings say and of no company on hold."""
    days = house.settings.retention.runs_days
    if days is None:
        return []
    held = _held(house)
    before = house.clock.now() - timedelta(days=days)
    return [run for run in _ended(instance, before) if _free(run, held)]


def remove_runs(instance: dg.DagsterInstance, house: Suite) -> int:
    """Delete Dagster's old runs with their logs; returns how many."""
    count = 0
    for run in old_runs(instance, house):
        # That takes a while: a company may have come on hold meanwhile.
        if _free(run, _held(house)):
            instance.delete_run(run.run_id)
            count += 1
    return count


def _ended(instance: dg.DagsterInstance, before: datetime) -> Iterator[dg.DagsterRun]:
    filters, cursor = dg.RunsFilter(statuses=ENDED, created_before=before), None
    while found := instance.get_runs(filters, cursor=cursor, limit=RUNS_AT_ONCE):
        yield from found
        cursor = found[-1].run_id


def _held(house: Suite) -> set[str]:
    return {hold.company for hold in retention.Holds(house.engine, house.clock).standing() if hold.company}


def _free(run: dg.DagsterRun, held: Collection[str]) -> bool:
    """A run without a company may be of any."""
    company = run.tags.get(COMPANY_TAG)
    return company not in held if company is not None else not held
