"""What `mlc powerbi` prints and does: the model as the contracts declare it, and the dataset's set-up."""

import json

import typer
from rich.table import Table

from mlc_dagster.cli.console import console
from mlc_dagster.powerbi.connect import declared
from mlc_dagster.powerbi.star import Star
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite


def show_star(*, as_json: bool) -> None:
    """Print the dataset, as tables for people or as the body of the create call."""
    suite = Suite(load_settings())
    star, pair = declared(suite.mappings), suite.settings.pairs.powerbi
    if as_json:
        body = star.body(pair.dataset if pair else "Visma ERP")
        typer.echo(json.dumps(body, indent=2, ensure_ascii=False))
        return
    _tables(star)
    _relationships(star)
    _measures(star)


def set_up(*, adopt: str, yes: bool) -> None:
    """Show the plan, ask, and do it.

    Raises:
        SetupRefused: a person has to decide something first.
    """
    setup = Suite(load_settings()).powerbi.setup
    plan = setup.plan(adopt=adopt)
    for step in plan.steps or ("nothing to change",):
        console.print(f"- {step}", highlight=False)
    if plan.steps and not yes:
        typer.confirm("Do this?", abort=True)
    console.print(f"dataset {setup.apply(plan)}", highlight=False)


def _tables(star: Star) -> None:
    for physical in star.tables:
        hidden = " (hidden)" if physical.hidden else ""
        table = Table(title=f"{physical.name}{hidden}: {physical.description}", title_justify="left")
        for heading in ("column", "type", "format", "shown", "what it is"):
            table.add_column(heading, overflow="fold")
        for column in physical.columns:
            shown = "" if column.hidden else "yes"
            table.add_row(column.name, column.type, column.format or "", shown, column.description)
        console.print(table)


def _relationships(star: Star) -> None:
    table = Table(title="Relationships, many to one", title_justify="left")
    for heading in ("from", "to"):
        table.add_column(heading, overflow="fold")
    for link in star.relationships:
        table.add_row(f"{link.from_table}[{link.from_column}]", f"{link.to_table}[{link.to_column}]")
    console.print(table)


def _measures(star: Star) -> None:
    for measure in star.measures:
        hidden = " (hidden)" if measure.hidden else ""
        said = f": {measure.description}" if measure.description else ""
        console.print(f"{measure.name}{hidden}{said}", style="bold", highlight=False, markup=False)
        console.print(f"  {measure.dax}\n", highlight=False, markup=False, soft_wrap=True)
