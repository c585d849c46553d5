"""What the validator has to say: one finding a mistake, with the code an acknowledgment gives it."""

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """What a finding means for the set it is in."""

    ERROR = "error"  # the set is rejected
    TOLERATED = "tolerated"  # accepted with errors: we skip what we do not know
    WARNING = "warning"  # no 997 speaks of it


class Level(Enum):
    """Which segment of an acknowledgment carries the finding, and so which list its code is from."""

    INTERCHANGE = "TA1"
    GROUP = "AK9"
    SET = "AK5"
    SEGMENT = "AK3"
    ELEMENT = "AK4"


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake.

    `where` names interchange, group, set and document. `position` counts segments of the set from 1 (ST),
    `element` elements of the segment and `component` components of the element from 1; 0 where that does not
    apply. `code` is of TA105, AK905, AK502, AK304 or AK403, by `level`; "" where the standard has none.
    `value` is the text as read.
    """

    severity: Severity
    level: Level
    code: str
    message: str
    where: str = ""
    segment: str = ""
    position: int = 0
    loop: str = ""
    element: int = 0
    component: int = 0
    number: str = ""
    value: str = ""

    @property
    def place(self) -> str:
        """Such as `PO1 03, segment 14`; "" for what concerns a set, group or interchange as a whole."""
        if not self.segment:
            return ""
        element = f" {self.element:02}" if self.element else ""
        component = f".{self.component}" if self.component else ""
        position = f", segment {self.position}" if self.position else ""
        return f"{self.segment}{element}{component}{position}"

    def __str__(self) -> str:
        parts = (part for part in (self.where, self.place, self.message) if part)
        return f"{self.severity.value}: " + ": ".join(parts)
