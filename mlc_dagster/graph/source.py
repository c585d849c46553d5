"""Visma's entities as assets: a partition holds what the ERP last changed on that day."""

from collections.abc import Iterator, Mapping
from datetime import date

import dagster as dg

from mlc_dagster import flow
from mlc_dagster.graph import partitions
from mlc_dagster.graph.policies import RETRY
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.steps import by_company
from mlc_dagster.visma.entities import Entity

POOL = "visma"


def entity_asset(
    entity: Entity, days: dg.PartitionsDefinition, freshness: dg.FreshnessPolicy
) -> dg.AssetsDefinition:
    """One entity: `visma/<entity>`."""

    @dg.asset(
        key=["visma", entity.name],
        group_name="visma",
        description=f"{entity.title} from Visma.net ERP ({entity.path}), by company and modified day.",
        kinds={"visma", "parquet"},
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        freshness_policy=freshness,
        retry_policy=RETRY,
        pool=POOL,
        output_required=False,
        metadata={"dagster/column_schema": column_schema(entity)},
    )
    def read(context: dg.AssetExecutionContext, suite: SuiteResource) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        house = suite.open()

        def work(company: str, days: list[date]) -> Mapping[str, int]:
            def note(day: date, rows: int) -> None:
                context.add_asset_metadata(
                    {"dagster/partition_row_count": rows}, partition_key=partitions.key(company, day)
                )

            report = flow.read(house, entity, company, days, run_id=context.run_id, on_day=note)
            context.log.info(f"visma/{entity.name} {company} {days[0]} to {days[-1]}: {report}")
            return report.counts()

        totals = by_company(context, house, work)
        if totals is not None:
            yield dg.MaterializeResult(metadata={**totals, **house.calls()})

    return read


def column_schema(entity: Entity) -> dg.TableSchema:
    """The entity's columns as the UI shows them."""
    return dg.TableSchema([dg.TableColumn(field.name, str(field.type)) for field in entity.schema])
