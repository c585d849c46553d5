"""`mlc quarantine`: records that were refused on the way, and what a person does about them.

Imports inside the commands keep `mlc --help` quick.
"""

import sys
from enum import StrEnum
from typing import Annotated

import typer


class Stage(StrEnum):
    """Where on its way a record was kept back."""

    VISMA = "visma"
    CONTRACT = "contract"
    PREFLIGHT = "preflight"
    HELD = "held"
    INBOX = "inbox"
    NAMES = "names"


quarantine_app = typer.Typer(no_args_is_help=True, help="Records that were refused on the way.")
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@quarantine_app.command("list")
def list_(
    pair: Annotated[str | None, typer.Option(help="Only what keeps records from this pair.")] = None,
    place: Annotated[
        str | None, typer.Option(help="Such as visma/suppliers or anaplan/supplier_invoices.")
    ] = None,
    company: Annotated[str | None, typer.Option(help="One company.")] = None,
    stage: Annotated[Stage | None, typer.Option(help="Where on its way (docs/replay.md).")] = None,
    dismissed: Annotated[bool, typer.Option("--dismissed", help="Those a person dismissed as well.")] = False,
) -> None:
    """Show what is in quarantine and why. Exit code 1 when anything is."""
    from mlc_dagster.cli.quarantine import show_list

    sys.exit(show_list(pair=pair, place=place, company=company, stage=stage, dismissed=dismissed))


@quarantine_app.command()
def show(
    which: Annotated[str, typer.Argument(help="Of the list, or a business number.", metavar="ID|NUMBER")],
) -> None:
    """Show a record as it came, why it was refused, and where to correct that."""
    from mlc_dagster.cli.quarantine import show_one

    sys.exit(show_one(which))


@quarantine_app.command()
def retry(
    entry: Annotated[int | None, typer.Argument(help="An id of the list.", metavar="ID")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Everything in quarantine.")] = False,
    yes: Yes = False,
) -> None:
    """Let records go again from where they were refused: read, mapped or sent anew. Runs in this process."""
    from mlc_dagster.cli.quarantine import retry as go_again

    if all_ == (entry is not None):
        raise typer.BadParameter("Name one ID, or --all.")
    sys.exit(go_again(entry, yes=yes))


@quarantine_app.command()
def dismiss(
    entry: Annotated[int, typer.Argument(help="An id of the list.", metavar="ID")],
    reason: Annotated[str, typer.Option(help="Why it needs no delivery; it stays on record.")],
    by: Annotated[str | None, typer.Option(help="Who decides; without it the user of this machine.")] = None,
) -> None:
    """Settle a record by hand: it counts as done until it changes in the ERP or is refused otherwise."""
    from mlc_dagster.cli.quarantine import dismiss as settle

    sys.exit(settle(entry, reason, by))
