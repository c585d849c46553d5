"""When a pair runs: by its schedule, when the ERP has something new, and when a closed window opens again."""

from collections.abc import Sequence
from datetime import date, datetime

import dagster as dg

from mlc_dagster.graph.partitions import loaded, not_loaded, range_tags
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.steps import COMPANY_TAG, PAIR_TAG, run_as_asked
from mlc_dagster.graph.ticks import due, last_run, not_yet, waiting
from mlc_dagster.outlook import news, open_days
from mlc_dagster.settings import TITLES, PairSettings
from mlc_dagster.suite import Suite
from mlc_dagster.transport.errors import CallFailed, Closed

RESUME_SECONDS = 30


def chain(pair: str) -> dg.AssetSelection:
    """A pair's assets and everything they read."""
    return dg.AssetSelection.groups(f"visma_{pair}").upstream()


def schedule(pair: str, settings: PairSettings) -> dg.ScheduleDefinition:
    """The pair's cron line: one run a company, from its first day that is not wholly read to today."""

    @dg.schedule(
        name=f"visma_{pair}",
        target=chain(pair),
        cron_schedule=settings.schedule,
        execution_timezone=settings.timezone,
        description=f"Makes {TITLES[pair]} equal to Visma: each company, from the first day not wholly read.",
    )
    def scheduled(context: dg.ScheduleEvaluationContext, suite: SuiteResource) -> list[dg.RunRequest]:
        house = suite.open()
        at = context.scheduled_execution_time.isoformat()
        return [
            run_request(house, pair, company, f"{pair}:{company}:{at}")
            for company in loaded(context, house.settings.companies_of(pair))
        ]

    return scheduled


def polling_sensor(pair: str, settings: PairSettings) -> dg.SensorDefinition:
    """Starts a company's run when Visma has rows that the lake does not hold.

    It keeps no cursor of its own: what was read is asked of the lake, so nothing can be skipped, whatever
    became of earlier runs. A company whose last run failed is tried again after a pause, not at every tick.
    """

    @dg.sensor(
        name=f"visma_{pair}_changes",
        target=chain(pair),
        minimum_interval_seconds=settings.poll_seconds,
        description=f"Asks Visma for changes and starts {TITLES[pair]}'s chain where there are some.",
    )
    def changes(context: dg.SensorEvaluationContext, suite: SuiteResource) -> dg.SensorResult | dg.SkipReason:
        house = suite.open_for_a_tick()
        requests: list[dg.RunRequest] = []
        reasons: list[str] = []
        failures: list[CallFailed] = []
        for company in house.settings.companies_of(pair):
            try:
                reason = not_now(context, house, pair, company) or _quiet(house, pair, company)
            except CallFailed as failure:
                failures.append(failure)
                reason = str(failure)
            if reason is None:
                requests.append(run_request(house, pair, company))
            else:
                reasons.append(f"{company}: {reason}")
        if not requests and failures:
            raise failures[0]
        if not requests:
            return dg.SkipReason("; ".join(reasons))
        if reasons:
            context.log.info("; ".join(reasons))
        return dg.SensorResult(run_requests=requests)

    return changes


def resume_sensor(pair: str, target: dg.AssetSelection) -> dg.SensorDefinition:
    """Goes on with the work that a vendor's closed window interrupted, once the window is open."""

    @dg.sensor(
        name=f"{pair}_resume",
        target=target,
        minimum_interval_seconds=RESUME_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Continues what {TITLES.get(pair, 'Visma')} locked out, when its window opens again.",
    )
    def resume(context: dg.SensorEvaluationContext, suite: SuiteResource) -> dg.SensorResult | dg.SkipReason:
        house = suite.open()
        requests = [
            run_as_asked(run_key, item.config, _tags(pair, item.company, item.first_day, item.last_day))
            for run_key, item in due(context.instance, house, pair)
        ]
        return dg.SensorResult(run_requests=requests) if requests else dg.SkipReason(waiting(house, pair))

    return resume


def run_request(
    house: Suite,
    pair: str,
    company: str,
    run_key: str | None = None,
    assets: Sequence[dg.AssetKey] | None = None,
) -> dg.RunRequest:
    """A run of a pair for a company, from its first day not wholly read. `assets`: all of the target's."""
    first, last = open_days(house, pair, company)
    return dg.RunRequest(run_key=run_key, tags=_tags(pair, company, first, last), asset_selection=assets)


def _tags(pair: str, company: str, first: date, last: date) -> dict[str, str]:
    return {**range_tags(company, first, last), PAIR_TAG: pair, COMPANY_TAG: company}


def not_now(context: dg.SensorEvaluationContext, house: Suite, pair: str, company: str) -> str | None:
    """Why no run may start for a company, whatever the ERP has: None when one may."""
    if reason := not_loaded(context.repository_def, company):
        return reason
    if opens_at := _opens_at(house, pair, company):
        return f"a vendor's window is closed until {opens_at:%Y-%m-%d %H:%M} UTC"
    last = last_run(context.instance, dg.RunsFilter(tags={PAIR_TAG: pair, COMPANY_TAG: company}))
    return not_yet(last, house.clock.now())


def _opens_at(house: Suite, pair: str, company: str) -> datetime | None:
    """When the window opens that interrupted work of a company waits for; None when none is closed."""
    opening = [item.opens_at for item in house.deferrals.waiting(pair) if item.company == company]
    return max((at for at in opening if at > house.clock.now()), default=None)


def _quiet(house: Suite, pair: str, company: str) -> str | None:
    """Why the ERP gives no reason for a run: None when it has news."""
    try:
        return None if news(house, pair, company) else "nothing new"
    except Closed as window:
        return str(window)
