"""What can be wrong, in one shape."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Kind(StrEnum):
    """What is wrong, in the words a message begins with."""

    RUN = "A run fails"
    CHECK = "A check fails"
    STALE = "Out of date"
    DOUBT = "In doubt for too long"
    REFUSED = "Refused by the target"
    QUARANTINE = "In quarantine"
    WAITING = "Work waits although it may go on"
    EXPIRY = "A credential ends"
    CHANNEL = "A channel of alerts fails"


# Read from Dagster's event log, one after the other; all others are looked at anew in every round.
OF_DAGSTER = (Kind.RUN, Kind.CHECK)


class Severity(IntEnum):
    """How bad it is."""

    WARNING = 1
    ERROR = 2

    @property
    def word(self) -> str:
        """As settings and messages name it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong. `kind` and `subject` together say whether two findings are the same.

    subject: whom or what it concerns, such as `anaplan NO01`. what: the cause, the same words for the same
    cause. remedy: what to do. pair: None when no pair is concerned. count: runs, rows or records. link: the
    path in Dagster's UI.
    """

    kind: Kind
    subject: str
    severity: Severity
    what: str
    remedy: str
    pair: str | None = None
    count: int = 1
    link: str | None = None
