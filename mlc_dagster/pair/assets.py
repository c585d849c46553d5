"""The assets of a pair: rows by contract, their checks, and the destinations that receive them."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path

import dagster as dg

from mlc_dagster import flow, partitions
from mlc_dagster.delivery import Report
from mlc_dagster.mappings import Mapped, Mappings, Model
from mlc_dagster.outlook import left_behind
from mlc_dagster.pair.resource import SuiteResource
from mlc_dagster.pair.steps import by_company
from mlc_dagster.settings import PairSettings

PREVIEW_ROWS = 5
RETRY = dg.RetryPolicy(max_retries=2, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


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


def destination_asset(
    model: Model, pair: PairSettings, days: dg.PartitionsDefinition, *, pool: str, kind: str
) -> dg.AssetsDefinition:
    """One destination, made equal to the rows of its model: `<target>/<model>`."""

    @dg.asset(
        key=[model.target, model.name],
        group_name=f"visma_{model.target}",
        description=f"{model.description} As {kind} holds it, according to the ledger.",
        kinds={kind},
        deps=[[model.target, "rows", model.name], *([model.target, other] for other in model.after)],
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        freshness_policy=freshness(pair),
        retry_policy=RETRY,
        pool=pool,
        output_required=False,
    )
    def destination(
        context: dg.AssetExecutionContext, suite: SuiteResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        house = suite.open()

        def work(company: str, days: list[date]) -> Mapping[str, int]:
            report = flow.send(house, model.key, company, days, run_id=context.run_id)
            context.log.info(f"{model.key} {company} {days[0]} to {days[-1]}: {report}")
            return counts(report)

        totals = by_company(context, house, work)
        if totals is not None:
            yield dg.MaterializeResult(metadata={**totals, **house.calls()})

    return destination


def destination_check(model: Model, days: dg.PartitionsDefinition) -> dg.AssetChecksDefinition:
    """Warns while records of a destination are failed, pending, in doubt or quarantined."""

    @dg.asset_check(
        asset=[model.target, model.name],
        name="nothing_left_behind",
        description="No record of this destination is failed, pending, in doubt or quarantined.",
        partitions_def=days,
    )
    def nothing_left_behind(
        context: dg.AssetCheckExecutionContext, suite: SuiteResource
    ) -> dg.AssetCheckResult:
        house = suite.open()
        left = {
            f"{company} {state}": count
            for company in partitions.company_days(context)
            for state, count in left_behind(house, model.key, company).items()
        }
        return dg.AssetCheckResult(
            passed=not left,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(f"{name}: {count}" for name, count in left.items())
            or "Everything arrived.",
            metadata=left,
        )

    return nothing_left_behind


def freshness(pair: PairSettings) -> dg.FreshnessPolicy:
    """An asset is stale when no run finished within the pair's time."""
    fail = timedelta(hours=pair.stale_after_hours)
    return dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=fail * 3 / 4)


def counts(report: Report) -> dict[str, int]:
    """The numbers of a delivery, as run metadata."""
    return {name: value for name, value in asdict(report).items() if isinstance(value, int)}


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
