"""One small demo for all tests of the commands: its folder, its output and a way to run `mlc` on it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from mlc_dagster.cli.sandbox import Sandbox, read_credentials
from mlc_dagster.settings import REPOSITORY
from tests.support.postgres import engine

__all__ = ["engine"]

MLC = [sys.executable, "-m", "mlc_dagster.cli"]
# Each pair goes the whole way in a test of its own; here a short one that is set up first and read back, and
# one that is answered.
PAIRS = ("asana", "cleo")


@dataclass(frozen=True)
class Demo:
    """A finished demo: its folder and what it printed."""

    folder: Path
    output: str

    def environment(self) -> dict[str, str]:
        own = {"MLC_CONFIG": str(self.folder / "mlc.yaml"), "DAGSTER_HOME": str(self.folder / "dagster")}
        return {**os.environ, **read_credentials(self.folder), **own}


Mlc = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("cli") / "demo"
    chosen = [word for pair in PAIRS for word in ("--pair", pair)]
    command = [*MLC, "demo", "--folder", str(folder), "--scale", "0.05", *chosen]
    # A real installation's variables must not draw the demo into its database.
    real = {"MLC_DATABASE_URL": f"sqlite:///{folder.parent}/real.db", "MLC_LAKE_URL": f"{folder.parent}/real"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False, env={**os.environ, **real}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Demo(folder, done.stdout)


@pytest.fixture(scope="session")
def mlc(demo: Demo) -> Iterator[Mlc]:
    """Run `mlc` on the demo, with the demo's sandbox serving again."""
    config = yaml.safe_load((demo.folder / "mlc.yaml").read_text("utf-8"))
    port = urlsplit(config["visma"]["base_url"]).port

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [*MLC, *arguments]
        environment = demo.environment()
        return subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, env=environment
        )

    with Sandbox.started(demo.folder, port=port):
        yield run


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an mlc.yaml of its own, and no state yet."""
    settings = yaml.safe_load((REPOSITORY / "mlc.yaml").read_text("utf-8"))
    settings |= {"home": "state", "mappings": str(REPOSITORY / "dbt_like_mappings")}
    (tmp_path / "mlc.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    monkeypatch.setenv("MLC_CONFIG", str(tmp_path / "mlc.yaml"))
    for name in ("MLC_DATABASE_URL", "MLC_LAKE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path
