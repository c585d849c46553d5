"""A demo that is told to stop says so, calls nothing failed, and leaves no sandbox behind."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
import requests

from tests.cli.conftest import MLC


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_told_to_stop_was_interrupted_and_did_not_fail(
    tmp_path: Path, number: signal.Signals
) -> None:
    demo = subprocess.Popen(
        [*MLC, "demo", "--folder", str(tmp_path / "demo"), "--scale", "0.05"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    with demo:
        assert demo.stdout is not None
        url = re.search(r"http://\S+", next(iter(demo.stdout)))[0]  # type: ignore[index]
        next(line for line in demo.stdout if "done in" in line)  # the first run is over, the second under way
        demo.send_signal(number)
        said, complained = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "interrupted" in complained
    assert "fail" not in said + complained
    assert "Traceback" not in complained
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/control/state", timeout=5)
