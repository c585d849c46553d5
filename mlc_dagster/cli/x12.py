"""`mlc x12`: look at an EDI file.

Imports inside the commands keep `mlc --help` quick.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

x12_app = typer.Typer(no_args_is_help=True, help="Look at an ANSI X12 file.")
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="An EDI file.")]


@x12_app.command("validate")
def validate(file: File) -> None:
    """Say what is wrong in a file, a line for each finding. Exit code 1 when a partner would reject it."""
    from mlc_dagster.cli.x12file import validate_file

    sys.exit(validate_file(file))


@x12_app.command("show")
def show(file: File) -> None:
    """Show a file for people: envelope, groups, sets, elements with their names, levels as a tree."""
    from mlc_dagster.cli.x12file import show_file

    show_file(file)
