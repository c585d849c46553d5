"""Whose turn it is when several members want more of a budget than it holds: whoever has had least.

This is start-time fair queueing with equal weights. Each member has a tally of what it took. The one with the
smallest tally among those that wait goes first, whatever number of processes and threads ask in its name. Who
comes, or comes back, begins at the present tally, so that nobody saves up turns by being idle.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

# A waiting member is believed for this long after the moment it meant to ask again: it may have died.
BELIEVED = 2.0
# A tally nobody touched for this long is forgotten.
FORGOTTEN = 60.0


@dataclass
class Member:
    """What a member took, and until when (seconds since 1970) it counts as waiting."""

    tally: float = 0
    waits_until: float = 0


@dataclass
class Turns:
    """The members of one budget. `tally` is where the member that took last began."""

    tally: float = 0
    members: dict[str, Member] = field(default_factory=dict)

    @classmethod
    def of(cls, state: dict[str, Any], now: float) -> "Turns":
        """Read what `state()` gave; who has not been here for a while is left out."""
        members = {name: Member(**known) for name, known in state.get("members", {}).items()}
        # A clock that ran ahead may have written a time nobody will reach.
        recent = {name: one for name, one in members.items() if abs(now - one.waits_until) < FORGOTTEN}
        return cls(state.get("tally", 0), recent)

    def state(self) -> dict[str, Any]:
        """The turns as JSON values."""
        return asdict(self)

    def contended(self, name: str, now: float) -> bool:
        """Whether another member waits."""
        return any(other != name and one.waits_until > now for other, one in self.members.items())

    def comes(self, name: str, now: float) -> bool:
        """Whether it is this member's turn: none that waits has had less."""
        mine = self._start(name)
        return all(
            mine <= self._start(other)
            for other, one in self.members.items()
            if other != name and one.waits_until > now
        )

    def took(self, name: str, calls: int, now: float) -> None:
        """Note what a member took; it does not wait any more."""
        self.tally = self._start(name)
        self.members[name] = Member(self.tally + calls, now)

    def waits(self, name: str, again_at: float) -> None:
        """Note that a member will ask again; seldom, because every note is a write."""
        known = self.members.get(name) or Member()
        if known.waits_until < again_at:
            self.members[name] = Member(self._start(name), again_at + BELIEVED)

    def _start(self, name: str) -> float:
        known = self.members.get(name)
        return max(self.tally, known.tally if known else 0)
