"""The processes of docs/deploy.md on this machine: code server, daemon, webservers, receiver, PostgreSQL."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa
import yaml
from dagster import DagsterEventType, DagsterInstance

from mlc_dagster.settings import REPOSITORY
from tests.support.serving import free_port

PATIENCE = 120.0
STOPPING = 30.0
LAUNCH = """
mutation Launch($parameters: ExecutionParams!) {
  launchRun(executionParams: $parameters) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on UnauthorizedError { message }
  }
}
"""


def until(told: Callable[[], Any], what: str) -> Any:
    """Ask until there is an answer; for processes that have no other way to tell us."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if answer := told():
            return answer
        time.sleep(0.2)
    raise AssertionError(f"not within {PATIENCE:.0f} s: {what}")


@dataclass(frozen=True)
class Topology:
    """The addresses of a running installation, and its Dagster instance as another process sees it."""

    webserver: str
    read_only: str
    receiver: str
    code_pid: int
    instance: DagsterInstance
    start_daemon: Callable[[], object]

    def launch(self, assets: list[str], tags: dict[str, str], *, at: str | None = None) -> dict[str, Any]:
        """Start a run of some assets as the UI does; the answer of GraphQL."""
        parameters = {
            "selector": {
                "repositoryLocationName": "mlc_dagster",
                "repositoryName": "__repository__",
                "jobName": "__ASSET_JOB",
                "assetSelection": [{"path": asset.split("/")} for asset in assets],
                "assetCheckSelection": [],
            },
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
            "runConfigData": "{}",
        }
        answer = requests.post(
            f"{at or self.webserver}/graphql",
            json={"query": LAUNCH, "variables": {"parameters": parameters}},
            timeout=60,
        )
        return dict(answer.json()["data"]["launchRun"])

    def started(self, run_id: str) -> None:
        """Wait until the run's process works."""

        def works() -> bool:
            record = self.instance.get_run_record_by_id(run_id)
            return record is not None and record.start_time is not None

        until(works, f"run {run_id} starts")

    def finished(self, run_id: str) -> Any:
        """The run's record once it has ended."""

        def ended() -> Any:
            record = self.instance.get_run_record_by_id(run_id)
            return record if record is not None and record.dagster_run.is_finished else None

        return until(ended, f"run {run_id} ends")

    def failures(self, run_id: str) -> list[str]:
        """What a run and its steps failed by, in Dagster's words."""
        kinds = {DagsterEventType.RUN_FAILURE, DagsterEventType.STEP_FAILURE}
        events = [entry.dagster_event for entry in self.instance.all_logs(run_id, of_type=kinds)]
        return [f"{event.message} {event.event_specific_data}" for event in events if event is not None]

    def worker(self, run_id: str) -> int:
        """The process that executed a run, as its event log tells."""
        entries = self.instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT)
        events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
        found = {
            value.text
            for event in events
            for key, value in event.engine_event_data.metadata.items()
            if key == "pid"
        }
        assert len(found) == 1, found
        return int(found.pop())


@contextmanager
def running(folder: Path, environment: dict[str, str], dagster_url: str) -> Iterator[Topology]:
    """Start all processes but the daemon; they are told to stop, and have to, when the block ends."""
    home = folder / "dagster"
    home.mkdir(exist_ok=True)
    grpc, webserver, read_only, receiver = (free_port() for _ in range(4))
    instance = yaml.safe_load((REPOSITORY / "docker" / "dagster.yaml").read_text())
    # The test's PostgreSQL listens on a socket, for which Dagster's other form of settings has no word.
    instance["storage"] = {"postgres": {"postgres_url": dagster_url}}
    (home / "dagster.yaml").write_text(yaml.safe_dump(instance))
    workspace = folder / "workspace.yaml"
    server = {"host": "127.0.0.1", "port": grpc, "location_name": "mlc_dagster"}
    workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
    environment = {**os.environ, **environment, "DAGSTER_HOME": str(home)}
    web = ("dagster-webserver", "--workspace", str(workspace), "--host", "127.0.0.1", "--port")
    # A shell starts its background jobs deaf to SIGINT, and Dagster takes SIGTERM for it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with ExitStack() as stack:

        def start(*command: str) -> subprocess.Popen[bytes]:
            return stack.enter_context(_process(folder, environment, *command))

        code = start("dagster", "code-server", "start", "-p", str(grpc), "-m", "mlc_dagster.definitions")
        start(*web, str(webserver))
        start(*web, str(read_only), "--read-only")
        start("mlc", "receiver", "serve", "--port", str(receiver))
        urls = [f"http://127.0.0.1:{port}" for port in (webserver, read_only, receiver)]
        for url, path in zip(urls, ("/server_info", "/server_info", "/nothing"), strict=True):
            until(lambda address=url + path: _answers(address), f"{url}{path} answers")
        until(lambda: _loaded(urls[0]), "the webserver knows the code location")
        instance_seen = stack.enter_context(DagsterInstance.from_config(str(home)))
        yield Topology(
            *urls,
            code_pid=code.pid,
            instance=instance_seen,
            start_daemon=lambda: start("dagster-daemon", "run", "--workspace", str(workspace)),
        )


@contextmanager
def _process(folder: Path, environment: dict[str, str], *command: str) -> Iterator[subprocess.Popen[bytes]]:
    program, *arguments = command
    log = folder / f"{program}-{len(list(folder.glob('*.log')))}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / program), *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=STOPPING)
            finally:
                process.kill()
                process.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=30).status_code in (200, 404)
    except requests.ConnectionError:
        return False


def _loaded(url: str) -> bool:
    query = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"
    answer = requests.post(f"{url}/graphql", json={"query": query}, timeout=60).json()
    return bool(answer["data"]["repositoriesOrError"].get("nodes"))


def with_driver(url: str) -> str:
    """The URL as Dagster needs it: with the driver's name."""
    return sa.make_url(url).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
