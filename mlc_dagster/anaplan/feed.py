"""What one destination carries: the columns of its contract, and how a row names its list item."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlc_dagster.delivery.destination import Batch
from mlc_dagster.delivery.rows import Change, Op

Rows = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed. Rows are known by their code, which Anaplan's dumps and failures name.

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

    def code(self, change: Change) -> str:
        """The code of a change's row; empty where it has none."""
        return joined(self.key, change.row.payload)

    def rows(self, batch: Batch) -> dict[str, Mapping[str, Any]]:
        """The batch's rows by code."""
        return {self.code(change): change.row.payload for change in batch.changes}

    def item_rows(self, batch: Batch) -> dict[str, Mapping[str, Any]]:
        """As `rows`, for rows that are items. One for the delete action has only its code and its mark:
        its other cells may name items that went before it, and the mark would be rejected with them.
        """
        rows = self.rows(batch)
        if self.removal is not None:
            gone = [self.code(change) for change in batch.changes if change.op is Op.DELETE]
            rows |= {code: {self.code_column: code, **self.removal} for code in gone}
        return rows

    def item_text(self, code: str, payload: Mapping[str, Any]) -> Any:
        """What names the item. The code stands in for a name: an empty cell would leave an old one there."""
        return payload.get(self.item_name or self.code_column) or code

    def items(self, rows: Rows) -> dict[str, dict[str, Any]]:
        """The lines of the list file by code."""
        return {
            code: dict(zip(self.list_columns, (code, self.item_text(code, payload)), strict=True))
            for code, payload in rows.items()
        }

    def by_key(self, changes: Sequence[Change], words: Mapping[str, str]) -> dict[str, str]:
        """Reasons by key instead of by code."""
        return {change.row.key: words[code] for change in changes if (code := self.code(change)) in words}


def joined(key: Sequence[str], values: Mapping[str, Any]) -> str:
    """The code of a row, or of a line of a failure dump."""
    return "|".join(str(values.get(name) or "") for name in key)
