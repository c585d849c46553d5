"""What `mlc powerbi` prints and does: the model as the contracts declare it, and the dataset's set-up."""

import json

import typer

from mlc_dagster.cli.console import console, table_with
from mlc_dagster.powerbi.connect import PowerBi, declared
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
    suite = Suite(load_settings())
    setup = suite.powerbi.setup
    plan = setup.plan(adopt=adopt)
    for step in plan.steps or ("nothing to change",):
        console.print(f"- {step}")
    if plan.steps and not yes:
        typer.confirm("Do this?", abort=True)
    dataset = setup.apply(plan)
    console.print(f"Dataset {dataset}. {_queries(suite.powerbi)}")
    if plan.steps:
        console.print("Next: `mlc check`; then the pair's schedule or sensor sends the rows.")


def _queries(powerbi: PowerBi) -> str:
    if powerbi.verifies:
        return "Queries work: every load is verified before it counts."
    if powerbi.dataset.queries:
        return "Loads are not verified, because the settings say `verify: off`."
    return (
        "Queries do not work, so loads cannot be verified: an administrator switches on 'Dataset Execute "
        "Queries REST API', then run this again (docs/powerbi.md, sections 1 and 5)."
    )


def _tables(star: Star) -> None:
    """The tables as the contracts see them: a fact once, and no technical columns."""
    for shape in star.shapes.values():
        kind = f"fact, hidden: {' and '.join(shape.names)}" if shape.fact else "dimension"
        table = table_with(
            f"{shape.title} ({kind}). {shape.description}",
            ("column", "type", "format", "shown", "what it is"),
        )
        for column in shape.columns:
            shown = "" if column.hidden else "yes"
            table.add_row(column.name, column.type, column.format or "", shown, column.description)
        console.print(table)
    console.print(
        f"All rows carry hidden technical columns besides. {star.control.name}: {star.control.description}\n",
    )


def _relationships(star: Star) -> None:
    titles = {name: shape.title for shape in star.shapes.values() for name in shape.names}
    links = {
        (f"{titles[link.from_table]}[{link.from_column}]", f"{link.to_table}[{link.to_column}]")
        for link in star.relationships
    }
    table = table_with("Relationships, many to one", ("from", "to"))
    for link in sorted(links):
        table.add_row(*link)
    console.print(table)


def _measures(star: Star) -> None:
    table = table_with("Measures", ("measure", "format", "what it is"))
    for measure in star.measures:
        if not measure.hidden:
            table.add_row(measure.name, measure.format or "", measure.description)
    console.print(table)
    console.print("Their DAX. Hidden ones tell which of a fact's two tables is read.\n")
    for measure in star.measures:
        hidden = " (hidden)" if measure.hidden else ""
        console.print(f"{measure.name}{hidden}", style="bold")
        console.print(f"  {measure.dax}\n")
