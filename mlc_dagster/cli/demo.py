"""`mlc demo`: a sandbox ERP, a first load of every pair, a day passes, a second load, and what it all did."""

from collections.abc import Sequence
from itertools import chain, product
from pathlib import Path
from time import perf_counter
from typing import Any

import dagster as dg
import yaml
from rich.table import Table

from mlc_dagster.cli import folder as folders
from mlc_dagster.cli.console import console
from mlc_dagster.cli.progress import Progress
from mlc_dagster.cli.report import Line, lines_of, table_of
from mlc_dagster.cli.review import came
from mlc_dagster.cli.sandbox import Sandbox
from mlc_dagster.cli.signals import stoppable
from mlc_dagster.cli.workers import Tell, side_by_side
from mlc_dagster.definitions import defs
from mlc_dagster.delivery import Kind
from mlc_dagster.graph.run import run_pair
from mlc_dagster.inbound.mailbox import receive
from mlc_dagster.outlook import open_days
from mlc_dagster.settings import Settings, load_settings
from mlc_dagster.suite import Suite

COMPANIES = ("NO01", "SE01")
VISMA_POOL = 4


class DemoFailed(Exception):
    """A run of the demo failed."""


class UnknownPair(Exception):
    """A pair that there is not."""


class DemoInterrupted(Exception):
    """The demo was told to stop."""


def run_demo(folder: Path, *, seed: int, scale: str, pairs: Sequence[str] = ()) -> None:
    """Run the demo of all pairs, or of those that are named, in a folder that is made afresh.

    Raises:
        UnknownPair: a pair that there is not.
        FolderBusy: another demo or UI works in the folder.
        NotADemo: the folder holds something else.
        DemoFailed: a run failed; the text says where to look.
        DemoInterrupted: Ctrl-C or SIGTERM; the sandbox has been stopped.
    """
    try:
        with stoppable(), folders.hold(folder, "a demo"):
            folders.empty(folder)
            _run(folder, seed, scale, pairs)
    except KeyboardInterrupt:
        raise DemoInterrupted(
            "The demo was interrupted; its sandbox is stopped. The next one starts afresh."
        ) from None


def _run(folder: Path, seed: int, scale: str, pairs: Sequence[str]) -> None:
    with Sandbox.started(folder, seed=seed, scale=scale, companies=COMPANIES) as sandbox:
        folders.use(folder)
        keep_pairs(folder, pairs)
        settings = load_settings()
        console.print(f"Sandbox ERP with {', '.join(settings.companies)} at {sandbox.url}")
        _set_up(Suite(settings))
        _set_limits(settings)
        console.print(_load("First load", settings))
        _take_in(Suite(settings))
        console.print(_happened(sandbox.pass_day()))
        console.print(_load("A day later", settings))
        _take_in(Suite(settings))
        console.print(_next_steps(folder, _an_invoice(Suite(settings))))


def keep_pairs(folder: Path, pairs: Sequence[str]) -> None:
    """Keep only the named pairs in a demo's mlc.yaml; none named keeps all. Raises UnknownPair."""
    file = folder / "mlc.yaml"
    document = yaml.safe_load(file.read_text("utf-8"))
    if unknown := [pair for pair in pairs if pair not in document["pairs"]]:
        raise UnknownPair(f"There is no pair {unknown[0]}. Known: {', '.join(document['pairs'])}.")
    if pairs:
        document["pairs"] = {pair: document["pairs"][pair] for pair in pairs}
        file.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110), "utf-8")


def _set_up(suite: Suite) -> None:
    """Make what some targets need once, as `mlc powerbi setup` and `mlc asana setup` do."""
    if suite.settings.pairs.powerbi is not None:
        dataset = suite.powerbi.setup
        console.print(f"Power BI: dataset {dataset.apply(dataset.plan())}")
    if suite.settings.pairs.asana is not None:
        fields = suite.asana.setup
        plan = fields.plan()
        fields.apply(plan)
        console.print(f"Asana: {len(plan.make)} custom fields")


def _load(title: str, settings: Settings) -> Table:
    """Run every pair for every company over the days still open, as a schedule would: the pairs at once."""
    works = {pair: settings.companies_of(pair) for pair in settings.pairs.on()}
    lines: dict[str, list[Line]] = {pair: [] for pair in works}
    console.print(f"{title}: {', '.join(works)}, side by side; each takes one company after the other.")
    started = perf_counter()
    with Progress(title, works) as progress, side_by_side(deliver, list(works)) as told:
        for pair, (seconds, found) in told:
            lines[pair] += found
            progress.done(pair, seconds)
    return table_of(f"{title}, {perf_counter() - started:.0f} s", list(chain.from_iterable(lines.values())))


def deliver(pair: str, tell: Tell) -> None:
    """Run a pair for one company after the other, and tell its seconds and lines of the report.

    Raises:
        DemoFailed: a run failed; the text says where to look.
    """
    settings, definitions = load_settings(), defs()
    with dg.DagsterInstance.get() as instance:
        for company in settings.companies_of(pair):
            started = perf_counter()
            first, last = open_days(Suite(settings), pair, company)
            run = run_pair(definitions, instance, pair=pair, company=company, first=first, last=last)
            if not run.success:
                raise DemoFailed(f"{company} to {pair} failed in run {run.run_id}. `make ui` shows its log.")
            tell((perf_counter() - started, lines_of(company, pair, run)))


def _set_limits(settings: Settings) -> None:
    """Open Dagster's storage before others do, and set what may run at once when the UI starts runs."""
    with dg.DagsterInstance.get() as instance:
        for pool, limit in {"visma": VISMA_POOL, **dict.fromkeys(settings.pairs.on(), 1)}.items():
            instance.event_log_storage.set_concurrency_slots(pool, limit)


def _take_in(suite: Suite) -> None:
    """Work off what partners put into Cleo's mailbox, as its own job does, and tell what came."""
    if suite.settings.pairs.cleo is not None:
        console.print(f"Cleo's mailbox: {came(receive(suite, run_id='mlc demo'))}.")


def _happened(answer: dict[str, Any]) -> str:
    """What passed in the ERP, in words."""
    parts = [
        f"{company}: " + ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        for company, counts in answer["happened"]["visma"].items()
    ]
    return "A day passes in the ERP. " + "; ".join(parts) + "."


def _an_invoice(suite: Suite) -> str:
    """The invoice that changed last, as an example for `mlc audit`."""
    names = [name for name in suite.destinations() if name.endswith("/supplier_invoices")]
    for name, kind in product(names, (Kind.UPDATED, Kind.CREATED)):
        event = suite.audit.newest(name, kind)
        if event and event.number:
            return event.number
    return "NUMBER"


def _next_steps(folder: Path, number: str) -> str:
    steps = {
        _ui_command(folder): "lineage, partitions and backfills in Dagster's UI; keeps the sandbox running",
        f". {folder}/activate": "points a terminal of your own at this demo; there:",
        f"mlc audit {number}": "the life of one invoice, from the ERP to every target",
        "mlc cleo status": "where documents stand with their partners",
        "mlc quarantine list": "what was refused or is held for a person, and why",
        "mlc plan": "what the next run would do, without doing it",
    }
    width = max(map(len, steps)) + 2
    return "\n".join(
        ["What to do next:", *(f"  {command:<{width}}{what}" for command, what in steps.items())]
    )


def _ui_command(folder: Path) -> str:
    return "make ui" if folder == folders.DEMO_FOLDER else f"mlc ui --folder {folder}"
