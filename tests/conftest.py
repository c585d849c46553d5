"""What all tests share."""

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.support.migrations import recorded_migrations
from tests.support.statements import shared_statements

MEMORY = Path("/dev/shm")
ROOM = 2 * 1024**3
HERE = Path(__file__).parent
# Files whose tests take longest. They come first: the last file of one process keeps no other waiting.
LONG = (
    "cli/test_commands.py",
    "powerbi/test_end_to_end.py",
    "test_end_to_end.py",
    "anaplan/test_actuals.py",
    "anaplan/test_kill.py",
    "powerbi/test_kill.py",
    "transport/test_fairness.py",
    "visma/test_reader.py",
    "deploy/test_topology.py",
    "tableau/test_kill.py",
    "visma/test_drift.py",
    "cli/test_interrupt.py",
    "cleo/test_inbox_kill.py",
    "powerbi/test_faults.py",
    "cli/test_login.py",
    "graph/test_equality.py",
    "pages/test_in_a_browser.py",
    "test_benchmarks.py",
)


def pytest_configure(config: pytest.Config) -> None:
    _keep_files_in_memory()
    _keep_bytecode()
    # Dagster marks what the graph is made of as beta or preview; the tests hold it to what it does.
    config.addinivalue_line("filterwarnings", "ignore:.*is currently in (beta|preview)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {HERE / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(LONG)))


def pytest_collection_finish() -> None:
    """What all tests are made of stays to the end; the garbage collector need not look through it."""
    gc.freeze()


def _keep_files_in_memory() -> None:
    """Without a TMPDIR of yours, and with room for it: waiting for a disk was a third of the suite."""
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


def _keep_bytecode() -> None:
    """Also where the environment says not to: each of a hundred processes would compile the same again."""
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="session", autouse=True)
def recorded() -> Iterator[None]:
    """New databases get their tables by the statements of the first one's migrations."""
    with patch("mlc_dagster.database.engine._upgrade", recorded_migrations), shared_statements():
        yield


def pytest_unconfigure() -> None:
    """What was put aside is let go: extensions call what is left at the end of a process leaked."""
    gc.unfreeze()
