"""What Prometheus scrapes, made from the database at each scrape: runs are other processes.

Gauges are as the moment is, counters as the runs have added them up (`tallies`). No vendor is called and no
credential is needed. docs/metrics.md lists the names.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from mlc_dagster.alerts.book import Book
from mlc_dagster.operations.overview import PairHealth, PlaceHealth, of_jobs, overview
from mlc_dagster.suite import Suite
from mlc_dagster.tallies import DEFERRED, FAILED, SUCCEEDED

CONTENT_TYPE = CONTENT_TYPE_LATEST
PLACE = ("pair", "place", "company")
PAIR = ("pair", "company")
# What steps count, by the name of its counter. Rows: what became of them; the rest as calls cost it.
ROWS = ("read", "created", "updated", "deleted", "unchanged", "failed", "quarantined", "retried")
STEPS = {SUCCEEDED: "succeeded", FAILED: "failed", DEFERRED: "deferred"}
COUNTERS = {
    "calls": ("mlc_calls", "Calls to vendors, repetitions included."),
    "retries": ("mlc_call_retries", "Calls that were repeated."),
    "bytes_in": ("mlc_received_bytes", "Bytes of vendors' answers."),
    "bytes_out": ("mlc_sent_bytes", "Bytes sent to vendors."),
    "batches": ("mlc_batches", "Batches sent."),
    "not_landed": ("mlc_batches_not_landed", "Batches that ended without landing."),
}


def render(suite: Suite) -> bytes:
    """Everything in Prometheus' text format; serve it as CONTENT_TYPE."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(suite))
    return generate_latest(registry)


class _Once(Collector):
    def __init__(self, suite: Suite) -> None:
        self._suite = suite

    def collect(self) -> Iterator[Metric]:
        pairs = overview(self._suite, self._suite.clock.now())
        yield from _of_pairs(pairs)
        yield from _of_places(pairs, of_jobs(self._suite))
        yield _alerts(Book(self._suite.engine))


def _of_pairs(pairs: Iterable[PairHealth]) -> Iterator[Metric]:
    pairs = list(pairs)
    success = GaugeMetricFamily(
        "mlc_last_success_timestamp_seconds",
        "When the least fresh of a pair's delivered destinations was; absent before any was.",
        labels=PAIR,
    )
    never = GaugeMetricFamily(
        "mlc_never_delivered", "Destinations of a pair that were never delivered to.", labels=PAIR
    )
    lag = GaugeMetricFamily("mlc_lag_seconds", "How old what a pair shows may be.", labels=PAIR)
    limit = GaugeMetricFamily("mlc_stale_after_seconds", "When a pair counts as out of date.", labels=PAIR)
    waits = GaugeMetricFamily(
        "mlc_deferred_until_timestamp_seconds",
        "When a vendor's window opens that work of a pair waits for; absent when none waits.",
        labels=PAIR,
    )
    budget = GaugeMetricFamily(
        "mlc_budget_left_calls",
        "Calls left of our share in the current window; absent while the limit is unknown.",
        labels=("budget",),
    )
    left: dict[str, int] = {}
    for health in pairs:
        here = (health.pair, health.company)
        never.add_metric(here, health.never)
        if health.oldest is not None:
            success.add_metric(here, health.oldest.timestamp())
            lag.add_metric(here, (health.at - health.oldest).total_seconds())
        if health.stale_after is not None:
            limit.add_metric(here, health.stale_after.total_seconds())
        if health.deferred is not None:
            waits.add_metric(here, health.deferred.opens_at.timestamp())
        left |= {name: calls for name, calls in health.budgets_left.items() if calls is not None}
    for name, calls in left.items():
        budget.add_metric((name,), calls)
    yield from (success, never, lag, limit, waits, budget)


def _of_places(pairs: Iterable[PairHealth], jobs: Iterable[tuple[str, PlaceHealth]]) -> Iterator[Metric]:
    places = [(health.pair, place) for health in pairs for place in health.places]
    records = GaugeMetricFamily(
        "mlc_records",
        "Rows of a destination: held, or waiting (pending), refused (failed), in doubt, under way.",
        labels=(*PLACE, "state"),
    )
    for pair, place in places:
        for state, count in _states(place):
            records.add_metric((pair, place.name, place.company, state), count)
    yield records
    yield _gauge("mlc_quarantined", "Records in quarantine.", places, lambda place: float(place.quarantined))
    yield _gauge(
        "mlc_in_doubt_since_timestamp_seconds",
        "When the oldest batch in doubt was intended; absent when none is.",
        places,
        lambda place: _seconds(place.in_doubt.since),
    )
    counted = [*places, *jobs]
    for name, (metric, words) in COUNTERS.items():
        yield _counter(metric, words, counted, {name: None})
    yield _counter("mlc_rows", "What deliveries did with rows.", places, {name: name for name in ROWS})
    yield _counter("mlc_steps", "Steps of runs, by how they ended.", counted, dict(STEPS))


def _states(place: PlaceHealth) -> Iterator[tuple[str, int]]:
    yield "held", place.held
    yield "pending", place.pending
    yield "failed", place.failed
    yield "in_doubt", place.in_doubt.rows
    yield "under_way", place.under_way.rows


def _gauge(
    name: str,
    words: str,
    places: Iterable[tuple[str, PlaceHealth]],
    value: Callable[[PlaceHealth], float | None],
) -> Metric:
    gauge = GaugeMetricFamily(name, words, labels=PLACE)
    for pair, place in places:
        if (number := value(place)) is not None:
            gauge.add_metric((pair, place.name, place.company), number)
    return gauge


def _counter(
    name: str, words: str, places: Iterable[tuple[str, PlaceHealth]], parts: dict[str, str | None]
) -> Metric:
    """A counter over tallies; where they have parts, these are told apart by the label `kind`.

    What has not happened yet is 0: Prometheus sees no increase in a series that begins with its first event.
    """
    own = ("kind",) if None not in parts.values() else ()
    counter = CounterMetricFamily(name, words, labels=(*PLACE, *own))
    for pair, place in places:
        for tally, kind in parts.items():
            found = place.tallies.get(tally)
            label = () if kind is None else (kind,)
            counter.add_metric((pair, place.name, place.company, *label), found.count if found else 0)
    return counter


def _alerts(book: Book) -> Metric:
    gauge = GaugeMetricFamily("mlc_alerts", "Alerts that are open.", labels=("kind", "severity"))
    counts: dict[tuple[str, str], int] = {}
    for alert in book.open():
        label = (alert.finding.kind.value, alert.finding.severity.word)
        counts[label] = counts.get(label, 0) + 1
    for label, count in counts.items():
        gauge.add_metric(label, count)
    return gauge


def _seconds(at: datetime | None) -> float | None:
    return at.timestamp() if at is not None else None
