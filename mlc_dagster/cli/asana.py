"""`mlc asana`: what is done by hand for the Asana pair.

Imports inside the commands keep `mlc --help` quick.
"""

from typing import Annotated

import typer

asana_app = typer.Typer(no_args_is_help=True, help="What is done by hand for Asana.")
webhooks_app = typer.Typer(no_args_is_help=True, help="The webhooks that hurry the way back.")
asana_app.add_typer(webhooks_app, name="webhooks")


@asana_app.command()
def login() -> None:
    """Log in once in a browser, for the method oauth; runs renew it by themselves."""
    from mlc_dagster.cli.login import log_in_to_asana
    from mlc_dagster.settings import load_settings
    from mlc_dagster.suite import Suite

    log_in_to_asana(Suite(load_settings()))


@webhooks_app.command("create")
def create_webhooks() -> None:
    """Make the webhooks that are missing, also those that Asana has deleted. May be run again at any time."""
    from mlc_dagster.cli.webhooks import make_webhooks

    make_webhooks()


@webhooks_app.command("list")
def list_webhooks() -> None:
    """Show each project with the state of its webhook."""
    from mlc_dagster.cli.webhooks import list_webhooks as show

    show()


@webhooks_app.command("delete")
def delete_webhooks() -> None:
    """Delete all webhooks of ours at Asana."""
    from mlc_dagster.cli.webhooks import delete_webhooks as delete

    delete()


@asana_app.command()
def setup(
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
) -> None:
    """Make the custom fields and attach them to the projects. Shows a plan first; what is there is used."""
    from mlc_dagster.cli.board import set_up

    set_up(yes=yes)


@asana_app.command()
def unassigned() -> None:
    """List the suppliers whose tasks nobody is assigned to, and what to do about it."""
    from mlc_dagster.cli.board import show_unassigned

    show_unassigned()
