"""Transactional cell routes: cell writes, view data, and read requests for large views and lists."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox.anaplan import views
from mlc_sandbox.anaplan.http import ApiCall, ApiError, Gate, require_open, success
from mlc_sandbox.anaplan.lookup import ItemIndex, dimension_name, label, members, named_member
from mlc_sandbox.anaplan.model import VERSIONS_ID, Coordinates, LineItem, Module, Value
from mlc_sandbox.anaplan.routes_lists import list_table
from mlc_sandbox.anaplan.values import parse, show
from mlc_sandbox.anaplan.world import World
from mlc_sandbox.core import JsonResponse

MOST_CELLS, MOST_BYTES, MOST_VIEW_CELLS = 100_000, 15_000_000, 1_000_000
PAGE_ROWS = 10_000
Row = dict[str, Any]


class CellRefused(Exception):
    """One cell of a write fails; the others still apply."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(slots=True)
class Read:
    """A read request: its table is fixed when it is asked for; done at the second look."""

    id: str
    owner: str
    object_id: str
    table: views.Table
    used_at: datetime
    looks: int = 0
    cancelled: bool = False

    @property
    def state(self) -> str:
        """State as the API words it."""
        if self.cancelled:
            return "CANCELLED"
        return "COMPLETE" if self.looks > 1 else "IN_PROGRESS"

    @property
    def pages(self) -> list[views.Table]:
        """The table in pages, each with the header."""
        head, rows = self.table[:1], self.table[1:]
        return [head + rows[start : start + PAGE_ROWS] for start in range(0, len(rows), PAGE_ROWS)] or [head]


class CellRoutes:
    """Writes and reads of module cells."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world, self.gate = world, gate

    def routes(self) -> list[Route]:
        """All routes in both forms."""
        both = self.gate.both
        routes = both("/modules/{module}/data", POST=self._write) + both("/views/{view}/data", GET=self._data)
        for kind in ("views", "lists"):
            base = f"/{kind}/{{object}}/readRequests"
            routes += both(base, POST=self._ask_view if kind == "views" else self._ask_list)
            routes += both(f"{base}/{{read}}", GET=self._look, DELETE=self._end)
            routes += both(f"{base}/{{read}}/pages/{{page}}", GET=self._page)
        return routes

    # Write

    def _write(self, call: ApiCall) -> Response:
        require_open(self.world, call)
        module = self.world.model.modules.get(call.ids["module"])
        if module is None:
            raise ApiError(404)
        cells = json.loads(call.body or b"null", parse_float=str, parse_int=str) if call.json() else None
        if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
            raise ApiError(400, "The body is an array of cells.")
        if len(cells) > MOST_CELLS or len(call.body) > MOST_BYTES:
            raise ApiError(400, f"more than {MOST_CELLS} cells or {MOST_BYTES} bytes in one call")
        self.world.wait_until_free()
        failures = []
        for index, cell in enumerate(cells):
            try:
                self._write_one(module, cell)
            except CellRefused as error:
                text = {"failureType": error.kind, "failureMessageDetails": str(error)}
                failures.append({"requestIndex": index} | text)
        body: Row = {"numberOfCellsChanged": len(cells) - len(failures)}
        return JsonResponse(body | ({"failures": failures} if failures else {}))

    def _write_one(self, module: Module, cell: Row) -> None:
        line_item = self._line_item(module, cell)
        if line_item.formula is not None:
            raise CellRefused("cellIsCalculated", f"{line_item.name} is calculated")
        coordinates = self._coordinates(module, cell.get("dimensions", []))
        value = self._value(line_item, cell.get("value"))
        held = module.cells.get(coordinates, {})
        module.cells[coordinates] = held | {line_item.name: value}

    def _line_item(self, module: Module, cell: Row) -> LineItem:
        for item in module.line_items.values():
            if item.id == cell.get("lineItemId") or item.name == cell.get("lineItemName"):
                return item
        raise CellRefused("lineItemNotFound", "the module has no such line item")

    def _coordinates(self, module: Module, given: list[Row]) -> Coordinates:
        found = []
        for dimension in module.dimensions:
            names = {dimension_name(self.world.model, dimension)} | (
                {"Version"} if dimension == VERSIONS_ID else set()
            )
            entry = next(
                (
                    row
                    for row in given
                    if row.get("dimensionId") == dimension or row.get("dimensionName") in names
                ),
                None,
            )
            item = self._item(dimension, entry) if entry else None
            if item is None:
                raise CellRefused("dimensionItemNotFound", f"no item for dimension {sorted(names)[0]}")
            found.append(item)
        return tuple(found)

    def _item(self, dimension: str, entry: Row) -> str | None:
        model = self.world.model
        if dimension not in model.lists:
            item_id = entry.get("itemId")
            found = item_id if item_id in members(model, dimension) else None
            return found or named_member(model, dimension, str(entry.get("itemName", "")))
        items = model.lists[dimension]
        index = ItemIndex(items, folded=self.world.switches["code_matching"] == "folded")
        item = items.items.get(entry.get("itemId", ""))
        item = (
            item
            or index.by_code(str(entry.get("itemCode", "")))
            or index.by_name(str(entry.get("itemName", "")))
        )
        return item.id if item else None

    def _value(self, line_item: LineItem, value: Any) -> Value:
        if value is None:
            raise CellRefused("valueIsNull", "value is text, number or boolean")
        text = ("true" if value else "false") if isinstance(value, bool) else str(value)
        form = line_item.format
        try:
            if form.kind != "TEXT" and not text.strip():
                return self._blank()
            if form.kind == "LIST" and form.list_id:
                item = ItemIndex(self.world.model.lists[form.list_id]).by_code(text)
                if item is None:
                    raise CellRefused("entityNotFound", f"no such item: {text}")
                return item.id
            return parse(text, form)
        except ValueError as error:
            raise CellRefused("incorrectFormat", str(error)) from error

    def _blank(self) -> None:
        """What an empty text does to a cell that holds no text: nobody says, so it is a switch."""
        if self.world.switches["blank_cell_write"] == "refuses":
            raise CellRefused("incorrectFormat", "the value is empty")

    # View data

    def _view(self, call: ApiCall, view_id: str) -> views.View:
        require_open(self.world, call)
        found = views.find_view(self.world.model, view_id)
        if found is None:
            raise ApiError(404)
        return found

    def _data(self, call: ApiCall) -> Response:
        self.world.wait_until_free()
        view = self._view(call, call.ids["view"])
        if views.cell_count(self.world.model, view) > MOST_VIEW_CELLS:
            raise ApiError(400, "The view has more than 1,000,000 cells: use readRequests.")
        module = view.module
        fixed = self._pages(call, module)
        as_json = call.query.get("format") == "v1" or "application/json" in call.headers.get("accept", "")
        if not as_json:
            return Response(
                views.csv_text(views.tabular(self.world.model, view, fixed)), media_type="text/csv"
            )
        model, paged = self.world.model, module.dimensions[1:]
        rows = []
        for coordinates in views.coordinates_of(model, view, fixed):
            cells = [
                show(views.cell_value(model, module, coordinates, item))
                for item in module.line_items.values()
            ]
            rows.append(
                {"rowCoordinates": [label(model, module.dimensions[0], coordinates[0])], "cells": cells}
            )
        pages = [label(model, dimension, fixed[dimension]) for dimension in paged]
        columns = [[name] for name in module.line_items]
        return JsonResponse({"pages": pages, "columnCoordinates": columns, "rows": rows})

    def _pages(self, call: ApiCall, module: Module) -> dict[str, str]:
        """Page dimensions are fixed to the chosen item (`pages=dimension:item`), else to their first."""
        chosen = dict(part.split(":", 1) for part in call.query.get("pages", "").split(",") if ":" in part)
        fixed = {}
        for dimension in module.dimensions[1:]:
            items = members(self.world.model, dimension)
            item = chosen.get(dimension) or next(iter(items), "")
            if item not in items:
                raise ApiError(400, f"no such page item: {dimension}:{item}")
            fixed[dimension] = item
        return fixed

    # Read requests

    def _ask_view(self, call: ApiCall) -> Response:
        view = self._view(call, call.ids["object"])
        if (call.json() or {}).get("exportType") not in (
            "TABULAR_MULTI_COLUMN",
            "TABULAR_SINGLE_COLUMN",
            "GRID_ALL_PAGES",
        ):
            raise ApiError(400, "exportType is required")
        return self._asked(call, views.tabular(self.world.model, view))

    def _ask_list(self, call: ApiCall) -> Response:
        require_open(self.world, call)
        items = self.world.model.lists.get(call.ids["object"])
        if items is None:
            raise ApiError(404)
        return self._asked(call, list_table(self.world, items))

    def _asked(self, call: ApiCall, table: views.Table) -> Response:
        read_id = uuid.uuid4().hex.upper()
        read = Read(read_id, call.user.email, call.ids["object"], table, self.world.clock.now())
        self.world.read_requests[read.id] = read
        return self._shown(call, read)

    def _shown(self, call: ApiCall, read: Read) -> Response:
        kind = "views" if "/views/" in call.path else "lists"
        place = call.path.partition("/readRequests")[0]
        row: Row = {
            "requestId": read.id,
            "requestState": read.state,
            "url": f"{call.base}{place}/readRequests/{read.id}",
        }
        row |= {"viewId": int(read.object_id)} if kind == "views" else {"listId": read.object_id}
        if read.state == "COMPLETE":
            row |= {"availablePages": len(read.pages), "successful": True}
        name = "viewReadRequest" if kind == "views" else "listReadRequest"
        return success(call, self.world, name, **{name: row})

    def _read(self, call: ApiCall) -> Read:
        self.world.forget_old_reads()
        read: Read | None = self.world.read_requests.get(call.ids["read"])
        if read is None or read.owner != call.user.email or read.object_id != call.ids["object"]:
            raise ApiError(404)
        read.used_at = self.world.clock.now()
        return read

    def _look(self, call: ApiCall) -> Response:
        read = self._read(call)
        read.looks += 1
        return self._shown(call, read)

    def _page(self, call: ApiCall) -> Response:
        read, number = self._read(call), call.ids["page"]
        if not number.isdigit() or int(number) >= len(read.pages) or read.state != "COMPLETE":
            raise ApiError(404)
        return Response(views.csv_text(read.pages[int(number)]), media_type="text/csv")

    def _end(self, call: ApiCall) -> Response:
        read = self._read(call)
        read.cancelled = True
        del self.world.read_requests[read.id]
        return self._shown(call, read)
