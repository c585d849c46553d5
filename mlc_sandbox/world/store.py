"""Records and tables of the simulated ERP: keys, stamps, versions, and lazily built rows."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

OSLO = ZoneInfo("Europe/Oslo")

Row = dict[str, Any]


def wall(moment: datetime) -> datetime:
    """The Oslo wall-clock time of an aware time, without a zone: what the ERP stores and compares."""
    return moment.astimezone(OSLO).replace(tzinfo=None)


@dataclass(slots=True)
class Record:
    """One ERP record. Until it is changed its row is built from `facts`; then `row` is the record itself.

    `row` holds Decimals, dates (business dates), aware datetimes (system stamps) and plain JSON values. The
    system fields (lastModifiedDateTime, createdDateTime, timeStamp) are not in it: they come from the record.
    """

    key: str
    facts: Any
    stamp: datetime
    created: datetime
    wall: datetime
    counter: int
    row: Row | None = None
    text: bytes | None = None  # the served JSON of `variant`, dropped on every write
    variant: Any = None

    @property
    def time_stamp(self) -> str:
        """The row version as shown: Base64 of the eight-byte counter (vendors/visma.md section 14)."""
        return base64.b64encode(self.counter.to_bytes(8, "big")).decode()


class Counter:
    """Numbers one after the other; unlike itertools.count it can be part of a saved state everywhere."""

    def __init__(self, first: int) -> None:
        self.following = first

    def __next__(self) -> int:
        self.following += 1
        return self.following - 1


class Table:
    """All records of one entity of one company, in natural key order."""

    def __init__(self, name: str, build: Callable[[Any], Row], counter: Counter) -> None:
        self.name = name
        self.version = 0
        self._build = build
        self._counter = counter
        self._records: dict[str, Record] = {}
        self._sorted: list[Record] | None = None

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, key: object) -> bool:
        return key in self._records

    def __iter__(self) -> Iterator[Record]:
        return iter(self.sorted())

    def get(self, key: str) -> Record | None:
        """The record of this key, or None."""
        return self._records.get(key)

    def sorted(self) -> list[Record]:
        """The records in key order; the list is replaced, never changed, by writes."""
        if self._sorted is None:
            self._sorted = sorted(self._records.values(), key=lambda record: record.key)
        return self._sorted

    def row(self, record: Record) -> Row:
        """The record's row, built when nobody changed it yet. Not to be changed by the caller."""
        return record.row if record.row is not None else self._build(record.facts)

    def add(
        self,
        key: str,
        facts: Any,
        stamp: datetime,
        created: datetime | None = None,
        *,
        row: Row | None = None,
    ) -> Record:
        """Insert a record; stamps are kept in whole milliseconds."""
        if key in self._records:
            raise KeyError(f"{self.name} {key} exists already")
        stamp = _milliseconds(stamp)
        record = Record(
            key, facts, stamp, _milliseconds(created or stamp), wall(stamp), next(self._counter), row
        )
        self._records[key] = record
        self._sorted = None
        self.version += 1
        return record

    def touch(self, record: Record, now: datetime) -> None:
        """Stamp the record and raise its version, whether or not anything else in it changed."""
        record.stamp = _milliseconds(now)
        record.wall = wall(record.stamp)
        record.counter = next(self._counter)
        record.text = None
        self.version += 1

    def change(self, record: Record, fields: Row, now: datetime) -> None:
        """Replace top-level fields of the row and stamp it."""
        record.row = {**self.row(record), **fields}
        self.touch(record, now)

    def delete(self, key: str) -> Record:
        """Take a record away without a trace, as the ERP does."""
        record = self._records.pop(key)
        self._sorted = None
        self.version += 1
        return record

    def restamp(self, records: Iterable[Record], now: datetime) -> int:
        """Give the records one and the same stamp, as an upgrade of the ERP does."""
        count = 0
        for record in records:
            self.touch(record, now)
            count += 1
        return count

    def forget_texts(self) -> None:
        """Drop all rendered texts, because a switch changed how they are written."""
        for record in self._records.values():
            record.text = None


def _milliseconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)
