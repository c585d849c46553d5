"""Runs a module import: rows find cells by codes and periods, equal cells are aggregated, bad rows dumped."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from mlc_sandbox.anaplan.lookup import ItemIndex, dimension_name, named_member
from mlc_sandbox.anaplan.model import (
    TIME_ID,
    VERSIONS_ID,
    Coordinates,
    ImportAction,
    Journal,
    LineItem,
    Model,
    Module,
    Value,
)
from mlc_sandbox.anaplan.outcome import Error, Outcome, detail, error_details
from mlc_sandbox.anaplan.periods import find_period
from mlc_sandbox.anaplan.sheet import ImportFailed, Row, Sheet
from mlc_sandbox.anaplan.values import WRONG_FORMAT, parse

Cells = dict[str, Value]


class ModuleImport:
    """One run of one module import. `prompts` is what mappingParameters said: dimension -> item name."""

    def __init__(
        self,
        model: Model,
        action: ImportAction,
        switches: dict[str, Any],
        journal: Journal,
        prompts: dict[str, str],
    ) -> None:
        self.model, self.action, self.switches, self.journal, self.prompts = (
            model,
            action,
            switches,
            journal,
            prompts,
        )
        self.target: Module = model.modules[action.target_id]
        self.source = model.files[action.source_id]
        self.indexes: dict[str, ItemIndex] = {}
        self.columns = [
            (column, self.target.line_items[name])
            for column, name in action.mapping.items()
            if name in self.target.line_items and self.target.line_items[name].formula is None
        ]
        self.key_columns = [self._key_column(dimension) for dimension in self.target.dimensions]
        self.loaded: dict[Coordinates, Cells] = {}
        self.ignored = 0

    def run(self, sheet: Sheet, outcome: Outcome) -> None:
        """Import every row of the sheet; ImportFailed before anything is written."""
        self._check_prompts()
        for row in sheet.rows:
            self._row(sheet, row, outcome)
        self._clear()
        for coordinates, cells in self.loaded.items():
            self.journal.put(self.target.cells, coordinates, self.target.cells.get(coordinates, {}) | cells)
        self._summarize(outcome)

    def _check_prompts(self) -> None:
        missing = [name for name in self.action.prompts if name not in self.prompts]
        if missing:
            raise ImportFailed("missingFields", f"No item was chosen for: {', '.join(missing)}")
        for name in self.action.prompts:
            if named_member(self.model, VERSIONS_ID, self.prompts[name]) is None:
                raise ImportFailed("failedToLocateEntity", f"There is no {name} {self.prompts[name]}")

    def _key_column(self, dimension: str) -> str | None:
        wanted = f"dimension:{dimension}"
        return next((column for column, target in self.action.mapping.items() if target == wanted), None)

    def _row(self, sheet: Sheet, row: Row, outcome: Outcome) -> None:
        outcome.rows += 1
        if not any(cell.strip() for cell in row.cells):
            self.ignored += 1
            return
        coordinates, errors = self._coordinates(sheet, row)
        cells, cell_errors = self._cells(sheet, row)
        if len(row.cells) != len(sheet.headers):
            errors.append(
                (
                    "columnSeparatorExpected",
                    f"{len(row.cells)} columns where {len(sheet.headers)} are expected",
                )
            )
        if errors or (cell_errors and self.switches["bad_cell"] == "reject_row"):
            outcome.reject(row, errors + cell_errors)
            return
        if cell_errors:
            outcome.reject(row, cell_errors, "W")
        self._aggregate(coordinates, cells)

    def _coordinates(self, sheet: Sheet, row: Row) -> tuple[Coordinates, list[Error]]:
        found, errors = [], []
        for dimension, column in zip(self.target.dimensions, self.key_columns, strict=True):
            text = sheet.cell(row, column) if column else self.prompts.get("Version", "")
            item = self._item(dimension, text)
            if item is None:
                errors.append(self._not_located(dimension, text))
            else:
                found.append(item)
        return tuple(found), errors

    def _item(self, dimension: str, text: str) -> str | None:
        if dimension == TIME_ID:
            return find_period(self.model.periods, text, self.action.period_format)
        if dimension == VERSIONS_ID:
            return named_member(self.model, dimension, text)
        item = self._index(dimension).by_code(text)
        return item.id if item else None

    def _index(self, list_id: str) -> ItemIndex:
        if list_id not in self.indexes:
            folded = self.switches["code_matching"] == "folded"
            self.indexes[list_id] = ItemIndex(self.model.lists[list_id], folded=folded)
        return self.indexes[list_id]

    def _not_located(self, dimension: str, text: str) -> Error:
        if dimension == TIME_ID:
            return "moduleImportInvalidTimeEntityIdentifier", f"Time period not located: {text}"
        place = dimension_name(self.model, dimension)
        return "moduleImportInvalidListIdentifier", f"Item not located in {place} list: {text}"

    def _cells(self, sheet: Sheet, row: Row) -> tuple[Cells, list[Error]]:
        cells: Cells = {}
        errors: list[Error] = []
        for column, line_item in self.columns:
            text = sheet.cell(row, column)
            if not text.strip():
                if self.switches["empty_cells"] == "clear":
                    cells[line_item.name] = None
                continue
            try:
                cells[line_item.name] = self._value(line_item, text)
            except ValueError as error:
                errors.append((WRONG_FORMAT[line_item.format.kind], f"{column}: {error}"))
        return cells, errors

    def _value(self, line_item: LineItem, text: str) -> Value:
        form = line_item.format
        if form.kind == "LIST" and form.list_id:
            item = self._index(form.list_id).by_code(text)
            if item is None:
                raise ValueError(
                    f"Item not located in {dimension_name(self.model, form.list_id)} list: {text}"
                )
            return item.id
        separator = self.source.decimal_separator
        return parse(text, form, decimal_separator=separator, date_format=self.action.date_format)

    def _aggregate(self, coordinates: Coordinates, cells: Cells) -> None:
        """Numbers of rows that hit the same cell are summed (vendors/anaplan.md section 11)."""
        held = self.loaded.setdefault(coordinates, {})
        for name, value in cells.items():
            before = held.get(name)
            if isinstance(before, Decimal) and isinstance(value, Decimal):
                held[name] = before + value
            elif before is None or self.switches["text_collision"] == "last":
                held[name] = value

    def _clear(self) -> None:
        names = {line_item.name for _, line_item in self.columns}
        for coordinates in self._cleared():
            kept = {
                name: value
                for name, value in self.target.cells.get(coordinates, {}).items()
                if name not in names
            }
            self.journal.put(self.target.cells, coordinates, kept)

    def _cleared(self) -> list[Coordinates]:
        """The cells the target loses first. "Mapped items in source" is said of each dimension by itself, so
        with several it is every combination of their items, not only those that stand in one row.
        """
        if self.action.clear == "none":
            return []
        if self.action.clear == "all":
            return list(self.target.cells)
        if self.switches["clear_items"] == "rows":
            return list(self.loaded)
        mapped = [set(items) for items in zip(*self.loaded, strict=True)]
        return [
            held
            for held in self.target.cells
            if mapped and all(item in items for item, items in zip(held, mapped, strict=True))
        ]

    def _summarize(self, outcome: Outcome) -> None:
        failed, warned = outcome.count("E"), outcome.count("W")
        success = outcome.rows - failed - warned - self.ignored
        outcome.counts = {
            "updated": success + warned,
            "failed": failed,
            "warned": warned,
            "ignored": self.ignored,
        }
        values = {
            "moduleName": self.target.name,
            "successRowCount": success,
            "warningsRowCount": warned,
            "failedCount": failed,
            "ignoredCount": self.ignored,
            "totalRowCount": outcome.rows,
            "invalidCount": failed,
            "createdCount": 0,
            "updatedCount": success + warned,
        }
        rows = f"{success} rows successful, {warned} warnings, {failed} failed, {self.ignored} ignored "
        text = f"{self.target.name}: {rows}"
        kind = "lineItemRowsProcessedWithFailures" if outcome.problems else "lineItemRowsProcessed"
        outcome.details = [detail(kind, text, values), *error_details(outcome.problems)]
