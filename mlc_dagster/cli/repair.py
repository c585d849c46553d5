"""`mlc reconcile --repair`: tells what is wrong and can be put right, asks, and leaves it to the next run."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest

import typer

from mlc_dagster.cli.console import console, counted
from mlc_dagster.delivery import Comparison, Surplus, condemn, distrust
from mlc_dagster.delivery.reconcile import NAMED
from mlc_dagster.flow import LakeIncomplete, unmade
from mlc_dagster.suite import Suite

RUN_ID = "mlc reconcile"
AGAIN = "the target shows it otherwise than it was delivered; an operator asked for it to be repaired"
AWAY = "the target shows it and no record of the ERP makes it; an operator asked for it to be taken away"


@dataclass(frozen=True)
class Repair:
    """What the next run of a destination shall do for one company: rows to send again, and to delete."""

    destination: str
    company: str
    again: Collection[str]
    away: Mapping[str, Surplus]

    @property
    def place(self) -> str:
        """As it is named on the screen."""
        return f"{self.destination} {self.company}"


def repair_all(suite: Suite, compared: Sequence[Comparison], *, yes: bool) -> None:
    """Tell what comparisons found that can be repaired, ask unless `yes`, and let the next run do it.

    Raises LeaseHeld: a delivery is under way.
    """
    repairs = _planned(suite, compared)
    _send_again(suite, [each for each in repairs if each.again], yes=yes)
    _take_away(suite, [each for each in repairs if each.away], yes=yes)


def _planned(suite: Suite, compared: Sequence[Comparison]) -> list[Repair]:
    """Tells of each what is to be done. A row of no company is found by all; the first takes it away."""
    repairs: list[Repair] = []
    for found in compared:
        taken = {key for each in repairs if each.destination == found.destination for key in each.away}
        surplus = {key: row for key, row in found.surplus.items() if key not in taken}
        away = _unwanted(suite, found.destination, surplus)
        repairs.append(Repair(found.destination, found.company, found.wrong, away))
        _tell(repairs[-1], found)
    return repairs


def _unwanted(suite: Suite, destination: str, surplus: Mapping[str, Surplus]) -> dict[str, Surplus]:
    """The rows that should not be there, without those that a run has yet to send."""
    if not surplus:
        return {}
    try:
        nobodys = unmade(suite, destination, surplus.keys())
    except LakeIncomplete as incomplete:
        console.print(str(incomplete))
        return {}
    return {key: row for key, row in surplus.items() if key in nobodys}


def _tell(repair: Repair, found: Comparison) -> None:
    for what, keys in (("sent again", repair.again), ("taken away", repair.away)):
        if keys:
            console.print(f"{repair.place}: rows to be {what}: {len(keys)}: {_first(keys)}.")
    if found.copies:
        console.print(
            f"{repair.place}: rows that are there more than once: {found.copies}. Remove the copies at the "
            "target: nobody else can tell which one is used."
        )


def _first(keys: Collection[str]) -> str:
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(nsmallest(NAMED, keys)) + more


def _send_again(suite: Suite, repairs: Sequence[Repair], *, yes: bool) -> None:
    rows = sum(len(each.again) for each in repairs)
    if not rows:
        console.print("Nothing is to be sent again.")
    elif yes or typer.confirm(f"Send {counted(rows, 'row')} again with the next run?"):
        for each in repairs:
            distrust(
                suite.destination(each.destination),
                each.company,
                ledger=suite.ledger,
                run_id=RUN_ID,
                reason=AGAIN,
                keys=each.again,
            )
            console.print(f"{each.place}: the next run sends {counted(len(each.again), 'row')} again.")
    else:
        console.print("Nothing was changed.")


def _take_away(suite: Suite, repairs: Sequence[Repair], *, yes: bool) -> None:
    rows = sum(len(each.away) for each in repairs)
    if not rows:
        return
    question = f"Take {counted(rows, 'row')} away with the next run, as rows of deleted records are?"
    if not yes and not typer.confirm(f"{question} Somebody may have made them on purpose."):
        console.print("They stay.")
        return
    for each in repairs:
        count = condemn(
            suite.destination(each.destination),
            each.company,
            each.away.values(),
            ledger=suite.ledger,
            run_id=RUN_ID,
            reason=AWAY,
        )
        console.print(f"{each.place}: the next run takes {counted(count, 'row')} away.")
