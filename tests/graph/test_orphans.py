"""Runs whose process was killed are ended by the next command; those of others are left alone."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from mlc_dagster.graph.run import PROCESS_TAG, end_orphans

STARTED, FAILED = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def gone() -> str:
    """The name of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return f"{socket.gethostname()} {process.pid}"


def begin(instance: dg.DagsterInstance, tags: dict[str, str], parent: str | None = None) -> str:
    run = create_run_for_test(instance, status=STARTED, tags=tags, parent_run_id=parent, root_run_id=parent)
    return run.run_id


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_run_of_a_process_that_is_gone_has_failed_and_leaves_its_pool(
    instance: dg.DagsterInstance, gone: str
) -> None:
    log = instance.event_log_storage
    log.set_concurrency_slots("anaplan", 1)
    run_id = begin(instance, {PROCESS_TAG: gone})
    assert log.claim_concurrency_slot("anaplan", run_id, "step").is_claimed
    assert end_orphans(instance) == [run_id]
    assert status(instance, run_id) is FAILED
    assert log.get_concurrency_info("anaplan").active_slot_count == 0


def test_a_run_that_a_process_still_works_at_goes_on(instance: dg.DagsterInstance) -> None:
    run_id = begin(instance, {PROCESS_TAG: f"{socket.gethostname()} {os.getpid()}"})
    assert end_orphans(instance) == []
    assert status(instance, run_id) is STARTED


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that a process waits to be buried")
def test_a_process_nobody_has_buried_yet_is_gone_too(instance: dg.DagsterInstance) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        run_id = begin(instance, {PROCESS_TAG: f"{socket.gethostname()} {process.pid}"})
        found = end_orphans(instance)
    assert found == [run_id]


def test_runs_of_other_machines_of_the_daemon_and_repeated_ones_are_left_alone(
    instance: dg.DagsterInstance, gone: str
) -> None:
    elsewhere = begin(instance, {PROCESS_TAG: f"another-{gone}"})
    launched = begin(instance, {})
    first = create_run_for_test(instance, status=FAILED, tags={PROCESS_TAG: gone})
    repeated = begin(instance, {PROCESS_TAG: gone}, parent=first.run_id)
    assert end_orphans(instance) == []
    assert {status(instance, each) for each in (elsewhere, launched, repeated)} == {STARTED}
