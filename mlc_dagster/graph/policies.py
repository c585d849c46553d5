"""When an asset counts as stale and how often a failed step is tried again."""

from datetime import timedelta

import dagster as dg

from mlc_dagster.settings import PairSettings

RETRY = dg.RetryPolicy(max_retries=2, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


def freshness(pair: PairSettings) -> dg.FreshnessPolicy:
    """An asset is stale when no run finished within the pair's time."""
    fail = timedelta(hours=pair.stale_after_hours)
    return dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=fail * 3 / 4)
