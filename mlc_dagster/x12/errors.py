"""What can go wrong with X12, named by who has to act."""


class X12Error(Exception):
    """Base of this room's errors."""


class UnreadableError(X12Error):
    """The bytes are no X12, or a set does not hold the document it should. Its text says where."""


class RefusedError(X12Error):
    """A document cannot be written without changing what it says: nothing was written.

    The text names the document, segment and element, and what to do. `record` is the document's number.
    """

    def __init__(self, message: str, *, record: str = "") -> None:
        super().__init__(message)
        self.record = record
