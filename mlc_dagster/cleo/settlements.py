"""What people have settled with partners: a document that cannot be told stays at its partner as it is.

A settlement holds for the record as it was when somebody looked at it. Once the ERP changes it in anything
but master data, it waits for a person again.
"""

import hashlib
import json
from dataclasses import dataclass

import sqlalchemy as sa

from mlc_dagster.cleo.documents import MASTER_DATA
from mlc_dagster.clock import Clock
from mlc_dagster.delivery.memory import Memory
from mlc_dagster.delivery.quarantine import Entry
from mlc_dagster.delivery.rows import Change, raw_text


@dataclass(frozen=True, slots=True)
class Settled:
    """Who settled a document, and why the partner keeps what it has."""

    by: str
    reason: str

    def __str__(self) -> str:
        return f"Settled by {self.by}: {self.reason}"


class Settlements:
    """Reads and writes settlements, by destination, company and key."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def of(self, destination: str, change: Change) -> Settled | None:
        """What was settled of a record as it is now."""
        row = change.row
        found = self._memory(destination, str(row.payload["company"])).read(row.key).value
        if found.get("version") != _version(raw_text(row.payload)):
            return None
        return Settled(found["by"], found["reason"])

    def keep(self, entry: Entry, settled: Settled) -> None:
        """Settle a record as it lies in quarantine."""
        value = {"version": _version(entry.raw), "by": settled.by, "reason": settled.reason}
        self._memory(entry.place, entry.company).change(entry.key, lambda _: value)

    def _memory(self, destination: str, company: str) -> Memory:
        return Memory(self._engine, self._clock, f"settled {destination} {company}")


def _version(raw: str) -> str:
    """A record's version, told from its columns as they are written for people."""
    columns = {name: value for name, value in json.loads(raw).items() if name not in MASTER_DATA}
    return hashlib.sha256(json.dumps(columns, sort_keys=True).encode()).hexdigest()
