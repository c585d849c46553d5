"""ERP wall time: its days, its texts, and the hour that comes twice (vendors/visma.md section 5)."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from mlc_dagster.lake import DayNote

ZONE = "Europe/Oslo"
OVERLAP = timedelta(minutes=5)
# What the filters tell apart (section 5).
FINEST = timedelta(milliseconds=1)
# A day counts as over this long after its end by our clock. The ERP stamps by its own clock, which we cannot
# see: while that one lags behind ours, it still stamps records into a day that is over for us.
CLOCK_LAG = timedelta(hours=24)
# In the night of the autumn clock change an hour of wall time comes twice: read that much more again.
AUTUMN_OVERLAP = timedelta(minutes=70)


def open_since(notes: Mapping[date, DayNote], before: date) -> str | None:
    """Return from when on the days held before a day, gaps included, are not wholly read; None: they are."""
    day = min(notes, default=before)
    while day < before:
        if day not in notes:
            return day_begin(day)
        if not notes[day].complete:
            return notes[day].next_from or day_begin(day)
        day += timedelta(days=1)
    return None


def day_begin(day: date) -> str:
    """Return the first moment of a day as the filters want it: no zone (section 5)."""
    return f"{day.isoformat()}T00:00:00"


def wall_text(moment: datetime, zone: str) -> str:
    """Return a moment as ERP wall time with milliseconds, the finest the filters accept; cut, not rounded."""
    local = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return local.isoformat(timespec="milliseconds")


def from_wall(text: str, zone: str) -> datetime:
    """Return the UTC moment of a wall time text; of an hour that comes twice, its first pass."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def days_of(stamps: pa.ChunkedArray, zone: str) -> pa.ChunkedArray:
    """Return the ERP's calendar day of each UTC stamp."""
    return pc.cast(pc.local_timestamp(pc.cast(stamps, pa.timestamp("us", tz=zone))), pa.date32(), safe=False)


def overlap(day: date, zone: str) -> timedelta:
    """Return how far before the newest stamp of a day the next sweep begins."""
    return AUTUMN_OVERLAP if _has_hour_twice(day, zone) else OVERLAP


def has_ended(day: date, now: datetime, zone: str) -> bool:
    """Return whether a day is over for the ERP too, and for a record committed a little after its stamp."""
    end = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(UTC)
    return now >= end + CLOCK_LAG + overlap(day, zone)


def _has_hour_twice(day: date, zone: str) -> bool:
    begin = datetime.combine(day, time(), ZoneInfo(zone))
    end = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone))
    return end.utcoffset() < begin.utcoffset()  # type: ignore[operator]
