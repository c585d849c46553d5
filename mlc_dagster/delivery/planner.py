"""Compares the rows of a model with the ledger: what to create, update, delete and leave alone."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice

from mlc_dagster.delivery.changes import CHANGES_IN_A_PAGE, Changes
from mlc_dagster.delivery.destination import Destination
from mlc_dagster.delivery.errors import DuplicateKeys
from mlc_dagster.delivery.ledger import NOBODYS, Known, Ledger, State
from mlc_dagster.delivery.rows import Change, Op, Refusal, Row


@dataclass(frozen=True)
class Plan:
    """What a delivery would do.

    read: how many rows it was made from. changes: deletes first, then rows in the model's order. retried: how
    many of them an earlier run could not deliver. in_doubt: rows held back because an unjudged batch carries
    their key; unwanted: how many more keys such batches carry. forgotten: records that never reached the
    destination and that nobody wants any more; no call is needed for them.
    """

    read: int
    changes: Changes
    unchanged: int
    retried: int
    in_doubt: tuple[Row, ...]
    unwanted: int
    forgotten: tuple[Known, ...]

    @cached_property
    def _ops(self) -> Counter[Op]:
        return Counter(change.op for change in self.changes)

    @property
    def creates(self) -> int:
        """Rows the destination does not hold yet."""
        return self._ops[Op.CREATE]

    @property
    def updates(self) -> int:
        """Rows that differ from what the destination holds."""
        return self._ops[Op.UPDATE]

    @property
    def deletes(self) -> int:
        """Rows the destination holds and the model no longer has."""
        return self._ops[Op.DELETE]


def plan(
    ledger: Ledger,
    destination: Destination,
    company: str,
    rows: Iterable[Row],
    scope: Collection[str],
    *,
    refused: Iterable[Refusal] = (),
) -> Plan:
    """Compare rows with the ledger; writes nothing and calls nobody.

    rows: taken one by one, and only those that have to go are kept. scope: the source keys the rows answer
    for. A record of a source key in scope without a row is deleted, but not while any row of that source key,
    or of its own key, is refused: quarantine never takes the last good version away. Nobody's records are in
    every scope.
    Raises DuplicateKeys when two rows have one key.
    """
    # One more than a few, and the ledger gives us all it knows: the rest needs no asking for.
    rows, scope = iter(rows), {*scope, NOBODYS}
    first = list(islice(rows, ledger.FEW + 1))
    known = ledger.known(destination.name, company, keys=[row.key for row in first], source_keys=scope)
    held_back = ledger.keys_in_doubt(destination.name, company)
    seen: set[str] = set()
    in_doubt: list[Row] = []
    unchanged = retried = 0

    def wanted() -> Iterator[Change]:
        nonlocal unchanged, retried
        for row in _once(chain(first, rows), seen):
            before = known.get(row.key)
            if row.key in held_back:
                in_doubt.append(row)
            elif (change := _compare(row, before, destination.target)) is not None:
                retried += _is_left_over(before)
                yield change
            else:
                unchanged += 1

    changes = Changes.of(wanted())
    gone = _gone(known.values(), seen, scope, list(refused))
    gone = [record for record in gone if record.key not in held_back]
    there = [record for record in gone if record.there]
    return Plan(
        read=len(seen),
        changes=Changes.of(_deletes(ledger, destination, company, there)) + changes,
        unchanged=unchanged,
        retried=retried + sum(map(_is_left_over, there)),
        in_doubt=tuple(in_doubt),
        unwanted=len(held_back - seen),
        forgotten=tuple(record for record in gone if not record.there),
    )


def _once(rows: Iterable[Row], seen: set[str]) -> Iterator[Row]:
    """Pass the rows on and note their keys. Raises DuplicateKeys after the last row."""
    twice: list[str] = []
    for row in rows:
        if row.key in seen:
            twice.append(row.key)
            continue
        seen.add(row.key)
        yield row
    if twice:
        raise DuplicateKeys(
            f"{len(set(twice))} keys come more than once, the first is {twice[0]!r}. "
            "Give the model's contract a unique test on its key, or add the column that tells the rows apart."
        )


def _is_left_over(known: Known | None) -> bool:
    return known is not None and known.state in (State.PENDING, State.FAILED)


def _compare(row: Row, known: Known | None, target: str) -> Change | None:
    """The change that makes the destination equal to the row; None when it is already."""
    new = known is None or known.hash is None
    change = Change.of(
        Op.CREATE if new else Op.UPDATE, row, target, target_id=known.target_id if known else None
    )
    if known is not None and known.hash == change.hash and known.state == State.DELIVERED:
        return None
    return change


def _gone(
    known: Iterable[Known], wanted: Collection[str], scope: Collection[str], refused: Sequence[Refusal]
) -> Sequence[Known]:
    sources, keys = {refusal.source_key for refusal in refused}, {refusal.key for refusal in refused}
    return [
        record
        for record in known
        if record.key not in wanted
        and record.state != State.DELETED
        and record.source_key in scope
        and record.source_key not in sources
        and record.key not in keys
    ]


def _deletes(
    ledger: Ledger, destination: Destination, company: str, gone: Sequence[Known]
) -> Iterator[Change]:
    for start in range(0, len(gone), CHANGES_IN_A_PAGE):
        some = gone[start : start + CHANGES_IN_A_PAGE]
        last = ledger.payloads(destination.name, company, [record.key for record in some])
        for record in some:
            payload = {**last.get(record.key, {}), **(destination.tombstone or {})}
            row = Row(record.key, record.source_key, record.number, payload)
            yield Change.of(Op.DELETE, row, destination.target, record.target_id)
