"""`mlc tableau`: what is done by hand for the Tableau pair.

Imports inside the commands keep `mlc --help` quick.
"""

from collections.abc import Sequence
from typing import Annotated

import typer

tableau_app = typer.Typer(no_args_is_help=True, help="What is done by hand for Tableau.")


@tableau_app.command("setup")
def setup(
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
) -> None:
    """Make the project and webhooks, and take over data sources that have our names. Shows a plan first."""
    from mlc_dagster.settings import load_settings
    from mlc_dagster.suite import Suite

    settings = load_settings()
    needed = Suite(settings).tableau.setup(settings.receiver.url if settings.receiver else None)
    plan = needed.plan()
    _say(plan.steps or ["the project is there, and every data source of our names is ours"])
    _say([plan.hooks.unable] if plan.hooks.unable else [])
    if plan.steps and not yes:
        typer.confirm("Do this?", abort=True)
    _say(needed.apply(plan))


@tableau_app.command("refresh")
def refresh() -> None:
    """Start the refresh tasks and flows of mlc.yaml now; runs do it by themselves after a change."""
    from mlc_dagster.settings import load_settings
    from mlc_dagster.suite import Suite

    tableau = Suite(load_settings()).tableau
    named = [*tableau.settings.refresh_tasks, *tableau.settings.run_flows]
    if not named:
        _say(["nothing to start: `pairs: tableau` in mlc.yaml names no `refresh_tasks` or `run_flows`"])
        return
    failed = tableau.refreshes.start()
    _say([f"{len(named) - len(failed)} of {len(named)} refresh tasks and flows were started"])
    _say([f"{name} was not: {failure}" for name, failure in failed.items()])
    if failed:
        raise typer.Exit(1)


def _say(lines: Sequence[str]) -> None:
    from mlc_dagster.cli.console import console

    for line in lines:
        console.print(f"- {line}")
