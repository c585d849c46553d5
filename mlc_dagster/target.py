"""What a target system is to the house, and what every target is built from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Engine

from mlc_dagster.clock import Clock
from mlc_dagster.delivery import Destination, Ledger, ReadBack, Report
from mlc_dagster.delivery.errors import Closed, DeliveryError, NotLanded, Stop
from mlc_dagster.delivery.leases import Leases
from mlc_dagster.transport import errors as transport
from mlc_dagster.transport.budget import Budgets
from mlc_dagster.transport.session import CallCounter
from mlc_dagster.vault import Vault

if TYPE_CHECKING:
    from mlc_dagster.mappings import Mappings


class Parts(Protocol):
    """What all processes share, and this one's clock and counter; each is opened when it is asked for."""

    @property
    def engine(self) -> Engine:
        """The database."""
        ...

    @property
    def ledger(self) -> Ledger:
        """What each destination last received."""
        ...

    @property
    def mappings(self) -> Mappings:
        """The models and their contracts."""
        ...

    @property
    def budgets(self) -> Budgets:
        """The shared rate budgets."""
        ...

    @property
    def leases(self) -> Leases:
        """What only one process may do at a time."""
        ...

    @property
    def vault(self) -> Vault:
        """Credentials that runs receive and keep."""
        ...

    @property
    def clock(self) -> Clock:
        """The time."""
        ...

    @property
    def counter(self) -> CallCounter:
        """The calls made so far."""
        ...


@dataclass(frozen=True)
class Expiry:
    """A credential that ends: what it is, when (UTC), and what to do before."""

    what: str
    ends_at: datetime
    remedy: str


class Target(Protocol):
    """A target system as its section of mlc.yaml names it. A model is named without its target."""

    def destination(self, model: str) -> Destination:
        """The destination of one model of the mappings, ready to send."""
        ...

    def read_back(self, model: str) -> ReadBack | None:
        """How to read what the target holds of a destination; None where that is not possible."""
        ...

    def delivered(self, report: Report, *, last: bool) -> None:
        """What follows a delivery, such as the refresh of what depends on it. Fails no delivery.

        `last`: nothing of this target comes after it in a run.
        """
        ...

    def look(self) -> str:
        """One cheap question for credentials, address, ids and rights; says what it found.

        Raises NotSetUp, Stop or transport's CallFailed, each with what to do.
        """
        ...

    def calls_left(self) -> Mapping[str, int | None]:
        """What is left of our share of each budget in its window; None while a limit is unknown."""
        ...

    def expiries(self) -> Sequence[Expiry]:
        """The credentials whose end is known, without a call."""
        ...


class NotSetUp(Exception):
    """What a target needs before its first delivery is not there."""


def in_delivery_words(
    failure: transport.CallFailed, words: str = "", partial: Mapping[str, Mapping[str, Any]] | None = None
) -> DeliveryError:
    """What a failed call means to a delivery while nothing of ours is under way at the vendor."""
    words = words or str(failure)
    if isinstance(failure, transport.Closed):
        return Closed(words, failure.opens_at, partial=partial)
    kind = Stop if isinstance(failure, transport.Misconfigured) else NotLanded
    return kind(words, partial=partial)
