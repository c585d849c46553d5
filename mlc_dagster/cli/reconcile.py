"""`mlc reconcile`: what targets show beside what they were sent, and the ledger beside the lake.

What it is at stands on standard error, line by line: to read a target takes minutes.
"""

import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

import typer
from rich.table import Table

from mlc_dagster.cli.console import console, table_with
from mlc_dagster.cli.repair import RUN_ID, repair_all
from mlc_dagster.delivery import Comparison, Difference, ReadBack, reconcile
from mlc_dagster.delivery.errors import Stop
from mlc_dagster.delivery.reconcile import NAMED
from mlc_dagster.flow import LakeIncomplete, strays
from mlc_dagster.settings import load_settings, pair_of
from mlc_dagster.suite import Suite
from mlc_dagster.transport.errors import CallFailed

COUNTS = ("expected", "found", "missing", "different", "extra", "stale")


class NotCarried(Exception):
    """Records of the ERP that no destination carries."""


def show_reconcile(
    wanted: str | None,
    company: str | None,
    entity: str | None = None,
    *,
    repair: bool,
    yes: bool,
    name_all: bool = False,
) -> int:
    """Print the comparison of each destination; 1 when one is not equal or not compared, or none was.

    `entity`: only destinations that carry such records of the ERP. `name_all`: every row that differs.

    Raises:
        UnknownDestination: the settings name no such destination or pair.
        UnknownCompany: there is no such company, or the pair that is named does not carry it.
        NotCarried: no destination carries such records.
        LeaseHeld: a repair met a delivery under way.
    """
    suite = Suite(load_settings())
    names = _destinations(suite, wanted, entity)
    chosen = suite.settings.chosen(company, wanted and pair_of(wanted))
    tried = list(_compared(suite, names, chosen, named=sys.maxsize if name_all else NAMED))
    compared = [found for found in tried if found is not None]
    if not compared:
        console.print("Nothing was compared.")
        return 1
    console.print(_table(compared))
    for found in compared:
        _tell(found)
    if repair:
        repair_all(suite, compared, yes=yes)
    elif not all(found.equal for found in compared):
        console.print("`mlc reconcile DESTINATION --repair` shows what it would put right, and asks.")
    return 0 if all(found is not None and found.equal for found in tried) else 1


def _compared(
    suite: Suite, names: Iterable[str], chosen: Collection[str], *, named: int
) -> Iterator[Comparison | None]:
    """The comparisons one by one; None for what could not be compared now."""
    for name in names:
        companies = [code for code in suite.settings.companies_of(pair_of(name)) if code in chosen]
        read_back, delivered = suite.read_back(name), suite.ledger.companies(name)
        if read_back is not None:
            yield from (_read(suite, read_back, name, code, named=named) for code in companies)
        elif not delivered:
            console.print(
                f"{name} was never delivered to: there is nothing to compare. "
                "`mlc check` says whether it is set up."
            )
        else:
            console.print(
                f"{name} cannot be read back: the ledger is compared with the lake, and not with what the "
                f"target holds.{_acknowledged(suite, name)}"
            )
            for code in [each for each in companies if each in delivered]:
                found = Comparison(name, code, named=named, read=False)
                yield found if _beside_the_lake(suite, found) else None


def _read(suite: Suite, read_back: ReadBack, name: str, company: str, *, named: int) -> Comparison | None:
    """The target beside the ledger, and that beside the lake; None when the target cannot be read now."""
    typer.echo(f"Reading {name} {company} ...", err=True)
    tombstone = suite.mappings.models[name].tombstone
    try:
        found = reconcile(suite.ledger, read_back, name, company, tombstone=tombstone, named=named)
    except (CallFailed, Stop) as trouble:
        console.print(f"{name} {company} cannot be read: {trouble}")
        return None
    _beside_the_lake(suite, found)
    suite.comparisons.keep(found, RUN_ID)
    return found


def _destinations(suite: Suite, wanted: str | None, entity: str | None) -> list[str]:
    """Those of a pair, or one, or all; with an entity only those that carry its records."""
    source = {name: suite.mappings.models[name].source for name in suite.destinations(wanted)}
    found = [name for name in source if entity in (None, source[name])]
    if not found:
        known = ", ".join(sorted(set(source.values())))
        raise NotCarried(f"No destination of {wanted or 'any pair'} carries {entity}. Known: {known}.")
    return found


def _acknowledged(suite: Suite, name: str) -> str:
    """What partners' systems said of a destination's documents: all there is where nobody shows them."""
    pair, _, model = name.partition("/")
    if model not in suite.settings.pairs.on()[pair].answered():
        return ""
    states = Counter(state for state, _ in suite.cleo.answers.standing(name, None, suite.clock.now()))
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return f" Its documents by what partners said of them: {counts or 'none yet'} (`mlc cleo status`)."


def _beside_the_lake(suite: Suite, found: Comparison) -> bool:
    """Compare the ledger with the lake, too; whether that was possible."""
    try:
        found.beside_the_lake(strays(suite, found.destination, found.company))
    except LakeIncomplete as incomplete:
        console.print(f"The ledger was not compared with the lake. {incomplete}")
        return False
    return True


def _table(compared: list[Comparison]) -> Table:
    names, title = ("destination", "company"), "What targets show, beside what they were sent"
    table = table_with(title, (*names, *COUNTS, "verdict"), numbers=COUNTS, whole=names)
    for found in compared:
        counts = [str(getattr(found, name)) if found.read or name == "stale" else "-" for name in COUNTS]
        equal = "equal" if found.read else "not read"
        table.add_row(found.destination, found.company, *counts, equal if found.equal else "differs")
    return table


def _tell(found: Comparison) -> None:
    """The named differences, kind by kind, and every amount whose total differs."""
    place = f"{found.destination} {found.company}"
    for kind, differences in found.by_kind(found.named).items():
        count = getattr(found, kind)
        more = f", of which these are the first {len(differences)}" if count > len(differences) else ""
        console.print(f"{place}: {count} {kind}{more}:")
        for difference in differences:
            console.print(f"  {_words(difference)}")
    for column, (sent, shown) in found.totals.items():
        if sent != shown:
            console.print(f"{place}: total of {column}: sent {sent:f}, shown {shown:f}")


def _words(difference: Difference) -> str:
    columns = ", ".join(
        f"{name}: sent {ours}, shown {theirs}" for name, (ours, theirs) in difference.columns.items()
    )
    told = f"{difference.key} {difference.words}"
    return f"{told} ({columns})" if columns else told
