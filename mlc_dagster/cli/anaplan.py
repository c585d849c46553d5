"""`mlc anaplan`: what is done by hand for the Anaplan pair.

Imports inside the commands keep `mlc --help` quick.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

anaplan_app = typer.Typer(no_args_is_help=True, help="What is done by hand for Anaplan.")


@anaplan_app.command()
def login() -> None:
    """Log in once in a browser, for the methods oauth_code and oauth_device; runs renew it by themselves."""
    from mlc_dagster.cli.login import log_in_to_anaplan
    from mlc_dagster.settings import load_settings
    from mlc_dagster.suite import Suite

    log_in_to_anaplan(Suite(load_settings()))


@anaplan_app.command()
def describe(
    destination: Annotated[
        str | None, typer.Argument(help="Such as supplier_invoices; all models for Anaplan by default.")
    ] = None,
    headers: Annotated[
        Path | None, typer.Option(help="A folder for the CSV files the model builder uploads once.")
    ] = None,
) -> None:
    """Show what the model offers for our contracts and what is missing, and write the files to upload."""
    from mlc_dagster.cli.describe import show_model

    sys.exit(show_model(destination, headers))
