"""The proof as an asset check: what a target shows is what it was last sent."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import chain
from typing import Any

import dagster as dg

from mlc_dagster.delivery import Comparison, ReadBack, reconcile
from mlc_dagster.delivery.errors import Stop
from mlc_dagster.flow import LakeIncomplete, strays
from mlc_dagster.graph import partitions
from mlc_dagster.graph.metadata import table
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.mappings import Model
from mlc_dagster.outlook import today
from mlc_dagster.settings import TITLES, PairSettings
from mlc_dagster.suite import Suite
from mlc_dagster.transport.errors import Again, CallFailed, Closed

NAME = "equals_the_ledger"
COUNTS = ("expected", "found", "deleted", "missing", "different", "emptied", "revived", "extra", "stale")
# Marks a run of checks alone: then there is time to make every row of the lake again and compare those, too.
SLOW_TAG = "mlc/reconcile"
# Longer than two of the usual weekly rounds: by then it is no passing trouble that a target cannot be read.
UNCOMPARED_AT_MOST = timedelta(days=15)


def equality_check(model: Model) -> dg.AssetChecksDefinition:
    """Reads a destination back after its delivery and compares it with the ledger. Never blocks anything.

    Where the target cannot be read now, because a window is closed or it is busy, the check is skipped: the
    next delivery's check looks again. It does not go on by itself when the window opens: a reading that needs
    more than a window would begin anew each time, and leave deliveries none. It warns when that lasts.
    """
    spec = dg.AssetCheckSpec(
        NAME,
        asset=[model.target, model.name],
        description="The target shows every row as it was last delivered, and none besides.",
    )

    @dg.multi_asset_check(
        name=f"{model.target}__{model.name}__{NAME}", specs=[spec], can_subset=True, pool=model.target
    )
    def equals_the_ledger(
        context: dg.AssetCheckExecutionContext, suite: SuiteResource
    ) -> Iterator[dg.AssetCheckResult]:
        house = suite.open()
        read_back = house.read_back(model.key)
        if read_back is None:
            context.log.warning(f"{model.key} is not read back any more: reload the definitions.")
            return
        try:
            compared = [
                _compare(house, model, read_back, company) for company in partitions.company_days(context)
            ]
            if SLOW_TAG in context.run.tags:
                for found in compared:
                    found.beside_the_lake(strays(house, model.key, found.company))
        except (Closed, Again) as later:
            context.log.warning(f"{model.key} was not compared with the ledger. {later}")
            if overdue := _overdue(house, model.key, partitions.company_days(context)):
                yield _result(spec, f"{overdue} {later}", passed=False)
        except (CallFailed, Stop, LakeIncomplete) as trouble:
            yield _result(spec, str(trouble), passed=False)
        else:
            for found in compared:
                house.comparisons.keep(found, context.run.run_id)
            yield verdict(spec, compared, house.calls())

    return equals_the_ledger


def reconcile_schedule(target: str, settings: PairSettings) -> dg.ScheduleDefinition | None:
    """Compares all that was delivered of a pair, on a slow schedule; None where nothing is read back."""
    keys = {
        f"{target}/{name}": dg.AssetCheckKey(dg.AssetKey([target, name]), NAME) for name in settings.proven()
    }
    if not keys:
        return None

    @dg.schedule(
        name=f"reconcile_{target}",
        target=dg.AssetSelection.checks(*keys.values()),
        cron_schedule=settings.reconcile,
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Reads {TITLES[target]} back and compares it with the ledger, and that with the lake.",
    )
    def scheduled(
        context: dg.ScheduleEvaluationContext, suite: SuiteResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        house = suite.open()
        at, last = context.scheduled_execution_time.isoformat(), today(house)
        if waiting := house.deferrals.waiting(target):
            opens = max(item.opens_at for item in waiting)
            return dg.SkipReason(f"{target} waits for a vendor's window until {opens:%Y-%m-%d %H:%M} UTC.")
        companies = {name: house.ledger.companies(name) for name in keys}
        asked = {
            company: [key for name, key in keys.items() if company in companies[name]]
            for company in partitions.loaded(context, house.settings.companies_of(target))
        }
        return [
            dg.RunRequest(
                run_key=f"reconcile:{target}:{company}:{at}",
                tags={**partitions.range_tags(company, last, last), SLOW_TAG: target},
                asset_check_keys=delivered,
            )
            for company, delivered in asked.items()
            if delivered
        ]

    return scheduled


def verdict(
    spec: dg.AssetCheckSpec, compared: Sequence[Comparison], calls: dict[str, int]
) -> dg.AssetCheckResult:
    """What comparisons say, one a company. Rows nobody sent are a warning; lost or changed ones an error."""
    shown: dict[str, Any] = {
        f"{found.company} {name}": count
        for found in compared
        for name, count in [*((name, getattr(found, name)) for name in COUNTS), *found.waiting.items()]
        if count or name in ("expected", "found")
    }
    shown |= {"totals": _totals(compared), "calls": calls["calls"]}
    if all(found.equal for found in compared):
        return _result(spec, "; ".join(map(_words, compared)), passed=True, **shown)
    only_extra = not any(found.missing or found.different or found.stale for found in compared)
    return _result(
        spec,
        "; ".join(map(_words, compared)),
        passed=False,
        severity=dg.AssetCheckSeverity.WARN if only_extra else dg.AssetCheckSeverity.ERROR,
        **shown,
        differences=_differences(compared),
        what_to_do=dg.MetadataValue.md("\n".join(f"- {line}" for line in _remedies(compared))),
    )


def _overdue(house: Suite, name: str, companies: Iterable[str]) -> str:
    """For how long nobody has looked; empty where that is not long."""
    last = {company: house.comparisons.uncompared_since(name, company) for company in companies}
    return " ".join(
        f"{company}: not compared with the ledger since {at:%Y-%m-%d}."
        for company, at in last.items()
        if at is not None and house.clock.now() - at > UNCOMPARED_AT_MOST
    )


def _compare(house: Suite, model: Model, read_back: ReadBack, company: str) -> Comparison:
    with house.tallies.calls(model.key, company, house.calls):
        return reconcile(house.ledger, read_back, model.key, company, tombstone=model.tombstone)


def _result(
    spec: dg.AssetCheckSpec,
    description: str,
    *,
    passed: bool,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
    **metadata: Any,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=passed,
        severity=severity,
        description=description,
        metadata=metadata,
    )


def _words(found: Comparison) -> str:
    waiting = ", ".join(f"{count} {reason}" for reason, count in found.waiting.items())
    left_out = f" Not compared: {waiting}." if waiting else ""
    left_out += f" Not shown, so not compared: {', '.join(sorted(found.unseen))}." if found.unseen else ""
    if found.equal:
        return f"{found.company}: all {found.expected} rows are shown as they were delivered.{left_out}"
    emptied = f" ({found.emptied} of them emptied)" if found.emptied else ""
    names = ", ".join(f"{name} {count}" for name, count in found.columns.most_common(5))
    columns = f", by column: {names}" if names else ""
    parts = [
        f"{found.different} differ{emptied}{columns}" if found.different else "",
        f"{found.revived} of those were deleted" if found.revived else "",
        f"{found.missing} are missing" if found.missing else "",
        f"{found.extra} were never sent" if found.extra else "",
        f"{found.stale} are otherwise in the lake, and no run would send them" if found.stale else "",
    ]
    told = "; ".join(part for part in parts if part)
    return f"{found.company}: of {found.expected} delivered rows {told}.{left_out}"


def _remedies(compared: Sequence[Comparison]) -> Iterator[str]:
    for found in compared:
        repair = f"`mlc reconcile {found.destination} --company {found.company} --repair`"
        if found.missing or found.different > found.revived:
            yield (
                f"{found.company}: find out who or what changed these rows. Then {repair} lets them go "
                f"again with the next run, `mlc resend {found.destination} --company {found.company}` all."
            )
        if found.emptied:
            yield (
                f"{found.company}: {found.emptied} rows show nothing but their key. Look for something that "
                f"clears more rows than it loads, and correct it first."
            )
        if found.revived:
            yield (
                f"{found.company}: {found.revived} rows were deleted and are still there, or again. {repair} "
                f"lets them be deleted again."
            )
        if found.stale:
            yield (
                f"{found.company}: {repair} lets the rows that no run would send go with the next one. "
                f"No run should leave any."
            )
        if found.extra:
            yield f"{found.company}: {repair} takes away the rows nobody sent, or let them be."


def _totals(compared: Sequence[Comparison]) -> dg.TableMetadataValue:
    return table(
        ("company", "column", "delivered", "shown", "difference"),
        (
            (found.company, column, f"{delivered:f}", f"{shown:f}", f"{shown - delivered:f}")
            for found in compared
            for column, (delivered, shown) in found.totals.items()
        ),
    )


def _differences(compared: Sequence[Comparison]) -> dg.TableMetadataValue:
    """The first few differences of each kind, a line for each column."""
    return table(
        ("company", "record", "what", "column", "delivered", "shown"),
        (
            (found.company, difference.key, difference.words, column, _text(ours), _text(theirs))
            for found in compared
            for difference in chain.from_iterable(found.by_kind().values())
            for column, (ours, theirs) in (difference.columns or {"": (None, None)}).items()
        ),
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)
