"""Work side by side: what each process tells arrives, and none outlives the block or its parent."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster.cli.folder import NotADemo
from mlc_dagster.cli.workers import Tell, Work, WorkerDied, side_by_side

NAMES = ("first", "second")


def count(name: str, tell: Tell) -> None:
    for number in range(3):
        tell((os.getpid(), number))


def wait_for_ever(name: str, tell: Tell) -> None:
    tell(os.getpid())
    signal.pause()


def wait_for_ever_deaf_to_sigterm(name: str, tell: Tell) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wait_for_ever(name, tell)


def refuse(name: str, tell: Tell) -> None:
    if name == "first":
        raise NotADemo("the first one says no")
    wait_for_ever(name, tell)


def die(name: str, tell: Tell) -> None:
    if name == "second":
        os.kill(os.getpid(), signal.SIGKILL)
    wait_for_ever(name, tell)


def gather(work: Work) -> list[tuple[str, Any]]:
    with side_by_side(work, NAMES) as told:
        return list(told)


def alive(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def test_all_that_the_processes_tell_arrives_in_the_order_of_each() -> None:
    heard = gather(count)
    assert sorted(name for name, _ in heard) == ["first"] * 3 + ["second"] * 3
    for each in NAMES:
        assert [number for name, (_, number) in heard if name == each] == [0, 1, 2]
    processes = {process for _, (process, _) in heard}
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_an_error_of_ours_is_raised_here_though_the_others_go_on() -> None:
    with pytest.raises(NotADemo, match="the first one says no"):
        gather(refuse)


def test_a_process_that_died_is_named() -> None:
    with pytest.raises(WorkerDied, match="for second ended with exit code -9"):
        gather(die)


@pytest.mark.parametrize("work", [wait_for_ever, wait_for_ever_deaf_to_sigterm])
def test_leaving_the_block_ends_what_still_runs(monkeypatch: pytest.MonkeyPatch, work) -> None:
    monkeypatch.setattr("mlc_dagster.cli.workers.END_SECONDS", 0.2)
    with side_by_side(work, NAMES) as told:
        processes = [next(told)[1], next(told)[1]]
        assert all(map(alive, processes))
    assert not any(map(alive, processes))


def call_in(name: str, tell: Tell) -> None:
    with Client(os.environ["CALL_IN"]) as line:
        line.send(os.getpid())
        signal.pause()


def test_a_process_does_not_outlive_the_one_it_works_for(tmp_path: Path) -> None:
    code = (
        "from mlc_dagster.cli.workers import side_by_side\n"
        "from tests.cli.test_workers import call_in\n"
        "with side_by_side(call_in, ['only']) as told: list(told)"
    )
    with Listener(str(tmp_path / "line"), "AF_UNIX") as listener:
        environment = {
            **os.environ,
            "CALL_IN": str(tmp_path / "line"),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        with (
            subprocess.Popen([sys.executable, "-c", code], env=environment) as parent,
            listener.accept() as line,
        ):
            assert alive(line.recv())
            parent.kill()
            assert _ended(line)


def _ended(line: Connection) -> bool:
    """Whether the other end hangs up: the wait ends when its process does."""
    try:
        line.recv()
    except EOFError:
        return True
    return False
