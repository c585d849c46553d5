"""What all tests share."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.support.migrations import recorded_migrations
from tests.support.statements import shared_statements

MEMORY = Path("/dev/shm")
ROOM = 2 * 1024**3
# Files whose tests take longest. They come first: the last file of one process keeps no other waiting.
LONG = (
    "test_commands.py",
    "test_end_to_end.py",
    "test_kill.py",
    "test_actuals.py",
    "test_drift.py",
    "test_interrupt.py",
    "test_fairness.py",
    "test_faults.py",
    "test_login.py",
    "test_topology.py",
    "test_equality.py",
    "test_in_a_browser.py",
)


def pytest_configure(config: pytest.Config) -> None:
    _keep_files_in_memory()
    # Dagster marks what the graph is made of as beta or preview; the tests hold it to what it does.
    config.addinivalue_line("filterwarnings", "ignore:.*is currently in (beta|preview)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


def _keep_files_in_memory() -> None:
    """Without a TMPDIR of yours, and with room for it: waiting for a disk was a third of the suite."""
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


@pytest.fixture(scope="session", autouse=True)
def recorded() -> Iterator[None]:
    """New databases get their tables by the statements of the first one's migrations."""
    with patch("mlc_dagster.database.engine._upgrade", recorded_migrations), shared_statements():
        yield
