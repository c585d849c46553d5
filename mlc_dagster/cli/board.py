"""What `mlc asana` does by hand: the set-up of custom fields, and suppliers nobody is named for."""

from collections import Counter

import typer

from mlc_dagster.asana.unassigned import Supplier, unassigned
from mlc_dagster.cli.console import console, table_with
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite


def set_up(*, yes: bool) -> None:
    """Show the plan, ask, and do it.

    Raises:
        SetupRefused: a person has to decide something first.
        CallFailed: of the client.
    """
    setup = Suite(load_settings()).asana.setup
    plan = setup.plan()
    for step in plan.steps or ("every field is there and attached",):
        console.print(f"- {step}")
    if plan.steps and not yes:
        typer.confirm("Do this?", abort=True)
    works = setup.apply(plan)
    console.print(f"Asana keeps our ids on tasks (`external`): {'yes' if works else 'no'}.")


def show_unassigned() -> None:
    """Print the suppliers whose tasks nobody is assigned to, with the number of tasks that are not done."""
    suite = Suite(load_settings())
    asana = suite.asana
    headings = ("company", "supplier", "name", "named member", "open tasks")
    table = table_with("Suppliers without a member", headings, numbers=["open tasks"])
    found: Counter[Supplier] = Counter()
    delivered = False
    for model in asana.settings.destinations:
        destination = asana.destination(model)
        for company in suite.ledger.companies(destination.name):
            delivered = True
            found += unassigned(suite.ledger, destination.shape, company, destination.members)
    for supplier, tasks in sorted(found.items()):
        table.add_row(*supplier, str(tasks))
    if not found:
        done = "Every open task has somebody assigned to it."
        console.print(done if delivered else "Nothing has been delivered to Asana yet.")
        return
    console.print(table)
    console.print(
        "Name a member for them in lookups/supplier_members.csv (docs/asana.md): by number, e-mail or name. "
        "The next run assigns their tasks. A named member who stands here is no member of the workspace."
    )
