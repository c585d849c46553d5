"""What a sensor asks Dagster before it starts a run: was one started for this, and is one under way?"""

from collections.abc import Iterator
from datetime import datetime

import dagster as dg

from mlc_dagster.delivery import Deferral
from mlc_dagster.suite import Suite

RUN_KEY_TAG = "dagster/run_key"
RETRY_AFTER_SECONDS = 900


def was_started(instance: dg.DagsterInstance, run_key: str) -> bool:
    """Whether a run of this key was launched.

    What it is for is ticked off only then: a daemon that dies between its tick and the launch loses nothing.
    """
    return bool(instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: run_key}), limit=1))


def last_run(instance: dg.DagsterInstance, runs: dg.RunsFilter) -> dg.RunRecord | None:
    """The newest of some runs; None when there is none."""
    return next(iter(instance.get_run_records(runs, limit=1)), None)


def not_yet(last: dg.RunRecord | None, now: datetime) -> str | None:
    """Why no run may follow the last one: it is under way, or failed a short time ago. None when one may."""
    if last is None:
        return None
    run, ended = last.dagster_run, last.end_time
    if not run.is_finished:
        return f"run {run.run_id[:8]} is under way"
    if run.is_failure and ended and now.timestamp() - ended < RETRY_AFTER_SECONDS:
        return f"run {run.run_id[:8]} failed; it is tried again after a pause"
    return None


def due(instance: dg.DagsterInstance, house: Suite, owner: str) -> Iterator[tuple[str, Deferral]]:
    """The work whose window is open now, each with the key of its run. What was started is ticked off."""
    for item in house.deferrals.due(owner):
        # With the time in it: work that met another lockout is due again, under another key.
        run_key = f"deferral:{item.id}:{item.opens_at.isoformat()}"
        if was_started(instance, run_key):
            house.deferrals.taken(item)
        else:
            yield run_key, item


def waiting(house: Suite, owner: str) -> str:
    """What a sensor says that has nothing to resume."""
    times = [item.opens_at for item in house.deferrals.waiting(owner)]
    return f"Work waits until {min(times):%Y-%m-%d %H:%M} UTC." if times else "Nothing waits."
