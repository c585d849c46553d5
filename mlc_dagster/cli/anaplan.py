"""`mlc anaplan`: what is done by hand for the Anaplan pair.

Imports inside the commands keep `mlc --help` quick.
"""

import typer

anaplan_app = typer.Typer(no_args_is_help=True, help="What is done by hand for Anaplan.")


@anaplan_app.command()
def login() -> None:
    """Log in once in a browser, for the methods oauth_code and oauth_device; runs renew it by themselves."""
    from mlc_dagster.cli.login import log_in
    from mlc_dagster.settings import load_settings
    from mlc_dagster.suite import Suite

    log_in(Suite(load_settings()))
