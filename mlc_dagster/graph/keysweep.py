"""The key sweep in Dagster: by time for every company, and again when a closed window opens."""

from collections.abc import Mapping, Sequence

import dagster as dg
from pydantic import Field

from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.source import POOL
from mlc_dagster.graph.steps import COMPANY_TAG
from mlc_dagster.graph.ticks import due, waiting
from mlc_dagster.logs import about
from mlc_dagster.operations import sweeps
from mlc_dagster.settings import Settings
from mlc_dagster.suite import Suite
from mlc_dagster.transport.errors import Closed
from mlc_dagster.visma.entities import ENTITIES

RESUME_SECONDS = 60


class SweepConfig(dg.Config):
    """What an operator may ask of a sweep in the launchpad."""

    company: str = Field(description="The company's code.")
    entities: list[str] = Field(default=[], description="Only these, such as suppliers; all by default.")
    confirmed: dict[str, int] = Field(
        default={}, description="How many missing records of an entity a person has believed."
    )


def key_sweep(settings: Settings) -> dg.Definitions:
    """The job `visma_keys`, its schedule, and the sensor that goes on with what met a closed window."""
    return dg.Definitions(jobs=[visma_keys], schedules=[_schedule(settings)], sensors=[visma_keys_resume])


@dg.op(pool=POOL, description="Compares all keys of one company with the lake, entity by entity.")
def compare_keys(context: dg.OpExecutionContext, config: SweepConfig, suite: SuiteResource) -> None:
    """One company. An entity that fails keeps no other from its turn.

    Raises:
        dg.Failure: more is missing than is believed, or an entity failed; each says what to do.
    """
    house = suite.open()
    failures: dict[str, str] = {}
    found: dict[str, str] = {}
    left = [entity.name for entity in sweeps.entities_of(house, config.company, config.entities)]
    while left:
        name, place = left[0], f"visma/{left[0]}"
        with about(run=context.run_id, company=config.company, place=place):
            try:
                with house.tallies.calls(place, config.company, house.calls):
                    swept = sweeps.sweep(
                        house,
                        ENTITIES[name],
                        config.company,
                        run_id=context.run_id,
                        confirmed=config.confirmed.get(name, 0),
                    )
            except Closed as window:
                # Those that failed once more too: a run that ends well would say that all is well.
                _put_off(context, house, config, [*failures, *left], window)
                break
            except Exception as error:  # noqa: BLE001 - raised once the others had their turn
                failures[name] = str(error) or repr(error)
            else:
                context.log.info(f"{place} {config.company}: {swept}")
                found[name] = str(swept)
        left.pop(0)
    context.add_output_metadata({**found, **house.calls()})
    if failures:
        raise dg.Failure("\n".join(failures.values()), allow_retries=False)


@dg.job(
    name=sweeps.NAME,
    description="Finds what was deleted or renumbered in the ERP, or came late: docs/deletions.md.",
)
def visma_keys() -> None:
    """One step."""
    compare_keys()


def _schedule(settings: Settings) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=sweeps.NAME,
        job=visma_keys,
        cron_schedule=settings.visma.key_sweep.schedule,
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Compares all keys of every company with the lake.",
    )
    def scheduled(context: dg.ScheduleEvaluationContext, suite: SuiteResource) -> list[dg.RunRequest]:
        at = context.scheduled_execution_time.isoformat()
        return [
            _request(f"keys:{company}:{at}", company)
            for company in suite.open_for_a_tick().settings.companies
        ]

    return scheduled


@dg.sensor(
    name=f"{sweeps.NAME}_resume",
    job=visma_keys,
    minimum_interval_seconds=RESUME_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Goes on with a sweep that met a closed window, when it opens.",
)
def visma_keys_resume(
    context: dg.SensorEvaluationContext, suite: SuiteResource
) -> dg.SensorResult | dg.SkipReason:
    """The pages that came are kept; only the entities that had not had their turn are swept."""
    house = suite.open_for_a_tick()
    requests = [
        _request(run_key, item.company, sweeps.owed(house, item.company))
        for run_key, item in due(context.instance, house, sweeps.NAME)
    ]
    return dg.SensorResult(run_requests=requests) if requests else dg.SkipReason(waiting(house, sweeps.NAME))


def _request(run_key: str, company: str, owed: Mapping[str, int] | None = None) -> dg.RunRequest:
    config = SweepConfig(company=company, entities=list(owed or ()), confirmed=dict(owed or {}))
    return dg.RunRequest(
        run_key=run_key,
        run_config=dg.RunConfig(ops={"compare_keys": config}),
        tags={COMPANY_TAG: company},
    )


def _put_off(
    context: dg.OpExecutionContext, house: Suite, config: SweepConfig, left: Sequence[str], window: Closed
) -> None:
    owed = {name: config.confirmed.get(name, 0) for name in left}
    sweeps.put_off(house, config.company, owed, window)
    context.log.warning(
        f"{window} {config.company}: the sweep goes on by itself after {window.opens_at:%Y-%m-%d %H:%M} UTC "
        f"if Dagster's daemon runs and the sensor `{sweeps.NAME}_resume` is on; else start it again then."
    )
