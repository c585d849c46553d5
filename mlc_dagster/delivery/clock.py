"""What delivery needs of a clock; transport's SystemClock fits, and tests pass their own."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time, and the wish to wait."""

    def now(self) -> datetime:
        """The present, aware and in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""
        ...
