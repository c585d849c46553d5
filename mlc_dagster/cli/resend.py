"""`mlc resend`: every row of a destination goes again with the next run.

A document that a partner has unchanged is not told again. What no partner has answered for longer than agreed
is: its file goes again at once, as it was.
"""

from collections.abc import Iterator

import typer
from rich.table import Table

from mlc_dagster.cleo.destination import EdiFeed
from mlc_dagster.cleo.outbox import Stored
from mlc_dagster.cli.console import console, counted, table_with
from mlc_dagster.delivery import Change, Op, State, distrust
from mlc_dagster.settings import load_settings, pair_of
from mlc_dagster.suite import Suite, UnknownDestination

RUN_ID = "mlc resend"
REASON = "an operator asked for all rows to be sent again"


def resend(destination: str, company: str | None, *, yes: bool) -> int:
    """Show what it costs, ask, and mark the rows; 1 when the answer is no.

    Raises:
        UnknownDestination: the settings name no such destination.
        UnknownCompany: the pair carries no such company.
        LeaseHeld: a delivery is under way.
    """
    suite = Suite(load_settings())
    if (name := destination) not in (names := suite.destinations(destination)):
        raise UnknownDestination(name, names)
    carried = suite.settings.chosen(company, pair_of(name))
    costs = {code: _cost(suite, name, code) for code in carried}
    late = {code: _overdue(suite, name, code) for code in carried}
    if not any(rows for rows, _ in costs.values()) and not any(late.values()):
        console.print(f"Nothing counts as delivered to {name}: there is nothing to send again.")
        return 0
    console.print(_table(name, costs))
    if files := [interchange.file for some in late.values() for interchange in some]:
        console.print(f"Without an answer for too long, to file again at once: {', '.join(files)}")
    if not yes and not typer.confirm("Send them all again with the next run?"):
        console.print("Nothing was changed.")
        return 1
    for code in costs:
        count = distrust(suite.destination(name), code, ledger=suite.ledger, run_id=RUN_ID, reason=REASON)
        console.print(f"{name} {code}: the next run sends {counted(count, 'row')} again.")
        for file in file_overdue(suite, name, code):
            console.print(f"{name} {code}: filed {file} again, with the same bytes and numbers.")
    return 0


def file_overdue(suite: Suite, name: str, company: str) -> Iterator[str]:
    """File again what a partner has not answered for longer than agreed; the names as they are filed."""
    feed = suite.destination(name)
    if isinstance(feed, EdiFeed):
        yield from map(feed.file_again, feed.overdue(company))


def _overdue(suite: Suite, name: str, company: str) -> list[Stored]:
    feed = suite.destination(name)
    return feed.overdue(company) if isinstance(feed, EdiFeed) else []


def _cost(suite: Suite, name: str, company: str) -> tuple[int, int]:
    """How many rows are delivered now, and about how many calls it takes to send them all."""
    destination = suite.destination(name)
    changes = [
        Change.of(Op.UPDATE, held.row, destination.target, held.target_id)
        for held in suite.ledger.held(name, company)
        if held.state is State.DELIVERED
    ]
    return len(changes), destination.calls(changes)


def _table(name: str, costs: dict[str, tuple[int, int]]) -> Table:
    numbers = ("rows", "about calls")
    table = table_with(f"To send again: {name}", ("company", *numbers), numbers=numbers)
    for company, (rows, calls) in costs.items():
        table.add_row(company, str(rows), str(calls))
    return table
