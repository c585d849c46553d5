"""What `mlc cleo receive`, `held` and `release` do."""

from mlc_dagster.cleo.held import STAGE
from mlc_dagster.cleo.inbox import Received, summary
from mlc_dagster.cli.console import console, counted, table_with
from mlc_dagster.inbound import mailbox
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite

RUN = "cli"
# What else a look counts is said of them: held, refused.
THINGS = ("files", "unknown answers")


def receive_now() -> None:
    """One look at the mailbox, and what came of it."""
    done = mailbox.receive(Suite(load_settings()), run_id=RUN)
    console.print(f"Cleo's mailbox: {came(done)}.")


def came(done: Received) -> str:
    """What a look at the mailbox did, in words."""
    found = [
        counted(count, what.removesuffix("s")) if what in THINGS else f"{count} {what}"
        for what, count in summary(done).items()
        if count
    ]
    return ", ".join(found) or "nothing new"


def list_held() -> int:
    """Print what waits; 1 when there is something."""
    waiting = mailbox.held(Suite(load_settings()))
    if not waiting:
        console.print("Nothing waits for a person.")
        return 0
    table = table_with("Waits for a person", ("since (UTC)", "company", "number or file", "is", "why"))
    for each in waiting:
        since, state = f"{each.first_at:%Y-%m-%d %H:%M}", "held" if each.stage == STAGE else "refused"
        table.add_row(since, each.company, each.number or each.key, state, each.reason)
    console.print(table)
    console.print(
        "`mlc cleo release NUMBER` carries out what is held, as it was sent, or says what still stands in "
        "the way. What was settled otherwise, or refused: `mlc cleo release NUMBER --settled`."
    )
    return 1


def release_held(number: str) -> int:
    """Carry out what is held of a number; 1 when some of it goes on waiting."""
    done = mailbox.release(Suite(load_settings()), number, run_id=RUN)
    for each in done:
        words = f"goes on waiting. {each.reason}" if each.reason else "is done."
        console.print(f"{each.held.kind.capitalize()} {each.held.number} of {each.held.company} {words}")
    return int(any(each.reason for each in done))


def take_off(name: str) -> int:
    """Take it off the list without carrying anything out."""
    count = mailbox.settled(Suite(load_settings()), name, run_id=RUN)
    console.print(f"{count} taken off the list.")
    return 0
