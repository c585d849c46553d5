"""The way back from Asana: a job, the sensor that starts it, and the one that keeps webhooks alive."""

from datetime import timedelta

import dagster as dg

from mlc_dagster.delivery.errors import LeaseHeld
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.ticks import last_run, not_yet
from mlc_dagster.inbound.wayback import SOURCE, carry_back, has_news
from mlc_dagster.logs import about
from mlc_dagster.receiver import Signals
from mlc_dagster.settings import Settings
from mlc_dagster.suite import Suite
from mlc_dagster.tallies import ALL
from mlc_dagster.transport.errors import Closed

JOB, PLACE = "asana_way_back", "asana/way_back"
# How soon a webhook's signal is taken up; an hour is a small part of the day Asana keeps a failing webhook.
SIGNAL_SECONDS, WEBHOOK_SECONDS = 30, 3600


def way_back(settings: Settings) -> dg.Definitions:
    """Nothing where no destination of Asana has a way back; the sensors are switched on by hand."""
    asana = settings.pairs.asana
    if asana is None or not any(part.way_back for part in asana.destinations.values()):
        return dg.Definitions()
    sensors = [news_sensor(asana.poll_seconds)]
    if settings.receiver is not None and settings.receiver.url is not None:
        sensors.append(webhook_sensor(settings.receiver.url))
    return dg.Definitions(jobs=[way_back_job], sensors=sensors)


@dg.op(description="Writes what people said at Asana's tasks into the notes of the documents in Visma.")
def write_notes(context: dg.OpExecutionContext, suite: SuiteResource) -> None:
    """One pass over all projects."""
    house = suite.open()
    with (
        about(run=context.run_id, pair="asana", place=PLACE),
        house.tallies.step(PLACE, ALL, house.calls) as step,
    ):
        done = carry_back(house, run_id=context.run_id)
        step.succeeded({})
    context.add_output_metadata({name: getattr(done, name) for name in done.__dataclass_fields__})


@dg.job(name=JOB, description="The way back from Asana: comments become lines of the document's note.")
def way_back_job() -> None:
    """One step."""
    write_notes()


def news_sensor(poll_seconds: int) -> dg.SensorDefinition:
    """Starts the job when people have said something: after a signal, or when the pair's poll is due.

    It asks Asana's events first, so nothing people did starts no run, and signals may be lost or forged.
    """

    @dg.sensor(
        name=f"{JOB}_news",
        job=way_back_job,
        minimum_interval_seconds=SIGNAL_SECONDS,
        description="Asks Asana what people said, soon after a webhook and else by time.",
    )
    def news(context: dg.SensorEvaluationContext, suite: SuiteResource) -> dg.RunRequest | dg.SkipReason:
        house = suite.open_for_a_tick()
        if not _due(house, poll_seconds):
            return dg.SkipReason("No webhook has called, and the next look is not due.")
        if reason := not_yet(last_run(context.instance, dg.RunsFilter(job_name=JOB)), house.clock.now()):
            return dg.SkipReason(reason)
        try:
            return dg.RunRequest() if has_news(house) else dg.SkipReason("People have said nothing new.")
        except (LeaseHeld, Closed) as wait:
            return dg.SkipReason(str(wait))

    return news


def webhook_sensor(address: str) -> dg.SensorDefinition:
    """Makes webhooks that are missing. Asana deletes those that failed for a day, and tells nobody."""

    @dg.sensor(
        name="asana_webhooks",
        minimum_interval_seconds=WEBHOOK_SECONDS,
        description="Makes Asana's webhooks again when they are gone.",
    )
    def webhooks(context: dg.SensorEvaluationContext, suite: SuiteResource) -> dg.SkipReason:  # noqa: ARG001
        made = suite.open_for_a_tick().asana.webhooks(address).make()
        return dg.SkipReason(f"Made for projects {', '.join(made)}." if made else "Every project has one.")

    return webhooks


def _due(house: Suite, poll_seconds: int) -> bool:
    if Signals(house.engine, house.clock).newest(SOURCE) is not None:
        return True
    looked = [stream.looked_at() for stream in house.asana.way_back.streams]
    since = house.clock.now() - timedelta(seconds=poll_seconds)
    return any(at is None or at <= since for at in looked)
