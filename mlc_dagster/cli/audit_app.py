"""`mlc audit`: what happened to a record, and whether the trail that says so is untouched.

Imports inside the commands keep `mlc --help` quick.
"""

import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup


class Form(StrEnum):
    """What an export is written as."""

    CSV = "csv"
    PARQUET = "parquet"


class _NumberOrCommand(TyperGroup):
    """`mlc audit 10023` is `mlc audit show 10023`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = not args or args[0] in self.commands or args[0].startswith("-")
        return super().resolve_command(ctx, args if known else ["show", *args])


audit_app = typer.Typer(
    cls=_NumberOrCommand,
    no_args_is_help=True,
    help="`mlc audit NUMBER` shows the life of a record; the rest is about the trail itself.",
)


@audit_app.command()
def show(
    number: Annotated[str, typer.Argument(help="A business number, such as an invoice number.")],
) -> None:
    """Show the life of a record: read, mapped, sent, refused, over all targets."""
    from mlc_dagster.cli.audit import show_audit

    sys.exit(show_audit(number))


@audit_app.command()
def verify(
    head: Annotated[
        bool, typer.Option("--head", help="Print nothing but the newest seal, for somebody to keep.")
    ] = False,
    kept: Annotated[
        str | None, typer.Option(help="A seal that was kept elsewhere, as --head printed it.")
    ] = None,
) -> None:
    """Compare every event with its seal, and every seal with the one before. Exit code 1 when one is broken.

    By itself it cannot tell whether the trail was cut short or made anew as a whole: --kept can.
    """
    from mlc_dagster.cli.audit_chain import verify as look

    sys.exit(look(kept, only_head=head))


@audit_app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="A folder that is new or empty.", metavar="DIR")],
    since: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day, in UTC.")],
    until: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, in UTC.")],
    form: Annotated[Form, typer.Option("--format", help="What to write.")] = Form.PARQUET,
) -> None:
    """Write the trail of some days as files for an auditor, with its seals and how to verify them."""
    from mlc_dagster.cli.audit_chain import write_export

    write_export(folder, since.date(), until.date(), form.value)
