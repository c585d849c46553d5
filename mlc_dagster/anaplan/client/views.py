"""What a model shows: saved views at once or by read requests, and the files of exports (vendors/anaplan.md
sections 5, 6, 7 and 9).
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlc_dagster.anaplan.answers import LONGEST_CELL
from mlc_dagster.anaplan.client.api import Api
from mlc_dagster.transport.errors import Refused
from mlc_dagster.transport.session import decimal_json


@dataclass(frozen=True, slots=True)
class Grid:
    """A view of at most 1,000,000 cells, as text. `paged`: more items of a page dimension are not shown."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    paged: bool

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Grid":
        """From `{pages[], columnCoordinates[[..]], rows[{rowCoordinates[], cells[]}]}`."""
        return cls(
            columns=tuple(" / ".join(labels) for labels in data.get("columnCoordinates", ())),
            rows=tuple(tuple(map(str, row.get("cells", ()))) for row in data.get("rows", ())),
            paged=bool(data.get("pages")),
        )


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """A large view that Anaplan makes ready in pages. `pages` and `successful` count once it has ended."""

    id: str
    state: str
    pages: int
    successful: bool

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "ReadRequest":
        """From `viewReadRequest`."""
        return cls(
            id=data["requestId"],
            state=data.get("requestState", ""),
            pages=int(data.get("availablePages", 0)),
            successful=bool(data.get("successful", False)),
        )

    @property
    def ended(self) -> bool:
        """COMPLETE and CANCELLED are the end. COMPLETE does not mean success."""
        return self.state in ("COMPLETE", "CANCELLED")


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """How an export writes its file. `headers` are its columns."""

    headers: tuple[str, ...]
    encoding: str
    separator: str
    delimiter: str

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "ExportFormat":
        """From `exportMetadata`."""
        return cls(
            headers=tuple(data.get("headerNames", ())),
            encoding=data.get("encoding") or "UTF-8",
            separator=data.get("separator") or ",",
            delimiter=data.get("delimiter", '"'),
        )


class Views:
    """Reads cells. A busy model makes these calls wait; exports and read requests hold writers up."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def grid(self, view_id: str) -> Grid | None:
        """A view whole; None when Anaplan says 400, as it does above 1,000,000 cells."""
        try:
            response = self._api.call(
                "GET",
                f"/models/{self._api.model_id}/views/{view_id}/data",
                params={"format": "v1"},
                headers={"Accept": "application/json"},
            )
        except Refused as refusal:
            if refusal.status == 400:
                return None
            raise
        return self._api.read_value(response, decimal_json(response.text), Grid.read)

    def request(self, view_id: str) -> ReadRequest:
        """Ask for a view in pages, all items of all dimensions in rows. To ask twice changes nothing."""
        body = {"exportType": "TABULAR_MULTI_COLUMN"}
        response = self._api.call("POST", self._requests(view_id), json=body, repeatable=True)
        return self._api.read(response, "viewReadRequest", ReadRequest.read)

    def look(self, view_id: str, request_id: str) -> ReadRequest:
        """How far a request is. It expires after 30 idle minutes: Misconfigured with status 404."""
        response = self._api.call("GET", f"{self._requests(view_id)}/{request_id}")
        return self._api.read(response, "viewReadRequest", ReadRequest.read)

    def page(self, view_id: str, request_id: str, number: int) -> list[list[str]]:
        """The lines of a page, counted from 0."""
        path = f"{self._requests(view_id)}/{request_id}/pages/{number}"
        response = self._api.call("GET", path, headers={"Accept": "text/csv"})
        text = response.content.decode("utf-8-sig")
        csv.field_size_limit(LONGEST_CELL)
        return list(csv.reader(io.StringIO(text, newline="")))

    def end(self, view_id: str, request_id: str) -> None:
        """Give a request back."""
        self._api.found("DELETE", f"{self._requests(view_id)}/{request_id}")

    def export_format(self, export_id: str) -> ExportFormat:
        """How an export writes its file."""
        response = self._api.call("GET", f"{self._api.model_path}/exports/{export_id}")
        return self._api.read(response, "exportMetadata", ExportFormat.read)

    def exported(self, export_id: str) -> Iterator[bytes]:
        """The file an export wrote for our user, chunk by chunk; a chunk may end within a character.

        Raises Misconfigured with status 404 when there is none: no export ran, or more than 48 h ago.
        """
        # The file has the export's own id.
        path = f"{self._api.model_path}/files/{export_id}/chunks"
        headers = {"Accept": "application/octet-stream"}
        # Nobody promises the order of the answer.
        for chunk in sorted(self._api.items(path, "chunks", lambda data: int(data["id"]))):
            yield self._api.call("GET", f"{path}/{chunk}", headers=headers).content

    def _requests(self, view_id: str) -> str:
        return f"{self._api.model_path}/views/{view_id}/readRequests"
