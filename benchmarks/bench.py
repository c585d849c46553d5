"""What the rows share: the server in its process, its configurations, and the measuring of one client."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import requests
import yaml

from benchmarks.measure import Cost, files_in, measure

REPOSITORY = Path(__file__).resolve().parent.parent
CLIENTS = Path(__file__).resolve().parent / "clients"
DLT_PYTHON = Path(__file__).resolve().parent / ".venv-dlt" / "bin" / "python"
LARGE, HALF, SMALL = "NO01", "SE01", "DK01"
# The sections our reader asks for; all clients ask for the same.
SECTIONS = (
    "expandAttachment",
    "expandLandedCosts",
    "expandApproval",
    "expandNote",
    "expandLinePrebookAccounts",
)


@dataclass(frozen=True)
class Result:
    """One measurement: which row of the table, what was done, by whom, and the numbers."""

    row: str
    case: str
    client: str
    numbers: Mapping[str, float]


@dataclass(frozen=True)
class Bench:
    """A running server and a folder to work in."""

    url: str
    folder: Path
    invoices: int
    bytes: int

    def ask(self, path: str, **body: Any) -> dict[str, Any]:
        """Ask the benchmark's own routes of the server: with a body something is done."""
        method = "GET" if path == "seen" else "POST"
        answer = requests.request(method, f"{self.url}/bench/{path}", json=body or None, timeout=600)
        answer.raise_for_status()
        return dict(answer.json())

    def home(self, name: str, *, axis: timedelta) -> dict[str, str]:
        """A new installation: its environment. `axis` is how far back its partitions go."""
        home = self.folder / name
        shutil.rmtree(home, ignore_errors=True)
        (home / "dagster").mkdir(parents=True)
        shutil.copy(REPOSITORY / "dagster.yaml", home / "dagster" / "dagster.yaml")
        settings = yaml.safe_load((self.folder / "erp" / "mlc.yaml").read_text())
        settings["start_day"] = _today() - axis
        (home / "mlc.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
        return self.credentials() | {
            "MLC_CONFIG": str(home / "mlc.yaml"),
            "MLC_LAKE_URL": str(home / "lake"),
            "MLC_DATABASE_URL": f"sqlite:///{home / 'mlc.db'}",
            "DAGSTER_HOME": str(home / "dagster"),
            "PYTHONWARNINGS": "ignore::FutureWarning",
        }

    def credentials(self) -> dict[str, str]:
        """The sandbox's own; they are worth nothing outside of it."""
        lines = (self.folder / "erp" / "credentials.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))

    def bare(self) -> Path:
        """The file that tells a bare client about the large company."""
        settings = yaml.safe_load((self.folder / "erp" / "mlc.yaml").read_text())
        secrets = self.credentials()
        told = {
            "base_url": settings["visma"]["base_url"],
            "token_url": settings["visma"]["token_url"],
            "client_id": secrets["VISMA_CLIENT_ID"],
            "client_secret": secrets["VISMA_CLIENT_SECRET"],
            "tenant_id": settings["companies"][LARGE]["tenant_id"],
            "query": dict.fromkeys(SECTIONS, "true"),
        }
        file = self.folder / "erp" / "erp.json"
        file.write_text(json.dumps(told))
        return file

    def run(
        self,
        row: str,
        case: str,
        client: str,
        command: list[str],
        *,
        env: Mapping[str, str] | None = None,
        watch: tuple[Path, str] | None = None,
    ) -> Result:
        """Measure one client at the server."""
        self.ask("reset")
        before = dict(files_in(*watch)) if watch else {}
        cost = measure(
            command, env=env or {}, log=self.folder / "logs" / f"{row}-{client}-{case}.log", watch=watch
        )
        seen = self.ask("seen")
        written = len(dict(files_in(*watch)).items() - before.items()) if watch else 0
        return Result(row, case, client, _numbers(cost, seen, written))

    def today(self) -> date:
        """The newest partition."""
        return _today()

    def script(self, name: str, *arguments: str, python: str = sys.executable) -> list[str]:
        """The command of a client of this benchmark."""
        return [python, str(CLIENTS / f"{name}.py"), *arguments]


@contextmanager
def serving(folder: Path, invoices: int) -> Iterator[Bench]:
    """Start the server with so many invoices, rendered and waiting; stop it at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "erp").mkdir(parents=True)
    command = [sys.executable, "-m", "benchmarks.erp", "--invoices", str(invoices)]
    command += ["--config", str(folder / "erp"), "--query", *SECTIONS]
    with (folder / "erp.log").open("w") as log:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        told = process.stdout.readline().split()
        if not told:
            raise SystemExit(f"The server did not start: {(folder / 'erp.log').read_text()[-2000:]}")
        yield Bench(told[0], folder, invoices, int(told[1]))
    finally:
        process.terminate()
        process.wait()


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a new database on a PostgreSQL of its own, in a process of its own."""
    script = "from tests.support.postgres import fresh_postgres as new; print(new(), flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.communicate("\n")


def _numbers(cost: Cost, seen: Mapping[str, Any], written: int) -> dict[str, float]:
    numbers = {name: value for name, value in cost.told.items() if isinstance(value, int | float)}
    numbers.pop("ended_at", None)
    first = numbers.pop("first_row_at", None) or cost.durable_at
    if first is not None and seen["first_page_at"] is not None:
        numbers["first_row"] = first - seen["first_page_at"]
    numbers |= {"wall": cost.wall, "cpu": cost.cpu, "peak": cost.peak, "written": written}
    return numbers | {
        "calls": seen["calls"],
        "bytes": seen["bytes"],
        "server_cpu": seen["server_cpu"],
        "answering": seen["answering"],
    }


def _today() -> date:
    return datetime.now(ZoneInfo("Europe/Oslo")).date()
