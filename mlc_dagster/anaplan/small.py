"""The way of small changes: items and cells are written one by one, without file, task or polling.

It is only ever a short cut. Whatever it is refused, or does not understand, goes the long way: the same batch
is carried by the imports, whose verdict counts.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mlc_dagster.anaplan.answers import FileFormat, LineItem, NamedObject
from mlc_dagster.anaplan.client.cells import MOST_CELLS, Written
from mlc_dagster.anaplan.csvfile import Unwritable, text
from mlc_dagster.anaplan.feed import Feed
from mlc_dagster.anaplan.preflight import PreflightFailed, equal_codes, named
from mlc_dagster.anaplan.runner import OFFLINE, Runner, in_doubt, translated
from mlc_dagster.anaplan.taskrun import StillRunning, waits
from mlc_dagster.delivery import errors as delivery
from mlc_dagster.delivery.destination import Batch
from mlc_dagster.delivery.rows import Op
from mlc_dagster.settings.anaplan import AnaplanSmallChanges
from mlc_dagster.transport import errors as transport

VERSIONS_ID = "20000000020"
# A model in these states takes no import either: archived, locked, offline; nor does a token that is refused.
CLOSED_TO_ALL = frozenset({401, 422, 423, OFFLINE})
PLAIN = FileFormat(headers=())

log = logging.getLogger(__name__)


class Unclear(Exception):
    """A call was refused in part, or answers what we do not understand. The audit trail shows the text."""


@dataclass(frozen=True, slots=True)
class Target:
    """List and module of a feed as pre-flight found them, and the line item of each column."""

    list: NamedObject
    module: NamedObject
    numbered: bool
    line_items: Mapping[str, LineItem]


class SmallWay:
    """Writes a few rows by the transactional API: update items, add what is missing, then write cells.

    The checkpoint's `small` is `writing` before the first call, then `done`, or `left` once nothing of it can
    arrive late any more: see `settle`.
    """

    # The model's lists and modules, the list, and the module's line items.
    preflight_calls = 4

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
        self._target: Target | None = None

    @property
    def up_to(self) -> int:
        """The largest number of changes that goes this way."""
        return self._settings.up_to

    def takes(self, batch: Batch) -> bool:
        """Whether a batch is small enough and plain, or has gone this way before."""
        if batch.checkpoint:
            return "small" in batch.checkpoint
        few = len(batch.changes) <= self.up_to
        return few and not equal_codes([self._feed.code(change) for change in batch.changes])

    def look_up(self) -> None:
        """Find list, module and line items, and check that every cell can be addressed."""
        self._target = self._resolved()

    def carry(self, batch: Batch) -> Mapping[str, Any] | None:
        """Write a batch that nobody has begun; what was written, or None when it has to go the long way.

        Raises:
            InDoubtError: a write may still be under way.
            Closed, Stop: no call can be made; nothing is under way.
        """
        note = batch.checkpoint.get("small")
        return self._begin(batch) if note is None else note.get("counts")

    def calls(self, rows: int) -> int:
        """Update, add, where there may be deletes one for them, and those the cells need."""
        cells = -(-rows * len(self._feed.columns) // MOST_CELLS)
        return 2 + self._deletes + cells

    def _resolved(self) -> Target:
        catalog = self._runner.client.catalog
        by_list = named(catalog.lists(), self._settings.list, "list")
        module = named(catalog.modules(), self._settings.module, "module")
        numbered = catalog.is_numbered(by_list.id)
        found = {item.name: item for item in catalog.line_items(module.id)}
        wanted = [name for name in self._feed.columns if name != self._feed.code_column]
        if missing := [name for name in wanted if name not in found]:
            raise PreflightFailed(
                f"small_changes: module {module.name!r} has no line item {', '.join(missing)}. Line items "
                f"must have the names of the mapping's columns; else leave `small_changes` out."
            )
        target = Target(by_list, module, numbered, {name: found[name] for name in wanted})
        for name in wanted:
            self._coordinates(target, found[name], code="")
        return target

    def _begin(self, batch: Batch) -> Mapping[str, Any] | None:
        target = self._target or self._resolved()
        try:
            rows = _Rows.of(batch, self._feed, target, deletes=self._deletes)
        except Unwritable as reason:
            # The import's file refuses that row and takes the others.
            leave(batch, str(reason))
            return None
        batch.save(small={"state": "writing"})
        try:
            counts = self._write(target, rows)
        except Unclear as reason:
            leave(batch, str(reason))
        except transport.CallFailed as failure:
            self._failed(batch, failure)
        else:
            batch.save(small={"state": "done", "counts": counts})
            return counts
        return None

    def _write(self, target: Target, rows: "_Rows") -> dict[str, int]:
        """Update items, add those that are missing, remove the deleted, write the cells."""
        cells, by_list = self._runner.client.cells, target.list.id
        items = [self._item(target, code, name) for code, name in rows.items.items()]
        updated = cells.update_items(by_list, items) if items else Written(0, {})
        if updated.done + len(updated.refused) != len(items):
            raise Unclear(f"Anaplan says nothing of {len(items)} items but that {updated.done} are updated")
        added = [items[index] for index in sorted(updated.refused)]
        if added:
            _all_done("add", cells.add_items(by_list, added), len(added))
        if rows.deleted:
            _all_done("delete", cells.delete_items(by_list, rows.deleted), len(rows.deleted))
        new = {item["code"] for item in added}
        wanted = list(self._cells(target, rows, new))
        if wanted and (written := cells.write(target.module.id, wanted)).refused:
            raise Unclear(f"a cell was refused: {written.words}")
        return {
            "items updated": updated.done,
            "items added": len(added),
            "items deleted": len(rows.deleted),
            "cells written": len(wanted),
        }

    def _item(self, target: Target, code: str, name: str) -> dict[str, Any]:
        """A numbered list takes no name; what people see there is a property (section 9)."""
        if not target.numbered:
            return {"code": code, "name": name}
        shown = self._settings.name_property
        return {"code": code, "properties": {shown: name}} if shown else {"code": code}

    def _cells(self, target: Target, rows: "_Rows", new: Collection[str]) -> Iterator[dict[str, Any]]:
        """Every cell of every row. A new item's empty cells need no write; an old one's are emptied.

        That an empty text empties a cell is our assumption (section 9 [?]); where it is refused, the batch
        goes the long way.
        """
        for code, values in rows.cells.items():
            for column, value in values.items():
                if value == "" and code in new:
                    continue
                item = target.line_items[column]
                where = self._coordinates(target, item, code)
                yield {"lineItemId": item.id, "dimensions": where, "value": value}

    def _coordinates(self, target: Target, item: LineItem, code: str) -> list[dict[str, str]]:
        """Every dimension of a line item: the list by code, others by the name in the settings."""
        if target.list.id not in {dimension.id for dimension in item.dimensions}:
            raise PreflightFailed(
                f"small_changes: line item {item.name!r} of {target.module.name!r} does not have list "
                f"{target.list.name!r} as a dimension. Correct the settings."
            )
        return [
            {"dimensionId": dimension.id, "itemCode": code}
            if dimension.id == target.list.id
            else {"dimensionId": dimension.id, "itemName": self._parameter(target, dimension)}
            for dimension in item.dimensions
        ]

    def _parameter(self, target: Target, dimension: NamedObject) -> str:
        names = {dimension.name} | ({"Version"} if dimension.id == VERSIONS_ID else set())
        if found := [item for name, item in self._parameters.items() if name in names]:
            return found[0]
        raise PreflightFailed(
            f"small_changes: module {target.module.name!r} has the dimension {dimension.name!r}. Name its "
            f"item under `parameters`; else leave `small_changes` out."
        )

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
    """A batch as the small way writes it: item names and cells by code, and the codes to remove."""

    items: Mapping[str, str]
    cells: Mapping[str, Mapping[str, Any]]
    deleted: Sequence[str]

    @classmethod
    def of(cls, batch: Batch, feed: Feed, target: Target, *, deletes: bool) -> "_Rows":
        """Raises Unwritable for a value that no cell can hold."""
        gone = [feed.code(change) for change in batch.changes if deletes and change.op is Op.DELETE]
        rows = {code: payload for code, payload in feed.rows(batch).items() if code not in set(gone)}
        return cls(
            items={code: text(feed.item_text(code, payload), PLAIN) for code, payload in rows.items()},
            cells={
                code: {name: _value(payload.get(name), item) for name, item in target.line_items.items()}
                for code, payload in rows.items()
            },
            deleted=gone,
        )


def _value(value: Any, item: LineItem) -> str | bool | Decimal:
    """A cell's value, equal to what the import's file would say: texts by their rules, numbers exactly."""
    plain = text(value, PLAIN)
    if item.format == "BOOLEAN" and isinstance(value, bool):
        return value
    return Decimal(plain) if item.format == "NUMBER" and isinstance(value, int | Decimal) else plain


def _all_done(what: str, written: Written, wanted: int) -> None:
    if written.refused or written.done != wanted:
        raise Unclear(f"{what}: {written.done} of {wanted} items are done. {written.words}".rstrip())
