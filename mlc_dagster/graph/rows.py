"""Rows by contract as assets, and the contract's tests as their checks."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import dagster as dg

from mlc_dagster import flow
from mlc_dagster.graph import partitions
from mlc_dagster.graph.policies import RETRY, freshness
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.steps import by_company
from mlc_dagster.mappings import Mapped, Mappings, Model
from mlc_dagster.settings import PairSettings

PREVIEW_ROWS = 5


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
        metadata=_static_metadata(model, mappings),
    )
    def rows(context: dg.AssetExecutionContext, suite: SuiteResource) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        house = suite.open()
        last: list[Mapped] = []

        def work(company: str, days: list[date]) -> Mapping[str, int]:
            mapped = flow.rows(house, model.key, company, days)
            last[:] = [mapped]
            return {
                "rows": mapped.table.num_rows,
                "refused": len(mapped.refused),
                "records": len(mapped.scope),
            }

        totals = by_company(context, house, work)
        if totals is not None:
            preview = (
                last[0].table.slice(0, PREVIEW_ROWS).to_pandas().to_markdown(index=False) if last else ""
            )
            yield dg.MaterializeResult(
                metadata={
                    "dagster/row_count": totals["rows"],
                    "records": totals["records"],
                    "refused": totals["refused"],
                    "preview": dg.MetadataValue.md(preview),
                }
            )

    return rows


def rows_checks(
    model: Model, mappings: Mappings, days: dg.PartitionsDefinition
) -> dg.AssetChecksDefinition | None:
    """The contract's tests as asset checks; blocking ones keep a delivery from starting."""
    declared = mappings.check_names(model.key)
    if not declared:
        return None
    specs = [
        dg.AssetCheckSpec(
            check.name,
            asset=[model.target, "rows", model.name],
            blocking=check.blocking,
            description=check.description,
            partitions_def=days,
        )
        for check in declared
    ]

    @dg.multi_asset_check(specs=specs, name=f"{model.target}_{model.name}_contract")
    def contract(
        context: dg.AssetCheckExecutionContext, suite: SuiteResource
    ) -> Iterator[dg.AssetCheckResult]:
        house = suite.open()
        results = [
            (company, result)
            for company, days in partitions.company_days(context).items()
            for result in house.mappings.checks(model.key, flow.rows(house, model.key, company, days))
        ]
        for spec in specs:
            mine = [(company, result) for company, result in results if result.name == spec.name]
            failed = [f"{company}: {result.message}" for company, result in mine if not result.passed]
            yield dg.AssetCheckResult(
                check_name=spec.name,
                passed=not failed,
                severity=dg.AssetCheckSeverity.WARN
                if mine and mine[0][1].severity == "warn"
                else dg.AssetCheckSeverity.ERROR,
                description="; ".join(failed) or "All rows pass.",
                metadata={"failing_rows": sum(result.failing_rows for _, result in mine)},
            )

    return contract


def _static_metadata(model: Model, mappings: Mappings) -> dict[str, object]:
    columns = mappings.columns(model.key)
    lineage = mappings.column_lineage(model.key)
    return {
        "dagster/column_schema": dg.TableSchema(
            [dg.TableColumn(column.name, column.type, column.description) for column in columns]
        ),
        "dagster/column_lineage": dg.TableColumnLineage(
            {
                column: [
                    dg.TableColumnDep(dg.AssetKey(["visma", entity]), source) for entity, source in sources
                ]
                for column, sources in lineage.items()
            }
        ),
        "dagster/code_references": dg.CodeReferencesMetadataValue(
            code_references=[
                dg.LocalFileCodeReference(file_path=str(Path(file)), line_number=1)
                for file in (model.sql_file, model.contract_file)
            ]
        ),
    }
