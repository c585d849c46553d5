"""What is told to stop says so, and leaves no process, no sandbox and no run under way behind."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import requests
import yaml

from mlc_dagster.graph.run import end_orphans
from tests.cli.conftest import MLC, Demo

PAIRS = ("--pair", "asana", "--pair", "cleo")


@pytest.mark.parametrize(
    ("number", "when"),
    [
        pytest.param(signal.SIGINT, "Sandbox ERP", id="Ctrl-C before the first run"),
        pytest.param(signal.SIGTERM, "done in", id="SIGTERM while pairs run"),
    ],
)
def test_a_demo_that_is_told_to_stop_was_interrupted_and_did_not_fail(
    tmp_path: Path, number: signal.Signals, when: str
) -> None:
    demo = subprocess.Popen(
        [*MLC, "demo", "--folder", str(tmp_path / "demo"), "--scale", "0.01", *PAIRS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    with demo:
        assert demo.stdout is not None
        said = ""
        while when not in said:
            line = demo.stdout.readline()
            assert line, f"the demo ended by itself: {said}"
            said += line
        demo.send_signal(number)
        rest, complained = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "interrupted" in complained
    assert "fail" not in said + rest + complained
    assert "Traceback" not in complained
    url = re.search(r"http://\S+", said)[0]  # type: ignore[index]
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/control/state", timeout=5)
    assert processes_of(demo.pid) == []


def processes_of(session: int) -> list[str]:
    """What a session's leader has left running; ended ones may wait for the system to note it."""
    command = ["ps", "-o", "stat=,args=", "-s", str(session)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return [process for process in listed if not process.startswith("Z")]


def test_a_replay_that_is_told_to_stop_leaves_no_process_and_no_run_under_way(demo: Demo) -> None:
    with silent_erp() as erp, replaying(demo, erp) as command, erp.accept()[0]:
        command.send_signal(signal.SIGTERM)
        _, complained = command.communicate(timeout=60)
    assert command.returncode == 1
    assert "The replay was interrupted." in complained
    assert "Traceback" not in complained
    assert processes_of(command.pid) == []
    assert newest_run(demo).status is dg.DagsterRunStatus.FAILURE


def test_a_run_whose_command_was_killed_is_ended_by_the_next_command(demo: Demo) -> None:
    with silent_erp() as erp, replaying(demo, erp) as command, erp.accept()[0]:
        os.killpg(command.pid, signal.SIGKILL)
        command.communicate(timeout=60)
    left = newest_run(demo)
    assert left.status is dg.DagsterRunStatus.STARTED
    with instance_of(demo) as instance:
        assert end_orphans(instance) == [left.run_id]
        assert end_orphans(instance) == []
    assert newest_run(demo).status is dg.DagsterRunStatus.FAILURE


@contextmanager
def silent_erp() -> Iterator[socket.socket]:
    """An ERP that is asked and never answers. Where nobody asks it, the test fails instead of waiting."""
    with socket.create_server(("127.0.0.1", 0)) as erp:
        erp.settimeout(300)
        yield erp


@contextmanager
def replaying(demo: Demo, erp: socket.socket) -> Iterator["subprocess.Popen[str]"]:
    """`mlc replay` of yesterday and today on the demo, but with another ERP."""
    settings = yaml.safe_load((demo.folder / "mlc.yaml").read_text("utf-8"))
    url = f"http://127.0.0.1:{erp.getsockname()[1]}"
    settings["visma"] |= {"base_url": url, "token_url": f"{url}/token"}
    file = demo.folder / "another-erp.yaml"
    file.write_text(yaml.safe_dump(settings), "utf-8")
    last = datetime.now(UTC).date()
    days = ["--from", str(last - timedelta(days=1)), "--to", str(last)]
    with subprocess.Popen(
        [*MLC, "replay", "--company", "NO01", *days, "--pair", "cleo", "--yes"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**demo.environment(), "MLC_CONFIG": str(file)},
        start_new_session=True,
    ) as command:
        try:
            yield command
        finally:
            command.kill()


def instance_of(demo: Demo) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(demo.folder / "dagster"))


def newest_run(demo: Demo) -> dg.DagsterRun:
    with instance_of(demo) as instance:
        return instance.get_runs(limit=1)[0]
