"""`mlc replay`: something is done again, in this process; the plan is shown first."""

from dataclasses import asdict
from datetime import date
from functools import partial

import dagster as dg
import typer
from rich.table import Table

from mlc_dagster.cli.console import console
from mlc_dagster.cli.person import person
from mlc_dagster.cli.report import Line, lines_of, table_of
from mlc_dagster.definitions import defs
from mlc_dagster.graph.replay import spans_of
from mlc_dagster.graph.run import run_pair
from mlc_dagster.operations.replay import By, NotAReplay, Plan, What, mark, plan
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite


def asked_for(
    *,
    number: str | None,
    batch: str | None,
    run: str | None,
    company: str | None,
    days: tuple[date | None, date | None],
    pair: str | None,
) -> What:
    """What the command line names: exactly one of a number, a batch, a run, or days of a company.

    Raises:
        NotAReplay: none of them, or several.
    """
    named = {By.NUMBER: number, By.BATCH: batch, By.RUN: run, By.WINDOW: company}
    given = [(by, value) for by, value in named.items() if value is not None]
    first, last = days
    if len(given) != 1 or (given[0][0] is By.WINDOW) != (first is not None and last is not None):
        raise NotAReplay("Name one of NUMBER, --batch, --run, or --company with --from and --to.")
    by, value = given[0]
    return What.window(value, first, last, pair) if first and last else What(by, value, pair)


def replay(what: What, *, yes: bool) -> int:
    """Show what has to run, ask, run it and print what came of it; 1 when the answer is no or a run fails.

    Raises:
        NotAReplay: nothing is known of it; the text says what is.
        LeaseHeld: a delivery is under way.
    """
    suite = Suite(load_settings())
    with dg.DagsterInstance.get() as instance:
        planned = plan(suite, what, partial(spans_of, instance, suite.settings))
    console.print(_table(planned))
    for note in planned.notes:
        console.print(note)
    if not yes and not typer.confirm("Do this now?"):
        console.print("Nothing was changed.")
        return 1
    return run_now(suite, planned)


def run_now(suite: Suite, planned: Plan) -> int:
    """Mark the plan's rows, run its chains one after the other, print what came of it; 1 when one fails.

    Raises:
        LeaseHeld: a delivery is under way.
    """
    mark(suite, planned, by=person())
    definitions = defs()
    lines: list[Line] = []
    failed = 0
    with dg.DagsterInstance.get() as instance:
        for span in planned.spans:
            console.print(f"Running {span.pair} {span.company}, {span.first} to {span.last} ...")
            run = run_pair(definitions, instance, **asdict(span))
            lines += [line for line in lines_of(span.company, span.pair, run) if any(line.counts.values())]
            if not run.success:
                failed += 1
                console.print(f"Run {run.run_id} failed. Its log in Dagster's UI says why.")
    if lines:
        console.print(table_of("What came of it", lines))
    return int(failed > 0)


def _table(planned: Plan) -> Table:
    table = Table(title="What has to run", title_justify="left")
    for heading in ("pair", "company", "days", "rows that go again although unchanged"):
        table.add_column(heading, overflow="fold")
    for span in planned.spans:
        days = str(span.first) if span.first == span.last else f"{span.first} to {span.last}"
        rows = {
            name: len(keys)
            for (name, company), keys in planned.rows.items()
            if company == span.company and name.startswith(f"{span.pair}/")
        }
        told = ", ".join(f"{name} {count}" for name, count in rows.items())
        table.add_row(span.pair, span.company, days, told or "none: only what differs")
    return table
