"""The sum of one delivery, and the rule that no row may go missing in it."""

from dataclasses import dataclass


@dataclass
class Report:
    """Counts of one delivery.

    read counts the rows it was given, those the contract refused included; each is counted once more below.
    Deletes are counted apart: deleted, undeletable for those that were refused with a reason, and undeleted
    for those that still have to go or are in doubt. retried: changes that an earlier run could not deliver.
    waiting: rows that the destination cannot take yet, for a reason of its own.
    not_landed: batches that ended without landing. recovered: batches of former runs that were judged.
    stopped: what ended the delivery early.
    """

    destination: str
    company: str
    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    quarantined: int = 0
    pending: int = 0
    waiting: int = 0
    in_doubt: int = 0
    deleted: int = 0
    undeletable: int = 0
    undeleted: int = 0
    retried: int = 0
    batches: int = 0
    not_landed: int = 0
    recovered: int = 0
    stopped: str | None = None

    @property
    def complete(self) -> bool:
        """Everything asked for is at the destination, except rows that were refused or wait with a reason."""
        return not (self.stopped or self.pending or self.in_doubt or self.undeleted)

    @property
    def changed(self) -> bool:
        """The destination is not what it was before."""
        return bool(self.created or self.updated or self.deleted)

    def check(self) -> None:
        """Raise AssertionError when a row was lost or counted twice: a defect of the engine."""
        parts = (
            self.created + self.updated + self.unchanged + self.failed,
            self.quarantined + self.pending + self.waiting + self.in_doubt,
        )
        if self.read != sum(parts):
            raise AssertionError(f"{self.read} rows were read but {sum(parts)} are accounted for: {self}")
