"""`mlc credentials`: what opens the ERP and the targets, kept encrypted.

Imports inside the commands keep `mlc --help` quick.
"""

import sys
from typing import Annotated

import typer

credentials_app = typer.Typer(
    no_args_is_help=True, help="What opens the ERP and the targets, kept encrypted."
)

Name = Annotated[
    str, typer.Argument(help="As mlc.yaml has it, such as VISMA_CLIENT_SECRET for ${VISMA_CLIENT_SECRET}.")
]
Ends = Annotated[
    str | None, typer.Option(metavar="DATE", help="The day on which it ends, such as 2027-01-31.")
]


@credentials_app.command("set")
def set_credential(
    name: Name,
    # All that follows is taken, because the error of an argument too many would print it.
    source: Annotated[
        list[str] | None, typer.Argument(metavar="[-]", help="`-`: the value comes on stdin.")
    ] = None,
    ends: Ends = None,
) -> None:
    """Keep a value in the vault. It is asked for and not shown; with `-` it is read from stdin."""
    from mlc_dagster.cli.vault import keep

    keep(name, source or [], ends)


@credentials_app.command("list")
def list_credentials(
    history: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who changed this one, and when.")
    ] = None,
) -> None:
    """List all names, who uses them, where they are kept and when they end; never a value."""
    from mlc_dagster.cli.vault import show, show_history

    show() if history is None else show_history(history)


@credentials_app.command("test")
def try_credentials(
    name: Annotated[str | None, typer.Argument(help="Only the logins that use this one.")] = None,
) -> None:
    """Log in with each and look around, without changing anything. Exit code 1 when a login fails."""
    from mlc_dagster.cli.vault import try_logins

    sys.exit(try_logins(name))


@credentials_app.command()
def ends(
    name: Name,
    date: Annotated[str, typer.Argument(help="The day on which it ends; `unknown` forgets what was noted.")],
) -> None:
    """Note when a credential ends, wherever it is kept; `mlc check` and alerts warn before."""
    from mlc_dagster.cli.vault import note_end

    note_end(name, date)


@credentials_app.command()
def rotate() -> None:
    """Encrypt the whole vault with a new key and forget the old one, while everything runs on."""
    from mlc_dagster.cli.vault import change_key

    change_key()


@credentials_app.command()
def remove(name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Forget a value that the vault keeps."""
    from mlc_dagster.cli.vault import forget

    sys.exit(forget(name, yes=yes))
