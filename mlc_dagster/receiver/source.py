"""A vendor as the receiver knows it, and what it says of a call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Verdict:
    """What a caller is answered. news: something happened at the vendor that somebody should look at.

    about: where to look; the place that was called, unless it says less. delivery: what is the same when the
    vendor repeats a delivery; the body, unless the vendor numbers its deliveries.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    news: bool = False
    about: str | None = None
    delivery: bytes | None = None


class Source(Protocol):
    """A vendor as the receiver knows it."""

    def judge(self, place: str, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Whether a call is the vendor's own. `headers`: names in lower case; `body`: the raw bytes.

        Runs in a thread, and may be asked about anything that reaches the port.
        """
        ...
