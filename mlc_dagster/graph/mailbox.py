"""The way in from Cleo: a job that takes in what lies in the mailbox, and its schedule."""

import dagster as dg

from mlc_dagster.cleo.held import PLACE
from mlc_dagster.cleo.inbox import summary
from mlc_dagster.graph.answers import evaluations
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.ticks import last_run
from mlc_dagster.inbound.mailbox import receive
from mlc_dagster.logs import about
from mlc_dagster.settings import Settings
from mlc_dagster.tallies import ALL

JOB = "cleo_mailbox"
EVERY_15_MINUTES = "*/15 * * * *"


def mailbox(settings: Settings) -> dg.Definitions:
    """Nothing where the pair is off; the schedule is switched on by hand."""
    if settings.pairs.cleo is None:
        return dg.Definitions()
    return dg.Definitions(jobs=[mailbox_job], schedules=[every_15_minutes])


@dg.op(description="Takes in acknowledgments, ship notices and changes of suppliers, and answers partners.")
def take_in(context: dg.OpExecutionContext, suite: SuiteResource) -> None:
    """One look at the mailbox, and what it means for the documents that were sent."""
    house = suite.open()
    with (
        about(run=context.run_id, pair="cleo", place=PLACE),
        house.tallies.step(PLACE, ALL, house.calls) as step,
    ):
        context.add_output_metadata(summary(receive(house, run_id=context.run_id)))
        step.succeeded({})
    # An op of a job without assets may not yield the result of a check.
    for evaluation in evaluations(house):
        context.instance.report_runless_asset_event(evaluation)


@dg.job(name=JOB, description="The way in from Cleo: the mailbox's download folder is worked off.")
def mailbox_job() -> None:
    """One step."""
    take_in()


@dg.schedule(
    name=JOB,
    job=mailbox_job,
    cron_schedule=EVERY_15_MINUTES,
    description="Looks into the mailbox, unless a look is under way.",
)
def every_15_minutes(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One run at a time: a second one would only wait for the first."""
    last = last_run(context.instance, dg.RunsFilter(job_name=JOB))
    if last and not last.dagster_run.is_finished:
        return dg.SkipReason(f"Run {last.dagster_run.run_id[:8]} is under way.")
    return dg.RunRequest()
