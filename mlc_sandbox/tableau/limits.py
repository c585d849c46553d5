"""Throttling as Tableau Cloud does it (section 12): rolling windows for each user of a site."""

from __future__ import annotations

import math
from collections import deque
from datetime import datetime, timedelta

from mlc_sandbox.core import SandboxClock
from mlc_sandbox.tableau.errors import ApiError
from mlc_sandbox.tableau.switches import Switches


class Limits:
    """When each user made which kind of call within the last hour."""

    def __init__(self, clock: SandboxClock, switches: Switches) -> None:
        self.clock, self.switches = clock, switches
        self.windows: dict[tuple[str, str], deque[datetime]] = {}

    def spend(self, kind: str, user: str, method: str) -> None:
        """One call of a kind: calls, content or refreshes. Raises ApiError 429000, which does not count."""
        now = self.clock.wire()
        length = timedelta(seconds=self.switches["hour_seconds"])
        window = self.windows.setdefault((kind, user), deque())
        while window and window[0] + length <= now:
            window.popleft()
        if len(window) >= self.switches.limit(f"{kind}_per_hour"):
            raise too_many(self.switches, method, (window[0] + length - now).total_seconds())
        window.append(now)


def too_many(switches: Switches, method: str, seconds: float) -> ApiError:
    """429000. The wait stands in the text, in minutes; a header is not certain."""
    minutes = max(1, math.ceil(seconds / 60))
    detail = f"Too many requests for '{method}'."
    if switches["throttle_text"] == "minutes":
        detail += f" Please retry after {minutes} minutes."
    headers = {"Retry-After": str(max(1, math.ceil(seconds)))} if switches["retry_after_header"] else {}
    return ApiError(429000, detail, headers)
