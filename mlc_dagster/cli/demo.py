"""`mlc demo`: a sandbox ERP, a first load of every pair, a day passes, a second load, and what it all did."""

import fcntl
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter
from zoneinfo import ZoneInfo

import dagster as dg
from rich.console import Console
from rich.table import Table

from mlc_dagster.cli.progress import Progress
from mlc_dagster.cli.sandbox import Sandbox, read_credentials
from mlc_dagster.definitions import defs
from mlc_dagster.delivery import Kind
from mlc_dagster.graph.run import PairRun, run_pair, steps_done
from mlc_dagster.settings import REPOSITORY, Settings, load_settings
from mlc_dagster.suite import Suite

COMPANIES = ("NO01", "SE01")
COLUMNS = ("read", "created", "updated", "deleted", "unchanged", "failed", "quarantined")


class FolderBusy(Exception):
    """Another demo or UI works in the folder."""


class DemoFailed(Exception):
    """A run of the demo failed."""


@dataclass(frozen=True)
class Line:
    """One line of the report: one company and destination (or the reading of Visma) in one load."""

    load: str
    company: str
    place: str
    counts: dict[str, int]
    calls: int
    seconds: float


def run_demo(folder: Path, *, seed: int, scale: str) -> None:
    """Run the whole demo in a folder that is made afresh.

    Raises:
        FolderBusy: another demo or UI works in the folder.
        DemoFailed: a run failed; the text names the log to read.
    """
    console = Console()
    with hold(folder, "a demo"):
        _empty(folder)
        with Sandbox.started(folder, seed=seed, scale=scale, companies=COMPANIES) as sandbox:
            use_folder(folder)
            (folder / "activate").write_text(_activation(folder), "utf-8")
            lines = _load_twice(console, sandbox, load_settings())
            number = _latest_number(Suite(load_settings()))
    console.print(_report(lines))
    console.print(_next_steps(folder, number), highlight=False)


@contextmanager
def hold(folder: Path, what: str) -> Iterator[None]:
    """Keep a folder for this process while the block runs, and say so to whoever asks for it meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise FolderBusy(
                f"{folder} is in use by {lock.read().strip() or 'another process'}. "
                "Wait for it or stop it, or choose another folder with --folder."
            ) from None
        lock.truncate(0)
        lock.write(f"{what} (process {os.getpid()})")
        lock.flush()
        yield


def use_folder(folder: Path) -> None:
    """Point this process, and those it starts, at the configuration and the state in the folder."""
    home = (folder / "dagster").resolve()
    home.mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / "dagster.yaml", home / "dagster.yaml")
    os.environ.update(read_credentials(folder))
    os.environ["MLC_CONFIG"] = str((folder / "mlc.yaml").resolve())
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ.setdefault("PYTHONWARNINGS", "ignore::FutureWarning")


def _empty(folder: Path) -> None:
    for child in folder.iterdir():
        shutil.rmtree(child) if child.is_dir() else child.unlink()


def _load_twice(console: Console, sandbox: Sandbox, settings: Settings) -> list[Line]:
    console.print(f"Sandbox ERP with {', '.join(settings.companies)} at {sandbox.url}")
    lines = _load("first load", settings)
    passed = sandbox.pass_day()
    console.print(f"A day passes in the ERP: {passed}")
    return lines + _load("a day later", settings)


def _load(load: str, settings: Settings) -> list[Line]:
    definitions = defs()
    today = datetime.now(ZoneInfo(settings.timezone)).date()
    jobs = [(pair, company) for pair in settings.pairs.on() for company in settings.companies_of(pair)]
    lines: list[Line] = []
    with dg.DagsterInstance.get() as instance, Progress(load, len(jobs)) as progress:
        for pair, company in jobs:
            progress.begin(f"{company} to {pair}")
            started = perf_counter()
            with progress.watching(lambda pair=pair, company=company: steps_done(instance, pair, company)):  # type: ignore[misc]
                run = run_pair(
                    definitions,
                    instance,
                    pair=pair,
                    company=company,
                    first=settings.start_day,
                    last=today,
                )
            if not run.success:
                raise DemoFailed(
                    f"Run {run.run_id} ({company} to {pair}) failed. Its log is in the UI: make ui"
                )
            lines += _lines(load, company, pair, run)
            progress.end(perf_counter() - started)
    return lines


def _lines(load: str, company: str, pair: str, run: PairRun) -> list[Line]:
    """One line for what was read from Visma, then one a destination."""
    visma = [key for key in run.metadata if key.startswith("visma/")]
    read = sum(run.metadata[key].get("read", 0) for key in visma)
    counts = {"read": read, "quarantined": sum(run.metadata[key].get("quarantined", 0) for key in visma)}
    lines = [Line(load, company, "visma", counts, _sum(run, visma), _time(run, visma))]
    for key, metadata in run.metadata.items():
        if key.startswith(f"{pair}/") and not key.startswith(f"{pair}/rows/"):
            counts = {name: int(metadata.get(name, 0)) for name in COLUMNS}
            lines.append(Line(load, company, key, counts, _sum(run, [key]), _time(run, [key])))
    return lines


def _sum(run: PairRun, keys: list[str]) -> int:
    return sum(int(run.metadata[key].get("calls", 0)) for key in keys)


def _time(run: PairRun, keys: list[str]) -> float:
    return sum(run.seconds.get(key.replace("/", "__"), 0.0) for key in keys)


def _report(lines: list[Line]) -> Table:
    table = Table(title="What the runs did, by company and destination")
    for heading in ("load", "company", "destination"):
        table.add_column(heading)
    for heading in (*COLUMNS, "API calls", "seconds"):
        table.add_column(heading, justify="right")
    for before, line in zip([None, *lines], lines, strict=False):
        if before is not None and (before.load, before.company) != (line.load, line.company):
            table.add_section()
        numbers = [str(line.counts[name]) if name in line.counts else "" for name in COLUMNS]
        table.add_row(line.load, line.company, line.place, *numbers, str(line.calls), f"{line.seconds:.1f}")
    return table


def _latest_number(suite: Suite) -> str:
    """The invoice that was updated last, as an example for `mlc audit`."""
    event = suite.audit.newest("anaplan/supplier_invoices", Kind.UPDATED)
    return event.number if event and event.number else "NUMBER"


def _activation(folder: Path) -> str:
    """A shell script that points a terminal at the demo, as `use_folder` points this process at it."""
    variables = {
        **read_credentials(folder),
        **{name: os.environ[name] for name in ("MLC_CONFIG", "DAGSTER_HOME")},
    }
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    return f"{exports}export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH\n"


def _next_steps(folder: Path, number: str) -> str:
    steps = {
        "make ui": "lineage, partitions and backfills in Dagster's UI",
        f". {folder}/activate": "use the demo's settings in a terminal of your own, there:",
        f"mlc audit {number}": "the life of one invoice, from the ERP to every target",
        "mlc plan": "what the next run would do, without doing it",
    }
    return "\n".join(["What to do next:", *(f"  {command:<26} {what}" for command, what in steps.items())])
