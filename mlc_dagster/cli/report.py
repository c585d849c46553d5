"""What runs did, as a table: by company and destination."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from mlc_dagster.cli.console import table_with
from mlc_dagster.graph.run import PairRun

COLUMNS = ("read", "created", "updated", "deleted", "unchanged", "failed", "quarantined")
HEADINGS = (*COLUMNS[:-1], "held\nback", "calls", "seconds")  # narrow: the table fits into 100 signs


@dataclass(frozen=True)
class Line:
    """One company and model, or without a model the reading of Visma, in one run."""

    company: str
    pair: str
    model: str | None
    counts: dict[str, int]
    calls: int
    seconds: float


def lines_of(company: str, pair: str, run: PairRun) -> list[Line]:
    """One line for what was read from Visma, then one a destination."""
    visma = [key for key in run.metadata if key.startswith("visma/")]
    counts = {name: _sum(run, visma, name) for name in ("read", "quarantined")}
    lines = [Line(company, pair, None, counts, _sum(run, visma, "calls"), _seconds(run, visma))]
    for key in run.metadata:
        if key.startswith(f"{pair}/") and not key.startswith(f"{pair}/rows/"):
            counts = {name: _sum(run, [key], name) for name in COLUMNS}
            model = key.removeprefix(f"{pair}/")
            lines.append(Line(company, pair, model, counts, _sum(run, [key], "calls"), _seconds(run, [key])))
    return lines


def table_of(title: str, lines: Sequence[Line]) -> Table:
    """The lines as a table, with a section for each company and pair."""
    table = table_with(title, ("destination", *HEADINGS), numbers=HEADINGS, whole=["destination"])
    for line in lines:
        if line.model is None and table.row_count:
            table.add_section()
        name = f"  {line.model}" if line.model else f"{line.company}, read for {line.pair}"
        counts = [str(line.counts[name]) if name in line.counts else "" for name in COLUMNS]
        table.add_row(name, *counts, str(line.calls), f"{line.seconds:.1f}")
    return table


def _sum(run: PairRun, keys: Sequence[str], name: str) -> int:
    return sum(int(run.metadata[key].get(name, 0)) for key in keys)


def _seconds(run: PairRun, keys: Sequence[str]) -> float:
    return sum(run.seconds.get(key.replace("/", "__"), 0.0) for key in keys)
