"""What a person should look at: each in a sentence, with the page that shows it. Nothing on a good day."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlencode

from mlc_dagster.alerts.book import Alert
from mlc_dagster.alerts.finding import Kind
from mlc_dagster.delivery import Compared
from mlc_dagster.operations.overview import PairHealth
from mlc_dagster.pages import words

# A sentence, and where to look.
Look = tuple[str, str]
# Alerts of what is counted here.
COUNTED_HERE = (Kind.STALE, Kind.DOUBT, Kind.REFUSED, Kind.QUARANTINE)
IN_DOUBT_FOR_LONG = timedelta(hours=1)


def of_pairs(health: Sequence[PairHealth]) -> Iterator[Look]:
    """Pairs that are stale, or have rows that somebody has to settle."""
    for each in health:
        where = f"{words.system(each.pair).removeprefix('the ')} {each.company}"
        if each.stale and each.oldest is not None:
            yield f"{where} was last brought up to date {words.ago(each.at - each.oldest)}.", "/"
        if each.failed:
            yield f"{where}: {_count(each.failed, 'row')} refused.", "/"
        if each.quarantined:
            link = f"/quarantine?{urlencode({'pair': each.pair, 'company': each.company})}"
            yield f"{where}: {_count(each.quarantined, 'record')} held back.", link
        since = each.in_doubt.since
        if since is not None and each.at - since > IN_DOUBT_FOR_LONG:
            sent = words.ago(each.at - since)
            yield f"{where}: {_count(each.in_doubt.rows, 'row')} in doubt; the oldest was sent {sent}.", "/"


def of_other_places(health: Sequence[PairHealth], held_back: Mapping[tuple[str, str], int]) -> Iterator[Look]:
    """What is held back at places that are no destination, such as the mailbox partners write to."""
    known = {(place.name, place.company) for each in health for place in each.places}
    for (place, company), count in held_back.items():
        if (place, company) not in known:
            where = f"{words.system(place).removeprefix('the ')}, {words.kind_of(place)}, {company}"
            link = f"/quarantine?{urlencode({'pair': place.split('/', 1)[0], 'company': company})}"
            yield f"{where}: {_count(count, 'record')} held back.", link


def of_targets(compared: Sequence[Compared]) -> Iterator[Look]:
    """Targets that did not show what they were sent."""
    for each in compared:
        if not each.equal:
            where = f"{words.system(each.destination)} {each.company}"
            yield (
                f"{where} shows {words.kind_of(each.destination)} otherwise than they were sent.",
                "/reconcile",
            )


def of_alerts(alerts: Sequence[Alert], dagster: str | None) -> Iterator[Look]:
    """What the alerts know and our own counting does not: runs, checks, credentials that end."""
    for alert in alerts:
        found = alert.finding
        if found.kind not in COUNTED_HERE:
            times = f" ({found.count} times)" if found.count > 1 else ""
            link = f"{dagster}{found.link}" if dagster and found.link else "/"
            yield f"{found.kind}, {found.subject}{times}: {found.what} {found.remedy}", link


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
