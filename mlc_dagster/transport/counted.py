"""A budget of units rather than calls, such as rows: never more than the limit in any window."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any

from mlc_dagster.transport.waiting import BudgetRow, Waiting


class CountedWindow(Waiting):
    """At most so many units in any window of this length, taken in amounts: rows of a call, calls of an hour.

    Units are counted by slices of the window, and a slice counts until all of it has left the window.
    """

    SLICES = 60

    def __init__(
        self, row: BudgetRow, *, limit: int, window: timedelta, headroom: Decimal, patience: float
    ) -> None:
        super().__init__(row.name, row.clock, patience)
        self._row, self._slice = row, window.total_seconds() / self.SLICES
        self.limit = max(1, int(limit * headroom))

    def acquire(self, amount: int = 1) -> None:
        """Take an amount. Waits up to ``patience`` seconds, else raises Closed."""
        if amount > self.limit:
            raise ValueError(f"{self.name}: {amount} at once is more than the {self.limit} of a whole window")
        self._wait(lambda now: self._take_some(now, amount))

    def left(self) -> int:
        """Return the units that may be taken at this moment."""
        with self._row.locked() as state:
            return max(0, self.limit - sum(self._counted(state, self._number(self._clock.now())).values()))

    def _take(self, now: datetime) -> datetime | None:
        return self._take_some(now, 1)

    def _take_some(self, now: datetime, amount: int) -> datetime | None:
        closed_until = self._row.closed_until()
        if closed_until is not None and closed_until > now:
            return closed_until
        number = self._number(now)
        with self._row.locked() as state:
            counted = self._counted(state, number)
            excess = sum(counted.values()) + amount - self.limit
            if excess <= 0:
                counted[number] = counted.get(number, 0) + amount
            state["slices"] = {str(each): units for each, units in counted.items()}
        return None if excess <= 0 else self._opens_at(counted, excess)

    def _opens_at(self, counted: Mapping[int, int], excess: int) -> datetime:
        """When slices with at least that many units have left the window."""
        leaving = accumulate(counted[number] for number in sorted(counted))
        last = next(number for number, gone in zip(sorted(counted), leaving, strict=True) if gone >= excess)
        return datetime.fromtimestamp((last + 1 + self.SLICES) * self._slice, UTC)

    def _close(self, until: datetime) -> None:
        self._row.close_until(until)

    def _number(self, now: datetime) -> int:
        return int(now.timestamp() // self._slice)

    def _counted(self, state: Mapping[str, Any], number: int) -> dict[int, int]:
        """Return the units by slice; what a clock that ran ahead has noted does not count."""
        known = {int(each): int(units) for each, units in state.get("slices", {}).items()}
        return {each: units for each, units in known.items() if number - self.SLICES <= each <= number + 1}
