"""What the lake raises: each names the place and what to do."""


class LakeError(Exception):
    """Something about the lake's files; every other error here is one of these."""


class LakeWriteFailed(LakeError):
    """A partition could not be written. The previous file is untouched, nothing half-written remains."""

    def __init__(self, path: str, entity: str, company: str, partition: str, cause: OSError) -> None:
        reason = cause.strerror or str(cause) or type(cause).__name__
        super().__init__(
            f"Writing {entity} of {company}, {partition}, to {path} failed: {reason}. "
            "What was there before is intact. Free space or grant access for this path, then run the same "
            "partition again."
        )
        self.path, self.entity, self.company, self.partition = path, entity, company, partition


class TableRefused(LakeError):
    """A table does not fit the lake: a column, a type or a key is wrong. Nothing was written."""

    def __init__(self, where: str, message: str, remedy: str) -> None:
        super().__init__(f"{where}: {message}. {remedy}")
        self.where, self.message, self.remedy = where, message, remedy


class LakeOvertaken(LakeError):
    """Another run has replaced a day while this one was making it anew. Nothing was written over it."""

    def __init__(self, entity: str, company: str, partition: str) -> None:
        super().__init__(
            f"{entity} of {company}, {partition}: another run has written this day meanwhile, and what it "
            "wrote stays. Nothing is lost: run this read again, it goes on with the pages that came."
        )


class PageGone(LakeError):
    """A page that was put aside is gone: another reading of the same has used it, and ended."""

    def __init__(self, folder: str, page: str) -> None:
        super().__init__(
            f"{folder}: the page {page} is gone, because another read of the same records has ended "
            "meanwhile. Nothing is lost: run this read again."
        )


class LakeBusy(LakeError):
    """Other runs kept replacing the files while they were read."""

    def __init__(self, places: str, attempts: int) -> None:
        super().__init__(
            f"The files of {places} changed during each of {attempts} readings. "
            "Let the runs that write them finish, then run this one again."
        )
