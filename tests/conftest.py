"""What all tests share."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.support.migrations import recorded_migrations

MEMORY = Path("/dev/shm")
ROOM = 2 * 1024**3


def pytest_configure(config: pytest.Config) -> None:
    _keep_files_in_memory()
    # Dagster marks what the graph is made of as beta or preview; the tests hold it to what it does.
    config.addinivalue_line("filterwarnings", "ignore:.*is currently in (beta|preview)")


def _keep_files_in_memory() -> None:
    """Without a TMPDIR of yours, and with room for it: waiting for a disk was a third of the suite."""
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


@pytest.fixture(scope="session", autouse=True)
def recorded() -> Iterator[None]:
    """New databases get their tables by the statements of the first one's migrations."""
    with patch("mlc_dagster.database.engine._upgrade", recorded_migrations):
        yield
