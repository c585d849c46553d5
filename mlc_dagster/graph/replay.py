"""Replays that were asked for outside Dagster, as runs: each request once."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import dagster as dg

from mlc_dagster.delivery.errors import LeaseHeld
from mlc_dagster.graph import partitions
from mlc_dagster.graph.automation import chain
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.steps import AGAIN, COMPANY_TAG, PAIR_TAG, pairs_of
from mlc_dagster.graph.ticks import RUN_KEY_TAG
from mlc_dagster.operations.replay import NotAReplay, Plan, Replay, Replays, Span, State, mark, plan
from mlc_dagster.settings import Settings
from mlc_dagster.suite import Suite

REPLAY_TAG = "mlc/replay"
POLL_SECONDS = 15


class _NotLoaded(Exception):
    """A company that Dagster's loaded definitions do not know yet."""


def replay_sensor(settings: Settings) -> dg.SensorDefinition:
    """Turns what is asked for in the table `replays` into runs, and notes there what became of them.

    Rows are marked before the first run is asked for, and a run's key holds the request's name, so a daemon
    that dies at any point starts nothing twice.
    """

    @dg.sensor(
        name="replays",
        target=dg.AssetSelection.groups(*(f"visma_{pair}" for pair in settings.pairs.on())).upstream(),
        minimum_interval_seconds=POLL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the replays that were asked for on the operator's pages.",
    )
    def replays(context: dg.SensorEvaluationContext, suite: SuiteResource) -> dg.SensorResult | dg.SkipReason:
        house = suite.open_for_a_tick()
        requests: list[dg.RunRequest] = []
        reasons: list[str] = []
        failures: list[Exception] = []
        for replay in Replays(house.engine, house.clock).open():
            try:
                wanted = _advance(context, house, replay)
            except (LeaseHeld, _NotLoaded) as waits:
                reasons.append(f"Replay {replay.id} waits: {waits}")
            except Exception as failure:  # noqa: BLE001 - raised once the others had their turn
                failures.append(failure)
            else:
                requests += wanted
        if not requests and failures:
            raise failures[0]
        if not requests:
            return dg.SkipReason("; ".join(reasons) or "Nothing was asked for.")
        return dg.SensorResult(run_requests=requests)

    return replays


def spans_of(instance: dg.DagsterInstance, settings: Settings, run_id: str) -> list[Span]:
    """What a run covered: its pairs, companies and days. Nothing when there is none, or it only read."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        return []
    return [
        Span(pair, company, first, last)
        for company, first, last in partitions.covered(run.tags, list(settings.companies))
        for pair in pairs_of(run, settings.pairs.on())
        if pair in settings.pairs.on() and company in settings.companies_of(pair)
    ]


def _advance(context: dg.SensorEvaluationContext, house: Suite, replay: Replay) -> Sequence[dg.RunRequest]:
    """Bring one request a step further; the runs that are still to be started."""
    book = Replays(house.engine, house.clock)
    if replay.state is State.RUNNING:
        _conclude(context.instance, book, replay)
        return []
    try:
        planned = plan(house, replay.what, partial(spans_of, context.instance, house.settings))
    except NotAReplay as no:
        book.ended(replay, State.FAILED, str(no))
        return []
    for span in planned.spans:
        if reason := partitions.not_loaded(context.repository_def, span.company):
            raise _NotLoaded(reason)
    if replay.state is State.ASKED:
        mark(house, planned, by=replay.asked_by, patience=0)
        book.ready(replay, str(planned))
    wanted = _requests(context, replay, planned)
    runs = context.instance.get_runs(dg.RunsFilter(tags={REPLAY_TAG: replay.name}))
    if not {request.run_key for request in wanted} <= {run.tags.get(RUN_KEY_TAG) for run in runs}:
        return wanted
    book.running(replay, [run.run_id for run in runs])
    return []


def _requests(context: dg.SensorEvaluationContext, replay: Replay, planned: Plan) -> list[dg.RunRequest]:
    assert context.repository_def is not None  # noqa: S101 - a daemon's tick always has one
    graph = context.repository_def.asset_graph
    return [
        dg.RunRequest(
            run_key=f"replay:{replay.name}:{number}:{span.pair}:{span.company}",
            asset_selection=list(chain(span.pair).resolve(graph)),
            tags={
                **partitions.range_tags(span.company, span.first, span.last),
                PAIR_TAG: span.pair,
                COMPANY_TAG: span.company,
                REPLAY_TAG: replay.name,
                **AGAIN,
            },
        )
        for number, span in enumerate(planned.spans)
    ]


def _conclude(instance: dg.DagsterInstance, book: Replays, replay: Replay) -> None:
    """Note what came of a replay's runs, once all have ended; of a run that was retried any try counts."""
    tries: dict[str, list[dg.DagsterRun]] = defaultdict(list)
    for run in instance.get_runs(dg.RunsFilter(tags={REPLAY_TAG: replay.name})):
        tries[run.root_run_id or run.run_id].append(run)
    if any(not run.is_finished for runs in tries.values() for run in runs):
        return
    failed = [root for root, runs in tries.items() if not any(run.is_success for run in runs)]
    if failed:
        named = ", ".join(run_id[:8] for run_id in failed)
        book.ended(replay, State.FAILED, f"Run {named} did not end well; its log says why.")
    else:
        book.ended(replay, State.DONE, replay.said or "Done.")
