"""Finds list items and versions by code, name or id, the way the model's code matching says."""

from __future__ import annotations

from mlc_sandbox.anaplan.model import VERSIONS_ID, AnaplanList, ListItem, Model


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


def dimension_name(model: Model, dimension_id: str) -> str:
    """Name of a list, or Versions."""
    return "Versions" if dimension_id == VERSIONS_ID else model.lists[dimension_id].name


def item_code(model: Model, list_id: str | None, item_id: str) -> str | None:
    """Code of an item, its name when it has none; None when the item is gone."""
    item = model.lists[list_id].items.get(item_id) if list_id else None
    return (item.code or item.name) if item else None
