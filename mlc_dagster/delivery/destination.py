"""What a target system must offer so that the engine can keep it exact: the Destination protocol."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from mlc_dagster.delivery.rows import Change


def _keep_nothing(_: Mapping[str, Any]) -> None:
    """For batches made outside a delivery, in tests and dry runs."""


@dataclass
class Batch:
    """The changes one call (or one chain of calls) carries. After a crash it is rebuilt, on any machine.

    token: made once for the batch, before the first call, for destinations that recognise a repeated request.
    checkpoint: what the destination wrote down on the way (a task id, a file's text), JSON values only.
    """

    id: str
    destination: str
    company: str
    token: str
    changes: Sequence[Change]
    created_at: datetime
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    keep: Callable[[Mapping[str, Any]], None] = field(default=_keep_nothing, repr=False)

    def save(self, **checkpoint: Any) -> None:
        """Add to the checkpoint; it is on disk before this returns.

        Raises LeaseLost when another process has taken over: make no further call then.
        """
        merged = {**self.checkpoint, **checkpoint}
        self.keep(merged)
        self.checkpoint = merged


@dataclass(frozen=True)
class Outcome:
    """What became of a batch that landed: the destination holds all its rows but the refused ones.

    target_ids: the destination's ids by key. refused: its own words by key. partial: what it may hold of
    refused rows all the same, as columns by key. unsaid: why nothing was sent of rows that landed all the
    same, by key, where a partner has them so or need not know. waiting: why rows cannot go yet, by key; they
    go with a later run. detail: a few plain facts for the audit trail.
    """

    target_ids: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    partial: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    unsaid: Mapping[str, str] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)
    detail: Mapping[str, Any] = field(default_factory=dict)


class Destination(Protocol):
    """One kind of object in a target system. Its methods are never run two at once for a company.

    A create or an update may meet a row that is there already, and a delete one that is not: then it is done.
    """

    @property
    def name(self) -> str:
        """Such as "anaplan/supplier_invoices"."""
        ...

    @property
    def target(self) -> str:
        """What it writes into, such as a model's id: when this text changes, every row goes again.

        Sensors look at it, so it is known without a call.
        """
        ...

    @property
    def max_rows(self) -> int:
        """Rows a batch may carry."""
        ...

    @property
    def max_bytes(self) -> int:
        """Bytes a batch may carry, counted in our JSON; a single larger row goes alone."""
        ...

    @property
    def exclusive(self) -> tuple[str, ...]:
        """Names of further leases a delivery needs, for what it shares with others.

        Where there are any, a batch in doubt of one company is resolved before another company's rows go.
        """
        ...

    @property
    def tombstone(self) -> Mapping[str, Any] | None:
        """Columns that mark a deleted row, laid over its last payload; None where rows are really deleted."""
        ...

    def preflight(self, changes: Sequence[Change]) -> Mapping[str, str]:
        """Look before the first batch. Return key -> reason for rows this destination can never take.

        Raises Stop when the target is not as configured, Closed when no call may be made.
        """
        ...

    def send(self, batch: Batch) -> Outcome:
        """Send a batch and wait for its end.

        Raises NotLanded, Closed or Stop when none of its rows counts as delivered and none can land any more;
        `partial` of the error names what was left behind. InDoubtError, and any other exception, leaves the
        batch in doubt until `resolve` has judged it.
        """
        ...

    def resolve(self, batch: Batch) -> Outcome | None:
        """Finish or judge a batch whose sender died or lost the answer, perhaps only seconds ago.

        None: still unknown; its rows are held back and others may be sent. Raises NotLanded when none of its
        rows counts as delivered, but not while a late landing is possible. After any other exception the
        batch stays in doubt and nothing else is sent.
        """
        ...

    def calls(self, changes: Sequence[Change]) -> int:
        """How many calls these changes will take, for planning against the rate budget."""
        ...


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A row as its target shows it. key: as in the ledger; values: the columns the target shows of it.

    company: whose row it says it is; None where it does not say. target_id: the target's own id of it.
    copy_of: the key of the row it is a copy of, where it has none of its own; `key` is the target's id then.
    """

    key: str
    values: Mapping[str, Any]
    company: str | None = None
    target_id: str | None = None
    copy_of: str | None = None


class ReadBack(Protocol):
    """What a target holds of one destination, read to compare it with the ledger."""

    @property
    def removes(self) -> bool:
        """Whether a deleted row shall be gone, whatever marks it on its way out."""
        ...

    def rows(self, company: str) -> Iterator[FoundRow]:
        """The rows of a company, in any order; those of other companies may be among them.

        Raises transport's CallFailed, or Stop when somebody has to change something first.
        """
        ...

    def check(self) -> None:
        """See whether it can be read, at little cost. Raises as `rows`."""
        ...

    def calls(self, rows: int) -> int:
        """About how many calls it takes to read so many rows."""
        ...

    def as_shown(self, payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What `rows` yields of columns that were delivered, if the target holds them: each value in the form
        the target keeps it in, such as 0 for an empty number. None where such a row is nothing there, and
        `rows` yields none: cells that hold no number.
        """
        ...

    def to_delete(self, row: FoundRow) -> Mapping[str, Any]:
        """The payload from which the destination can delete a row that is shown and should not be."""
        ...


@runtime_checkable
class Paced(Protocol):
    """A destination whose vendor counts more than calls, so that it can say how long changes will take."""

    def seconds(self, changes: Sequence[Change]) -> float:
        """About how long these changes take, waits for closed windows included."""
        ...


@runtime_checkable
class Advised(Protocol):
    """A destination whose settings have a price that `mlc plan` shows."""

    def advice(self, changes: Sequence[Change]) -> str:
        """What these changes would cost with other settings, in words; empty where nothing is to be said."""
        ...


@runtime_checkable
class Reviewed(Protocol):
    """A destination with rows that arrived and still leave something for people to decide."""

    def to_review(self, company: str) -> Sequence[Mapping[str, str | int]]:
        """What to decide, a line each, what concerns most rows first. Calls nobody."""
        ...
