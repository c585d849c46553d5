"""`mlc receiver`: the door for vendors' webhooks, and the operator's pages beside it.

Imports inside the commands keep `mlc --help` quick.
"""

from typing import Annotated

import typer

receiver_app = typer.Typer(no_args_is_help=True, help="Vendors' webhooks, and the operator's pages.")


@receiver_app.callback()
def door() -> None:
    """The door for vendors' webhooks, and the operator's pages."""


@receiver_app.command()
def serve(
    port: Annotated[int, typer.Option(help="Its port.")] = 8400,
    host: Annotated[str, typer.Option(help="Its address; a proxy in front of it ends TLS.")] = "127.0.0.1",
) -> None:
    """Take vendors' webhooks below /hooks, and show the operator's pages and metrics; until Ctrl-C."""
    from mlc_dagster.cli.webhooks import serve_receiver

    serve_receiver(host, port)
