"""Views of modules: grids with row and column coordinates, tables for exports and read requests."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import product

from mlc_sandbox.anaplan.lookup import item_code
from mlc_sandbox.anaplan.model import VERSIONS_ID, Coordinates, LineItem, Model, Module, Value
from mlc_sandbox.anaplan.values import show

LINE_ITEMS_ID = "101999999990"
Table = list[list[str]]


def view_module(model: Model, view_id: str) -> tuple[Module, str] | None:
    """The module behind a view id and the view's name; the default view has the module's id."""
    for module in model.modules.values():
        if module.id == view_id:
            return module, module.name
        if view_id in module.saved_views:
            return module, f"{module.name}.{module.saved_views[view_id]}"
    return None


def cell_value(model: Model, module: Module, coordinates: Coordinates, line_item: LineItem) -> Value:
    """A cell, with LIST values as the item's code and the Code formula calculated."""
    if line_item.formula is not None:
        return item_code(model, module.dimensions[0], coordinates[0])
    value = module.cells.get(coordinates, {}).get(line_item.name)
    if line_item.format.kind == "LIST" and isinstance(value, str):
        return item_code(model, line_item.format.list_id, value)
    return value


def coordinates_of(model: Model, module: Module, fixed: dict[str, str]) -> Iterator[Coordinates]:
    """All coordinates of a module; `fixed` narrows a dimension to one item id."""
    axes = []
    for dimension in module.dimensions:
        items = model.versions if dimension == VERSIONS_ID else model.lists[dimension].items
        axes.append([fixed[dimension]] if dimension in fixed else list(items))
    return product(*axes)


def label(model: Model, dimension: str, item_id: str) -> str:
    """What a grid shows for an item."""
    if dimension == VERSIONS_ID:
        return model.versions[item_id]
    items = model.lists[dimension]
    return items.label(items.items[item_id])


def cell_count(model: Model, module: Module) -> int:
    """Cells of the whole view."""
    count = len(module.line_items)
    for dimension in module.dimensions:
        count *= len(model.versions if dimension == VERSIONS_ID else model.lists[dimension].items)
    return count


def tabular(model: Model, module: Module, fixed: dict[str, str] | None = None) -> Table:
    """TABULAR_MULTI_COLUMN: a header, then per coordinates the item labels and every line item's cell."""
    names = ["Versions" if key == VERSIONS_ID else model.lists[key].name for key in module.dimensions]
    table = [[*names, *module.line_items]]
    for coordinates in coordinates_of(model, module, fixed or {}):
        labels = [label(model, *pair) for pair in zip(module.dimensions, coordinates, strict=True)]
        cells = [show(cell_value(model, module, coordinates, item)) for item in module.line_items.values()]
        table.append([*labels, *cells])
    return table


def csv_text(table: Table) -> str:
    """Comma-separated text, quoted where needed."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(table)
    return out.getvalue()
