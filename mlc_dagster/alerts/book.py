"""What is open, since when, and what of it each channel was told."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from mlc_dagster.alerts.finding import Finding, Kind, Severity
from mlc_dagster.database import reading, upsert
from mlc_dagster.database.schema import alerts, tellings

# What comes back so soon is the same alert: something that comes and goes is told once, not at each turn.
SETTLED = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Alert:
    """A finding with its life. Times are UTC; resolved_at is None while it is open."""

    id: int
    finding: Finding
    opened_at: datetime
    seen_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class Telling:
    """What a channel was last told of an alert. over: also that it is over."""

    told_at: datetime
    severity: Severity
    count: int
    over: bool


class Book:
    """The table of alerts. What happened twice in it is one alert, however often it is written."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def settle(self, kinds: Collection[Kind], found: Iterable[Finding], now: datetime) -> None:
        """Of these kinds exactly what was found is open now; all others are over."""
        found = list(found)
        there = {(finding.kind, finding.subject) for finding in found}
        with self._engine.begin() as connection:
            for finding in found:
                _open(connection, finding, now)
            gone = [
                alert.id
                for alert in _read(connection, alerts.c.resolved_at.is_(None))
                if alert.finding.kind in kinds and (alert.finding.kind, alert.finding.subject) not in there
            ]
            if gone:
                connection.execute(alerts.update().where(alerts.c.id.in_(gone)).values(resolved_at=now))

    def happened(self, finding: Finding, at: datetime) -> None:
        """It went wrong at that time, once more if it is open. What is older than known is no news."""
        with self._engine.begin() as connection:
            last = _last(connection, finding.kind, finding.subject)
            if last is not None and (last.seen_at >= at or (last.resolved_at or at) > at):
                return
            times = last.finding.count + 1 if last is not None and last.resolved_at is None else 1
            _open(connection, finding, at, times)

    def over(self, kind: Kind, subject: str, at: datetime) -> None:
        """It went well at that time."""
        same = (alerts.c.kind == kind.value, alerts.c.subject == subject, alerts.c.resolved_at.is_(None))
        with self._engine.begin() as connection:
            connection.execute(alerts.update().where(*same, alerts.c.seen_at < at).values(resolved_at=at))

    def open(self) -> list[Alert]:
        """Everything that is open, the worst first."""
        with reading(self._engine) as connection:
            found = _read(connection, alerts.c.resolved_at.is_(None))
        return sorted(found, key=lambda alert: (-alert.finding.severity, alert.opened_at))

    def since(self, at: datetime) -> list[Alert]:
        """Everything that is open or was resolved since then, oldest first."""
        with reading(self._engine) as connection:
            return _read(connection, sa.or_(alerts.c.resolved_at.is_(None), alerts.c.resolved_at >= at))

    def told(self, channel: str) -> dict[int, Telling]:
        """What a channel was told, by alert."""
        with reading(self._engine) as connection:
            return {
                row.alert_id: Telling(row.told_at, Severity(row.severity), row.told_count, row.over)
                for row in connection.execute(sa.select(tellings).where(tellings.c.channel == channel))
            }

    def tell(self, channel: str, told: Sequence[Alert], at: datetime) -> None:
        """Note what a channel has been told just now."""
        rows = [
            {"alert_id": alert.id, "channel": channel, "told_at": at, "severity": int(alert.finding.severity)}
            | {"told_count": alert.finding.count, "over": alert.resolved_at is not None}
            for alert in told
        ]
        if rows:
            with self._engine.begin() as connection:
                upsert(connection, tellings, rows)


def _open(connection: sa.Connection, finding: Finding, at: datetime, times: int | None = None) -> None:
    """Open an alert, or bring the open one up to date, or open the last one again if it was over just now."""
    values: dict[str, Any] = {
        "pair": finding.pair,
        "severity": int(finding.severity),
        "what": finding.what,
        "remedy": finding.remedy,
        "link": finding.link,
        "number": finding.count if times is None else times,
        "seen_at": at,
        "resolved_at": None,
    }
    last = _last(connection, finding.kind, finding.subject)
    if last is not None and (last.resolved_at is None or at - last.resolved_at < SETTLED):
        connection.execute(alerts.update().where(alerts.c.id == last.id).values(values))
    else:
        named = {"kind": finding.kind.value, "subject": finding.subject, "opened_at": at}
        connection.execute(alerts.insert().values(**named, **values))


def _last(connection: sa.Connection, kind: Kind, subject: str) -> Alert | None:
    same = sa.and_(alerts.c.kind == kind.value, alerts.c.subject == subject)
    newest = sa.select(sa.func.max(alerts.c.id)).where(same).scalar_subquery()
    return next(iter(_read(connection, alerts.c.id == newest)), None)


def _read(connection: sa.Connection, where: sa.ColumnElement[bool]) -> list[Alert]:
    return [
        Alert(
            id=row.id,
            finding=Finding(
                kind=Kind(row.kind),
                subject=row.subject,
                severity=Severity(row.severity),
                what=row.what,
                remedy=row.remedy,
                pair=row.pair,
                count=row.number,
                link=row.link,
            ),
            opened_at=row.opened_at,
            seen_at=row.seen_at,
            resolved_at=row.resolved_at,
        )
        for row in connection.execute(sa.select(alerts).where(where).order_by(alerts.c.id))
    ]
