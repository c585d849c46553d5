"""Destinations as assets: what a target holds, made equal to the rows of a model."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date

import dagster as dg

from mlc_dagster import flow
from mlc_dagster.delivery import Report
from mlc_dagster.graph import metadata, partitions
from mlc_dagster.graph.policies import RETRY, freshness
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.graph.steps import by_company
from mlc_dagster.mappings import Mappings, Model
from mlc_dagster.outlook import left_behind
from mlc_dagster.settings import TITLES, PairSettings


def destination_asset(
    model: Model, mappings: Mappings, pair: PairSettings, days: dg.PartitionsDefinition
) -> dg.AssetsDefinition:
    """One destination, made equal to the rows of its model: `<target>/<model>`."""

    @dg.asset(
        key=[model.target, model.name],
        group_name=f"visma_{model.target}",
        description=f"{model.description} As {TITLES[model.target]} holds it, according to the ledger.",
        kinds={model.target},
        deps=[[model.target, "rows", model.name], *([model.target, other] for other in model.after)],
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        freshness_policy=freshness(pair),
        retry_policy=RETRY,
        pool=model.target,
        output_required=False,
        metadata=metadata.destination_columns(model, mappings),
    )
    def destination(
        context: dg.AssetExecutionContext, suite: SuiteResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        house = suite.open()

        def work(company: str, days: list[date]) -> Mapping[str, int]:
            report = flow.send(house, model.key, company, days, run_id=context.run.run_id)
            said = ", ".join(f"{name} {count}" for name, count in counts(report).items() if count)
            context.log.info(f"{model.key} {company} {days[0]} to {days[-1]}: {said or 'nothing to do'}")
            if not report.complete:
                raise Incomplete(report)
            return counts(report)

        totals = by_company(context, house, work)
        if totals is not None:
            covered = {"covers": metadata.covers(partitions.company_days(context))}
            calls = house.calls()
            destination = house.destination(model.key)
            shown = {
                **metadata.calls_per_change(totals, calls["calls"]),
                **metadata.to_review(destination, list(partitions.company_days(context))),
            }
            yield dg.MaterializeResult(metadata={**covered, **totals, **calls, **shown})

    return destination


def destination_check(model: Model) -> dg.AssetChecksDefinition:
    """Warns while records of a destination are failed, pending, in doubt or quarantined."""

    @dg.asset_check(
        asset=[model.target, model.name],
        name="nothing_left_behind",
        description="No record of this destination is failed, pending, in doubt or quarantined.",
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


def counts(report: Report) -> dict[str, int]:
    """The numbers of a delivery, as run metadata."""
    return {name: value for name, value in asdict(report).items() if isinstance(value, int)}


class Incomplete(Exception):
    """A delivery ended early or without a clear answer. Nothing is lost: the rest goes with the next one."""

    def __init__(self, report: Report) -> None:
        left = {
            "pending": report.pending,
            "in doubt": report.in_doubt,
            "not yet deleted": report.undeleted,
        }
        counts = ", ".join(f"{count} {name}" for name, count in left.items() if count) or "nothing is pending"
        super().__init__(
            f"{report.destination}: not everything arrived ({counts}). {report.stopped or ''} "
            "What is left goes with the next try or the next run."
        )
