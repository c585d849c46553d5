"""Visma's entities as assets: a partition holds what the ERP last changed on that day."""

from collections.abc import Iterator, Mapping
from datetime import date

import dagster as dg
from pydantic import Field

from mlc_dagster import flow
from mlc_dagster.graph import metadata, partitions
from mlc_dagster.graph.policies import RETRY
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.steps import AGAIN_TAG, asked_anew, by_company
from mlc_dagster.operations import backlog, sweeps
from mlc_dagster.outlook import days_to_read
from mlc_dagster.transport.errors import Closed
from mlc_dagster.visma.entities import Entity

POOL = "visma"


class ReadConfig(dg.Config):
    """What an operator may ask of one read in the launchpad."""

    whole: bool = Field(
        default=False,
        description="Read every record and compare every field; the key sweep looks for what is missing.",
    )
    allow_deletes: bool = Field(
        default=False, description="Believe the ERP when it lacks many records that the lake holds."
    )


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
        metadata=metadata.entity_columns(entity),
    )
    def read(
        context: dg.AssetExecutionContext, config: ReadConfig, suite: SuiteResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        house = suite.open()
        refused: list[tuple[str, str]] = []

        def work(company: str, days: list[date]) -> Mapping[str, int]:
            def show_rows(day: date, rows: int) -> None:
                if day not in days:
                    return  # no partition of this run
                context.add_asset_metadata(
                    {"dagster/partition_row_count": rows}, partition_key=partitions.key(company, day)
                )

            anew = config.whole or asked_anew(context.run)
            due = days_to_read(house, entity, company, days, anew=anew)
            try:
                report = flow.read(
                    house,
                    entity,
                    company,
                    due,
                    run_id=context.run.run_id,
                    whole=config.whole,
                    allow_deletes=config.allow_deletes,
                    again=AGAIN_TAG in context.run.tags,
                    on_day=show_rows,
                )
            except Closed:
                left = backlog.how_far(house, entity, company, due, whole=config.whole)
                backlog.note_interrupted(house, company, left)
                shown = metadata.interrupted(company, left, backlog.hours(house, company, left.calls))
                context.log_event(dg.AssetObservation(context.asset_key, metadata=shown))
                raise
            backlog.note_ended(house, entity, company)
            context.log.info(f"{entity.place} {company} {days[0]} to {days[-1]}: {report}")
            if report.missing:
                believed = len(report.missing) if config.allow_deletes else 0
                sweeps.ask_for(house, entity, company, confirmed=believed)
                context.log.warning(
                    f"The ERP did not list {len(report.missing)} records that are known. The sensor "
                    f"`{sweeps.NAME}_resume` has them looked for, if Dagster's daemon runs; else: "
                    f"mlc sweep --company {company} --entity {entity.name} --confirm {believed}"
                )
            refused.extend(
                (f"{company} {bad.key or 'without a key'}", bad.reason) for bad in report.quarantined
            )
            return report.counts()

        totals = by_company(context, house, work)
        if totals is not None:
            covered = {"covers": metadata.covers(partitions.company_days(context))}
            yield dg.MaterializeResult(
                metadata={**covered, **totals, **house.calls(), **metadata.reasons(refused)}
            )

    return read
