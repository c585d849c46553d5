"""`mlc reconcile`: what targets show beside what they were sent, and the ledger beside the lake.

What it is at stands on standard error, line by line: to read a target takes minutes.
"""

from collections.abc import Iterator

import sqlalchemy as sa
import typer
from rich.table import Table

from mlc_dagster.cli.console import console, table_with
from mlc_dagster.cli.repair import RUN_ID, repair_all
from mlc_dagster.database import reading
from mlc_dagster.database.schema import interchange_documents
from mlc_dagster.delivery import Comparison, reconcile
from mlc_dagster.delivery.errors import Stop
from mlc_dagster.flow import LakeIncomplete, strays
from mlc_dagster.settings import load_settings, pair_of
from mlc_dagster.suite import Suite
from mlc_dagster.transport.errors import CallFailed

COUNTS = ("expected", "found", "missing", "different", "extra", "stale")


class NotCarried(Exception):
    """Records of the ERP that no destination carries."""


def show_reconcile(
    wanted: str | None, company: str | None, entity: str | None = None, *, repair: bool, yes: bool
) -> int:
    """Print the comparison of each destination that can be read back; 1 when one is not equal or not read.

    `entity`: only destinations that carry such records of the ERP.

    Raises:
        UnknownDestination: the settings name no such destination or pair.
        UnknownCompany: there is no such company, or the pair that is named does not carry it.
        NotCarried: no destination carries such records.
        LeaseHeld: a repair met a delivery under way.
    """
    suite = Suite(load_settings())
    unread: list[str] = []
    compared = list(_compared(suite, wanted, company, entity, unread))
    if not compared:
        console.print("Nothing was compared.")
        return 1 if unread else 0
    console.print(_table(compared))
    for found in compared:
        _tell(found)
    if repair:
        repair_all(suite, compared, yes=yes)
    elif not all(found.equal for found in compared):
        console.print("`mlc reconcile DESTINATION --repair` shows what it would put right, and asks.")
    return 0 if all(found.equal for found in compared) and not unread else 1


def _compared(
    suite: Suite, wanted: str | None, company: str | None, entity: str | None, unread: list[str]
) -> Iterator[Comparison]:
    """The comparisons one by one; `unread` receives the destinations that could not be read now."""
    names = _destinations(suite, wanted, entity)
    chosen = suite.settings.chosen(company, wanted and pair_of(wanted))
    for name in names:
        if (read_back := suite.read_back(name)) is None:
            console.print(f"{name} {_why_not(suite, name)}")
            continue
        tombstone = suite.mappings.models[name].tombstone
        for code in suite.settings.companies_of(pair_of(name)):
            if code not in chosen:
                continue
            typer.echo(f"Reading {name} {code} ...", err=True)
            try:
                found = reconcile(suite.ledger, read_back, name, code, tombstone=tombstone)
            except (CallFailed, Stop) as trouble:
                unread.append(name)
                console.print(f"{name} {code} cannot be read: {trouble}")
                continue
            _beside_the_lake(suite, found)
            suite.comparisons.keep(found, RUN_ID)
            yield found


def _destinations(suite: Suite, wanted: str | None, entity: str | None) -> list[str]:
    """Those of a pair, or one, or all; with an entity only those that carry its records."""
    source = {name: suite.mappings.models[name].source for name in suite.destinations(wanted)}
    found = [name for name in source if entity in (None, source[name])]
    if not found:
        known = ", ".join(sorted(set(source.values())))
        raise NotCarried(f"No destination of {wanted or 'any pair'} carries {entity}. Known: {known}.")
    return found


def _why_not(suite: Suite, name: str) -> str:
    if not suite.ledger.companies(name):
        return "was never delivered to: there is nothing to compare. `mlc check` says whether it is set up."
    return f"cannot be read back.{_acknowledged(suite, name)}"


def _acknowledged(suite: Suite, name: str) -> str:
    """What partners' systems said of a destination's documents: all there is where nobody shows them."""
    state = interchange_documents.c.state
    query = sa.select(state, sa.func.count()).where(interchange_documents.c.destination == name)
    with reading(suite.engine) as connection:
        counts = ", ".join(f"{count} {said}" for said, count in connection.execute(query.group_by(state)))
    return f" Its documents by what partners said of them: {counts}." if counts else ""


def _beside_the_lake(suite: Suite, found: Comparison) -> None:
    try:
        found.beside_the_lake(strays(suite, found.destination, found.company))
    except LakeIncomplete as incomplete:
        console.print(f"The ledger was not compared with the lake. {incomplete}")


def _table(compared: list[Comparison]) -> Table:
    names, title = ("destination", "company"), "What targets show, beside what they were sent"
    table = table_with(title, (*names, *COUNTS, "verdict"), numbers=COUNTS, whole=names)
    for found in compared:
        counts = [str(getattr(found, name)) for name in COUNTS]
        table.add_row(found.destination, found.company, *counts, "equal" if found.equal else "differs")
    return table


def _tell(found: Comparison) -> None:
    """The first differences, and every amount whose total differs."""
    for difference in found.differences:
        columns = ", ".join(
            f"{name}: sent {ours}, shown {theirs}" for name, (ours, theirs) in difference.columns.items()
        )
        told = f"{found.destination} {difference.key} {difference.words}"
        console.print(f"{told} ({columns})" if columns else told)
    for column, (sent, shown) in found.totals.items():
        if sent != shown:
            told = f"{found.destination} {found.company}: total of {column}: sent {sent:f}, shown {shown:f}"
            console.print(told)
