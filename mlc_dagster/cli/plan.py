"""`mlc plan`: what the next run would do, and whether the budgets cover it. Changes nothing."""

from datetime import date

from rich.table import Table

from mlc_dagster import flow
from mlc_dagster.cli.console import console
from mlc_dagster.health import budgets_left
from mlc_dagster.outlook import open_days, span
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite


def show_plan(destination: str | None, company: str | None, since: date | None, until: date | None) -> None:
    """Print the plan of each destination and company, from what the lake holds now."""
    suite = Suite(load_settings())
    table = Table(title="What the next run would do with what the lake holds now")
    for heading in ("destination", "company"):
        table.add_column(heading)
    for heading in ("create", "update", "delete", "unchanged", "refused", "in doubt", "calls"):
        table.add_column(heading, justify="right")
    total = 0
    for name in suite.destinations(destination):
        for code in [company] if company else suite.settings.companies_of(name.split("/")[0]):
            first, last = open_days(suite, name.split("/")[0], code)
            days = span(since or first, until or last)
            forecast = flow.forecast(suite, name, code, days)
            plan = forecast.plan
            counts = (plan.creates, plan.updates, plan.deletes, plan.unchanged, forecast.refused)
            table.add_row(name, code, *map(str, counts), str(len(plan.in_doubt)), str(forecast.calls))
            total += forecast.calls
    console.print(table)
    for budget, left in budgets_left(suite).items():
        known = f"{left} of our share are left now" if left is not None else "the limit is not known yet"
        console.print(f"Budget {budget}: {known}.")
    console.print(f"The plan needs about {total} calls, besides reading the ERP.")
