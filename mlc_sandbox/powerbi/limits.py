"""The windows of vendors/powerbi.md section 8. They roll; refused calls do not count."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from datetime import datetime, timedelta

from mlc_sandbox.core import SandboxClock
from mlc_sandbox.powerbi.errors import ApiError, simple, too_many
from mlc_sandbox.powerbi.store import Dataset, TableStore
from mlc_sandbox.powerbi.switches import Switches

_ROWS_TEXT = "Maximum number of rows exceeded in time window"


class Window:
    """What was spent when, within a rolling time."""

    def __init__(self) -> None:
        self.spent: deque[tuple[datetime, int]] = deque()

    def wait(self, limit: float, amount: int, seconds: float, now: datetime) -> float:
        """Seconds until `amount` more fits; 0 when it does now."""
        length = timedelta(seconds=seconds)
        while self.spent and self.spent[0][0] + length <= now:
            self.spent.popleft()
        over = sum(spent for _, spent in self.spent) + amount - limit
        if over <= 0:
            return 0
        for at, spent in self.spent:
            over -= spent
            if over <= 0:
                return (at + length - now).total_seconds()
        return seconds  # more than a whole window allows

    def spend(self, amount: int, now: datetime) -> None:
        """Note it."""
        self.spent.append((now, amount))


class Limits:
    """All windows, by what they count and for whom."""

    def __init__(self, clock: SandboxClock, switches: Switches) -> None:
        self.clock, self.switches = clock, switches
        self.windows: dict[Hashable, Window] = {}

    def call(self, client: str) -> None:
        """Any REST call of a caller. Raises ApiError 429."""
        self._spend(("calls", client), "calls_per_minute", "minute_seconds")

    def query(self, client: str) -> None:
        """An executeQueries call of a caller. Raises ApiError 429."""
        self._spend(("queries", client), "queries_per_minute", "minute_seconds")

    def once_an_hour(self, what: str, client: str) -> None:
        """One call an hour. Raises ApiError 429."""
        if self.switches["limits"]:
            self._take([((what, client), 1, 1, self.switches["hour_seconds"], "")])

    def post_rows(self, dataset: Dataset, table: TableStore, rows: int) -> None:
        """A POST of rows: counted as a whole or not at all.

        Raises:
            ApiError: 429 of the minute, of the hour of rows, of a large table; 400 when the table is full.
        """
        switches = self.switches
        hour = switches["hour_seconds"]
        wanted: list[tuple[Hashable, int, float, float, str]] = [
            (("posts", dataset.id), 1, switches.limit("posts_per_minute"), switches["minute_seconds"], ""),
            (("rows", dataset.id), rows, switches.limit("rows_per_hour"), hour, _ROWS_TEXT),
        ]
        by_table = switches["large_table_scope"] == "table"
        watched = [table] if by_table else list(dataset.tables.values())
        large = any(len(found.rows) >= switches.limit("large_table_rows") for found in watched)
        hourly = switches.limit("large_table_posts_per_hour") if large else float("inf")
        wanted.append((("large", dataset.id, table.name if by_table else ""), 1, hourly, hour, ""))
        full = len(table.rows) + rows > switches.limit("table_rows")
        if full and dataset.retention == "None":
            raise simple(400, "InvalidRequest", f"Table '{table.name}' cannot hold more rows.")
        self._take(wanted)

    def _spend(self, key: Hashable, limit: str, window: str) -> None:
        self._take([(key, 1, self.switches.limit(limit), self.switches[window], "")])

    def _take(self, wanted: list[tuple[Hashable, int, float, float, str]]) -> None:
        """Each is (window, amount, limit, seconds, text of the refusal); all fit or none is spent."""
        now = self.clock.wire()
        refusals: list[tuple[float, ApiError]] = []
        for key, amount, limit, seconds, text in wanted:
            wait = self.windows.setdefault(key, Window()).wait(limit, amount, seconds, now)
            if wait > 0:
                refusals.append((wait, too_many(wait, text)))
        if refusals:
            raise max(refusals, key=lambda refusal: refusal[0])[1]
        for key, amount, *_ in wanted:
            self.windows[key].spend(amount, now)
