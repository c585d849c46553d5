"""What we remember of each data source beside the ledger: in our database, safe at restarts."""

import re
from dataclasses import asdict, dataclass, replace
from typing import Any

from mlc_dagster.delivery.memory import Memory

PREFIX = "datasource:"
NUMBERED = re.compile(r"\(publication (\d{1,9})\)$")


@dataclass(frozen=True)
class Publication:
    """A publication under way. asked (ISO, UTC): when the call was sent; job: empty until it was answered.

    fingerprint: of the columns it has.
    """

    batch: str
    asked: str
    job: str = ""
    fingerprint: str = ""


@dataclass(frozen=True)
class SourceState:
    """A data source as we know it. ours: we have begun to publish it, or were told to take it over.

    id: empty before the first publication, or when it is gone. fingerprint: of the columns that were
    published; empty while it is not known what is published. publications: how many we have sent; shown: the
    number that its description told last, 0 for none. layout: how often its columns have changed. failed:
    updates that failed in a row.
    """

    ours: bool = False
    id: str = ""
    fingerprint: str = ""
    publication: Publication | None = None
    publications: int = 0
    shown: int = 0
    layout: int = 0
    failed: int = 0


class Source:
    """The state of one data source, written before every call that may not be forgotten."""

    def __init__(self, memory: Memory, title: str) -> None:
        self._memory, self._name = memory, f"{PREFIX}{title}"
        self._remembered = memory.read(self._name)

    @property
    def state(self) -> SourceState:
        """The state as last written."""
        value = dict(self._remembered.value)
        under_way = value.pop("publication", None)
        return SourceState(**value, publication=Publication(**under_way) if under_way else None)

    def save(self, **changes: Any) -> SourceState:
        """Write changes; they are on disk before this returns. Raises LeaseLost."""
        state = replace(self.state, **changes)
        self._remembered = self._memory.write(self._name, self._remembered, asdict(state))
        return state


def numbered(description: str, number: int) -> str:
    """The description of a publication: an older one that comes late, or is restored, is known by it."""
    return f"{description} (publication {number})"


def number_in(description: str) -> int:
    """The number of the publication a description tells; 0 for none."""
    found = NUMBERED.search(description)
    return int(found[1]) if found else 0
