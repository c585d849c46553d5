"""The suite on more than one process: what docs/deploy.md describes, with a real PostgreSQL."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import yaml
from dagster import DagsterRunStatus

from mlc_dagster.graph.partitions import range_tags
from mlc_dagster.graph.steps import COMPANY_TAG, PAIR_TAG
from mlc_dagster.outlook import today
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_sandbox.config import write_config
from mlc_sandbox.server import Sandbox
from tests.deploy.topology import Topology, running, with_driver
from tests.support.house import running_sandbox
from tests.support.postgres import drop_postgres, fresh_postgres

pytestmark = pytest.mark.postgres
CHAIN = ["visma/suppliers", "anaplan/rows/suppliers", "anaplan/suppliers"]
READING = ["visma/suppliers", "visma/customers", "visma/gl_accounts"]


@dataclass(frozen=True)
class Place:
    """An installation: its processes, its sandbox, and its state as a command would see it."""

    processes: Topology
    runs: tuple[str, str]
    sandbox: Sandbox
    suite: Suite


def tags(suite: Suite, company: str, pair: str = "anaplan") -> dict[str, str]:
    days = range_tags(company, suite.settings.start_day, today(suite))
    return {**days, PAIR_TAG: pair, COMPANY_TAG: company}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("topology")
    ours, dagsters = fresh_postgres(), fresh_postgres()
    with running_sandbox() as sandbox, pytest.MonkeyPatch.context() as patch:
        file, credentials = write_config(folder, sandbox.url, sandbox.vendors.values())
        settings = yaml.safe_load(file.read_text())
        settings["pairs"] = {"anaplan": settings["pairs"]["anaplan"]}
        file.write_text(yaml.safe_dump(settings))
        environment = {
            **dict(line.split("=", 1) for line in credentials.read_text().splitlines()),
            "MLC_CONFIG": str(file),
            "MLC_DATABASE_URL": with_driver(ours),
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        with running(folder, environment, with_driver(dagsters)) as processes:
            suite = Suite(load_settings(file))
            one = processes.launch(CHAIN, tags(suite, "NO01"))["run"]["runId"]
            other = processes.launch(READING, tags(suite, "SE01", "asana"))["run"]["runId"]
            # The ERP answers nobody until both work, so neither is done before the other starts.
            with sandbox.visma.lock:
                processes.start_daemon()
                for run in (one, other):
                    processes.started(run)
            yield Place(processes, (one, other), sandbox, suite)
    for url in (ours, dagsters):
        drop_postgres(url)


def test_two_companies_run_at_once_in_worker_processes_of_their_own(place: Place) -> None:
    processes = place.processes
    first, second = (processes.finished(run) for run in place.runs)
    assert [said for run in place.runs for said in processes.failures(run)] == []
    assert {record.dagster_run.status for record in (first, second)} == {DagsterRunStatus.SUCCESS}
    assert first.start_time < second.end_time
    assert second.start_time < first.end_time
    workers = {processes.worker(run) for run in place.runs}
    assert len(workers | {processes.code_pid}) == 3
    delivered = set(place.suite.ledger.held_keys("anaplan/suppliers"))
    assert delivered == set(place.sandbox.anaplan.world.module_rows("DAT01 Suppliers")) != set()


def test_the_read_only_webserver_shows_runs_and_starts_none(place: Place) -> None:
    processes = place.processes
    before = place.processes.instance.get_runs_count()
    answer = processes.launch(READING, tags(place.suite, "NO01"), at=processes.read_only)
    assert answer["__typename"] == "UnauthorizedError"
    assert processes.instance.get_runs_count() == before


def test_the_daemon_answers_for_all_it_has_to_do(place: Place) -> None:
    query = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"
    answer = requests.post(f"{place.processes.webserver}/graphql", json={"query": query}, timeout=60).json()
    statuses = answer["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
    sick = [status["daemonType"] for status in statuses if status["required"] and not status["healthy"]]
    assert not sick


def test_the_receiver_lives_beside_them(place: Place) -> None:
    assert requests.get(f"{place.processes.receiver}/healthz", timeout=30).status_code == 200
    unknown = requests.post(f"{place.processes.receiver}/hooks/nobody/here", data=b"{}", timeout=30)
    assert unknown.status_code == 404


def test_no_process_told_a_credential(place: Place) -> None:
    for run in place.runs:
        place.processes.finished(run)
    folder = place.suite.settings.file.parent
    secrets = [line.split("=", 1)[1] for line in (folder / "credentials.env").read_text().splitlines()]
    logs = "".join(log.read_text(errors="replace") for log in Path(folder).glob("*.log"))
    assert logs
    assert not [secret for secret in secrets if len(secret) >= 8 and secret in logs]
