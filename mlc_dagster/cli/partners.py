"""`mlc cleo status` and `settle`: where documents stand with their partners, and what a person agreed."""

from collections import Counter
from collections.abc import Iterator

from rich.table import Table

from mlc_dagster.cleo.answers import OVERDUE
from mlc_dagster.cleo.outbox import Standing, State
from mlc_dagster.cleo.settlements import Settled
from mlc_dagster.cli.console import console, table_with
from mlc_dagster.cli.person import person
from mlc_dagster.delivery import Entry, distrust
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite

RUN_ID = "mlc cleo settle"
PREFLIGHT = "preflight"
STATES = (
    State.BUILT,
    State.SENT,
    OVERDUE,
    State.ACKNOWLEDGED,
    State.WITH_ERRORS,
    State.REJECTED,
    State.WITHDRAWN,
)


def show_status() -> int:
    """Print documents by destination, partner and state, and all that need somebody; 1 when one does."""
    suite = Suite(load_settings())
    counts: Counter[tuple[str, str, str]] = Counter()
    bad: list[tuple[str, Standing]] = []
    for model in suite.cleo.settings.answered():
        name = f"cleo/{model}"
        for state, found in suite.cleo.answers.standing(name, None, suite.clock.now()):
            counts[name, found.partner, state] += 1
            if state in (OVERDUE, State.REJECTED):
                bad.append((state, found))
    untold = list(_untold(suite))
    console.print(_summary(counts) if counts else "No document has been made yet.")
    if untold:
        console.print(_waiting(untold))
        console.print(
            "Correct what is named, in the ERP, the lookups or mlc.yaml. What a partner has and shall keep "
            "as it has it: `mlc cleo settle NUMBER --reason TEXT` (docs/cleo.md)."
        )
    if bad:
        console.print(_documents(bad))
        console.print(
            "Rejected: correct what is named. Overdue: ask the partner. Then `mlc resend DESTINATION` sends "
            "rejected documents anew, overdue ones as they were, and nothing else (docs/cleo.md)."
        )
    return int(bool(bad or untold))


def settle_document(number: str, reason: str, by: str | None) -> None:
    """Note that a partner keeps what it has; the next delivery asks no more.

    Raises:
        NothingToSettle: no document of this number waits that its partner has.
        LeaseHeld: a delivery is under way.
    """
    suite = Suite(load_settings())
    found = [(entry, told) for entry, told in _untold(suite, number) if told is not None]
    if not found:
        raise NothingToSettle(number)
    settled = Settled(by or person(), reason)
    for entry, told in found:
        suite.cleo.settlements.keep(entry, settled)
        # The next delivery looks at it again, whatever days it is asked for.
        where, company = suite.destination(entry.place), entry.company
        distrust(where, company, ledger=suite.ledger, run_id=RUN_ID, reason=str(settled), keys=[entry.key])
        console.print(
            f"{entry.place} {company}: {number} stays at {told.partner} as {told.file} told it, until it "
            "changes again. The next delivery takes it off the list.",
        )


def skip_control_numbers(count: int) -> None:
    """Let a restored database give no number that a partner has seen."""
    Suite(load_settings()).cleo.outbox.skip_numbers(count)
    console.print(
        f"All control numbers go on {count} higher. Partners take them with gaps. Now look at `mlc plan`: "
        "what it would send again may have been sent after the backup. What was cancelled in the ERP since "
        "then may be open at its partner (docs/cleo.md, section 6)."
    )


class NothingToSettle(Exception):
    """No document of this number waits that its partner has."""

    def __init__(self, number: str) -> None:
        super().__init__(
            f"No document of number {number} waits that its partner has: there is nothing to settle. "
            "`mlc cleo status` lists what is not told; what a partner never got has to be corrected."
        )


def _untold(suite: Suite, number: str | None = None) -> Iterator[tuple[Entry, Standing | None]]:
    """Documents that cannot be told as they are, with what their partners have of them."""
    for model in suite.cleo.settings.answered():
        place = f"cleo/{model}"
        entries = [entry for entry in suite.quarantine.open(place, number=number) if entry.stage == PREFLIGHT]
        told = suite.cleo.outbox.told(place, {entry.key for entry in entries})
        yield from ((entry, told.get(entry.key)) for entry in entries)


def _waiting(untold: list[tuple[Entry, Standing | None]]) -> Table:
    table = table_with("Not told", ("company", "number", "partner has", "since (UTC)", "why"))
    for entry, told in untold:
        has = f"{told.partner}: {told.file}" if told else "nothing"
        table.add_row(entry.company, entry.number, has, f"{entry.first_at:%Y-%m-%d %H:%M}", entry.reason)
    return table


def _summary(counts: Counter[tuple[str, str, str]]) -> Table:
    headings = ("destination", "partner", *map(str, STATES))
    table = table_with("The newest document of each record", headings, numbers=headings[2:])
    for name, partner in sorted({(name, partner) for name, partner, _ in counts}):
        table.add_row(name, partner, *(str(counts[name, partner, str(state)]) for state in STATES))
    return table


def _documents(bad: list[tuple[str, Standing]]) -> Table:
    table = table_with(
        "Somebody has to look at", ("company", "number", "partner", "state", "sent (UTC)", "file", "said")
    )
    for state, found in bad:
        sent = f"{found.sent_at:%Y-%m-%d %H:%M}" if found.sent_at else ""
        table.add_row(found.company, found.entry.number, found.partner, state, sent, found.file, found.said)
    return table
