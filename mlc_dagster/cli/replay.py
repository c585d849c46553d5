"""`mlc replay`: something is done again, by processes of this command; the plan is shown first."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial

import typer
from rich.table import Table

from mlc_dagster.cli.console import console, table_with
from mlc_dagster.cli.instance import dagster_instance
from mlc_dagster.cli.person import person
from mlc_dagster.cli.report import Line, lines_of, table_of
from mlc_dagster.cli.signals import stoppable
from mlc_dagster.cli.workers import Tell, side_by_side
from mlc_dagster.definitions import defs
from mlc_dagster.graph.replay import spans_of
from mlc_dagster.graph.run import end_orphans, run_pair
from mlc_dagster.operations.replay import By, NotAReplay, Plan, Span, What, mark, plan
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite


class ReplayInterrupted(Exception):
    """The command was told to stop."""


@dataclass(frozen=True)
class Ran:
    """What came of one span. lines: what was done where."""

    run_id: str
    success: bool
    lines: Sequence[Line]


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
        NoDagster: DAGSTER_HOME is not set.
    """
    suite = Suite(load_settings())
    with dagster_instance() as instance:
        planned = plan(suite, what, partial(spans_of, instance, suite.settings))
    console.print(_table(planned))
    for note in planned.notes:
        console.print(note)
    if not yes and not typer.confirm("Do this now?"):
        console.print("Nothing was changed.")
        return 1
    return run_now(suite, planned)


def run_now(suite: Suite, planned: Plan) -> int:
    """Mark the plan's rows, run its chains, the pairs at once, print what came of it; 1 when one fails.

    Raises:
        LeaseHeld: a delivery is under way.
        ReplayInterrupted: Ctrl-C or SIGTERM; no process is left behind.
    """
    with dagster_instance() as instance:
        end_orphans(instance)
        try:
            with stoppable():
                mark(suite, planned, by=person())
                return _tell_what_came(_by_pair(planned))
        except KeyboardInterrupt:
            raise ReplayInterrupted(
                "The replay was interrupted. Rows that did not go yet go with their pair's next run."
            ) from None
        finally:
            end_orphans(instance)


def run_spans(spans: Mapping[str, Sequence[Span]], pair: str, tell: Tell) -> None:
    """Run the chain of a pair for its spans, one after the other; tells each span, and what came of it."""
    definitions = defs()
    with dagster_instance() as instance:
        for span in spans[pair]:
            tell(span)
            run = run_pair(definitions, instance, **asdict(span), again=True)
            tell(Ran(run.run_id, run.success, lines_of(span.company, pair, run)))


def _by_pair(planned: Plan) -> Mapping[str, list[Span]]:
    spans: dict[str, list[Span]] = defaultdict(list)
    for span in planned.spans:
        spans[span.pair].append(span)
    return dict(spans)


def _tell_what_came(spans: Mapping[str, Sequence[Span]]) -> int:
    lines: list[Line] = []
    failed = 0
    # Dagster puts signals off while its own code runs: here it runs in processes that can be ended.
    with side_by_side(partial(run_spans, spans), list(spans)) as told:
        for _, what in told:
            if isinstance(what, Span):
                console.print(f"Running {what.pair} {what.company}, {what.days} ...")
                continue
            lines += [line for line in what.lines if line.model is None or any(line.counts.values())]
            if not what.success:
                failed += 1
                console.print(f"Run {what.run_id} failed. Its log in Dagster's UI says why.")
    if lines:
        console.print(table_of("What came of it", sorted(lines, key=lambda line: line.company)))
    return int(failed > 0)


def _table(planned: Plan) -> Table:
    table = table_with(
        "What has to run", ("pair", "company", "days", "rows that go again although unchanged")
    )
    for span in planned.spans:
        rows = {
            name: len(keys)
            for (name, company), keys in planned.rows.items()
            if company == span.company and name.startswith(f"{span.pair}/")
        }
        told = ", ".join(f"{name} {count}" for name, count in rows.items())
        table.add_row(span.pair, span.company, span.days, told or "none: only what differs")
    return table
