"""Files of a model: the private content our user uploads (vendors/anaplan.md section 6)."""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from itertools import chain

import requests

from mlc_dagster.anaplan.client.api import Api
from mlc_dagster.delivery.spool import Spool
from mlc_dagster.transport.errors import Misconfigured

CHUNK_BYTES, LARGEST_CHUNK, MOST_CHUNKS = 10_000_000, 50_000_000, 1000
# A file of invoices shrinks to a tenth; for less the packing is not worth while.
WORTH_PACKING, FAST = 1_000_000, 1
# How a gzip stream begins, and zlib's word for one.
GZIP, GZIP_BITS = b"\x1f\x8b", 31


class Files:
    """Uploads. `chunk_bytes` is the size of a chunk before compression."""

    def __init__(self, api: Api, *, chunk_bytes: int, exact_chunk_count: bool) -> None:
        if not 0 < chunk_bytes <= LARGEST_CHUNK:
            raise ValueError(f"chunk_bytes is {chunk_bytes}; Anaplan takes 1 to {LARGEST_CHUNK}")
        self._api, self.chunk_bytes, self._exact = api, chunk_bytes, exact_chunk_count

    def upload(self, file_id: str, content: Spool) -> None:
        """Replace the private content of a file, in chunks. The import must be started by the same user.

        Raises:
            ValueError: the content is empty or needs more than 1000 chunks.
            Misconfigured: the file does not exist. Anaplan creates a stray one then; its answer tells.
            InDoubt: a chunk had no answer. It is not sent again here, because it may still land, in what is
                uploaded next: Anaplan knows chunks by their number only.
        """
        chunks = -(-content.size // self.chunk_bytes)
        if not 0 < chunks <= MOST_CHUNKS:
            raise ValueError(
                f"{content.size} bytes make {chunks} chunks; Anaplan takes 1 to {MOST_CHUNKS}. Raise "
                f"chunk_bytes"
            )
        path = f"{self._api.model_path}/files/{file_id}"
        # Each chunk is a gzip stream of its own; one file's chunks are all packed, or none.
        packed = content.size > WORTH_PACKING
        headers = {"Content-Type": "application/x-gzip" if packed else "application/octet-stream"}
        count = {"chunkCount": chunks if self._exact else -1}
        # Setting the count and completing may be repeated: they change nothing the second time.
        self._same_file(file_id, self._api.call("POST", path, json=count, repeatable=True))
        for number, chunk in enumerate(content.pieces(self.chunk_bytes)):
            body = gzip.compress(chunk, compresslevel=FAST) if packed else chunk
            response = self._api.call(
                "PUT", f"{path}/chunks/{number}", data=body, headers=headers, repeatable=False
            )
            if response.status_code != 204:
                raise self._api.broken(response, "a chunk is answered with 204")
        if not self._exact:
            done = self._api.call("POST", f"{path}/complete", json={"id": file_id}, repeatable=True)
            self._same_file(file_id, done)

    def holds(self, file_id: str, content: Spool) -> bool:
        """Whether a file's private content is still, byte for byte, what was uploaded.

        However Anaplan slices and packs what it gives back: of an upload that is not documented (section 6).
        """
        path = f"{self._api.model_path}/files/{file_id}/chunks"
        ours, theirs = hashlib.sha256(), hashlib.sha256()
        for piece in content.pieces(self.chunk_bytes):
            ours.update(piece)
        try:
            numbers = sorted(self._api.items(path, "chunks", lambda each: int(each["id"])))
            for piece in _unpacked(self._api.call("GET", f"{path}/{number}").content for number in numbers):
                theirs.update(piece)
        except zlib.error:
            return False
        except Misconfigured as gone:
            if gone.status != 404:
                raise
            return False
        return ours.digest() == theirs.digest()

    def _same_file(self, file_id: str, response: requests.Response) -> None:
        answered = self._api.json(response).get("file", {}).get("id")
        if answered != file_id:
            raise Misconfigured(
                "Anaplan",
                "POST",
                response.request.path_url,
                status=response.status_code,
                excerpt_text=f"the upload went to file {answered}, not {file_id}",
                remedy=f"The import's file does not exist. The model builder uploads it once in the model, "
                f"and deletes the stray file {answered}.",
            )


def _unpacked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The text of chunks, or of the gzip streams in them, wherever they are cut. No text begins as gzip does.

    Raises zlib.error: it is broken.
    """
    first = next(chunks, b"")
    if not first.startswith(GZIP):
        yield first
        yield from chunks
        return
    stream = zlib.decompressobj(GZIP_BITS)
    for chunk in chain([first], chunks):
        left = chunk
        while left:
            stream = zlib.decompressobj(GZIP_BITS) if stream.eof else stream
            yield stream.decompress(left)
            left = stream.unused_data
    if not stream.eof:
        raise zlib.error("it ends in the middle")
