"""A stop is not lost, wherever the program is when it comes, and it is one stop."""

import subprocess
import sys

import pytest

CAUGHT_BY_THE_COLLECTOR = """
import os, signal, weakref
from mlc_dagster.cli.signals import stoppable

class Thing: pass

thing = Thing()
told = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM) or sum(range(1000)))
try:
    with stoppable():
        del thing
        {then}
except KeyboardInterrupt:
    print("stopped")
"""

IN_A_STEP = """
import os, signal, weakref
from dagster import DagsterExecutionInterruptedError
from dagster._utils.interrupts import raise_interrupts_as
from mlc_dagster.cli.signals import stoppable

class Thing: pass

thing = Thing()
told = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM) or sum(range(1000)))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
try:
    with stoppable(), raise_interrupts_as(DagsterExecutionInterruptedError):
        del thing
        signal.pause()
except KeyboardInterrupt:
    print("stopped")
"""

TAKEN_BY_A_LIBRARY = """
import os, signal
from mlc_dagster.cli.signals import stoppable

try:
    with stoppable():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            sum(range(1000))
        except KeyboardInterrupt:
            raise RuntimeError("Query interrupted") from None
except KeyboardInterrupt:
    print("stopped")
"""


IN_CODE_FROM_A_TEXT = """
import os, signal
from mlc_dagster.cli.signals import stoppable

try:
    with stoppable():
        exec("os.kill(os.getpid(), signal.SIGINT); sum(range(1000))")
except KeyboardInterrupt:
    print("stopped")
"""


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(CAUGHT_BY_THE_COLLECTOR.format(then="signal.pause()"), id="Python drops it"),
        pytest.param(
            CAUGHT_BY_THE_COLLECTOR.format(then="raise KeyboardInterrupt"), id="it comes before its reminder"
        ),
        pytest.param(IN_A_STEP, id="Python drops it while Dagster runs a step"),
        pytest.param(TAKEN_BY_A_LIBRARY, id="a library makes an error of it"),
        pytest.param(IN_CODE_FROM_A_TEXT, id="it comes while a dataclass is made"),
    ],
)
def test_a_stop_ends_the_block_once(program: str) -> None:
    done = ran(program)
    assert (done.stdout, done.stderr, done.returncode) == ("stopped\n", "", 0)


def test_an_error_of_a_block_that_nobody_stopped_stays_what_it_is() -> None:
    program = TAKEN_BY_A_LIBRARY.replace("os.kill(os.getpid(), signal.SIGINT)", "raise KeyboardInterrupt")
    assert "RuntimeError: Query interrupted" in ran(program).stderr


def ran(program: str) -> "subprocess.CompletedProcess[str]":
    """What came of a program in a process of its own."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
