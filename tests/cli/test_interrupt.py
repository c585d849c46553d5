"""What is told to stop says so, and leaves no process, no sandbox and no run under way behind."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
import requests

from tests.cli.conftest import MLC
from tests.support.processes import processes_of

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
    assert demo.returncode == 1, complained
    assert "interrupted" in complained
    assert "fail" not in said + rest + complained
    assert "Traceback" not in complained
    url = re.search(r"http://\S+", said)[0]  # type: ignore[index]
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/control/state", timeout=30)
    assert processes_of(demo.pid) == []
