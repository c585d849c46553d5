"""The way of small changes: items and cells are written one by one, without file, task or polling.

It is only ever a short cut. Whatever it is refused, or does not understand, goes the long way: the same batch
is carried by the imports, whose verdict counts.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mlc_dagster.anaplan.answers import FileFormat, LineItem
from mlc_dagster.anaplan.cellplaces import CellPlaces
from mlc_dagster.anaplan.client.cells import MOST_CELLS, Written
from mlc_dagster.anaplan.csvfile import Unwritable, text
from mlc_dagster.anaplan.feed import Feed
from mlc_dagster.anaplan.preflight import equal_codes
from mlc_dagster.anaplan.runner import OFFLINE, Runner, in_doubt, translated
from mlc_dagster.anaplan.taskrun import StillRunning, waits
from mlc_dagster.delivery import errors as delivery
from mlc_dagster.delivery.destination import Batch
from mlc_dagster.delivery.rows import Op
from mlc_dagster.settings.anaplan import AnaplanSmallChanges
from mlc_dagster.transport import errors as transport

# A model in these states takes no import either: archived, locked, offline; nor does a token that is refused.
CLOSED_TO_ALL = frozenset({401, 422, 423, OFFLINE})
PLAIN = FileFormat(headers=())

log = logging.getLogger(__name__)


class Unclear(Exception):
    """A call was refused in part, or answers what we do not understand. The audit trail shows the text."""


class SmallWay:
    """Writes a few rows by the transactional API: update items, add what is missing, then write cells. Rows
    that are no items are cells only.

    The checkpoint's `small` is `writing` before the first call, then `done`, or `left` once nothing of it can
    arrive late any more: see `settle`.
    """

    def __init__(
        self,
        feed: Feed,
        runner: Runner,
        settings: AnaplanSmallChanges,
        *,
        parameters: Mapping[str, str],
        deletes: bool,
    ) -> None:
        """`parameters` names an item of each dimension besides the list; `deletes`: items are removed."""
        self._feed, self._runner, self._settings = feed, runner, settings
        self._parameters, self._deletes = parameters, deletes
        self._places: CellPlaces | None = None

    @property
    def up_to(self) -> int:
        """The largest number of changes that goes this way."""
        return self._settings.up_to

    @property
    def preflight_calls(self) -> int:
        """The model's modules and the module's line items; for items the model's lists and the list."""
        return 4 if self._settings.list else 2

    def takes(self, batch: Batch) -> bool:
        """Whether a batch is small enough and plain, or has gone this way before."""
        if batch.checkpoint:
            return "small" in batch.checkpoint
        few = len(batch.changes) <= self.up_to
        return few and not equal_codes([change.row.key for change in batch.changes])

    def look_up(self) -> None:
        """Find module, line items and list or dimensions, and check that every cell can be addressed."""
        self._places = self._looked_up()

    def carry(self, batch: Batch) -> Mapping[str, Any] | None:
        """Write a batch that nobody has begun; what was written, or None when it has to go the long way.

        Raises:
            InDoubtError: a write may still be under way.
            Closed, Stop: no call can be made; nothing is under way.
        """
        note = batch.checkpoint.get("small")
        return self._begin(batch) if note is None else note.get("counts")

    def calls(self, rows: int) -> int:
        """For items update, add, and one where there may be deletes; and those the cells need."""
        cells = -(-rows * len(self._feed.columns) // MOST_CELLS)
        return cells + (2 + self._deletes if self._settings.list else 0)

    def _looked_up(self) -> CellPlaces:
        catalog = self._runner.client.catalog
        return CellPlaces.find(catalog, self._feed, self._settings, self._parameters)

    def _begin(self, batch: Batch) -> Mapping[str, Any] | None:
        places = self._places or self._looked_up()
        try:
            rows = _Rows.of(batch, self._feed, places, deletes=self._deletes)
        except Unwritable as reason:
            # The import's file refuses that row and takes the others.
            leave(batch, str(reason))
            return None
        batch.save(small={"state": "writing"})
        try:
            counts = self._write(places, rows)
        except Unclear as reason:
            leave(batch, str(reason))
        except transport.CallFailed as failure:
            self._failed(batch, failure)
        else:
            batch.save(small={"state": "done", "counts": counts})
            return counts
        return None

    def _write(self, places: CellPlaces, rows: "_Rows") -> dict[str, int]:
        """Bring the items in order where rows are items, then write the cells. Returns what was done."""
        new: Collection[str] = ()
        counts: dict[str, int] = {}
        if places.item_list is not None:
            items = [self._item(places, code, name) for code, name in rows.items.items()]
            new, counts = self._write_items(places.item_list.id, items, rows.deleted)
        wanted = list(_cells(places, rows, new))
        if wanted and (written := self._runner.client.cells.write(places.module.id, wanted)).refused:
            raise Unclear(f"a cell was refused: {written.words}")
        return counts | {"cells written": len(wanted)}

    def _write_items(
        self, by_list: str, items: Sequence[Mapping[str, Any]], deleted: Sequence[str]
    ) -> tuple[Collection[str], dict[str, int]]:
        """Update items, add those that are missing, remove the deleted; the first are the codes added."""
        cells = self._runner.client.cells
        updated = cells.update_items(by_list, items) if items else Written(0, {})
        if updated.done + len(updated.refused) != len(items):
            raise Unclear(f"Anaplan says nothing of {len(items)} items but that {updated.done} are updated")
        added = [items[index] for index in sorted(updated.refused)]
        if added:
            _all_done("add", cells.add_items(by_list, added), len(added))
        if deleted:
            _all_done("delete", cells.delete_items(by_list, deleted), len(deleted))
        return {item["code"] for item in added}, {
            "items updated": updated.done,
            "items added": len(added),
            "items deleted": len(deleted),
        }

    def _item(self, places: CellPlaces, code: str, name: str) -> dict[str, Any]:
        """A numbered list takes no name; what people see there is a property (section 9)."""
        if not places.numbered:
            return {"code": code, "name": name}
        shown = self._settings.name_property
        return {"code": code, "properties": {shown: name}} if shown else {"code": code}

    def _failed(self, batch: Batch, failure: transport.CallFailed) -> None:
        """A call that was answered with a failure, or not at all."""
        if isinstance(failure, transport.InDoubt):
            settle(batch, self._runner, str(failure))
            return
        leave(batch, str(failure))
        if isinstance(failure, transport.Closed) or failure.status in CLOSED_TO_ALL:
            raise translated(failure, self._runner.name, self._runner.client.clock) from failure


def settle(batch: Batch, runner: Runner, reason: str) -> None:
    """Wait until no small write of a batch can arrive any more, if one may be under way; then it is `left`.

    A write whose answer is lost, or whose process died, may land late, over something newer. So nothing newer
    is sent until the grace is over and the model is not busy.

    Raises:
        InDoubtError: the model stays busy, or cannot be asked.
    """
    if (batch.checkpoint.get("small") or {}).get("state") != "writing":
        return
    where = f"{runner.name} {batch.company}: small changes"
    try:
        for waited in waits(runner.client.clock, runner.pace, "a write whose answer was lost"):
            if waited >= runner.pace.grace and not runner.client.catalog.model().busy:
                break
    except StillRunning as running:
        raise delivery.InDoubtError(f"{where}: {running}") from running
    except transport.CallFailed as failure:
        raise in_doubt(failure, where) from failure
    leave(batch, reason)


def leave(batch: Batch, reason: str) -> None:
    """Nothing of the small way is under way any more; the batch goes the long way."""
    log.info("%s: small changes go the long way: %s", batch.destination, reason)
    batch.save(small={"state": "left", "reason": reason})


@dataclass(frozen=True, slots=True)
class _Rows:
    """A batch as the small way writes it: by code its item's name, its key's columns and its cells; and the
    codes to remove.
    """

    items: Mapping[str, str]
    keys: Mapping[str, Mapping[str, str]]
    cells: Mapping[str, Mapping[str, Any]]
    deleted: Sequence[str]

    @classmethod
    def of(cls, batch: Batch, feed: Feed, places: CellPlaces, *, deletes: bool) -> "_Rows":
        """Raises Unwritable for a value that no cell can hold."""
        gone = dict.fromkeys(change.row.key for change in batch.changes if deletes and change.op is Op.DELETE)
        rows = {change.row.key: change.row.payload for change in batch.changes if change.row.key not in gone}
        return cls(
            items={code: text(feed.item_text(code, payload), PLAIN) for code, payload in rows.items()},
            keys={
                code: {name: text(payload.get(name), PLAIN) for name in feed.key}
                for code, payload in rows.items()
            },
            cells={
                code: {name: _value(payload.get(name), item) for name, item in places.line_items.items()}
                for code, payload in rows.items()
            },
            deleted=list(gone),
        )


def _cells(places: CellPlaces, rows: _Rows, new: Collection[str]) -> Iterator[dict[str, Any]]:
    """Every cell of every row. A new item's empty cells need no write; an old one's are emptied.

    That an empty text empties a cell is our assumption (section 9 [?]); where it is refused, the batch goes
    the long way.
    """
    for code, values in rows.cells.items():
        for column, value in values.items():
            if value == "" and code in new:
                continue
            item = places.line_items[column]
            where = places.coordinates(item, rows.keys[code])
            yield {"lineItemId": item.id, "dimensions": where, "value": value}


def _value(value: Any, item: LineItem) -> str | bool | Decimal:
    """A cell's value, equal to what the import's file would say: texts by their rules, numbers exactly."""
    plain = text(value, PLAIN)
    if item.format == "BOOLEAN" and isinstance(value, bool):
        return value
    return Decimal(plain) if item.format == "NUMBER" and isinstance(value, int | Decimal) else plain


def _all_done(what: str, written: Written, wanted: int) -> None:
    if written.refused or written.done != wanted:
        raise Unclear(f"{what}: {written.done} of {wanted} items are done. {written.words}".rstrip())
