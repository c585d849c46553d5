"""`mlc check`: configuration, mappings, credentials and their ends, and every object the settings name."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from rich.text import Text

from mlc_dagster.cli.console import console
from mlc_dagster.operations import health
from mlc_dagster.operations.expiries import SOON, expiries, soon
from mlc_dagster.settings import Settings, load_settings
from mlc_dagster.suite import Suite

Step = tuple[str, Callable[[], str]]


def run_check() -> int:
    """Try everything, print a line each; 1 when something fails."""
    settings = load_settings()
    _tell("ok", "green", f"configuration {settings.file}")
    suite = Suite(settings)
    # Nearly everything asks the database, and each would wait for it anew.
    if not attempt("database", lambda: suite.engine.dialect.name):
        return 1
    healthy = _all(_steps(suite, settings))
    for target in settings.pairs.on():
        # Without a login every destination would tell the same, and try the refused one once more.
        healthy &= attempt(target, partial(_look, suite, target)) and _all(_destinations(suite, target))
    healthy &= tell_ends(suite)
    return 0 if healthy else 1


def tell_ends(suite: Suite) -> bool:
    """Tell which credentials end soon; one that has ended fails, though its vendor may still take it."""
    now, healthy = suite.clock.now(), True
    ending = [expiry for expiry in expiries(suite) if soon(expiry, now)]
    for expiry in ending:
        ended = expiry.ends_at <= now
        healthy &= not ended
        when = f"{'ended' if ended else 'ends'} on {expiry.ends_at:%Y-%m-%d}"
        _tell(*(("fails", "red") if ended else ("warns", "yellow")), f"{expiry.what} {when}. {expiry.remedy}")
    if not ending:
        _tell("ok", "green", f"no credential is known to end within {SOON.days} days")
    return healthy


def _look(suite: Suite, target: str) -> str:
    return suite.target(target).look()


def _all(steps: Iterable[Step]) -> bool:
    """Try every step, also after one that fails."""
    return not [name for name, step in steps if not attempt(name, step)]


def _destinations(suite: Suite, target: str) -> Iterator[Step]:
    for name in suite.destinations(target):
        yield name, partial(health.destination, suite, name)


def _steps(suite: Suite, settings: Settings) -> Iterator[Step]:
    yield "lake", partial(health.lake, suite)
    yield "mappings", lambda: f"{len(suite.mappings.models)} models in {settings.mappings_folder}"
    for company in settings.companies:
        yield f"visma {company}", partial(health.company, suite, company)


def attempt(name: str, step: Callable[[], str]) -> bool:
    """Do one step and tell what came of it; False when it failed for a reason that we can explain."""
    try:
        _tell("ok", "green", f"{name}: {step()}")
    except Exception as error:
        if not type(error).__module__.startswith("mlc_dagster."):
            raise
        _tell("fails", "red", f"{name}: {str(error).removeprefix(f'{name}: ')}")
        return False
    return True


def _tell(verdict: str, style: str, text: str) -> None:
    console.print(Text.assemble((f"{verdict:<6}", style), text))
