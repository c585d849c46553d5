"""Rows by contract as assets, and the contract's tests as their checks."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg

from mlc_dagster import flow
from mlc_dagster.graph import metadata, partitions
from mlc_dagster.graph.policies import RETRY, freshness
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.steps import by_company
from mlc_dagster.mappings import CheckInfo, CheckResult, Mappings, Model
from mlc_dagster.settings import PairSettings


def rows_asset(
    model: Model, mappings: Mappings, pair: PairSettings, days: dg.PartitionsDefinition
) -> dg.AssetsDefinition:
    """Rows of one model, made from the lake: `<target>/rows/<model>`."""

    @dg.asset(
        key=[model.target, "rows", model.name],
        group_name=f"visma_{model.target}",
        description=model.description,
        kinds={"duckdb", "sql"},
        deps=[["visma", entity] for entity in model.entities],
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        freshness_policy=freshness(pair),
        retry_policy=RETRY,
        output_required=False,
        metadata=metadata.model_columns(model, mappings),
    )
    def rows(context: dg.AssetExecutionContext, suite: SuiteResource) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        house = suite.open()
        refused: list[tuple[str, str]] = []
        sample: list[dict[str, Any]] = []

        def work(company: str, days: list[date]) -> Mapping[str, int]:
            mapped = flow.rows(house, model.key, company, days)
            refused.extend((row.key or row.source_key, row.reason) for row in mapped.refused)
            sample.extend(metadata.first_rows(mapped.table))
            return {
                "dagster/row_count": mapped.table.num_rows,
                "records": len(mapped.scope),
                "quarantined": len(mapped.refused),
            }

        totals = by_company(context, house, work)
        if totals is not None:
            covered = {"covers": metadata.covers(partitions.company_days(context))}
            shown = {"preview": metadata.preview(sample), **metadata.reasons(refused)}
            yield dg.MaterializeResult(metadata={**covered, **totals, **shown})

    return rows


def rows_checks(model: Model, mappings: Mappings) -> dg.AssetChecksDefinition:
    """The contract's tests as asset checks; blocking ones keep a delivery from starting.

    They have no partitions of their own: a run over a range evaluates each check once, and the UI would show
    a partitioned check without a partition as skipped (dagster.md section 3).
    """
    declared = mappings.check_names(model.key)

    @dg.multi_asset_check(
        specs=[_spec(model, check) for check in declared],
        name=f"{model.target}_{model.name}_contract",
    )
    def contract(
        context: dg.AssetCheckExecutionContext, suite: SuiteResource
    ) -> Iterator[dg.AssetCheckResult]:
        house = suite.open()
        found = {
            company: {result.name: result for result in flow.rows(house, model.key, company, days).checks}
            for company, days in partitions.company_days(context).items()
        }
        for check in declared:
            # A contract edited since the code was loaded may have lost the check.
            mine = {
                company: results[check.name] for company, results in found.items() if check.name in results
            }
            yield _result(check, mine)

    return contract


def _spec(model: Model, check: CheckInfo) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        check.name,
        asset=[model.target, "rows", model.name],
        blocking=check.blocking,
        description=check.description,
    )


def _result(check: CheckInfo, found: Mapping[str, CheckResult]) -> dg.AssetCheckResult:
    """One result for all companies of the run, naming those in which the check fails."""
    failed = [f"{company}: {result.message}" for company, result in found.items() if not result.passed]
    passed = "All rows pass." if found else "The contract no longer has this test; reload the code location."
    severity = dg.AssetCheckSeverity.WARN if check.severity == "warn" else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        check_name=check.name,
        passed=not failed,
        severity=severity,
        description="; ".join(failed) or passed,
        metadata={"failing_rows": sum(result.failing_rows for result in found.values())},
    )
