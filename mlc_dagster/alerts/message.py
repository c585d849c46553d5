"""What a channel is told in one round: what is due, and the one message it makes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from mlc_dagster.alerts.book import SETTLED, Alert, Telling
from mlc_dagster.alerts.finding import Kind, Severity
from mlc_dagster.settings.alerts import AlertChannel

# A chat shows no more; `mlc alerts list` shows all.
MOST_LINES = 20
MOST_SUBJECTS = 4
LONGEST_CAUSE = 400
# Of these the number of rows matters: twice as many are news.
GROWING = (Kind.QUARANTINE, Kind.REFUSED)


@dataclass(frozen=True)
class News:
    """What one channel has to be told now."""

    new: list[Alert] = field(default_factory=list)
    again: list[Alert] = field(default_factory=list)
    over: list[Alert] = field(default_factory=list)

    @property
    def all(self) -> list[Alert]:
        """Everything in it."""
        return [*self.new, *self.again, *self.over]


def news(
    name: str,
    channel: AlertChannel,
    alerts: Iterable[Alert],
    told: Mapping[int, Telling],
    *,
    now: datetime,
    remind: timedelta,
) -> News:
    """What a channel has not been told: new, worse or grown, due again, or over and not back since."""
    found = News()
    for alert in alerts:
        last = told.get(alert.id)
        if alert.resolved_at is not None:
            # Who was told of it hears the end of it, also when it got milder meanwhile.
            if last is not None and not last.over and now - alert.resolved_at >= SETTLED:
                found.over.append(alert)
        elif not _concerns(name, channel, alert):
            continue
        elif last is None or last.over or _worse(alert, last):
            found.new.append(alert)
        elif now - last.told_at >= remind:
            found.again.append(alert)
    return found


def _concerns(name: str, channel: AlertChannel, alert: Alert) -> bool:
    finding = alert.finding
    if finding.kind is Kind.CHANNEL and finding.subject == name:
        return False
    wanted = channel.pairs is None or finding.pair is None or finding.pair in channel.pairs
    return wanted and finding.severity >= Severity[channel.severity.upper()]


def _worse(alert: Alert, last: Telling) -> bool:
    grown = alert.finding.kind in GROWING and alert.finding.count >= 2 * last.count
    return grown or alert.finding.severity > last.severity


def title(found: News) -> str:
    """The subject of a mail: how many causes."""
    parts = [
        f"{count} {word}"
        for count, word in (
            (len(by_cause(found.new)), "new"),
            (len(by_cause(found.again)), "still open"),
            (len(by_cause(found.over)), "over"),
        )
        if count
    ]
    return f"mlc: {', '.join(parts)}"


def body(found: News, dagster_url: str | None) -> str:
    """The message: one entry for each cause, however many runs, rows or pairs it concerns."""
    parts = []
    for heading, alerts in (("New", found.new), ("Still open", found.again), ("Over", found.over)):
        groups = by_cause(alerts)
        lines = [entry(group, dagster_url) for group in groups[:MOST_LINES]]
        if len(groups) > MOST_LINES:
            lines.append(f"- and {len(groups) - MOST_LINES} more: `mlc alerts list`")
        if lines:
            parts.append("\n".join([f"{heading}:", *lines]))
    return "\n\n".join(parts)


def by_cause(alerts: Sequence[Alert]) -> list[list[Alert]]:
    """Alerts of one cause together, the worst first."""
    ordered = sorted(alerts, key=lambda alert: (-alert.finding.severity, alert.finding.kind, _cause(alert)))
    return [list(group) for _, group in groupby(ordered, key=lambda a: (a.finding.kind, _cause(a)))]


def _cause(alert: Alert) -> str:
    """The cause without what differs from case to case: numbers, times and ids."""
    return re.sub(r"\w*\d[\w:.-]*", "#", alert.finding.what)


def entry(group: Sequence[Alert], dagster_url: str | None) -> str:
    """A few lines for alerts of one cause: whom it concerns, since when, what to do."""
    first = group[0].finding
    subjects = [alert.finding.subject for alert in group]
    named = ", ".join(subjects[:MOST_SUBJECTS])
    named += f" and {len(subjects) - MOST_SUBJECTS} more" if len(subjects) > MOST_SUBJECTS else ""
    since = min(alert.opened_at for alert in group)
    if ends := [alert.resolved_at for alert in group if alert.resolved_at is not None]:
        until = max(ends)
        return f"- {first.kind}: {named}. From {_time(since)} to {_time(until)}."
    count = sum(alert.finding.count for alert in group)
    counted = f" ({_counted(first.kind, count)})" if count > len(group) else ""
    worst = max(alert.finding.severity for alert in group)
    cause = " ".join(first.what.split())
    cause = cause if len(cause) <= LONGEST_CAUSE else f"{cause[: LONGEST_CAUSE - 1]}…"
    lines = [
        f"- [{worst.word}] {first.kind}: {named}{counted}, since {_time(since)}.",
        f"  {cause}",
        f"  What to do: {first.remedy}",
    ]
    if dagster_url and first.link:
        lines.append(f"  {dagster_url}{first.link}")
    return "\n".join(lines)


def _counted(kind: Kind, count: int) -> str:
    return f"{count} rows" if kind in (*GROWING, Kind.DOUBT) else f"{count} times"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
