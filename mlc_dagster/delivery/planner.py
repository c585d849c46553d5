"""Compares the rows of a model with the ledger: what to create, update, delete and leave alone."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mlc_dagster.delivery.destination import Destination
from mlc_dagster.delivery.errors import DuplicateKeys
from mlc_dagster.delivery.ledger import Known, Ledger, State
from mlc_dagster.delivery.rows import Change, Op, Refusal, Row, content_hash


@dataclass(frozen=True)
class Plan:
    """What a delivery would do.

    changes: deletes first, then rows in the model's order. retried: how many of them an earlier run could
    not deliver. in_doubt: rows held back because an unjudged batch carries their key; unwanted: how many more
    keys such batches carry. forgotten: records that never reached the destination and that nobody wants any
    more; no call is needed for them.
    """

    changes: tuple[Change, ...]
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

    scope: the source keys the rows answer for. A record of a source key in scope without a row is deleted,
    but not while any row of that source key, or of its own key, is refused: quarantine never takes the last
    good version away.
    Raises DuplicateKeys when two rows have one key.
    """
    wanted = _by_key(rows)
    known = ledger.known(destination.name, company, keys=wanted, source_keys=scope)
    held_back = ledger.keys_in_doubt(destination.name, company)
    changes = [
        change
        for key, row in wanted.items()
        if key not in held_back and (change := _compare(row, known.get(key), destination.target)) is not None
    ]
    in_doubt = tuple(row for key, row in wanted.items() if key in held_back)
    gone = _gone(known.values(), wanted, frozenset(scope), list(refused))
    gone = [record for record in gone if record.key not in held_back]
    deletes = _deletes(ledger, destination, company, [record for record in gone if record.there])
    every = (*deletes, *changes)
    return Plan(
        changes=every,
        unchanged=len(wanted) - len(changes) - len(in_doubt),
        retried=sum(_is_left_over(known.get(change.row.key)) for change in every),
        in_doubt=in_doubt,
        unwanted=len(held_back - wanted.keys()),
        forgotten=tuple(record for record in gone if not record.there),
    )


def _by_key(rows: Iterable[Row]) -> dict[str, Row]:
    listed = list(rows)
    wanted = {row.key: row for row in listed}
    if len(wanted) < len(listed):
        counts = Counter(row.key for row in listed)
        twice = [key for key, count in counts.items() if count > 1]
        raise DuplicateKeys(
            f"{len(twice)} keys come more than once, the first is {twice[0]!r}. "
            "Give the model's contract a unique test on its key, or add the column that tells the rows apart."
        )
    return wanted


def _is_left_over(known: Known | None) -> bool:
    return known is not None and known.state in (State.PENDING, State.FAILED)


def _compare(row: Row, known: Known | None, target: str) -> Change | None:
    """The change that makes the destination equal to the row; None when it is already."""
    new = content_hash(row, target)
    if known is None or known.hash is None:
        return Change(Op.CREATE, row, new, known.target_id if known else None)
    if known.hash == new and known.state == State.DELIVERED:
        return None
    return Change(Op.UPDATE, row, new, known.target_id)


def _gone(
    known: Iterable[Known], wanted: Mapping[str, Row], scope: frozenset[str], refused: Sequence[Refusal]
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
) -> Iterable[Change]:
    last: Mapping[str, Mapping[str, Any]] = ledger.payloads(
        destination.name, company, [record.key for record in gone]
    )
    for record in gone:
        payload = {**last.get(record.key, {}), **(destination.tombstone or {})}
        row = Row(record.key, record.source_key, record.number, payload)
        yield Change(Op.DELETE, row, content_hash(row, destination.target), record.target_id)
