"""File routes: announce, chunks, complete, small upload, download, delete; all private to the user."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox.anaplan.effects import VENDOR
from mlc_sandbox.anaplan.files import BadUpload, Content
from mlc_sandbox.anaplan.http import ApiCall, ApiError, Gate, paged, require_open, sorted_rows, success
from mlc_sandbox.anaplan.model import DataSource
from mlc_sandbox.anaplan.world import World

Handler = Callable[[ApiCall], Response]
# Bytes of a slice where uploads come back in other slices than they went.
RESLICED = 100


def file_row(source: DataSource) -> dict[str, Any]:
    """A file as the API shows it."""
    return {
        "id": source.id,
        "name": source.name,
        "chunkCount": source.chunk_count,
        "delimiter": source.delimiter,
        "encoding": source.encoding,
        "firstDataRow": source.first_data_row,
        "format": "txt",
        "headerRow": source.header_row,
        "separator": source.separator,
    }


class FileRoutes:
    """Uploads and downloads."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world, self.gate = world, gate

    def routes(self) -> list[Route]:
        """All routes in both forms."""
        both, guarded = self.gate.both, self._guarded
        one = "/files/{file}"
        return [
            *both("/files", GET=guarded(self._list)),
            *both(
                one,
                GET=guarded(self._download),
                POST=guarded(self._announce),
                PUT=guarded(self._put_whole),
                DELETE=guarded(self._delete),
            ),
            *both(f"{one}/chunks", GET=guarded(self._chunks)),
            *both(f"{one}/chunks/{{chunk}}", GET=guarded(self._chunk), PUT=guarded(self._put_chunk)),
            *both(f"{one}/complete", POST=guarded(self._complete)),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        """A locked model takes uploads, they leave it alone; an archived or offline one does not."""

        def run(call: ApiCall) -> Response:
            if self.world.model.active_state != "LOCKED":
                require_open(self.world, call)
            try:
                return handler(call)
            except BadUpload as error:
                raise ApiError(error.status, str(error)) from error

        return run

    def _list(self, call: ApiCall) -> Response:
        rows = [file_row(source) for source in self.world.model.files.values()]
        for export in self.world.model.exports.values():
            content = self.world.files.private(call.user.email, export.id)
            chunks = len(content.chunks) if content else 0
            rows.append(
                {
                    "id": export.id,
                    "name": f"{export.name}.csv",
                    "chunkCount": chunks,
                    "firstDataRow": 0,
                    "headerRow": 0,
                }
            )
        return paged(call, self.world, "file", "files", sorted_rows(call, rows, strict=False))

    def _known(self, call: ApiCall) -> str:
        file_id = call.ids["file"]
        if file_id not in self.world.model.files and file_id not in self.world.model.exports:
            raise ApiError(404)
        return file_id

    def _announce(self, call: ApiCall) -> Response:
        body = call.json()
        count = body.get("chunkCount") if isinstance(body, dict) else None
        if type(count) is not int:
            raise ApiError(400, "chunkCount is required")
        source = self.world.files.begin(call.user.email, call.ids["file"], count)
        return success(call, self.world, "file", file=file_row(source))

    def _put_chunk(self, call: ApiCall) -> Response:
        file_id = self._known(call)
        if not call.ids["chunk"].isdigit():
            raise ApiError(404)
        index = int(call.ids["chunk"])
        self.world.files.put_chunk(call.user.email, file_id, index, call.body, call.content_type)
        self.world.file_changed(call.user, file_id)
        return Response(status_code=204)

    def _put_whole(self, call: ApiCall) -> Response:
        file_id = self._known(call)
        if file_id not in self.world.model.files:
            raise ApiError(404)
        self.world.files.put_whole(call.user.email, file_id, call.body, call.content_type)
        self.world.file_changed(call.user, file_id)
        return Response(status_code=204)

    def _complete(self, call: ApiCall) -> Response:
        if self.world.faults.take(VENDOR, "complete_500", call.line) is not None:
            raise ApiError(500)
        file_id = self._known(call)
        source = self.world.files.finish(call.user.email, file_id)
        self.world.file_changed(call.user, file_id)
        return success(call, self.world, "file", file=file_row(source))

    def _content(self, call: ApiCall) -> Content:
        content = self.world.files.readable(call.user.email, self._known(call))
        if content is None:
            raise ApiError(404)
        return content

    def _download(self, call: ApiCall) -> Response:
        return _bytes(self._content(call).joined())

    def _chunks(self, call: ApiCall) -> Response:
        rows = [{"id": str(index), "name": f"Chunk {index}"} for index in sorted(self._slices(call))]
        return paged(call, self.world, "chunk", "chunks", rows)

    def _chunk(self, call: ApiCall) -> Response:
        slices, index = self._slices(call), call.ids["chunk"]
        if not index.isdigit() or int(index) not in slices:
            raise ApiError(404)
        return _bytes(slices[int(index)])

    def _slices(self, call: ApiCall) -> dict[int, bytes]:
        content, way = self._content(call), self.world.switches["upload_returns"]
        slices = content.chunks
        if "packed" in way and content.packed:
            slices = {index: gzip.compress(chunk) for index, chunk in slices.items()}
        if "resliced" in way:
            whole = b"".join(slices[index] for index in sorted(slices))
            starts = range(0, len(whole), RESLICED)
            slices = {index: whole[start : start + RESLICED] for index, start in enumerate(starts)}
        return slices

    def _delete(self, call: ApiCall) -> Response:
        self.world.files.delete(call.user.email, self._known(call))
        return Response(status_code=204)


def _bytes(body: bytes) -> Response:
    return Response(body, media_type="application/octet-stream")
