"""Is everything the settings name really there? One question for each part; a failure says what to do."""

from collections.abc import Callable, Mapping

from mlc_dagster.powerbi import retirement
from mlc_dagster.suite import Suite
from mlc_dagster.visma.entities import ENTITIES


def company(suite: Suite, code: str) -> str:
    """Log in to a company and read its branches: token, tenant, approval and rights in one small call."""
    branches = suite.visma(code).pages(ENTITIES["branches"], lambda page: len(page.records))
    name = suite.settings.companies[code].name
    return f"{name}, {sum(branches)} branches"


def model(suite: Suite) -> str:
    """Log in to Anaplan and look at the configured model: credentials, address, ids and role in one call."""
    return f"model {suite.anaplan.catalog.model().name}"


def dataset(suite: Suite) -> str:
    """Log in to Power BI and look for our dataset; says what is not certain, and when creation ends."""
    power_bi = suite.powerbi
    there = {str(found["id"]) for found in power_bi.client.datasets()}
    if power_bi.dataset.id not in there:
        raise NotSetUp("The workspace has no dataset of ours. Run `mlc powerbi setup`.")
    assured = "" if power_bi.verifies else f", {retirement.UNVERIFIED}"
    return f"dataset {power_bi.dataset.id}{assured}{retirement.warning(suite.clock.now().date())}"


# What to look at first for each target: without a login every destination would tell the same.
TARGETS: Mapping[str, Callable[[Suite], str]] = {"anaplan": model, "powerbi": dataset}


class NotSetUp(Exception):
    """What a target needs before its first delivery is not there."""


def destination(suite: Suite, name: str) -> str:
    """Look at everything a delivery and the read-back after it would need, without delivering."""
    suite.destination(name).preflight([])
    read_back = suite.read_back(name)
    if read_back is None:
        return "ready"
    read_back.check()
    return "ready, and read back"


def budgets_left(suite: Suite) -> dict[str, int | None]:
    """The calls left of our share of each budget in its current window; None while the limit is unknown."""
    left = {f"visma {code}": suite.visma(code).http.budget.left() for code in suite.settings.companies}
    if suite.settings.pairs.anaplan is not None:
        left["anaplan"] = suite.anaplan.http.budget.left()
    return left
