"""One step of a run: company by company, with lockouts and failures told the way Dagster wants them."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from mlc_dagster.delivery.errors import Closed as DeliveryClosed
from mlc_dagster.delivery.errors import Stop
from mlc_dagster.flow import ContractBroken, LakeIncomplete
from mlc_dagster.graph import partitions
from mlc_dagster.logs import about
from mlc_dagster.operations.overview import SOURCE
from mlc_dagster.outlook import first_open_day
from mlc_dagster.problems import ProblemsFound
from mlc_dagster.settings import SecretMissing
from mlc_dagster.suite import Suite
from mlc_dagster.transport.errors import Closed, Misconfigured, Refused
from mlc_dagster.vault import VaultLocked
from mlc_dagster.visma.entities import ENTITIES

PAIR_TAG = "mlc/pair"
COMPANY_TAG = "mlc/company"
# A run with this tag reads open days from their begin, not from where their last reading ended.
AGAIN_TAG = "mlc/again"
AGAIN = {AGAIN_TAG: "true"}
# A run with its own id here has left work to a later one. A run that is executed again keeps its parent's.
DEFERRED_TAG = "mlc/deferred"
Work = Callable[[str, list[date]], Mapping[str, int]]
Window = Closed | DeliveryClosed

# No retry can help before somebody has changed something.
NEED_A_PERSON = (
    Misconfigured,
    Refused,
    Stop,
    ProblemsFound,
    SecretMissing,
    VaultLocked,
    ContractBroken,
    LakeIncomplete,
)


def pairs_of(run: dg.DagsterRun, pairs: Iterable[str]) -> list[str]:
    """The pairs a run works for: by its tag, else those of `pairs` whose assets it selects."""
    if tag := run.tags.get(PAIR_TAG):
        return [tag]
    selected = {key.path[0] for key in run.asset_selection or ()}
    return [pair for pair in pairs if pair in selected]


def asked_anew(run: dg.DagsterRun) -> bool:
    """Whether a person or a replay named the run's days, and means also those that were wholly read."""
    return COMPANY_TAG not in run.tags or AGAIN_TAG in run.tags


def by_company(context: dg.AssetExecutionContext, suite: Suite, work: Work) -> Counter[str] | None:
    """Do the work of every company and add up its counts; None when a vendor's window closed on the way.

    A company that meets a lockout or fails keeps no other from its work, and what is finished is marked so.
    A lockout is no failure: the run's days wait in the database and go on by themselves when the window
    opens. The step then yields nothing, so Dagster skips what depends on it.

    Raises:
        dg.Failure: a company failed. It is tried again unless somebody has to change something first.
    """
    days = partitions.company_days(context)
    totals: Counter[str] = Counter()
    done: dict[str, list[date]] = {}
    failures: dict[str, Exception] = {}
    windows: list[Window] = []
    place, pair = context.asset_key.to_user_string(), _pair(context, suite)
    for company, listed in days.items():
        with (
            about(run=context.run.run_id, pair=pair, company=company, place=place),
            suite.tallies.step(place, company, suite.calls) as step,
        ):
            try:
                counts = work(company, listed)
            except (Closed, DeliveryClosed) as window:
                step.deferred()
                windows.append(window)
            except Exception as error:  # noqa: BLE001 - raised once the other companies had their turn
                failures[company] = error
            else:
                step.succeeded(counts)
                totals.update(counts)
                done[company] = listed
    if not windows and not failures:
        return totals
    _mark_done(context, done)
    if windows:
        _defer(context, suite, max(windows, key=lambda window: window.opens_at), days, done)
    if failures:
        raise _failure(failures) from next(iter(failures.values()))
    return None


def _mark_done(context: dg.AssetExecutionContext, done: partitions.Days) -> None:
    """Record finished partitions one by one: a range run that ends early would mark none of them."""
    for company, days in done.items():
        for day in days:
            partition = partitions.key(company, day)
            context.log_event(dg.AssetMaterialization(context.asset_key, partition=partition))


def _failure(failures: Mapping[str, Exception]) -> dg.Failure:
    texts = [f"{company}: {_words(error)}" for company, error in failures.items()]
    hopeless = all(isinstance(error, NEED_A_PERSON) for error in failures.values())
    return dg.Failure("\n".join(texts), allow_retries=not hopeless)


def _words(error: Exception) -> str:
    if isinstance(error, dg.Failure):
        return str(error.description)
    return str(error) if type(error).__module__.startswith("mlc_dagster.") else repr(error)


def _defer(
    context: dg.AssetExecutionContext,
    suite: Suite,
    window: Window,
    days: partitions.Days,
    done: Collection[str],
) -> None:
    """Let all companies of the run go on later: what is done is quick then, and its further steps are due.

    A read that was configured goes on by itself, as it was asked for: the pair's own runs are as ever.
    """
    pair, config = _pair(context, suite), _configured(context)
    waits: list[tuple[str, str, str | None]] = []
    if config is None or pair != SOURCE:
        for company, listed in days.items():
            again = AGAIN_TAG in context.run.tags or (
                asked_anew(context.run) and _wholly_read(context, suite, company, listed)
            )
            waits.append((pair, company, json.dumps({"again": True}) if again else None))
    if config is not None:
        waits += [(SOURCE, company, config) for company in days if company not in done]
    for owner, company, asked in waits:
        suite.deferrals.store(
            pair=owner,
            company=company,
            first_day=days[company][0],
            last_day=days[company][-1],
            opens_at=window.opens_at,
            reason=str(window),
            config=asked,
        )
    context.instance.add_run_tags(context.run.run_id, {DEFERRED_TAG: context.run.run_id})
    sensors = " and ".join(f"`{owner}_resume`" for owner in sorted({owner for owner, _, _ in waits}))
    context.log.warning(
        f"{window} {', '.join(days)}: the rest goes on by itself after {window.opens_at:%Y-%m-%d %H:%M} UTC "
        f"if Dagster's daemon runs and the sensor {sensors} is on; else start it again then."
    )


def _wholly_read(context: dg.AssetExecutionContext, suite: Suite, company: str, days: Sequence[date]) -> bool:
    """Whether all that the run reads was wholly read on its first day: then it is no load that goes on."""
    read = [ENTITIES[key.path[-1]] for key in context.selected_asset_keys if key.path[0] == SOURCE]
    return all(first_open_day(suite, entity, company, days[-1]) > days[0] for entity in read)


def _configured(context: dg.AssetExecutionContext) -> str | None:
    """What an operator asked of this read in the launchpad, for `run_as_asked`; None when nothing."""
    ops: Any = context.run.run_config.get("ops", {})
    config = ops.get(context.op_def.name, {}).get("config")
    asked = {"asset": context.asset_key.to_user_string(), "config": config}
    return json.dumps(asked, sort_keys=True) if config else None


def run_as_asked(run_key: str, config: str | None, tags: Mapping[str, str]) -> dg.RunRequest:
    """The run that goes on with what waited: as it was asked for, where it was (the deferral's `config`)."""
    asked = json.loads(config or "{}")
    if "asset" in asked:
        key = dg.AssetKey.from_user_string(asked["asset"])
        ops = {key.to_python_identifier(): {"config": asked["config"]}}
        return dg.RunRequest(run_key, {"ops": ops}, tags, asset_selection=[key])
    return dg.RunRequest(run_key, tags={**tags, **(AGAIN if "again" in asked else {})})


def _pair(context: dg.AssetExecutionContext, suite: Suite) -> str:
    """The pair a run works for, the first of several; SOURCE when it only reads."""
    return next(iter(pairs_of(context.run, suite.settings.pairs.on())), SOURCE)
