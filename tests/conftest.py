"""What all tests share."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

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
