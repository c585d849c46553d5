"""One run of a pair's chain in this process, as `dagster asset materialize` would do it."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from mlc_dagster.graph.automation import chain
from mlc_dagster.graph.partitions import range_tags
from mlc_dagster.graph.steps import AGAIN, COMPANY_TAG, PAIR_TAG

PROCESS_TAG = "mlc/process"
UNDER_WAY = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class PairRun:
    """What a run did: the metadata of each asset it materialized, by asset key, and each step's seconds."""

    run_id: str
    success: bool
    metadata: Mapping[str, Mapping[str, Any]]
    seconds: Mapping[str, float]


def run_pair(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    *,
    pair: str,
    company: str,
    first: date,
    last: date,
    again: bool = False,
) -> PairRun:
    """Run the chain of a pair for one company over the days from first to last, in this process.

    `again` reads open days from their begin, too. A failed run is reported, not raised.

    Raises:
        KeyboardInterrupt: the run was told to stop; Dagster keeps it as a failed one.
    """
    job = definitions.resolve_implicit_global_asset_job_def()
    keys = list(chain(pair).resolve(definitions.resolve_asset_graph()))
    tags = {PAIR_TAG: pair, COMPANY_TAG: company, PROCESS_TAG: f"{socket.gethostname()} {os.getpid()}"}
    result = job.execute_in_process(
        instance=instance,
        asset_selection=keys,
        tags={**range_tags(company, first, last), **tags, **(AGAIN if again else {})},
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    if any(map(_interrupted, result.all_events)):
        raise KeyboardInterrupt
    return PairRun(result.run_id, result.success, _metadata(result), _seconds(result))


def end_orphans(instance: dg.DagsterInstance) -> list[str]:
    """Fail the runs that `run_pair` began in processes of this machine that are gone; returns their ids.

    Whoever is killed tells nobody, and Dagster watches only what its daemon has launched.
    """
    found = [run for run in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY)) if _orphaned(run)]
    for run in found:
        instance.report_run_failed(run, "Its process was killed. The next run finds out how far it came.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in found]


def _orphaned(run: dg.DagsterRun) -> bool:
    # A run that is executed again has the tags of its parent, and a process of its own.
    host, _, process = run.tags.get(PROCESS_TAG, "").rpartition(" ")
    return run.parent_run_id is None and host == socket.gethostname() and _gone(int(process))


def _gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # somebody else's, so it is there
    with suppress(OSError):  # not Linux, or gone just now
        # In a container without an init process the dead are never buried.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


def _interrupted(event: dg.DagsterEvent) -> bool:
    # Dagster takes the signal, ends the run and goes on as if nothing were left to do.
    source = event.step_failure_data.error_source if event.is_step_failure else None
    return source is not None and source.name == "INTERRUPT"


def _metadata(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    return {
        event.asset_key.to_user_string(): {
            name: value.value
            for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }


def _seconds(result: dg.ExecuteInProcessResult) -> dict[str, float]:
    return {
        event.step_key or "": event.step_success_data.duration_ms / 1000
        for event in result.all_events
        if event.is_step_success
    }
