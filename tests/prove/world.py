"""The sandbox as a process with an empty installation beside it, and the sandbox's control API."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.prove.worker import PATIENCE_SECONDS
from tests.support.serving import free_port

START_SECONDS, CALL_SECONDS = 90, 120
JSON_BODY = {"Content-Type": "application/json"}
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
# The main documents, and what they refer to: a run of all destinations takes several times as long.
MAIN = {
    "anaplan": ("suppliers", "supplier_invoices", "purchase_orders"),
    "tableau": ("suppliers", "supplier_invoices", "purchase_orders"),
    "powerbi": ("companies", "suppliers", "dates", "currencies", "document_kinds", "supplier_invoices"),
}
PAIRS = ("anaplan", "asana", "cleo", "tableau", "powerbi")


@dataclass(frozen=True)
class World:
    """A sandbox and the installation at it. environment: what points a process at the installation.

    whole: it carries every destination of every pair; else the main documents (MAIN).
    """

    url: str
    folder: Path
    companies: tuple[str, ...]
    pairs: tuple[str, ...]
    environment: dict[str, str]
    process: "subprocess.Popen[bytes]"
    whole: bool = False

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the sandbox's control API, or a vendor's own; numbers come as Decimals. Raises HTTPError."""
        data = None if body is None else json.dumps(body, default=float)
        answer = requests.request(
            method, f"{self.url}{path}", data=data, headers=JSON_BODY, timeout=CALL_SECONDS
        )
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path} {body}: {answer.status_code} {answer.text[:300]}")
        return json.loads(answer.text, parse_float=Decimal)

    def advance(self, seconds: float) -> None:
        """Let time pass for everybody."""
        self.control("POST", "/control/clock", {"advance_seconds": seconds})

    def truth(self, company: str, entity: str) -> list[dict[str, Any]]:
        """What the ERP holds of an entity now, every row with every section."""
        rows: list[dict[str, Any]] = self.control("GET", f"/control/visma/{company}/{entity}")
        return rows

    @property
    def settings(self) -> dict[str, Any]:
        """mlc.yaml."""
        document: dict[str, Any] = yaml.safe_load((self.folder / "mlc.yaml").read_text("utf-8"))
        return document


@contextmanager
def world(
    folder: Path,
    *,
    seed: int,
    scale: str,
    companies: tuple[str, ...],
    pairs: tuple[str, ...],
    database: str,
    loaded: Path | None = None,
    whole: bool = False,
) -> Iterator[World]:
    """Start a sandbox; it ends with the block, and its state stays in the folder.

    database: a SQLAlchemy URL, of an empty database unless `loaded` is the folder of such a world, of the
    same seed and on SQLite, to go on from. whole: all destinations of all pairs, not the main documents.
    """
    port = free_port()
    command = [sys.executable, "-m", "mlc_sandbox", "serve", "--seed", str(seed), "--scale", scale]
    command += ["--port", str(port), "--state", str(folder), "--days-behind", "0"]
    command += ["--companies", ",".join(companies)]
    url = f"http://127.0.0.1:{port}"
    if loaded is None:
        folder.mkdir(parents=True, exist_ok=True)
        command += ["--config", str(folder)]
    else:
        _copy(loaded, folder, url)
    with (folder / "sandbox.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(f"{url}/control/state", process)
        if loaded is None:
            _adapt(folder / "mlc.yaml", pairs, {} if whole else MAIN)
        lines = (folder / "credentials.env").read_text("utf-8").splitlines()
        environment = dict(line.split("=", 1) for line in lines if "=" in line)
        environment |= {
            "MLC_CONFIG": str(folder / "mlc.yaml"),
            "MLC_DATABASE_URL": database,
            "MLC_LAKE_URL": str(folder / "lake"),
        }
        yield World(url, folder, companies, pairs, environment, process, whole)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()


def _copy(loaded: Path, folder: Path, url: str) -> None:
    """Another installation like one that is asleep: its targets are known by their new address."""
    shutil.copytree(loaded, folder, ignore=shutil.ignore_patterns("*.log"))
    file = folder / "mlc.yaml"
    settings = file.read_text("utf-8")
    old = ADDRESS.findall(settings)[0]
    file.write_text(settings.replace(old, url), "utf-8")
    with closing(sqlite3.connect(folder / "mlc.db")) as database, database:
        database.execute("UPDATE target_state SET target = replace(target, ?, ?)", (old, url))


def _adapt(file: Path, pairs: tuple[str, ...], kept: Mapping[str, Sequence[str]]) -> None:
    """Waits end early, so that a closed window is met by the next run and not slept through; of some pairs
    only the models that are to be kept; and what people say at Asana goes back.
    """
    settings = yaml.safe_load(file.read_text("utf-8"))
    for section in (settings["visma"], *settings["pairs"].values()):
        section["patience_seconds"] = PATIENCE_SECONDS
    for pair, names in kept.items():
        given = settings["pairs"][pair]["destinations"]
        few = {name: given[name] for name in names} if isinstance(given, dict) else list(names)
        settings["pairs"][pair]["destinations"] = few
    for destination in settings["pairs"]["asana"]["destinations"].values():
        destination["way_back"] = {"comments": True}
    settings["pairs"] = {pair: settings["pairs"][pair] for pair in pairs}
    file.write_text(yaml.safe_dump(settings, sort_keys=False), "utf-8")


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            requests.get(url, timeout=30)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"The sandbox did not start: see sandbox.log beside mlc.yaml. {url}")
