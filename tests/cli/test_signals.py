"""A stop is not lost, wherever the program is when it comes."""

import subprocess
import sys

CAUGHT_BY_THE_COLLECTOR = """
import os, signal, weakref
from mlc_dagster.cli.signals import stop_on_signals

class Thing: pass

stop_on_signals()
thing = Thing()
told = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM) or sum(range(1000)))
try:
    del thing
    signal.pause()
except KeyboardInterrupt:
    print("stopped")
"""


def test_a_stop_that_falls_into_the_garbage_collector_comes_once_more() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CAUGHT_BY_THE_COLLECTOR],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("stopped\n", "")
