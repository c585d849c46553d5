"""`mlc alerts`: who is told when something is wrong, and what is wrong now.

Imports inside the commands keep `mlc --help` quick.
"""

import sys

import typer

alerts_app = typer.Typer(no_args_is_help=True, help="Who is told when something is wrong.")


@alerts_app.command("list")
def list_alerts() -> None:
    """Show what is wrong now, since when, and what to do. Tells nobody. Exit code 1 when something is."""
    from mlc_dagster.cli.told import show_alerts

    sys.exit(show_alerts())


@alerts_app.command("test")
def test_channels() -> None:
    """Send each channel a message that says it is only a test. Exit code 1 when one does not take it."""
    from mlc_dagster.cli.told import try_channels

    sys.exit(try_channels())
