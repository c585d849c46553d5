"""What `mlc retention` does."""

from collections.abc import Sequence

import typer
from rich.table import Table

from mlc_dagster.cli.console import console, table_with
from mlc_dagster.cli.person import person
from mlc_dagster.operations.retention import Holds, Removed, old, remove
from mlc_dagster.settings import Settings, load_settings
from mlc_dagster.suite import Suite


def put_on_hold(company: str | None, number: str | None, reason: str, by: str | None) -> None:
    """Hold a company or a number.

    Raises:
        NoSuchHold: none of them is named, or both.
        UnknownCompany: a company that there is not.
    """
    suite = Suite(load_settings())
    suite.settings.chosen(company)
    made = _holds(suite).hold(company=company, number=number, reason=reason, by=by or person())
    console.print(f"Hold {made}: nothing of {company or number} is removed until it is released.")


def release(hold_id: int, by: str | None) -> None:
    """End a hold. Raises NoSuchHold."""
    hold = _holds(Suite(load_settings())).release(hold_id, by=by or person())
    console.print(f"Hold {hold_id} of {hold} is released: what is old enough goes with the next removal.")


def show() -> None:
    """Print how long things are kept, and the holds."""
    suite = Suite(load_settings())
    for name, days in suite.settings.retention.model_dump().items():
        what = name.removesuffix("_days").replace("_", " ")
        console.print(f"{what}: {f'{days} days' if days else 'kept for ever'}")
    standing = _holds(suite).standing()
    if not standing:
        console.print("Nothing is on hold.")
        return
    table = table_with("On hold", ("id", "what", "since (UTC)", "by", "why"), numbers=["id"])
    for hold in standing:
        table.add_row(str(hold.id), str(hold), f"{hold.held_at:%Y-%m-%d}", hold.held_by, hold.reason)
    console.print(table)


def apply(*, dry_run: bool, yes: bool) -> int:
    """Show what is old enough, ask, and remove it; 1 when the answer is no."""
    # Dagster is loaded only where its runs are looked at.
    from mlc_dagster.cli.instance import dagster_instance  # noqa: PLC0415
    from mlc_dagster.graph.retention import old_runs, remove_runs  # noqa: PLC0415

    suite = Suite(load_settings())
    if not suite.settings.retention.model_dump(exclude_none=True):
        console.print("Everything is kept for ever: mlc.yaml has no section `retention` (docs/audit.md).")
        return 0
    with dagster_instance() as instance:
        found = [*old(suite), *_runs(suite.settings, len(old_runs(instance, suite)))]
        console.print(_table("Old enough to go", found))
        if not any(each.count for each in found):
            console.print("Nothing is old enough to go.")
            return 0
        if dry_run:
            return 0
        if not yes and not typer.confirm("Remove all this for good?"):
            console.print("Nothing was removed.")
            return 1
        removed = [*remove(suite, by=person()), *_runs(suite.settings, remove_runs(instance, suite))]
    console.print(_table("Removed", removed))
    return 0


def _runs(settings: Settings, count: int) -> list[Removed]:
    days = settings.retention.runs_days
    return [] if days is None else [Removed("runs_days", "runs of Dagster's, with their logs", days, count)]


def _table(title: str, found: Sequence[Removed]) -> Table:
    table = table_with(title, ("what", "kept for days", "count"), numbers=["kept for days", "count"])
    for each in found:
        table.add_row(each.what, str(each.days), str(each.count))
    return table


def _holds(suite: Suite) -> Holds:
    return Holds(suite.engine, suite.clock)
