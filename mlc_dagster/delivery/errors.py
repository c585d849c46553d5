"""What stops a batch or a delivery, named by what happens to the records then."""

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlc_dagster.delivery.report import Report


class DeliveryError(Exception):
    """Base of all errors of a delivery. report is set once the books are right."""

    report: "Report | None" = None


class NothingHappened(DeliveryError):
    """The destination took nothing of the batch, for certain: its records go again with the next run."""


class InDoubtError(DeliveryError):
    """The batch was sent and the answer never came: only the destination knows. The run sends nothing more.

    Raised by `resolve`: still unknown, and nothing else may be sent before it is known.
    """


class Stop(DeliveryError):
    """Nothing of the batch was taken and nothing will be until an operator acts; the text says what to do."""


class Closed(DeliveryError):
    """No call may be made before opens_at (UTC): a rate budget is used up or the vendor has locked us out."""

    def __init__(self, message: str, opens_at: datetime) -> None:
        super().__init__(message)
        self.opens_at = opens_at


class LeaseHeld(DeliveryError):
    """Another process writes to this destination."""


class LeaseLost(DeliveryError):
    """This process was away for longer than its lease lasts and another took over: it may write nothing."""


class Overtaken(DeliveryError):
    """Another delivery wrote after these rows were made: they may be old and must be made again."""


class DuplicateKeys(DeliveryError):
    """Two rows claim one key of the destination."""
