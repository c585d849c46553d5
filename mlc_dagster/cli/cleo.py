"""`mlc cleo`: what is done by hand for the Cleo pair.

Imports inside the commands keep `mlc --help` quick.
"""

import sys
from typing import Annotated

import typer

cleo_app = typer.Typer(no_args_is_help=True, help="What is done by hand for Cleo.")


@cleo_app.command()
def status() -> None:
    """Show where documents stand, and what is rejected, overdue or not told. Exit code 1 when any is."""
    from mlc_dagster.cli.partners import show_status

    sys.exit(show_status())


@cleo_app.command()
def settle(
    number: Annotated[str, typer.Argument(help="Of an order, invoice or receipt that is not told.")],
    reason: Annotated[str, typer.Option(help="What was agreed with the partner; it stays on record.")],
    by: Annotated[
        str | None, typer.Option(help="Who agreed it; without it the user of this machine.")
    ] = None,
) -> None:
    """Let a partner keep what it has of a document that cannot be told, until it changes again in the ERP."""
    from mlc_dagster.cli.partners import settle_document

    settle_document(number, reason, by)


@cleo_app.command()
def skip_numbers(
    count: Annotated[int, typer.Option(min=1, help="More than were given since the backup.")] = 100_000,
) -> None:
    """Once the database was restored: leave out the control numbers that partners may have seen since."""
    from mlc_dagster.cli.partners import skip_control_numbers

    skip_control_numbers(count)


@cleo_app.command()
def receive() -> None:
    """Take in what lies in the mailbox now: acknowledgments, ship notices, changes of suppliers."""
    from mlc_dagster.cli.review import receive_now

    receive_now()


@cleo_app.command()
def held() -> None:
    """List what waits for a person, each with its reasons. Exit code 1 when there is something."""
    from mlc_dagster.cli.review import list_held

    sys.exit(list_held())


@cleo_app.command()
def release(
    number: Annotated[
        str, typer.Argument(help="Of a ship notice or a supplier; with --settled also a file's name.")
    ],
    settled: Annotated[
        bool, typer.Option("--settled", help="Carry nothing out: it was settled by hand, or is not needed.")
    ] = False,
) -> None:
    """Carry out what is held of a number, as it was sent. What nobody can do goes on waiting (exit 1)."""
    from mlc_dagster.cli.review import release_held, take_off

    sys.exit(take_off(number) if settled else release_held(number))
