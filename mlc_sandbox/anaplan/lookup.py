"""The items of a dimension, be it a list, Time or Versions: found by code, name or id, named and labelled."""

from __future__ import annotations

from collections.abc import Mapping

from mlc_sandbox.anaplan.model import TIME_ID, VERSIONS_ID, AnaplanList, ListItem, Model
from mlc_sandbox.anaplan.periods import find_period


class ItemIndex:
    """Items of one list by code, exact or trimmed and case-folded; built once per import or call."""

    def __init__(self, items: AnaplanList, *, folded: bool = False) -> None:
        self._list = items
        self._folded = (
            {code.strip().casefold(): item for code, item in items.by_code.items()} if folded else None
        )

    def key(self, code: str) -> str:
        """What makes two codes equal."""
        return code if self._folded is None else code.strip().casefold()

    def by_code(self, code: str) -> ListItem | None:
        """The item with this code."""
        codes = self._list.by_code if self._folded is None else self._folded
        item_id = codes.get(self.key(code))
        return self._list.items[item_id] if item_id else None

    def by_name(self, name: str) -> ListItem | None:
        """The item with this name."""
        item_id = self._list.by_name.get(name)
        return self._list.items[item_id] if item_id else None

    def add(self, item: ListItem) -> None:
        """Keep the folded index in step with an item that was just created."""
        if self._folded is not None and item.code is not None:
            self._folded[self.key(item.code)] = item.id


def dimension_name(model: Model, dimension: str) -> str:
    """Name of a list, or Time, or Versions."""
    names = {TIME_ID: "Time", VERSIONS_ID: "Versions"}
    return names.get(dimension) or model.lists[dimension].name


def members(model: Model, dimension: str) -> Mapping[str, object]:
    """The items of a dimension by id, in its order."""
    if dimension == TIME_ID:
        return model.periods
    return model.versions if dimension == VERSIONS_ID else model.lists[dimension].items


def named_member(model: Model, dimension: str, name: str) -> str | None:
    """Id of the version or the period of this name."""
    if dimension == TIME_ID:
        return find_period(model.periods, name)
    return next((key for key, version in model.versions.items() if version == name), None)


def label(model: Model, dimension: str, item_id: str) -> str:
    """What a grid shows for an item."""
    if dimension == TIME_ID:
        return model.periods[item_id].name
    if dimension == VERSIONS_ID:
        return model.versions[item_id]
    items = model.lists[dimension]
    return items.label(items.items[item_id])


def member_key(model: Model, dimension: str, item_id: str) -> str:
    """What says which item it is, outside of Anaplan: a list item's code, else the name."""
    if dimension in model.lists:
        return item_code(model, dimension, item_id) or ""
    return label(model, dimension, item_id)


def item_code(model: Model, list_id: str | None, item_id: str) -> str | None:
    """Code of an item, its name when it has none; None when the item is gone."""
    item = model.lists[list_id].items.get(item_id) if list_id else None
    return (item.code or item.name) if item else None
