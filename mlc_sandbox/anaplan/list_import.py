"""Runs a list import: match by code or name, create or update, never delete (anaplan.md section 11)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from mlc_sandbox.anaplan.lookup import ItemIndex
from mlc_sandbox.anaplan.model import AnaplanList, ImportAction, Journal, ListItem, Model, Value
from mlc_sandbox.anaplan.outcome import Error, Outcome, detail, error_details
from mlc_sandbox.anaplan.sheet import ImportFailed, Row, Sheet
from mlc_sandbox.anaplan.values import parse

LONGEST_CODE = 60


@dataclass(slots=True)
class Wanted:
    """What one row asks for."""

    code: str = ""
    name: str = ""
    parent: str | None = None
    properties: dict[str, Value] = field(default_factory=dict)
    subsets: dict[str, bool] = field(default_factory=dict)


class ListImport:
    """One run of one list import; every change goes through the journal."""

    def __init__(
        self, model: Model, action: ImportAction, switches: dict[str, Any], journal: Journal
    ) -> None:
        self.model, self.action, self.journal = model, action, journal
        self.target: AnaplanList = model.lists[action.target_id]
        folded = switches["code_matching"] == "folded"
        self.index = ItemIndex(self.target, folded=folded)
        parent = model.lists[self.target.parent_id] if self.target.parent_id else None
        self.parents = ItemIndex(parent, folded=folded) if parent else None
        self.decimal_separator = model.files[action.source_id].decimal_separator
        self.seen: set[str] = set()
        self.counts: Counter[str] = Counter()

    def run(self, sheet: Sheet, outcome: Outcome) -> None:
        """Import every row of the sheet; ImportFailed leaves what was done to the journal's roll-back."""
        if self.target.numbered and "name" in self.action.mapping.values():
            raise ImportFailed(
                "hierarchyImportFailed",
                "Cannot add new entities to numbered list when matching involves name",
            )
        for row in sheet.rows:
            self._row(sheet, row, outcome)
        self._summarize(outcome)

    def _row(self, sheet: Sheet, row: Row, outcome: Outcome) -> None:
        outcome.rows += 1
        if not any(cell.strip() for cell in row.cells):
            self.counts["ignored"] += 1
            return
        wanted, errors = self._wanted(sheet, row)
        if len(row.cells) != len(sheet.headers):
            expected = f"{len(row.cells)} columns where {len(sheet.headers)} are expected"
            errors.append(("columnSeparatorExpected", expected))
        errors = errors or self._refusals(wanted)
        if errors:
            outcome.reject(row, errors)
            return
        self.seen.add(self._key(wanted))
        self._apply(wanted)

    def _wanted(self, sheet: Sheet, row: Row) -> tuple[Wanted, list[Error]]:
        wanted, errors = Wanted(), []
        for column, target in self.action.mapping.items():
            text = sheet.cell(row, column)
            try:
                self._set(wanted, target, text)
            except ValueError as error:
                kind = (
                    "hierarchyImportInvalidParent" if target == "parent" else "hierarchyImportInvalidProperty"
                )
                errors.append((kind, f"{column}: {error}"))
        return wanted, errors

    def _set(self, wanted: Wanted, target: str, text: str) -> None:
        what, _, name = target.partition(":")
        if what == "code":
            wanted.code = text
        elif what == "name":
            wanted.name = text
        elif what == "parent":
            wanted.parent = self._parent(text)
        elif what == "subset":
            wanted.subsets[name] = text.strip().lower() in ("true", "yes")
        elif text:
            wanted.properties[name] = self._property(name, text)

    def _parent(self, text: str) -> str | None:
        if not text or self.parents is None:
            return None
        parent = self.parents.by_code(text) or self.parents.by_name(text)
        if parent is None:
            raise ValueError(f"Invalid parent: {text}")
        return parent.id

    def _property(self, name: str, text: str) -> Value:
        form = self.target.properties[name]
        if form.kind == "LIST" and form.list_id:
            item = ItemIndex(self.model.lists[form.list_id]).by_code(text)
            if item is None:
                raise ValueError(f"Item not located: {text}")
            return item.id
        return parse(
            text, form, decimal_separator=self.decimal_separator, date_format=self.action.date_format
        )

    def _key(self, wanted: Wanted) -> str:
        return wanted.name if self.action.key == "name" else self.index.key(wanted.code)

    def _existing(self, wanted: Wanted) -> ListItem | None:
        if self.action.key == "name":
            return self.index.by_name(wanted.name)
        return self.index.by_code(wanted.code)

    def _refusals(self, wanted: Wanted) -> list[Error]:
        key = self._key(wanted)
        if not key:
            return [("hierarchyImportEmptyKey", f"The {self.action.key} is empty")]
        if key in self.seen:
            return [self._duplicate(key)]
        if len(wanted.code) > LONGEST_CODE:
            return [("hierarchyImportInvalidCode", f"The code is longer than {LONGEST_CODE} characters")]
        if self.target.numbered and wanted.code.startswith("#"):
            return [("hierarchyImportInvalidCode", "A code of a numbered list does not start with #")]
        if len(wanted.name) > LONGEST_CODE:
            return [("hierarchyImportInvalidName", f"The name is longer than {LONGEST_CODE} characters")]
        return self._clashes(wanted)

    def _duplicate(self, key: str) -> Error:
        text = f"Duplicate key in the source: {key}"
        if self.action.duplicates == "reject_all":
            raise ImportFailed("hierarchyImportDuplicateSourceKey", text)
        return "hierarchyImportDuplicateSourceKey", text

    def _clashes(self, wanted: Wanted) -> list[Error]:
        if self.target.numbered:
            return []
        existing = self._existing(wanted)
        holders = [self.index.by_name(wanted.name or wanted.code), self.index.by_code(wanted.code)]
        for holder in holders:
            if holder is not None and (existing is None or holder.id != existing.id):
                return [("hierarchyImportNameOrCodeExists", f"Name or code is in use: {holder.name}")]
        return []

    def _apply(self, wanted: Wanted) -> None:
        existing = self._existing(wanted)
        if existing is None:
            self._put(self._created(wanted), None)
            self.counts["created"] += 1
            return
        changed = replace(
            existing,
            name=wanted.name or existing.name,
            code=wanted.code or existing.code,
            parent=wanted.parent or existing.parent,
            properties=existing.properties | wanted.properties,
            subsets=_subsets(existing.subsets, wanted.subsets),
        )
        self.counts["updated"] += 1
        self.counts["changed"] += changed != existing
        self.counts["renamed"] += changed.name != existing.name
        self._put(changed, existing)

    def _created(self, wanted: Wanted) -> ListItem:
        number = self.target.next_index
        self.target.next_index += 1
        name = f"#{number}" if self.target.numbered else wanted.name or wanted.code
        return ListItem(
            f"{self.target.item_prefix}{number:08d}",
            name,
            wanted.code or None,
            wanted.parent,
            wanted.properties,
            _subsets((), wanted.subsets),
        )

    def _put(self, item: ListItem, before: ListItem | None) -> None:
        put_item(self.target, item, before, self.journal)
        self.index.add(item)

    def _summarize(self, outcome: Outcome) -> None:
        failed, created, updated = len(outcome.problems), self.counts["created"], self.counts["updated"]
        success, ignored = created + updated, self.counts["ignored"]
        outcome.counts = {"created": created, "updated": updated, "failed": failed, "ignored": ignored}
        values = {
            "hierarchyName": self.target.name,
            "successRowCount": success,
            "successCreateCount": created,
            "successUpdateCount": updated,
            "warningsRowCount": 0,
            "warningsCreateCount": 0,
            "warningsUpdateCount": 0,
            "failedCount": failed,
            "ignoredCount": ignored,
            "totalRowCount": outcome.rows,
            "totalCreateCount": created,
            "totalUpdateCount": updated,
            "invalidCount": failed,
            "updatedCount": updated,
            "renamedCount": self.counts["renamed"],
            "createdCount": created,
        }
        rows = f"{success} ({created}/{updated}) rows successful"
        text = f"{self.target.name}: {rows}, {failed} failed, {ignored} ignored "
        kind = "hierarchyRowsProcessedWithFailures" if failed else "hierarchyRowsProcessed"
        if not failed and not created and not self.counts["changed"]:
            kind = "hierarchyNoChanges"
        outcome.details = [detail(kind, text, values), *error_details(outcome.problems)]


def put_item(target: AnaplanList, item: ListItem, before: ListItem | None, journal: Journal) -> None:
    """Store an item and keep the indexes by code and name right."""
    if before is not None and before.code != item.code and before.code:
        journal.drop(target.by_code, before.code)
    if before is not None and before.name != item.name:
        journal.drop(target.by_name, before.name)
    journal.put(target.items, item.id, item)
    if item.code:
        journal.put(target.by_code, item.code, item.id)
    journal.put(target.by_name, item.name, item.id)


def drop_item(model: Model, target: AnaplanList, item: ListItem, journal: Journal) -> None:
    """Remove an item and its cells in every module by this list; LIST cells that named it read as blank."""
    journal.drop(target.items, item.id)
    if item.code:
        journal.drop(target.by_code, item.code)
    journal.drop(target.by_name, item.name)
    for module in model.modules.values():
        if module.dimensions == (target.id,):
            journal.drop(module.cells, (item.id,))
        elif target.id in module.dimensions:
            place = module.dimensions.index(target.id)
            for coordinates in [key for key in module.cells if key[place] == item.id]:
                journal.drop(module.cells, coordinates)


def _subsets(before: tuple[str, ...], wanted: dict[str, bool]) -> tuple[str, ...]:
    members = dict.fromkeys(before, True) | wanted
    return tuple(name for name, member in members.items() if member)
