"""`mlc cleo status`: where documents stand with their partners."""

from collections import Counter

from rich.table import Table

from mlc_dagster.cleo.answers import OVERDUE
from mlc_dagster.cleo.outbox import Standing, State
from mlc_dagster.cli.console import console
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite

STATES = (State.BUILT, State.SENT, OVERDUE, State.ACKNOWLEDGED, State.WITH_ERRORS, State.REJECTED)


def show_status() -> int:
    """Print documents by destination, partner and state, and each that needs somebody; 1 when one does."""
    suite = Suite(load_settings())
    counts: Counter[tuple[str, str, str]] = Counter()
    bad: list[tuple[str, Standing]] = []
    for model in suite.cleo.settings.answered():
        name = f"cleo/{model}"
        for state, found in suite.cleo.answers.standing(name, None, suite.clock.now()):
            counts[name, found.partner, state] += 1
            if state in (OVERDUE, State.REJECTED):
                bad.append((state, found))
    console.print(_summary(counts))
    if bad:
        console.print(_documents(bad))
        console.print(
            "Rejected: correct what is named. Overdue: ask the partner. Then `mlc resend DESTINATION` sends "
            "rejected documents anew, overdue ones as they were, and nothing else (docs/cleo.md)."
        )
    return int(bool(bad))


def _summary(counts: Counter[tuple[str, str, str]]) -> Table:
    table = Table(title="The newest document of each record", title_justify="left")
    for heading in ("destination", "partner"):
        table.add_column(heading, overflow="fold")
    for state in STATES:
        table.add_column(str(state), justify="right")
    for name, partner in sorted({(name, partner) for name, partner, _ in counts}):
        table.add_row(name, partner, *(str(counts[name, partner, str(state)]) for state in STATES))
    return table


def _documents(bad: list[tuple[str, Standing]]) -> Table:
    table = Table(title="Somebody has to look at", title_justify="left")
    for heading in ("company", "number", "partner", "state", "sent (UTC)", "file", "said"):
        table.add_column(heading, overflow="fold")
    for state, found in bad:
        sent = f"{found.sent_at:%Y-%m-%d %H:%M}" if found.sent_at else ""
        table.add_row(found.company, found.entry.number, found.partner, state, sent, found.file, found.said)
    return table
