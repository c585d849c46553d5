"""Rate budgets: how many calls a tenant still allows, shared by every process through the database."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

import sqlalchemy as sa

from mlc_dagster.clock import Clock, SystemClock
from mlc_dagster.transport.counted import CountedWindow
from mlc_dagster.transport.waiting import BudgetRow, Unlimited
from mlc_dagster.transport.windows import FixedWindow, RollingWindow

__all__ = ["Budget", "Budgets", "Unlimited", "share"]


def share(percent: int) -> Decimal:
    """The part of a limit that is ours, from the percent that mlc.yaml names; the rest is for others."""
    return Decimal(percent) / 100


class Budget(Protocol):
    """What a session asks before every call and tells after every answer."""

    def acquire(self, amount: int = 1) -> None:
        """Take that many calls; waits up to the patience of the budget, else raises Closed."""
        ...

    def learn(self, response_headers: Mapping[str, str], status: int) -> None:
        """Take in what an answer says about the limits."""
        ...

    def left(self) -> int | None:
        """Return the calls left for us in the current window; None when unknown."""
        ...


class Budgets:
    """The budgets kept in the database. State is one row each: all processes see the same."""

    def __init__(self, engine: sa.Engine, clock: Clock | None = None) -> None:
        self._engine, self._clock = engine, clock or SystemClock()

    def fixed_window(
        self,
        name: str,
        *,
        limit: int | None,
        seconds: int,
        headroom: Decimal | str = "0.8",
        patience: float = 60,
    ) -> FixedWindow:
        """A window the vendor resets at once and reports in X-RateLimit-*.

        ``limit`` None: unknown until a header tells. ``headroom`` is the share of it that is ours.
        """
        return FixedWindow(
            BudgetRow(self._engine, name, self._clock),
            limit=limit,
            window=timedelta(seconds=seconds),
            headroom=Decimal(headroom),
            patience=patience,
        )

    def rolling_window(
        self,
        name: str,
        *,
        rate: int,
        per_seconds: int,
        member: str = "",
        headroom: Decimal | str = "0.8",
        patience: float = 60,
    ) -> RollingWindow:
        """At most ``rate`` times headroom calls in any ``per_seconds``, without a header that tells.

        While several ``member``s want more than that, each gets the same share.
        """
        return RollingWindow(
            BudgetRow(self._engine, name, self._clock),
            member=member,
            rate=rate,
            window=timedelta(seconds=per_seconds),
            headroom=Decimal(headroom),
            patience=patience,
        )

    def counted_window(
        self, name: str, *, limit: int, seconds: int, headroom: Decimal | str = "0.8", patience: float = 60
    ) -> CountedWindow:
        """At most ``limit`` times headroom units in any ``seconds``, taken in amounts such as rows."""
        return CountedWindow(
            BudgetRow(self._engine, name, self._clock),
            limit=limit,
            window=timedelta(seconds=seconds),
            headroom=Decimal(headroom),
            patience=patience,
        )
