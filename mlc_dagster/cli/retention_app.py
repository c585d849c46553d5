"""`mlc retention`: what is kept for how long, and what must not go.

Imports inside the commands keep `mlc --help` quick.
"""

import sys
from typing import Annotated

import typer

retention_app = typer.Typer(no_args_is_help=True, help="How long things are kept, and what must not go.")
Who = Annotated[str | None, typer.Option(help="Who decides; without it the user of this machine.")]


@retention_app.command()
def hold(
    reason: Annotated[str, typer.Option(help="Why; it stays on record.")],
    company: Annotated[str | None, typer.Option(help="Nothing of this company is removed.")] = None,
    number: Annotated[str | None, typer.Option(help="Nothing of this document is removed.")] = None,
    by: Who = None,
) -> None:
    """Keep everything of a company, or of a business number, until the hold is released."""
    from mlc_dagster.cli.retention import put_on_hold

    put_on_hold(company, number, reason, by)


@retention_app.command()
def release(
    hold_id: Annotated[int, typer.Argument(help="Of the list.", metavar="ID")], by: Who = None
) -> None:
    """End a hold."""
    from mlc_dagster.cli.retention import release as end

    end(hold_id, by)


@retention_app.command("list")
def list_() -> None:
    """Show how long things are kept and what is on hold."""
    from mlc_dagster.cli.retention import show

    show()


@retention_app.command()
def apply(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove what is older than mlc.yaml says and on no hold: our tables, then Dagster's runs."""
    from mlc_dagster.cli.retention import apply as remove

    sys.exit(remove(dry_run=dry_run, yes=yes))
