"""`mlc check`: configuration, mappings, credentials and every object the settings name."""

from collections.abc import Callable, Iterator
from functools import partial

from rich.console import Console

from mlc_dagster import health
from mlc_dagster.settings import Settings, load_settings
from mlc_dagster.suite import Suite

Step = tuple[str, Callable[[], str]]


def run_check() -> int:
    """Try everything, print a line each; 1 when something fails."""
    console = Console()
    settings = load_settings()
    console.print(f"[green]ok[/green]    configuration {settings.file}", highlight=False)
    return int(sum(not _try(console, *step) for step in _steps(settings)) > 0)


def _steps(settings: Settings) -> Iterator[Step]:
    suite = Suite(settings)
    yield "database", lambda: suite.engine.dialect.name
    yield "lake", lambda: suite.lake.url
    yield "mappings", lambda: f"{len(suite.mappings.models)} models in {settings.mappings_folder}"
    for company in settings.companies:
        yield f"visma {company}", partial(health.company, suite, company)
    for name in suite.destinations(None):
        yield name, partial(health.destination, suite, name)


def _try(console: Console, name: str, step: Callable[[], str]) -> bool:
    try:
        console.print(f"[green]ok[/green]    {name}: {step()}", highlight=False)
    except Exception as error:
        if not type(error).__module__.startswith("mlc_dagster."):
            raise
        console.print(f"[red]fails[/red] {name}: {error}", highlight=False)
        return False
    return True
