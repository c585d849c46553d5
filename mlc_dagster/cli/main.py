"""The `mlc` command: what an operator and an integrator do outside Dagster's UI.

Imports inside the commands keep `mlc --help` quick: only what a command uses is loaded.
"""

import os
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from mlc_dagster.cli.alerts import alerts_app
from mlc_dagster.cli.anaplan import anaplan_app
from mlc_dagster.cli.asana import asana_app
from mlc_dagster.cli.audit_app import audit_app
from mlc_dagster.cli.cleo import cleo_app
from mlc_dagster.cli.credentials import credentials_app
from mlc_dagster.cli.powerbi import powerbi_app
from mlc_dagster.cli.quarantine_app import quarantine_app
from mlc_dagster.cli.receiver import receiver_app
from mlc_dagster.cli.retention_app import retention_app
from mlc_dagster.cli.tableau import tableau_app
from mlc_dagster.cli.x12 import x12_app
from mlc_dagster.logs import set_up

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
)
mappings_app = typer.Typer(no_args_is_help=True, help="The SQL mappings an integrator edits.")
sandbox_app = typer.Typer(no_args_is_help=True, help="A local server that speaks the vendors' protocols.")
app.add_typer(alerts_app, name="alerts")
app.add_typer(anaplan_app, name="anaplan")
app.add_typer(asana_app, name="asana")
app.add_typer(audit_app, name="audit")
app.add_typer(cleo_app, name="cleo")
app.add_typer(credentials_app, name="credentials")
app.add_typer(powerbi_app, name="powerbi")
app.add_typer(mappings_app, name="mappings")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(receiver_app, name="receiver")
app.add_typer(retention_app, name="retention")
app.add_typer(sandbox_app, name="sandbox")
app.add_typer(tableau_app, name="tableau")
app.add_typer(x12_app, name="x12")

DEMO_FOLDER = Path(".mlc/demo")
Folder = Annotated[Path, typer.Option(help="Where the demo keeps its state.")]


def main() -> None:
    """Run the command. Our own errors say what to do next; only others need a traceback."""
    set_up()
    try:
        app()
    except Exception as error:
        if (sentence := _in_a_sentence(error)) is None:
            raise
        typer.echo(sentence, err=True)
        sys.exit(1)


def _in_a_sentence(error: Exception) -> str | None:
    """What an error says by itself, or what to do about a database that failed; None where nobody knows."""
    if type(error).__module__.startswith("mlc_dagster."):
        return str(error)
    # Loaded already where it is raised.
    from sqlalchemy.exc import OperationalError

    if not isinstance(error, OperationalError):
        return None
    why = " ".join(str(error.orig).split())
    return (
        f"The database failed in the middle of this command ({why}). What was finished before stays. "
        "See that it runs, can be reached and has room, then run this again."
    )


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Keeps Anaplan, Asana, Cleo, Tableau and Power BI equal to Visma.net ERP, record by record."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"mlc {installed('mlc-dagster')}")
        raise typer.Exit


@app.command()
def demo(
    folder: Folder = DEMO_FOLDER,
    seed: Annotated[int, typer.Option(help="Another seed, other data.")] = 1,
    scale: Annotated[str, typer.Option(help="1 is about 400 invoices a company.")] = "1",
    pair: Annotated[
        list[str] | None, typer.Option(help="Only this target, such as asana; may be named again.")
    ] = None,
) -> None:
    """Load a sandbox ERP into every target, let a day pass, load again."""
    from mlc_dagster.cli.demo import run_demo

    run_demo(folder, seed=seed, scale=scale, pairs=pair or [])


@app.command()
def ui(
    folder: Folder = DEMO_FOLDER,
    port: Annotated[int, typer.Option(help="Port of Dagster's webserver.")] = 3000,
) -> None:
    """Open Dagster's webserver and daemon on what the demo made, with its sandbox beside."""
    from mlc_dagster.cli.ui import serve_ui

    serve_ui(folder, port)


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="The configuration to write.")] = Path("mlc.yaml"),
    answers: Annotated[
        Path | None,
        typer.Option(help="A file shaped like mlc.yaml; nothing is asked, what it leaves out is told."),
    ] = None,
) -> None:
    """Ask for what is needed and write a commented mlc.yaml. Credentials are not asked for, only named."""
    from mlc_dagster.cli.init import write_configuration

    write_configuration(file, answers)


@app.command()
def schema() -> None:
    """Print the JSON schema of mlc.yaml, by which editors complete and check it."""
    from mlc_dagster.cli.schema import schema_text

    typer.echo(schema_text(), nl=False)


@app.command()
def check() -> None:
    """Check the configuration, the mappings, the credentials and every object the settings name."""
    from mlc_dagster.cli.check import run_check

    sys.exit(run_check())


@app.command()
def plan(
    destination: Annotated[
        str | None, typer.Argument(help="Such as anaplan/supplier_invoices, or a pair; all by default.")
    ] = None,
    company: Annotated[str | None, typer.Option(help="One company; all by default.")] = None,
    since: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")] = None,
    reading: Annotated[
        bool, typer.Option("--reading", help="What is still to be read from the ERP, and how long it takes.")
    ] = False,
) -> None:
    """Show what the next run would create, update and delete, and the calls it costs. Changes nothing."""
    if reading:
        from mlc_dagster.cli.backlog import show_backlog

        show_backlog(company)
        return
    from mlc_dagster.cli.plan import show_plan

    show_plan(destination, company, _day(since), _day(until))


@app.command()
def resend(
    destination: Annotated[str, typer.Argument(help="Such as anaplan/supplier_invoices.")],
    company: Annotated[str | None, typer.Option(help="One company; all by default.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Let every row go again with the next run: after a target was restored, emptied or edited.

    Also after our database was restored from a backup: what it says was delivered is not what the target
    holds then. It shows how many rows that are and what they cost, and asks. What a partner of Cleo has not
    answered for too long is filed again at once.
    """
    from mlc_dagster.cli.resend import resend as send_again

    sys.exit(send_again(destination, company, yes=yes))


@app.command()
def replay(
    number: Annotated[
        str | None, typer.Argument(help="A business number, such as an invoice number.")
    ] = None,
    *,
    batch: Annotated[str | None, typer.Option(help="A batch, as `mlc audit` names it.")] = None,
    run: Annotated[str | None, typer.Option(help="A run, by the whole id Dagster shows.")] = None,
    company: Annotated[str | None, typer.Option(help="Its days, with --from and --to.")] = None,
    since: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")] = None,
    pair: Annotated[str | None, typer.Option(help="Only this pair, such as anaplan.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Do something again: a document, a batch, a run, or some days of a company. Shows its plan first.

    What is named by NUMBER, --batch or --run is sent again although unchanged; days are compared again.
    """
    from mlc_dagster.cli.replay import asked_for
    from mlc_dagster.cli.replay import replay as do_again

    what = asked_for(
        number=number, batch=batch, run=run, company=company, days=(_day(since), _day(until)), pair=pair
    )
    sys.exit(do_again(what, yes=yes))


@app.command()
def reconcile(
    destination: Annotated[
        str | None, typer.Argument(help="Such as asana/purchase_orders, or a pair; all by default.")
    ] = None,
    *,
    company: Annotated[str | None, typer.Option(help="One company; all by default.")] = None,
    entity: Annotated[
        str | None,
        typer.Option(help="Such as supplier_invoices: what carries these records; all by default."),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Name every row that differs, not the first 20 of each kind.")
    ] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Put exactly the wrong rows right.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Read targets back and compare them with what was delivered, row by row. Changes nothing by itself."""
    from mlc_dagster.cli.reconcile import show_reconcile

    sys.exit(show_reconcile(destination, company, entity, repair=repair, yes=yes, name_all=all_))


@app.command()
def sweep(
    company: Annotated[str | None, typer.Option(help="One company; all by default.")] = None,
    entity: Annotated[str | None, typer.Option(help="Such as suppliers; all by default.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what it would cost.")] = False,
    confirm: Annotated[
        int, typer.Option(help="So many missing records are really gone.", min=0, show_default=False)
    ] = 0,
) -> None:
    """Compare all keys with the ERP: finds what was deleted or renumbered there, or came late."""
    from mlc_dagster.cli.sweep import run_sweep, show_sweep_plan

    if plan:
        show_sweep_plan(company, entity)
    else:
        sys.exit(run_sweep(company, entity, confirm))


@mappings_app.command("compile")
def compile_mappings(
    model: Annotated[
        str | None, typer.Argument(help="Such as anaplan/supplier_invoices; all by default.")
    ] = None,
) -> None:
    """Check every model and print the SQL that runs."""
    from mlc_dagster.cli.mappings import print_compiled

    print_compiled(model)


@mappings_app.command("test")
def check_contracts(
    model: Annotated[
        str | None, typer.Argument(help="Such as anaplan/supplier_invoices; all by default.")
    ] = None,
) -> None:
    """Run the contracts' tests over everything in the lake."""
    from mlc_dagster.cli.mappings import run_tests

    sys.exit(run_tests(model))


@mappings_app.command("docs")
def mappings_docs(
    out: Annotated[Path | None, typer.Option(help="A file to write; the terminal by default.")] = None,
) -> None:
    """Describe every model: columns, types, tests and where each column comes from."""
    from mlc_dagster.cli.mappings import write_docs

    write_docs(out)


@sandbox_app.command(
    "serve",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def serve_sandbox(context: typer.Context) -> None:
    """Run the sandbox alone: --seed N --scale X --port P --config DIR --state DIR."""
    arguments = [sys.executable, "-m", "mlc_sandbox", "serve", *context.args]
    os.execv(sys.executable, arguments)  # noqa: S606 - our own interpreter, no shell


def _day(value: datetime | None) -> date | None:
    return value.date() if value else None
