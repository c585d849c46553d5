"""`mlc check`: configuration, mappings, credentials and every object the settings name."""

from collections.abc import Callable, Iterator
from functools import partial

from rich.text import Text

from mlc_dagster import health
from mlc_dagster.cli.console import console
from mlc_dagster.settings import Settings, load_settings
from mlc_dagster.suite import Suite

Step = tuple[str, Callable[[], str]]


def run_check() -> int:
    """Try everything, print a line each; 1 when something fails."""
    settings = load_settings()
    _tell("ok", "green", f"configuration {settings.file}")
    return int(sum(not _try(*step) for step in _steps(settings)) > 0)


def _steps(settings: Settings) -> Iterator[Step]:
    suite = Suite(settings)
    yield "database", lambda: suite.engine.dialect.name
    yield "lake", lambda: suite.lake.url
    yield "mappings", lambda: f"{len(suite.mappings.models)} models in {settings.mappings_folder}"
    for company in settings.companies:
        yield f"visma {company}", partial(health.company, suite, company)
    for name in suite.destinations(None):
        yield name, partial(health.destination, suite, name)


def _try(name: str, step: Callable[[], str]) -> bool:
    try:
        _tell("ok", "green", f"{name}: {step()}")
    except Exception as error:
        if not type(error).__module__.startswith("mlc_dagster."):
            raise
        _tell("fails", "red", f"{name}: {error}")
        return False
    return True


def _tell(verdict: str, style: str, text: str) -> None:
    console.print(Text.assemble((f"{verdict:<6}", style), text))
