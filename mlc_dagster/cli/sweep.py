"""`mlc sweep`: what was deleted, renumbered or came late in the ERP, looked for now."""

from collections.abc import Collection, Iterator, Sequence

from rich.table import Table

from mlc_dagster.cli.console import console, table_with
from mlc_dagster.operations.sweeps import NoSuchSweep, Swept, calls_left, cost, entities_of, put_off, sweep
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.transport.errors import Closed
from mlc_dagster.visma.entities import ENTITIES, Entity
from mlc_dagster.visma.keysweep import TooMuchGone
from mlc_dagster.visma.sweep import NeverSettled

RUN_ID = "mlc sweep"
NOTHING = "The lake holds nothing of it yet: there are no keys to compare with the ERP's."
FOUND = ("held", "listed", "vanished", "renumbered", "late_days", "calls")


def show_sweep_plan(company: str | None, entity: str | None) -> None:
    """Print what a sweep would cost, and when each was the last. Makes no call.

    Raises:
        UnknownCompany: there is no such company.
        NoSuchSweep: the entity cannot be swept.
    """
    suite = Suite(load_settings())
    names, numbers = ("company", "entity"), ("records", "calls", "pages kept")
    headings = (*names, *numbers, "last look (UTC)")
    table = table_with("What a look at all keys would cost", headings, numbers=numbers, whole=names)
    for code, each in _wanted(suite, company, entity):
        seen = cost(suite, each, code)
        last = f"{seen.last:%Y-%m-%d %H:%M}" if seen.last else "never"
        table.add_row(code, each.name, str(seen.held), str(seen.calls), str(seen.kept), last)
    console.print(table if table.row_count else NOTHING)
    share = suite.settings.visma.key_sweep.percent_of_calls
    for code in suite.settings.chosen(company):
        left = calls_left(suite, code)
        room = "its limit is learnt with the first answer" if left is None else f"{left} calls are left now"
        console.print(
            f"{code}: a look may run while less than {share} % of the hour's calls are used; {room}."
        )


def run_sweep(company: str | None, entity: str | None, confirmed: int) -> int:
    """Sweep, and print what was found; 1 when a person has to look or a window is closed.

    Raises:
        UnknownCompany: there is no such company.
        NoSuchSweep: the entity cannot be swept, or a confirmation names more than one place.
    """
    if confirmed and not (company and entity):
        raise NoSuchSweep("Confirm for one company and one entity: --company and --entity.")
    suite = Suite(load_settings())
    done: list[Swept] = []
    trouble: list[str] = []
    for code in suite.settings.chosen(company):
        left = {each.name: confirmed for each in entities_of(suite, code, [entity] if entity else [])}
        while left:
            name = next(iter(left))
            try:
                done.append(sweep(suite, ENTITIES[name], code, run_id=RUN_ID, confirmed=confirmed))
            except (TooMuchGone, NeverSettled) as asked:
                trouble.append(str(asked))
            except Closed as window:
                put_off(suite, code, left, window)
                trouble.append(_closed(code, left, window))
                break
            left.pop(name)
    if not (done or trouble):
        console.print(NOTHING)
    if done:
        console.print(_table(done))
        _tell_next(done)
    for line in dict.fromkeys(trouble):
        console.print(line)
    return int(bool(trouble))


def _wanted(suite: Suite, company: str | None, entity: str | None) -> Iterator[tuple[str, Entity]]:
    only: Sequence[str] = [entity] if entity else []
    for code in suite.settings.chosen(company):
        for each in entities_of(suite, code, only):
            yield code, each


def _closed(company: str, left: Collection[str], window: Closed) -> str:
    return (
        f"{company}: the share of the hour's calls is used. {', '.join(left)} go on by themselves after "
        f"{window.opens_at:%Y-%m-%d %H:%M} UTC where Dagster's daemon runs; else run this again then. "
        "The pages that came are kept."
    )


def _table(done: Sequence[Swept]) -> Table:
    names, numbers = ("company", "entity"), [name.replace("_", " ") for name in FOUND]
    headings = (*names, *numbers, "read whole")
    table = table_with("What a look at all keys found", headings, numbers=numbers, whole=names)
    for swept in done:
        counts = swept.counts()
        numbers = [str(counts[name]) for name in FOUND]
        table.add_row(swept.company, swept.entity, *numbers, ", ".join(swept.read_again))
    return table


def _tell_next(done: Sequence[Swept]) -> None:
    if any(swept.vanished or swept.late_days for swept in done):
        console.print("The next run of each pair carries this to its target; `mlc plan` shows what it does.")
