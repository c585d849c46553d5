"""One step of a run: company by company, with lockouts and failures told the way Dagster wants them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

import dagster as dg

from mlc_dagster.delivery.errors import Closed as DeliveryClosed
from mlc_dagster.delivery.errors import Stop
from mlc_dagster.graph import partitions
from mlc_dagster.problems import ProblemsFound
from mlc_dagster.settings import SecretMissing
from mlc_dagster.suite import Suite
from mlc_dagster.transport.errors import Closed, Misconfigured

PAIR_TAG = "mlc/pair"
COMPANY_TAG = "mlc/company"
Work = Callable[[str, list[date]], Mapping[str, int]]


def by_company(context: dg.AssetExecutionContext, suite: Suite, work: Work) -> Counter[str] | None:
    """Do the work of every company and add up its counts; None when a vendor's window closed on the way.

    A lockout is no failure: finished companies are marked done, the rest waits in the database and goes on by
    itself when the window opens. The step then yields nothing, so Dagster skips what depends on it.

    Raises:
        dg.Failure: somebody has to change something first; no retry can help.
    """
    totals: Counter[str] = Counter()
    done: dict[str, list[date]] = {}
    closed = False
    for company, days in partitions.company_days(context).items():
        try:
            with no_retry_without_a_change():
                totals.update(work(company, days))
            done[company] = days
        except (Closed, DeliveryClosed) as window:
            closed = True
            _defer(context, suite, window, company, days)
    if not closed:
        return totals
    for company, days in done.items():
        mark_done(context, company, days)
    return None


@contextmanager
def no_retry_without_a_change() -> Iterator[None]:
    """Turn mistakes only a person can mend into failures Dagster does not retry."""
    try:
        yield
    except (Misconfigured, Stop, ProblemsFound, SecretMissing) as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def mark_done(
    context: dg.AssetExecutionContext,
    company: str,
    days: Iterable[date],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Record finished partitions one by one: a range run that ends early would mark none of them."""
    for day in days:
        partition = partitions.key(company, day)
        context.log_event(dg.AssetMaterialization(context.asset_key, partition=partition, metadata=metadata))


def pair_of(context: dg.AssetExecutionContext, pairs: Iterable[str]) -> str:
    """The pair a run works for: by its tag, else by the assets it selects; `visma` when it only reads."""
    if tag := context.run.tags.get(PAIR_TAG):
        return tag
    selected = {key.path[0] for key in context.run.asset_selection or ()}
    return next((pair for pair in pairs if pair in selected), "visma")


def _defer(
    context: dg.AssetExecutionContext,
    suite: Suite,
    window: Closed | DeliveryClosed,
    company: str,
    days: list[date],
) -> None:
    suite.deferrals.store(
        pair=pair_of(context, suite.settings.pairs.on()),
        company=company,
        first_day=days[0],
        last_day=days[-1],
        opens_at=window.opens_at,
        reason=str(window),
    )
    context.log.warning(
        f"{company}: {window} The rest of {days[0]} to {days[-1]} goes on by itself after "
        f"{window.opens_at:%Y-%m-%d %H:%M} UTC while Dagster's daemon runs and the sensor `resume` is on."
    )
