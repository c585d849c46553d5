"""The limits of a token: calls a minute, calls in flight, cost, searches (vendors/asana.md section 10)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mlc_sandbox.asana.errors import ApiError, too_many
from mlc_sandbox.asana.switches import Switches
from mlc_sandbox.core import SandboxClock

READ, WRITE = "reads_in_flight", "writes_in_flight"


@dataclass
class Window:
    """What was asked when, within a rolling time. Refused calls are in it too."""

    asked: deque[datetime] = field(default_factory=deque)

    def ask(self, count: int, limit: float, seconds: float, now: datetime) -> float:
        """Note `count` calls; seconds until they would have fitted, 0 when they do now."""
        length = timedelta(seconds=seconds)
        while self.asked and self.asked[0] + length <= now:
            self.asked.popleft()
        self.asked.extend([now] * count)
        over = len(self.asked) - limit
        if over <= 0:
            return 0
        return (self.asked[min(int(over), len(self.asked)) - 1] + length - now).total_seconds()


@dataclass
class Account:
    """What is left of the cost quota; may be negative."""

    left: float
    at: datetime


class Limits:
    """All of them, by token. Raises ApiError 429 from every method that counts."""

    def __init__(self, clock: SandboxClock, switches: Switches) -> None:
        self.clock, self.switches = clock, switches
        self.windows: dict[Hashable, Window] = {}
        self.accounts: dict[str, Account] = {}
        self.in_flight: Counter[tuple[str, str]] = Counter()

    def enter(self, token: str, wanted: Counter[str]) -> None:
        """So many reads and writes begin, or none of them."""
        over = any(
            self.in_flight[token, pool] + count > self.switches.limit(pool) for pool, count in wanted.items()
        )
        if over:
            raise self._refusal(1, in_flight=True)
        for pool, count in wanted.items():
            self.in_flight[token, pool] += count

    def leave(self, token: str, wanted: Counter[str]) -> None:
        """They have ended."""
        for pool, count in wanted.items():
            self.in_flight[token, pool] -= count

    def calls(self, token: str, count: int) -> None:
        """The minute's quota, and the cost quota that earlier answers have used up."""
        seconds = self.switches["quota_seconds"]
        limit = self.switches.limit("calls_per_minute") * seconds / 60
        self._count(("calls", token), count, limit, seconds)
        left = self._account(token).left
        if left <= 0:
            raise self._refusal(-left / (self.switches["cost_per_minute"] / 60) + 1)

    def search(self, token: str) -> None:
        """Search has a quota of its own."""
        self._count(("search", token), 1, self.switches.limit("searches_per_minute"), 60)

    def charge(self, token: str, cost: int) -> None:
        """What an answer has cost is known once it is built."""
        self._account(token).left -= cost

    def _count(self, key: Hashable, count: int, limit: float, seconds: float) -> None:
        if limit == float("inf"):
            return
        wait = self.windows.setdefault(key, Window()).ask(count, limit, seconds, self.clock.wire())
        if wait > 0:
            raise self._refusal(wait)

    def _refusal(self, seconds: float, *, in_flight: bool = False) -> ApiError:
        """With the wait in Retry-After, when the switch wants it there."""
        silent = ("never", "not_in_flight") if in_flight else ("never",)
        return too_many(None if self.switches["retry_after"] in silent else seconds)

    def _account(self, token: str) -> Account:
        now, most = self.clock.wire(), self.switches.limit("cost_per_minute")
        account = self.accounts.setdefault(token, Account(most, now))
        gained = (now - account.at).total_seconds() * most / 60 if now > account.at else 0
        account.left = most if most == float("inf") else min(most, account.left + gained)
        account.at = now
        return account
