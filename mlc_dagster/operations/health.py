"""Is everything the settings name really there? One question for each part; a failure says what to do."""

from mlc_dagster.suite import Suite
from mlc_dagster.visma.connect import company_budget
from mlc_dagster.visma.entities import ENTITIES


def company(suite: Suite, code: str) -> str:
    """Log in to a company and read its branches: token, tenant, approval and rights in one small call."""
    branches = suite.visma(code).pages(ENTITIES["branches"], lambda page: len(page.records))
    name = suite.settings.companies[code].name
    return f"{name}, {sum(branches)} branches"


def destination(suite: Suite, name: str) -> str:
    """Look at everything a delivery and the read-back after it would need, without delivering."""
    suite.destination(name).preflight([])
    read_back = suite.read_back(name)
    if read_back is None:
        return "ready"
    read_back.check()
    return "ready, and read back"


def budgets_left(suite: Suite) -> dict[str, int | None]:
    """The calls left of our share of each budget in its current window; None while the limit is unknown.

    It needs the database and no credential.
    """
    visma = suite.settings.visma
    left = {
        f"visma {code}": company_budget(visma, code, suite.budgets).left()
        for code in suite.settings.companies
    }
    for name in suite.settings.pairs.on():
        left |= suite.target(name).calls_left()
    return left
