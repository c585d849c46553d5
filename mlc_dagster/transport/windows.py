"""The two ways vendors count calls: a window reset at once, and a rate over any stretch of time."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pyrate_limiter import Rate, TokenBucket

from mlc_dagster.transport.turns import Turns
from mlc_dagster.transport.waiting import BudgetRow, Shared

# A commit costs milliseconds, too much for every call: so a client takes a few permits with one write, each
# time twice as many. One that makes three calls and ends leaves none behind that nobody else may use.
LEASE_CALLS = 20
# Permits that no answer has confirmed after this long were never used: longer than the longest call.
FORGOTTEN = timedelta(seconds=300)
# Permits of a token bucket are used at once, or a later minute would see more calls than it was granted.
BUCKET_LEASE = timedelta(seconds=1)


@dataclass(frozen=True)
class _Report:
    """What the X-RateLimit headers of one answer say; the reset as seconds since 1970."""

    limit: int
    remaining: int
    resets_at: float


@dataclass(frozen=True)
class _Window:
    """A fixed window as last known: the vendor's count, and the permits no answer has confirmed yet."""

    limit: int | None = None
    remaining: int | None = None
    resets_at: float | None = None
    outstanding: int = 0
    leased_at: float = 0

    def at(self, now: float, seconds: float) -> "_Window":
        """Return the window at ``now``: a new, full one when the known one is over.

        A window that resets later than it is long was noted by a clock that ran ahead: nothing of it counts.
        """
        window = self
        if window.resets_at is not None and window.resets_at > now + seconds + FORGOTTEN.total_seconds():
            return _Window(limit=window.limit)
        if now - window.leased_at > FORGOTTEN.total_seconds():
            window = replace(window, outstanding=0)
        if window.resets_at is None or now < window.resets_at:
            return window
        passed = int((now - window.resets_at) // seconds) + 1
        return replace(window, remaining=None, resets_at=window.resets_at + passed * seconds, outstanding=0)

    def told(self, report: _Report) -> "_Window":
        """Take in one report. Within a window the vendor counts down: the smaller number is newer."""
        known = report.remaining if self.remaining is None else self.remaining
        remaining = min(report.remaining, known)
        return replace(self, limit=report.limit, remaining=remaining, resets_at=report.resets_at)


class FixedWindow(Shared):
    """The vendor's own count is the truth; between answers we count down (vendors/visma.md section 11)."""

    def __init__(
        self, row: BudgetRow, *, limit: int | None, window: timedelta, headroom: Decimal, patience: float
    ) -> None:
        super().__init__(row, patience)
        self._limit, self._seconds, self._headroom = limit, window.total_seconds(), headroom
        self._reports: list[_Report] = []
        self._settled = 0
        self._next_lease = 1

    def learn(self, response_headers: Mapping[str, str], status: int) -> None:
        """Take in the X-RateLimit headers; a 429 closes until Retry-After, else until the reset.

        Beside a Retry-After the counters are not believed: a short lockout would close the whole window.
        """
        super().learn(response_headers, status)
        report = _report(response_headers, self._clock.now())
        locked_out = status == 429 and "Retry-After" in response_headers
        with self._lock:
            self._settled += 1
            if report is not None and not locked_out:
                self._reports.append(report)
        if report is not None and status == 429 and not locked_out:
            self._close(datetime.fromtimestamp(report.resets_at, UTC))

    def left(self) -> int | None:
        """Return the calls left for us in this window; None before the vendor has named its limit."""
        with self._lock, self._row.locked() as state:
            window = self._current(state, self._clock.now())
            state.update(asdict(window))
        left = self._left(window)
        return None if left is None else left + self._permits

    def allowed(self) -> int | None:
        """Return the calls a whole window allows us; None before the vendor has named its limit."""
        with self._lock, self._row.locked() as state:
            window = self._current(state, self._clock.now())
            state.update(asdict(window))
        return int(self._known_limit(window) * self._headroom) or None

    def _lease(self, now: datetime) -> datetime | None:
        self._settled += self._permits
        self._permits = 0
        with self._row.locked() as state:
            window = self._current(state, now)
            resets_at = window.resets_at or now.timestamp() + self._seconds
            left = self._left(window)
            # An unknown limit is asked call by call, so that the first answer reaches all processes.
            permits = (
                1 if left is None else min(left, self._next_lease, max(1, self._known_limit(window) // 100))
            )
            self._next_lease = min(2 * self._next_lease, LEASE_CALLS)
            outstanding = window.outstanding + permits
            window = replace(window, outstanding=outstanding, leased_at=now.timestamp(), resets_at=resets_at)
            state.update(asdict(window))
        ends = datetime.fromtimestamp(resets_at, UTC)
        self._permits, self._permits_end = permits, min(ends, now + FORGOTTEN / 2)
        return None if permits else ends

    def _current(self, state: Mapping[str, Any], now: datetime) -> _Window:
        """Return the stored window with everything this process has learnt since."""
        window = _Window(**state).at(now.timestamp(), self._seconds)
        for report in self._reports:
            if report.resets_at > now.timestamp():
                window = window.told(report)
        window = replace(window, outstanding=max(0, window.outstanding - self._settled))
        self._reports, self._settled = [], 0
        return window

    def _known_limit(self, window: _Window) -> int:
        return window.limit or self._limit or 0

    def _left(self, window: _Window) -> int | None:
        limit = self._known_limit(window)
        if not limit:
            return None
        remaining = limit if window.remaining is None else window.remaining
        for_others = limit - int(limit * self._headroom)
        return max(0, remaining - window.outstanding - for_others)


class RollingWindow(Shared):
    """A token bucket: burst and refill together never pass the limit in any window, wherever it starts.

    Members that want more than it holds take turns, call by call.
    """

    def __init__(
        self,
        row: BudgetRow,
        *,
        member: str,
        rate: int,
        window: timedelta,
        headroom: Decimal,
        patience: float,
    ) -> None:
        super().__init__(row, patience)
        self._member = member
        ours = max(2, int(rate * headroom))
        self._burst = max(1, ours // 10)
        # A permit may be used a lease later than it was granted, so the bucket fills that much slower.
        interval = window + BUCKET_LEASE
        self._rates = [Rate(ours - self._burst, int(interval.total_seconds() * 1000), burst=self._burst)]
        self._bucket = TokenBucket()
        self._pace = timedelta(seconds=interval.total_seconds() / max(1, ours - self._burst))

    def left(self) -> int | None:
        """Return the calls that may be made at this moment."""
        now = self._clock.now()
        with self._lock, self._row.locked() as state:
            used = self._bucket.consumed(self._rates, self._arrival(state, now), _milliseconds(now))
        return max(0, self._burst - used) + self._permits

    def _lease(self, now: datetime) -> datetime | None:
        with self._row.locked() as state:
            turns = Turns.of(state.get("turns", {}), now.timestamp())
            opens_at = self._grant(state, turns, now)
            if opens_at is None:
                turns.took(self._member, self._permits, now.timestamp())
            else:
                turns.waits(self._member, opens_at.timestamp())
            state["turns"] = turns.state()
        return opens_at

    def _grant(self, state: dict[str, Any], turns: Turns, now: datetime) -> datetime | None:
        if not turns.comes(self._member, now.timestamp()):
            return now + self._pace
        contended = turns.contended(self._member, now.timestamp())
        for permits in (1,) if contended else (max(1, self._burst // 8), 1):
            arrival, decision = self._bucket.step(
                self._rates, self._arrival(state, now), _milliseconds(now), permits
            )
            if decision.allowed:
                state["arrival"] = list(arrival)
                self._permits, self._permits_end = permits, now + BUCKET_LEASE
                return None
        return now + timedelta(milliseconds=decision.retry_after_ms or 1)

    def _arrival(self, state: Mapping[str, Any], now: datetime) -> tuple[float, ...]:
        """Return the stored state, in microseconds; a new one when a clock that ran ahead has written it.

        A full bucket runs empty within one interval, so no true state lies further ahead.
        """
        latest = (_milliseconds(now) + self._rates[0].interval) * 1000
        known = tuple(state.get("arrival", ()))
        return known if known and max(known) <= latest else self._bucket.initial(self._rates)


def _report(headers: Mapping[str, str], now: datetime) -> _Report | None:
    try:
        limit, remaining = int(headers["X-RateLimit-Limit"]), int(headers["X-RateLimit-Remaining"])
        return _Report(limit, remaining, now.timestamp() + float(headers["X-RateLimit-Reset"]))
    except (KeyError, ValueError):
        return None


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
