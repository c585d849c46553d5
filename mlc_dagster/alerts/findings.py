"""What is wrong now, as the database tells it."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from mlc_dagster.alerts.finding import Finding, Kind, Severity
from mlc_dagster.operations.expiries import expiries, soon
from mlc_dagster.operations.overview import SOURCE, Doubt, PairHealth, overview
from mlc_dagster.settings import pair_of
from mlc_dagster.suite import Suite
from mlc_dagster.target import Expiry

# A window that is open for so long is taken up by the resume sensor, if it runs.
WAITS_AT_MOST = timedelta(hours=1)
# So close to its end a credential stops runs before many people are back from their weekend.
ENDS_VERY_SOON = timedelta(days=7)


def findings(suite: Suite, now: datetime) -> list[Finding]:
    """Everything but what Dagster alone knows: failed runs and checks. Makes no call."""
    patience = timedelta(minutes=suite.settings.alerts.in_doubt_minutes)
    found = [
        finding for health in overview(suite, now) for finding in _of_pair(health, now=now, patience=patience)
    ]
    ends = [expiry for expiry in expiries(suite) if soon(expiry, now)]
    return [*found, *_came_in(suite), *(_expiry(expiry, now) for expiry in ends)]


def _of_pair(health: PairHealth, *, now: datetime, patience: timedelta) -> Iterator[Finding]:
    if health.stale:
        yield _stale(health)
    if health.deferred and now - health.deferred.opens_at > WAITS_AT_MOST:
        yield _waiting(health)
    for place in health.places:
        subject, pair = f"{place.name} {place.company}", None if health.pair == SOURCE else health.pair
        link = f"/assets/{place.name}"
        for doubt in (place.in_doubt, place.under_way):
            if doubt.since is not None and now - doubt.since > patience:
                yield _doubt(subject, pair, doubt, link)
                break
        if place.failed:
            yield Finding(
                Kind.REFUSED,
                subject,
                Severity.WARNING,
                "The target refused rows.",
                "`mlc audit NUMBER` gives its words for each; correct the record in the ERP or the model.",
                pair,
                place.failed,
                link,
            )
        if place.quarantined:
            yield Finding(
                Kind.QUARANTINE,
                subject,
                Severity.WARNING,
                "Records were refused on the way; their last good version stays at the target.",
                "`mlc quarantine list` gives the reasons; correct the record, the lookup or the model.",
                pair,
                place.quarantined,
                link,
            )


def _came_in(suite: Suite) -> Iterator[Finding]:
    """What is held back of what partners sent: no destination of the overview counts it."""
    on = suite.settings.pairs.on()
    waiting = Counter(
        (entry.place, entry.company) for entry in suite.quarantine.open() if entry.place.endswith("/inbox")
    )
    for (place, company), count in waiting.items():
        pair = pair_of(place)
        carried = pair in on and (not company or company in suite.settings.companies_of(pair))
        if carried:
            yield Finding(
                Kind.QUARANTINE,
                f"{place} {company}".strip(),
                Severity.WARNING,
                "What came in was refused, or is held until a person decides.",
                f"`mlc quarantine list` gives the reasons; `mlc {pair} held` shows what a person decides.",
                pair,
                count,
            )


def _stale(health: PairHealth) -> Finding:
    hours = int((health.stale_after or timedelta()).total_seconds() // 3600)
    worst = min(
        health.places, key=lambda place: place.last_success.timestamp() if place.last_success else 0.0
    )
    return Finding(
        Kind.STALE,
        f"{health.pair} {health.company}",
        Severity.ERROR,
        f"No delivery has finished for more than {hours} hours.",
        f"Look whether the schedule `visma_{health.pair}` or its sensor is on, whether Dagster's daemon "
        "runs, and what the last runs say.",
        health.pair,
        1,
        f"/assets/{worst.name}",
    )


def _waiting(health: PairHealth) -> Finding:
    return Finding(
        Kind.WAITING,
        f"{health.pair} {health.company}",
        Severity.ERROR,
        "A vendor's window has opened again and nobody went on with the rest.",
        f"Look whether Dagster's daemon runs and the sensor `{health.pair}_resume` is on.",
        None if health.pair == SOURCE else health.pair,
        1,
        "/automation",
    )


def _doubt(subject: str, pair: str | None, doubt: Doubt, link: str) -> Finding:
    return Finding(
        Kind.DOUBT,
        subject,
        Severity.ERROR,
        "A batch was sent, or begun, and nobody knows what became of it.",
        "The next run of the pair asks the target. Look why none has, or why the target cannot say.",
        pair,
        doubt.rows,
        link,
    )


def _expiry(expiry: Expiry, now: datetime) -> Finding:
    left = expiry.ends_at - now
    ended = left <= timedelta()
    return Finding(
        Kind.EXPIRY,
        expiry.what,
        Severity.ERROR if left <= ENDS_VERY_SOON else Severity.WARNING,
        f"It {'ended' if ended else 'ends'} on {expiry.ends_at:%Y-%m-%d}.",
        expiry.remedy,
    )
