"""The way from the lake to a target for the large company, a step a process: `deliver.py STEP [MODEL]`.

Each step prints its own wall and CPU seconds: imports, opening and what it starts from are not in them.
"""

import sys
from collections.abc import Callable, Mapping
from time import perf_counter, process_time

from bare import tell

from mlc_dagster import flow
from mlc_dagster.delivery import Row, plan
from mlc_dagster.outlook import span, today
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite

COMPANY = "NO01"
Step = Callable[[], Mapping[str, float]]
suite = Suite(load_settings())
everything = span(suite.settings.start_day, today(suite))


def rows(model: str) -> Step:
    """Map every invoice and keep the rows, as the asset of the rows does."""
    return lambda: {"rows": len(flow.rows(suite, model, COMPANY, everything).table)}


def changed_rows(model: str) -> Step:
    """Map what changed on the newest day, with everything else unchanged behind it."""
    seen = suite.mappings.fingerprint(model, suite.lake, COMPANY)
    newest = everything[-1:]
    return lambda: {"rows": len(suite.mappings.run(model, suite.lake, COMPANY, newest, seen=seen).table)}


def send(model: str) -> Step:
    """Deliver, as the asset of the destination does; what sealing its events takes of it is told apart."""
    seal, sealing = suite.seals.seal, 0.0

    def timed() -> int:
        nonlocal sealing
        begin = process_time()
        sealed = seal()
        sealing += process_time() - begin
        return sealed

    suite.seals.seal = timed  # type: ignore[method-assign]

    def deliver() -> dict[str, float]:
        report = flow.send(suite, model, COMPANY, everything, run_id="benchmark")
        if not report.complete:
            raise SystemExit(f"The delivery is not complete: {report}")
        counts = {"rows": report.read, "created": report.created, "unchanged": report.unchanged}
        return {**counts, "seal_cpu": sealing}

    return deliver


def compare(model: str) -> Step:
    """Plan: compare every row with the ledger."""
    mapped, destination = flow.rows(suite, model, COMPANY, everything), suite.destination(model)

    def planned() -> dict[str, int]:
        made = (Row(row.key, row.source_key, row.number, row.payload) for row in mapped.rows())
        found = plan(suite.ledger, destination, COMPANY, made, mapped.scope)
        return {"rows": len(mapped.table), "unchanged": found.unchanged, "changes": len(found.changes)}

    return planned


def set_up(_: str) -> Step:
    """Create the Power BI dataset, as `mlc powerbi setup` does."""

    def done() -> dict[str, int]:
        setup = suite.powerbi.setup
        setup.apply(setup.plan())
        return {}

    return done


def latest(_: str) -> Step:
    """The newest version of every record."""

    def newest() -> dict[str, int]:
        table = suite.lake.latest("supplier_invoices", COMPANY)
        return {"rows": 0 if table is None else len(table)}

    return newest


STEPS: dict[str, Callable[[str], Step]] = {
    "rows": rows,
    "changed-rows": changed_rows,
    "send": send,
    "plan": compare,
    "latest": latest,
    "set-up": set_up,
}

_ = suite.engine, suite.mappings
step = STEPS[sys.argv[1]]((sys.argv[2:] or [""])[0])
wall, cpu = perf_counter(), process_time()
done = step()
tell(engine_wall=perf_counter() - wall, engine_cpu=process_time() - cpu, **done)
