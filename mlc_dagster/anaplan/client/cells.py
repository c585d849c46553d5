"""Small writes: list items and module cells, each answered at once (vendors/anaplan.md section 9)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlc_dagster.anaplan.client.api import Api
from mlc_dagster.transport.session import exact_json

MOST_CELLS, MOST_BYTES = 100_000, 15_000_000


@dataclass(frozen=True, slots=True)
class Written:
    """What one call says of its rows: how many it wrote, and why it refused others, by their place in it."""

    done: int
    refused: Mapping[int, str]

    @property
    def words(self) -> str:
        """The first refusal, in Anaplan's words."""
        return next(iter(self.refused.values()), "")


class Cells:
    """Writes of list items and cells.

    None of them is sent again by itself, although a repeat would change nothing: an attempt that was given up
    may arrive late, after something newer. Where an answer is lost InDoubt is raised.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def update_items(self, list_id: str, items: Sequence[Mapping[str, Any]]) -> Written:
        """Change items, up to 100,000 a call. One that is not there is refused."""
        return self._items("PUT", list_id, items, None, "updated")

    def add_items(self, list_id: str, items: Sequence[Mapping[str, Any]]) -> Written:
        """Add items, up to 100,000 a call. One whose code or name is there already is refused."""
        return self._items("POST", list_id, items, "add", "added")

    def delete_items(self, list_id: str, codes: Sequence[str]) -> Written:
        """Remove items by code, up to 100,000 a call. One that is not there is refused."""
        return self._items("POST", list_id, [{"code": code} for code in codes], "delete", "deleted")

    def write(self, module_id: str, cells: Sequence[Mapping[str, Any]]) -> Written:
        """Write cells, in as many calls as 100,000 cells or 15 MB need. Decimals go out as exact numbers.

        Where one call is refused whole, or its answer is lost, the former ones stay written.
        """
        done, start = 0, 0
        refused: dict[int, str] = {}
        for count, body in _bodies(cells):
            path = f"/models/{self._api.model_id}/modules/{module_id}/data"
            written = self._call("POST", path, body, None, "numberOfCellsChanged")
            done += written.done
            refused |= {start + index: words for index, words in written.refused.items()}
            start += count
        return Written(done, refused)

    def _items(
        self, method: str, list_id: str, items: Sequence[Mapping[str, Any]], action: str | None, word: str
    ) -> Written:
        path = f"{self._api.model_path}/lists/{list_id}/items"
        return self._call(method, path, exact_json({"items": items}).encode(), action, word)

    def _call(self, method: str, path: str, body: bytes, action: str | None, word: str) -> Written:
        response = self._api.call(
            method,
            path,
            params={"action": action} if action else None,
            data=body,
            headers={"Content-Type": "application/json"},
            repeatable=False,
        )
        return self._api.read_value(
            response,
            self._api.json(response),
            lambda data: Written(int(data[word]), dict(map(_failure, data.get("failures") or ()))),
        )


def _failure(data: Mapping[str, Any]) -> tuple[int, str]:
    words = data.get("failureMessageDetails") or data.get("failureType") or "without words"
    return int(data["requestIndex"]), str(words)


def _bodies(cells: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, bytes]]:
    """The cells as JSON arrays within both limits, each with the number of its cells."""
    parts: list[bytes] = []
    size = 2
    for cell in cells:
        text = exact_json(cell).encode()
        if parts and (len(parts) == MOST_CELLS or size + len(text) + 1 > MOST_BYTES):
            yield len(parts), b"[" + b",".join(parts) + b"]"
            parts, size = [], 2
        parts.append(text)
        size += len(text) + 1
    if parts:
        yield len(parts), b"[" + b",".join(parts) + b"]"
