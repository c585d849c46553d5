"""Transactional list routes: metadata, read, add, update, delete, resetIndex (anaplan.md section 9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox.anaplan import views
from mlc_sandbox.anaplan.http import ApiCall, ApiError, Gate, paged, require_open, success
from mlc_sandbox.anaplan.list_import import LONGEST_CODE, drop_item, put_item
from mlc_sandbox.anaplan.lookup import ItemIndex, item_code
from mlc_sandbox.anaplan.model import AnaplanList, Journal, ListItem, Value
from mlc_sandbox.anaplan.values import parse, show
from mlc_sandbox.anaplan.world import World

MOST_ITEMS = 100_000
Row = dict[str, Any]


class ItemRefused(Exception):
    """One item of a call fails; the others go on."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class ListRoutes:
    """Reads and small writes of list items."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world, self.gate = world, gate

    def routes(self) -> list[Route]:
        """All routes in both forms."""
        both, one = self.gate.both, "/lists/{list}"
        return [
            *both(one, GET=self._metadata),
            *both(f"{one}/items", GET=self._items, POST=self._post, PUT=self._update),
            *both(f"{one}/resetIndex", POST=self._reset),
        ]

    def _list(self, call: ApiCall) -> AnaplanList:
        try:
            items = self.world.model.lists[call.ids["list"]]
        except KeyError as error:
            raise ApiError(404) from error
        require_open(self.world, call, structure=call.method != "GET" and not items.production_data)
        return items

    def _metadata(self, call: ApiCall) -> Response:
        items = self._list(call)
        row: Row = {
            "id": items.id,
            "name": items.name,
            "properties": [{"name": name, "format": form.kind} for name, form in items.properties.items()],
            "hasSelectiveAccess": False,
            "managedBy": "",
            "numberedList": items.numbered,
            "useTopLevelAsPageDefault": False,
            "itemCount": len(items.items),
            "permittedItems": 999_999_999,
            "workflowEnabled": False,
            "productionData": items.production_data,
        }
        if items.parent_id:
            row["parent"] = {"id": items.parent_id, "name": self.world.model.lists[items.parent_id].name}
        if items.numbered:
            row["nextitemIndex"] = items.next_index
        return success(call, self.world, "list", metadata=row)

    # Read

    def _items(self, call: ApiCall) -> Response:
        items = self._list(call)
        if len(items.items) > 1_000_000:
            raise ApiError(400, "The list has more than 1,000,000 items: use readRequests.")
        if call.headers.get("accept", "").startswith("text/csv"):
            return Response(views.csv_text(list_table(self.world, items)), media_type="text/csv")
        rows = [
            self._item_row(items, item, everything=call.flag("includeAll")) for item in items.items.values()
        ]
        if "limit" in call.query or "offset" in call.query:
            return paged(call, self.world, "list", "listItems", rows)
        return success(call, self.world, "list", listItems=rows)

    def _item_row(self, items: AnaplanList, item: ListItem, *, everything: bool) -> Row:
        row: Row = {"id": item.id, "name": item.name}
        if item.code:
            row["code"] = item.code
        if item.parent and items.parent_id:
            parent = self.world.model.lists[items.parent_id]
            row |= {
                "parent": parent.items[item.parent].name,
                "parentId": item.parent,
                "listId": parent.id,
                "listName": parent.name,
            }
        if everything:
            row["properties"] = property_texts(self.world, items, item)
            row["subsets"] = {name: name in item.subsets for name in items.subsets}
        return row

    # Write

    def _post(self, call: ApiCall) -> Response:
        actions = {"add": self._add, "delete": self._delete}
        if call.query.get("action") not in actions:
            raise ApiError(400, "action is add or delete")
        return actions[call.query["action"]](call)

    def _write(
        self, call: ApiCall, word: str, apply: Callable[[AnaplanList, Row], None], *, ignored: bool = True
    ) -> Response:
        items, wanted = self._list(call), self._wanted(call)
        self.world.wait_until_free()
        failures = []
        for index, row in enumerate(wanted):
            try:
                apply(items, row)
            except ItemRefused as error:
                text = {"failureType": error.kind, "failureMessageDetails": str(error)}
                failures.append({"requestIndex": index} | text)
        content: Row = {word: len(wanted) - len(failures), "failures": failures}
        content |= {"ignored": len(failures), "total": len(wanted)} if ignored else {}
        return success(call, self.world, "list", **content)

    def _wanted(self, call: ApiCall) -> list[Row]:
        body = call.json()
        rows = body.get("items") if isinstance(body, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ApiError(400, 'The body is {"items": [...]}')
        if len(rows) > MOST_ITEMS:
            raise ApiError(400, f"more than {MOST_ITEMS} items in one call")
        return rows

    def _add(self, call: ApiCall) -> Response:
        return self._write(call, "added", self._add_one)

    def _add_one(self, items: AnaplanList, row: Row) -> None:
        """Add is not an upsert: a code or name that exists is a failure."""
        code, name = row.get("code"), row.get("name")
        if items.numbered and name is not None:
            raise ItemRefused("INCORRECT_FORMAT", "a numbered list takes no name")
        if not items.numbered and not name:
            raise ItemRefused("INCOMPLETE_DATA", "name is required")
        if items.numbered and not code:
            raise ItemRefused("INCOMPLETE_DATA", "code is required")
        if (code and code in items.by_code) or (name and name in items.by_name):
            raise ItemRefused("INCORRECT_FORMAT", f"code or name exists: {code or name}")
        self._check_length(row)
        parts = self._parts(items, row)
        number, items.next_index = items.next_index, items.next_index + 1
        text = f"#{number}" if items.numbered else str(name)
        item = ListItem(f"{items.item_prefix}{number:08d}", text, code, **parts)
        put_item(items, item, None, Journal())

    def _check_length(self, row: Row) -> None:
        for name in ("code", "name"):
            if len(str(row.get(name) or "")) > LONGEST_CODE:
                raise ItemRefused("INCORRECT_FORMAT", f"{name} is longer than {LONGEST_CODE} characters")

    def _parts(self, items: AnaplanList, row: Row, before: ListItem | None = None) -> Row:
        """Parent, properties and subsets of a row; what is left out stays as it was."""
        properties = dict(before.properties) if before else {}
        for name, value in row.get("properties", {}).items():
            properties[name] = self._property(items, name, value)
        members = dict.fromkeys(before.subsets if before else (), True) | row.get("subsets", {})
        unknown = set(members) - set(items.subsets)
        if unknown:
            raise ItemRefused("INCORRECT_FORMAT", f"no such subset: {', '.join(sorted(unknown))}")
        parent = before.parent if before else None
        if row.get("parent"):
            parent = self._parent(items, str(row["parent"]))
        subsets = tuple(name for name, member in members.items() if member)
        return {"parent": parent, "properties": properties, "subsets": subsets}

    def _parent(self, items: AnaplanList, text: str) -> str:
        found = None
        if items.parent_id:
            index = ItemIndex(self.world.model.lists[items.parent_id])
            found = index.by_code(text) or index.by_name(text)
        if found is None:
            raise ItemRefused("INCORRECT_FORMAT", f"no such parent: {text}")
        return found.id

    def _property(self, items: AnaplanList, name: str, value: Any) -> Value:
        if name not in items.properties:
            raise ItemRefused("INCORRECT_FORMAT", f"no such property: {name}")
        form = items.properties[name]
        text = ("true" if value else "false") if isinstance(value, bool) else str(value)
        try:
            return parse(text, form)
        except ValueError as error:
            kind = form.kind.lower()
            raise ItemRefused(
                "INCORRECT_FORMAT", f"incorrect format -- column name:{name}, value:wrong value for {kind}"
            ) from error

    def _update(self, call: ApiCall) -> Response:
        return self._write(call, "updated", self._update_one)

    def _update_one(self, items: AnaplanList, row: Row) -> None:
        item = self._located(items, row, ("id", "code", "name"))
        if item.code and row.get("code") != item.code:
            raise ItemRefused("INCOMPLETE_DATA", "the item has a code: send it")
        name = str(row["name"]) if row.get("name") and not items.numbered else item.name
        if name != item.name and name in items.by_name:
            raise ItemRefused("INCORRECT_FORMAT", f"name exists: {name}")
        code = row.get("code") or item.code
        changed = replace(item, name=name, code=code, **self._parts(items, row, item))
        put_item(items, changed, item, Journal())

    def _delete(self, call: ApiCall) -> Response:
        return self._write(call, "deleted", self._delete_one, ignored=False)

    def _delete_one(self, items: AnaplanList, row: Row) -> None:
        if ("id" in row) == ("code" in row):
            raise ItemRefused("INCORRECT_FORMAT", "id or code, not both")
        drop_item(self.world.model, items, self._located(items, row, ("id", "code")), Journal())

    def _located(self, items: AnaplanList, row: Row, by: tuple[str, ...]) -> ListItem:
        index = ItemIndex(items, folded=self.world.switches["code_matching"] == "folded")
        finders: dict[str, Callable[[str], ListItem | None]] = {
            "id": items.items.get,
            "code": index.by_code,
            "name": index.by_name,
        }
        for name in by:
            if row.get(name):
                found = finders[name](str(row[name]))
                if found is not None:
                    return found
        raise ItemRefused("INCORRECT_FORMAT", "no such item")

    def _reset(self, call: ApiCall) -> Response:
        items = self._list(call)
        if items.items:
            raise ApiError(
                400,
                "We can't reset the list item index of a list that contains data. "
                "Select an empty list that doesn't contain any list items.",
            )
        items.next_index = 1
        return success(call, self.world, "list")


def property_texts(world: World, items: AnaplanList, item: ListItem) -> dict[str, str]:
    """Property values as the API's strings; LIST values as codes."""
    texts = {}
    for name, form in items.properties.items():
        value = item.properties.get(name)
        if form.kind == "LIST" and isinstance(value, str):
            value = item_code(world.model, form.list_id, value)
        texts[name] = show(value)
    return texts


def list_table(world: World, items: AnaplanList) -> views.Table:
    """A list as CSV rows: Id, Name, Code, Parent, properties, subsets."""
    table = [["Id", "Name", "Code", "Parent", *items.properties, *items.subsets]]
    for item in items.items.values():
        parent = ""
        if item.parent and items.parent_id:
            parent = world.model.lists[items.parent_id].items[item.parent].name
        texts = property_texts(world, items, item).values()
        members = ["true" if name in item.subsets else "false" for name in items.subsets]
        table.append([item.id, item.name, item.code or "", parent, *texts, *members])
    return table
