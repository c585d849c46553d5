"""`mlc mappings`: compile, test and describe the models an integrator edits."""

from pathlib import Path

from rich.syntax import Syntax

from mlc_dagster import flow
from mlc_dagster.cli.console import console, counted
from mlc_dagster.mappings import docs
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite


def print_compiled(model: str | None) -> None:
    """Check all models, and print the SQL of one when it is named.

    Raises:
        ProblemsFound: mistakes in models or contracts, all at once.
    """
    suite = Suite(load_settings())
    names = _chosen(suite, model)
    if model is None:
        console.print(f"{len(names)} models compile: {', '.join(names)}. Name one to see its SQL.")
        return
    console.print(Syntax(suite.mappings.compiled_sql(model), "sql", background_color="default"))


def run_tests(model: str | None) -> int:
    """Run the contracts' tests over everything in the lake; 1 when a test of severity error fails."""
    suite = Suite(load_settings())
    ran, failed = 0, 0
    for name in _chosen(suite, model):
        for company in suite.settings.companies:
            mapped = flow.everything(suite, name, company)
            refused = f", {len(mapped.refused)} refused" if mapped.refused else ""
            console.print(f"{name} {company}: {counted(mapped.table.num_rows, 'row')}{refused}")
            checks = suite.mappings.checks(name, mapped)
            ran += len(checks)
            for check in checks:
                if not check.passed:
                    failed += check.severity == "error"
                    console.print(f"  {check.name} ({check.severity}): {check.message}")
    console.print(f"{ran} tests, {failed} of them failed.")
    return int(failed > 0)


def _chosen(suite: Suite, model: str | None) -> list[str]:
    known = sorted(suite.mappings.models)
    if model is None:
        return known
    if model not in known:
        raise UnknownModel(f"There is no model {model}. Known: {', '.join(known)}.")
    return [model]


class UnknownModel(Exception):
    """No model has this name."""


def write_docs(out: Path | None) -> None:
    """Write the description of all models to a file, or to the terminal."""
    text = docs(Suite(load_settings()).mappings)
    if out is None:
        print(text)
    else:
        out.write_text(text, "utf-8")
