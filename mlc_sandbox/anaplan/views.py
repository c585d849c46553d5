"""Views of modules: grids with row and column coordinates, tables for exports and read requests."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from mlc_sandbox.anaplan.lookup import dimension_name, item_code, label, members
from mlc_sandbox.anaplan.model import Coordinates, LineItem, Model, Module, Value
from mlc_sandbox.anaplan.values import show

LINE_ITEMS_ID = "101999999990"
Table = list[list[str]]
_OF_ITEM = re.compile(r"(?P<what>CODE|NAME)\(ITEM\('?(?P<dimension>[^()']+)'?\)\)")


@dataclass(frozen=True, slots=True)
class View:
    """A module as a view shows it; `filled` leaves out rows in which every cell is blank, zero or false."""

    module: Module
    name: str
    filled: bool = False


def find_view(model: Model, view_id: str) -> View | None:
    """The view of this id; a module's default view has the module's id."""
    for module in model.modules.values():
        if module.id == view_id:
            return View(module, module.name)
        if view_id in module.saved_views:
            saved = module.saved_views[view_id]
            return View(module, f"{module.name}.{saved.name}", saved.filled)
    return None


def cell_value(model: Model, module: Module, coordinates: Coordinates, line_item: LineItem) -> Value:
    """A cell, with LIST values as the item's code, and formulas that say by which item it stands calculated.

    Other formulas are not simulated: their cells are blank.
    """
    if line_item.formula is not None:
        return _of_item(model, module, coordinates, line_item.formula)
    value = module.cells.get(coordinates, {}).get(line_item.name)
    if line_item.format.kind == "LIST" and isinstance(value, str):
        return item_code(model, line_item.format.list_id, value)
    return value


def _of_item(model: Model, module: Module, coordinates: Coordinates, formula: str) -> str | None:
    """CODE or NAME of the item a cell stands by; NAME takes items and periods (help.anaplan.com, "NAME")."""
    parsed = _OF_ITEM.fullmatch(formula)
    if parsed is None:
        return None
    for dimension, item_id in zip(module.dimensions, coordinates, strict=True):
        if dimension_name(model, dimension) == parsed["dimension"]:
            return (item_code if parsed["what"] == "CODE" else label)(model, dimension, item_id)
    return None


def coordinates_of(model: Model, view: View, fixed: dict[str, str]) -> Iterator[Coordinates]:
    """The coordinates a view shows, in the order of its dimensions; `fixed` narrows some to one item id."""
    dimensions = view.module.dimensions
    if not view.filled:
        yield from product(
            *([fixed[key]] if key in fixed else list(members(model, key)) for key in dimensions)
        )
        return
    places = [{item: place for place, item in enumerate(members(model, key))} for key in dimensions]
    held = [
        coordinates
        for coordinates, cells in view.module.cells.items()
        if any(cells.values())
        and all(fixed.get(key, item) == item for key, item in zip(dimensions, coordinates, strict=True))
    ]
    yield from sorted(
        held,
        key=lambda found: tuple(place[item] for place, item in zip(places, found, strict=True)),
    )


def cell_count(model: Model, view: View) -> int:
    """Cells of the whole view."""
    count = len(view.module.line_items)
    if view.filled:
        return count * sum(1 for _ in coordinates_of(model, view, {}))
    for dimension in view.module.dimensions:
        count *= len(members(model, dimension))
    return count


def headers(model: Model, module: Module) -> list[str]:
    """The header of a table: the dimensions, then the line items."""
    return [*(dimension_name(model, key) for key in module.dimensions), *module.line_items]


def tabular(model: Model, view: View, fixed: dict[str, str] | None = None) -> Table:
    """TABULAR_MULTI_COLUMN: a header, then per coordinates the item labels and every line item's cell."""
    module, table = view.module, [headers(model, view.module)]
    for coordinates in coordinates_of(model, view, fixed or {}):
        labels = [label(model, *pair) for pair in zip(module.dimensions, coordinates, strict=True)]
        cells = [show(cell_value(model, module, coordinates, item)) for item in module.line_items.values()]
        table.append([*labels, *cells])
    return table


def csv_text(table: Table) -> str:
    """Comma-separated text, quoted where needed."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(table)
    return out.getvalue()
