"""Compares what a target shows with the ledger, row by row: the proof that a destination is equal."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from typing import Any

import sqlalchemy as sa

from mlc_dagster.database import reading
from mlc_dagster.database.schema import batch_members, batches, records
from mlc_dagster.delivery.destination import FoundRow, ReadBack
from mlc_dagster.delivery.ledger import UNRESOLVED, Ledger, State, chunks
from mlc_dagster.delivery.rows import Change, Op, decode

# Rows looked up at once: memory stays flat however many the target shows.
_AT_ONCE = 500
# Differences of each kind that are named; all are counted.
NAMED = 20
KEYLESS = "is there without a key, as a copy of"
_DONE = {Op.CREATE: "made", Op.UPDATE: "changed", Op.DELETE: "deleted"}


class Kind(StrEnum):
    """How a row differs."""

    MISSING = "missing"
    DIFFERENT = "different"
    EXTRA = "extra"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that differs. columns: what was delivered and what is shown, by column; empty where all is."""

    key: str
    kind: Kind
    words: str
    columns: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Surplus:
    """A row that is shown and should not be. payload: what it takes to delete it."""

    key: str
    payload: Mapping[str, Any]
    target_id: str | None = None


@dataclass
class Comparison:
    """What the target shows beside what the ledger says it was last sent, for one company.

    expected: rows the ledger says are there. found: rows that are shown, deleted ones left out. deleted: rows
    that show the values that mark them deleted. waiting: rows that are not compared, by the reason. Of the
    different rows, emptied are those that show nothing but their key, and revived those that were deleted.
    columns: how many rows differ in a column; unseen: delivered columns that the target does not show.
    totals: of each decimal column, what was delivered and what is shown. differences: of each kind the first
    ones, `named` at most. stale: rows the lake has otherwise than the ledger, and that no run would send; 0
    where nobody looked. wrong: the keys of all rows that can be sent again: missing, different or stale.
    surplus: the rows that can be taken away again, by key: deleted ones that show, and those that nobody
    sent. copies: how many rows are there more than once, which nobody but people can tell apart. read: False
    where the target shows nothing, so that only the lake can be compared with the ledger.
    """

    destination: str
    company: str
    expected: int = 0
    found: int = 0
    deleted: int = 0
    missing: int = 0
    different: int = 0
    extra: int = 0
    stale: int = 0
    emptied: int = 0
    revived: int = 0
    waiting: Counter[str] = field(default_factory=Counter)
    columns: Counter[str] = field(default_factory=Counter)
    unseen: set[str] = field(default_factory=set)
    totals: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    wrong: set[str] = field(default_factory=set)
    surplus: dict[str, Surplus] = field(default_factory=dict)
    copies: int = 0
    named: int = NAMED
    read: bool = True

    @property
    def equal(self) -> bool:
        """Whether the target shows every row as it was delivered, none besides, and none is stale.

        Of one that was not read it says only that none is stale.
        """
        return not (self.missing or self.different or self.extra or self.stale)

    def add(self, difference: Difference) -> None:
        """Name a difference that was counted, unless enough of its kind are named."""
        if difference.kind is not Kind.EXTRA:
            self.wrong.add(difference.key)
        if getattr(self, difference.kind) <= self.named:
            self.differences.append(difference)

    def by_kind(self, at_most: int = NAMED) -> dict[Kind, list[Difference]]:
        """The named differences, so many of each kind there is any of."""
        kinds = {kind: [each for each in self.differences if each.kind is kind] for kind in Kind}
        return {kind: found[:at_most] for kind, found in kinds.items() if found}

    def beside_the_lake(self, changes: Sequence[Change]) -> None:
        """Note the changes that a look at all records would make and the next delivery would not."""
        for change in changes:
            self.stale += 1
            self.surplus.pop(change.row.key, None)
            words = f"is to be {_DONE[change.op]} by what the lake holds, and no run would do it"
            self.add(Difference(change.row.key, Kind.STALE, words))


def reconcile(
    ledger: Ledger,
    read_back: ReadBack,
    destination: str,
    company: str,
    *,
    tombstone: Mapping[str, Any] | None,
    named: int = NAMED,
) -> Comparison:
    """Read the target and compare it with what it was last sent. Writes nothing and holds no lease.

    Deliveries may go on meanwhile: a row is looked up after it was read, and left out when a delivery carries
    it or has confirmed it since we began. `tombstone`: as of the destination; deleted rows may show its
    values, or be gone; where `read_back.removes` they must be gone. `named`: so many differences of each kind
    are named. Raises what `read_back.rows` raises.
    """
    looking = _Looking(ledger, read_back, Comparison(destination, company, named=named), tombstone)
    for rows in _batched(read_back.rows(company), _AT_ONCE):
        looking.judge(rows)
    looking.miss()
    return looking.comparison


@dataclass(frozen=True, slots=True)
class _Record:
    """What the ledger says of a key."""

    company: str
    state: State
    payload: Mapping[str, Any]
    updated_at: datetime


class _Looking:
    """One comparison under way."""

    def __init__(
        self,
        ledger: Ledger,
        read_back: ReadBack,
        comparison: Comparison,
        tombstone: Mapping[str, Any] | None,
    ) -> None:
        self.comparison = comparison
        self._ledger, self._read_back = ledger, read_back
        kept = None if read_back.removes else tombstone
        self._gone = None if kept is None else read_back.as_shown(kept)
        self._began = ledger.clock.now()
        self._seen: set[str] = set()
        self._shown: Collection[str] = ()

    def judge(self, rows: Sequence[FoundRow]) -> None:
        """Compare some rows with the ledger."""
        keys = [row.key for row in rows]
        # In this order: a batch that is confirmed between the two looks is seen by one of them.
        carried, records = self._carried(keys), self._records(keys)
        for row in rows:
            self._shown = row.values.keys()
            if row.copy_of is not None:
                self.comparison.copies += 1
                self._extra(row, f"{KEYLESS} {row.copy_of}")
            elif row.key in self._seen:
                self.comparison.copies += 1
                self._extra(row, "is shown more than once")
            elif row.key in carried:
                pass
            elif (record := records.get(row.key)) is None:
                if row.company in (None, self.comparison.company):
                    self._extra(row, "was never sent: somebody else made it")
                    self._condemn(row)
            elif record.company == self.comparison.company:
                self._compare(row, record)
            self._seen.add(row.key)

    def miss(self) -> None:
        """Count what the ledger says is there and was not shown, and what waits to be sent."""
        place = self.comparison.destination, self.comparison.company
        in_doubt = self._ledger.keys_in_doubt(*place)
        missing = []
        for key, state, updated_at in self._standing():
            if key in in_doubt:
                continue
            if state is not State.DELIVERED:
                self.comparison.waiting[state.value] += 1
            elif updated_at > self._began:
                self.comparison.waiting["sent meanwhile"] += 1
            elif key not in self._seen:
                missing.append(key)
        if in_doubt:
            self.comparison.waiting["in doubt"] = len(in_doubt)
        for keys in chunks(missing):
            for key, payload in self._ledger.payloads(*place, keys).items():
                ours = self._read_back.as_shown(payload)
                if ours is None:
                    continue
                self._expect(ours)
                self.comparison.missing += 1
                self.comparison.add(Difference(key, Kind.MISSING, "was delivered and is not shown"))

    def _compare(self, row: FoundRow, record: _Record) -> None:
        if record.updated_at > self._began:
            return
        if record.state is State.DELETED:
            self._compare_deleted(row)
        elif record.state is State.DELIVERED:
            ours = self._read_back.as_shown(record.payload)
            self._find(row)
            if ours is None:
                self._surplus(row, "was delivered empty and shows values")
                return
            self.comparison.unseen |= ours.keys() - row.values.keys()
            self._expect(ours)
            self._differ(row, ours, "shows other values than were delivered")

    def _compare_deleted(self, row: FoundRow) -> None:
        if self._gone is None:
            self._surplus(row, "was deleted and is still shown")
        if self._gone is None or self._differ(row, self._gone, "was deleted and does not show it"):
            self.comparison.revived += 1
            self.comparison.wrong.discard(row.key)
            self._condemn(row)
            self._find(row)
        else:
            self.comparison.deleted += 1

    def _differ(self, row: FoundRow, ours: Mapping[str, Any], words: str) -> bool:
        """Note the columns in which a row differs from ours; whether there are any."""
        differing = {
            name: (ours[name], theirs)
            for name, theirs in row.values.items()
            if name in ours and ours[name] != theirs
        }
        if differing:
            self.comparison.different += 1
            self.comparison.columns.update(differing.keys())
            if not any(value for name, value in row.values.items() if name in ours and value != row.key):
                self.comparison.emptied += 1
                words = "shows nothing but its key"
            self.comparison.add(Difference(row.key, Kind.DIFFERENT, words, differing))
        return bool(differing)

    def _surplus(self, row: FoundRow, words: str) -> None:
        """Note a row of ours of which nothing should be shown."""
        self.comparison.different += 1
        self.comparison.add(Difference(row.key, Kind.DIFFERENT, words))

    def _extra(self, row: FoundRow, words: str) -> None:
        self.comparison.extra += 1
        self._find(row)
        self.comparison.add(Difference(row.key, Kind.EXTRA, words))

    def _condemn(self, row: FoundRow) -> None:
        payload = self._read_back.to_delete(row)
        self.comparison.surplus[row.key] = Surplus(row.key, payload, row.target_id)

    def _expect(self, ours: Mapping[str, Any]) -> None:
        self.comparison.expected += 1
        shown = self._shown or ours.keys()
        self._add({name: value for name, value in ours.items() if name in shown}, 0)

    def _find(self, row: FoundRow) -> None:
        self.comparison.found += 1
        self._add(row.values, 1)

    def _add(self, values: Mapping[str, Any], side: int) -> None:
        for name, value in values.items():
            if isinstance(value, Decimal):
                delivered, shown = self.comparison.totals.get(name, (Decimal(), Decimal()))
                self.comparison.totals[name] = (delivered + value * (1 - side), shown + value * side)

    def _records(self, keys: Sequence[str]) -> dict[str, _Record]:
        """The ledger's records of these keys, of any company; our own wins, unless it was deleted."""
        destination, company = self.comparison.destination, self.comparison.company
        # By company too: the records' index begins with destination and company.
        companies = self._ledger.companies(destination)
        query = sa.select(records).where(records.c.destination == destination, records.c.key.in_(keys))
        with reading(self._ledger.engine) as connection:
            found = connection.execute(query.where(records.c.company.in_(companies)))
            rows = sorted(found, key=lambda row: (row.state != State.DELETED, row.company == company))
        return {
            row.key: _Record(
                row.company,
                State(row.state),
                decode(row.payload) if row.payload and row.company == company else {},
                row.updated_at,
            )
            for row in rows
        }

    def _carried(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that a batch carries now, for any company: they may be there, or not yet."""
        members = batch_members.join(batches, batches.c.id == batch_members.c.batch_id)
        query = sa.select(batch_members.c.key).select_from(members)
        query = query.where(
            batches.c.destination == self.comparison.destination,
            batches.c.state.in_(UNRESOLVED),
            batch_members.c.key.in_(keys),
        )
        with reading(self._ledger.engine) as connection:
            return set(connection.execute(query).scalars())

    def _standing(self) -> Iterator[tuple[str, State, datetime]]:
        """Key, state and time of every record of the company that is not deleted."""
        query = sa.select(records.c.key, records.c.state, records.c.updated_at).where(
            records.c.destination == self.comparison.destination,
            records.c.company == self.comparison.company,
            records.c.state != State.DELETED,
        )
        with reading(self._ledger.engine) as connection:
            for key, state, updated_at in connection.execute(query.execution_options(yield_per=2_000)):
                yield key, State(state), updated_at


def _batched(rows: Iterator[FoundRow], size: int) -> Iterator[list[FoundRow]]:
    while batch := list(islice(rows, size)):
        yield batch
