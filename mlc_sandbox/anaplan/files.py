"""Uploaded files: private to a user, kept 48 hours without use, with a shared default file behind them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mlc_sandbox.anaplan.model import DataSource, Model

MOST_CHUNKS = 1000
LARGEST_CHUNK = 50_000_000  # bytes, uncompressed
LARGEST_SINGLE_PUT = 1_000_000

GZIP, BYTES = "application/x-gzip", "application/octet-stream"


class BadUpload(Exception):
    """The upload call is wrong; `status` is the HTTP status it gets."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(slots=True)
class Content:
    """What one user uploaded, or what an export wrote for him. `expected` -1 is "not known yet". `packed`:
    it came as gzip.
    """

    expected: int
    used_at: datetime
    complete: bool = False
    chunks: dict[int, bytes] = field(default_factory=dict)
    packed: bool = False

    @property
    def whole(self) -> bool:
        """Whether an import may read it."""
        return self.complete or (self.expected > 0 and len(self.chunks) >= self.expected)

    def joined(self) -> bytes:
        """All chunks in order."""
        return b"".join(self.chunks[index] for index in sorted(self.chunks))


class FileStore:
    """Contents by user and file id; user "" holds the shared default files."""

    def __init__(self, model: Model, now: Callable[[], datetime], hours: Callable[[], int]) -> None:
        self.model, self._now, self._hours = model, now, hours
        self.contents: dict[tuple[str, str], Content] = {}
        self.previous: dict[tuple[str, str], bytes] = {}

    def private(self, user: str, file_id: str) -> Content | None:
        """The user's own content, unless it is older than 48 hours; reading it counts as use."""
        content = self.contents.get((user, file_id))
        if content is None:
            return None
        if self._now() - content.used_at > timedelta(hours=self._hours()):
            del self.contents[user, file_id]
            return None
        content.used_at = self._now()
        return content

    def readable(self, user: str, file_id: str) -> Content | None:
        """What an import or a download reads: the user's own content, else the default file."""
        return self.private(user, file_id) or self.contents.get(("", file_id))

    def set_default(self, file_id: str, content: bytes) -> None:
        """The builder's shared default file."""
        self.contents["", file_id] = Content(1, self._now(), complete=True, chunks={0: content})

    def begin(self, user: str, file_id: str, chunk_count: int) -> DataSource:
        """Start an upload. An unknown id creates a stray file of that name instead of failing."""
        if chunk_count != -1 and not 0 < chunk_count <= MOST_CHUNKS:
            raise BadUpload(400, f"chunkCount is -1 or 1 to {MOST_CHUNKS}")
        source = self.model.files.get(file_id) or self._stray(file_id)
        self._start(user, source.id, chunk_count)
        source.chunk_count = max(chunk_count, 0)
        return source

    def _stray(self, name: str) -> DataSource:
        number = 1 + max(int(file_id) for file_id in self.model.files)
        source = DataSource(str(number), name)
        self.model.files[source.id] = source
        return source

    def _start(self, user: str, file_id: str, expected: int) -> Content:
        before = self.contents.get((user, file_id))
        if before is not None and before.whole:
            self.previous[user, file_id] = before.joined()
        content = Content(expected, self._now())
        self.contents[user, file_id] = content
        return content

    def put_chunk(self, user: str, file_id: str, index: int, body: bytes, content_type: str) -> None:
        """Store one chunk, unpacked when it is declared gzip."""
        content = self.private(user, file_id)
        if content is None:
            raise BadUpload(404, "Not Found")
        if not 0 <= index < (content.expected if content.expected > 0 else MOST_CHUNKS):
            raise BadUpload(400, f"chunk {index} is outside the announced chunk count")
        content.chunks[index] = _unpacked(body, content_type)
        content.packed = content.chunks[index] != body
        content.complete = False

    def put_whole(self, user: str, file_id: str, body: bytes, content_type: str) -> None:
        """Upload a small file in one call."""
        if content_type != BYTES:
            raise BadUpload(415, f"Content-Type is {BYTES}")
        if len(body) > LARGEST_SINGLE_PUT:
            raise BadUpload(400, f"more than {LARGEST_SINGLE_PUT} bytes: upload in chunks")
        content = self._start(user, file_id, 1)
        content.chunks[0], content.complete = body, True
        self.model.files[file_id].chunk_count = 1

    def finish(self, user: str, file_id: str) -> DataSource:
        """Mark the upload complete; every announced chunk has to be there."""
        content = self.private(user, file_id)
        if content is None:
            raise BadUpload(404, "Not Found")
        count = content.expected if content.expected > 0 else len(content.chunks)
        if sorted(content.chunks) != list(range(count)) or not count:
            raise BadUpload(400, "chunks are missing")
        content.complete = True
        source = self.model.files[file_id]
        source.chunk_count = count
        return source

    def overwrite(self, user: str, file_id: str, body: bytes) -> None:
        """What another job of the same user has uploaded in one chunk."""
        self.contents[user, file_id] = Content(1, self._now(), complete=True, chunks={0: body})

    def write_export(self, user: str, export_id: str, body: bytes, chunk_bytes: int) -> None:
        """An export's output, private to the user, under the export's own id."""
        slices = [body[start : start + chunk_bytes] for start in range(0, len(body), chunk_bytes)] or [b""]
        self.contents[user, export_id] = Content(
            len(slices), self._now(), complete=True, chunks=dict(enumerate(slices))
        )

    def delete(self, user: str, file_id: str) -> None:
        """Remove the user's own content; the definition and its chunkCount stay."""
        self.contents.pop((user, file_id), None)


def _unpacked(body: bytes, content_type: str) -> bytes:
    if content_type not in (GZIP, BYTES):
        raise BadUpload(415, f"Content-Type is {BYTES} or {GZIP}")
    try:
        raw = gzip.decompress(body) if content_type == GZIP else body
    except (OSError, EOFError, zlib.error) as error:
        raise BadUpload(400, "the chunk is not gzip") from error
    if len(raw) > LARGEST_CHUNK:
        raise BadUpload(400, f"the chunk is larger than {LARGEST_CHUNK} bytes")
    return raw
