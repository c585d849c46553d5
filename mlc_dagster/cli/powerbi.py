"""`mlc powerbi`: what is done by hand for the Power BI pair.

Imports inside the commands keep `mlc --help` quick.
"""

from typing import Annotated

import typer

powerbi_app = typer.Typer(no_args_is_help=True, help="What is done by hand for Power BI.")


@powerbi_app.command("model")
def model(
    as_json: Annotated[bool, typer.Option("--json", help="Print the body of the create call.")] = False,
) -> None:
    """Show tables, columns, relationships and measures with their DAX, as the contracts declare them."""
    from mlc_dagster.cli.dataset import show_star

    show_star(as_json=as_json)


@powerbi_app.command("setup")
def setup(
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    adopt: Annotated[str, typer.Option(help="Use the dataset of this id in place of a new one.")] = "",
) -> None:
    """Create the dataset once, or add what the contracts have gained. Shows a plan first, drops nothing."""
    from mlc_dagster.cli.dataset import set_up

    set_up(adopt=adopt, yes=yes)
