"""`mlc asana`: what is done by hand for the Asana pair.

Imports inside the commands keep `mlc --help` quick.
"""

import typer

asana_app = typer.Typer(no_args_is_help=True, help="What is done by hand for Asana.")


@asana_app.callback()
def hand_work() -> None:
    """What is done by hand for Asana."""


@asana_app.command()
def login() -> None:
    """Log in once in a browser, for the method oauth; runs renew it by themselves."""
    from mlc_dagster.cli.login import log_in_to_asana
    from mlc_dagster.settings import load_settings
    from mlc_dagster.suite import Suite

    log_in_to_asana(Suite(load_settings()))
