"""What one destination carries: the columns of its contract, and how a row names its list item."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlc_dagster.delivery.rows import Change, Op


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed. A row's code is its key, and what Anaplan's dumps and failures name.

    columns: the contract's, in order. key: those that say where a row goes: the code of a list's item, or an
    item of each of several dimensions, which together are its code then. list_columns: the header of the list
    file. item_name: the column that names the list's items; without it their code does. removal: the values
    that mark an item for the delete action, where one removes it.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...] = ("code",)
    list_columns: tuple[str, str] = ("code", "name")
    item_name: str | None = None
    removal: Mapping[str, Any] | None = None

    @property
    def code_column(self) -> str:
        """The column of an item's code. Rows that stand by several dimensions are no items."""
        return self.key[0]

    def item_rows(self, changes: Iterable[Change]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Code and columns of rows that are items. One for the delete action has only its code and its mark:
        its other cells may name items that went before it, and the mark would be rejected with them.
        """
        for change in changes:
            code = change.row.key
            if self.removal is not None and change.op is Op.DELETE:
                yield code, {self.code_column: code, **self.removal}
            else:
                yield code, change.row.payload

    def item_text(self, code: str, payload: Mapping[str, Any]) -> Any:
        """What names the item. The code stands in for a name: an empty cell would leave an old one there."""
        return payload.get(self.item_name or self.code_column) or code

    def item(self, code: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """A line of the list file."""
        its_code, its_name = self.list_columns
        return {its_code: code, its_name: self.item_text(code, payload)}


def joined(key: Sequence[str], values: Mapping[str, Any]) -> str:
    """The code of a row, or of a line of a failure dump."""
    cells = (values.get(name) for name in key)
    return "|".join("" if cell is None else str(cell) for cell in cells)
