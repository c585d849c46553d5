"""Rate limits: a fixed window per company and client, and lockouts (vendors/visma.md section 11)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlc_sandbox.core import SandboxClock
from mlc_sandbox.visma.errors import ApiError
from mlc_sandbox.visma.switches import Switches


@dataclass
class Window:
    """Calls counted since the window opened; `closed_until` is a lockout that ignores the count."""

    opened: datetime
    used: int = 0
    closed_until: datetime | None = None


class Limits:
    """Counts calls. Time is the clock's wire time, so tests can open a window by advancing it."""

    def __init__(self, clock: SandboxClock, switches: Switches) -> None:
        self.clock, self.switches = clock, switches
        self.windows: dict[tuple[str, str], Window] = {}

    def lock(self, company: str, client: str, seconds: float) -> None:
        """Close the window of this company and client for a while."""
        self._window(company, client).closed_until = self.clock.wire() + timedelta(seconds=seconds)

    def count(self, company: str, client: str) -> dict[str, str]:
        """Count one call and give the four headers. Raises ApiError 429 with them and Retry-After."""
        window, now = self._window(company, client), self.clock.wire()
        if window.closed_until is not None and window.closed_until > now:
            self._refuse(window, (window.closed_until - now).total_seconds(), 0)
        limit = self.switches["rate_limit"]
        if window.used >= limit:
            self._refuse(window, self._reset(window), 0)
        window.used += 1
        return self._headers(limit - window.used, self._reset(window))

    def _window(self, company: str, client: str) -> Window:
        now = self.clock.wire()
        window = self.windows.setdefault((company, client), Window(now))
        if now - window.opened >= timedelta(seconds=self.switches["rate_window_seconds"]):
            window.opened, window.used = now, 0
        return window

    def _reset(self, window: Window) -> float:
        ends = window.opened + timedelta(seconds=self.switches["rate_window_seconds"])
        return (ends - self.clock.wire()).total_seconds()

    def _headers(self, remaining: int, reset: float) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.switches["rate_limit"]),
            "X-RateLimit-Remaining": str(max(0, remaining)),
            "X-RateLimit-Reset": str(max(0, math.ceil(reset))),
            "X-RateLimit-Policy": "4-fixed-window",
        }

    def _refuse(self, window: Window, wait: float, remaining: int) -> None:
        seconds = max(1, math.ceil(wait))
        headers = self._headers(remaining, self._reset(window)) | {"Retry-After": str(seconds)}
        raise ApiError(429, f"Rate limit is exceeded. Try again in {seconds} seconds.", headers)
