"""What stops a batch or a delivery, named by what happens to the records then."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlc_dagster.delivery.report import Report


class DeliveryError(Exception):
    """Base of all errors of a delivery. report is set once the books are right.

    partial: what the destination may hold of the batch all the same, as columns by key: enough to delete it.
    """

    report: "Report | None" = None

    def __init__(self, message: str = "", *, partial: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.partial = partial or {}


class NotLanded(DeliveryError):
    """The batch came to an end and none of its rows counts as delivered: they go again with the next run."""


class InDoubtError(DeliveryError):
    """The batch was sent and the answer never came: only the destination knows. The run sends nothing more.

    Raised by `resolve`: still unknown, and nothing else may be sent before it is known. opens_at (UTC) is set
    where a closed window keeps us from asking. The delivery ends as Closed: it is asked again then.
    """

    def __init__(self, message: str = "", *, opens_at: datetime | None = None) -> None:
        super().__init__(message)
        self.opens_at = opens_at


class Stop(DeliveryError):
    """Nothing will land until an operator acts; the text says what to do. The batch's rows go again then."""


class Closed(DeliveryError):
    """The rest waits until opens_at (UTC), and is no failure: nobody has to act.

    A rate budget is used up, the vendor has locked us out, or a batch is in doubt and is asked about then.
    """

    def __init__(
        self,
        message: str,
        opens_at: datetime,
        *,
        partial: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(message, partial=partial)
        self.opens_at = opens_at


class LeaseHeld(DeliveryError):
    """Another process writes to this destination."""


class LeaseLost(DeliveryError):
    """This process was away for longer than its lease lasts and another took over: it may write nothing."""


class Overtaken(DeliveryError):
    """Another delivery wrote after these rows were made: they may be old and must be made again."""


class DuplicateKeys(DeliveryError):
    """Two rows claim one key of the destination."""
