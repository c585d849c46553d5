"""Tables put aside while a reading goes on, so that a crash or a lockout does not cost what was received."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

import pyarrow as pa

from mlc_dagster.lake.errors import PageGone
from mlc_dagster.lake.storage import Storage

NOTE = b"mlc.note"
SUFFIX = ".arrow"


# A reading that put nothing aside for longer is not gone on with, and its spool is removed. One that needs
# many windows may have begun long before.
KEPT = timedelta(days=3)
_BEGUN = "%Y%m%dT%H%M%SZ"


class Spool:
    """A folder of the lake for one reading: tables by name, each whole or not there, each with a note.

    They are no part of the lake's data. Local files are plain Arrow, so that a few rows of a table cost no
    more than these rows; on object stores, where a file travels as a whole, they are compressed.
    """

    def __init__(self, storage: Storage, folder: str) -> None:
        self._storage, self.folder = storage, folder

    @classmethod
    def of(cls, storage: Storage, folder: str, reading: Mapping[str, Any], now: datetime) -> "Spool":
        """The spool of the same reading that was cut off, else a new one; forgotten ones in `folder` go.

        `reading` is all that makes two readings the same.
        """
        text = json.dumps(reading, sort_keys=True)
        digest, now = hashlib.sha256(text.encode()).hexdigest()[:16], now.astimezone(UTC)
        found, oldest = None, now - KEPT
        for path in storage.folders(folder):
            begun, _, other = path.rsplit("/", 1)[-1].partition("-")
            # One without pages counts by its begin.
            newest = storage.touched(path) if begun < f"{oldest:{_BEGUN}}" else now
            if newest is None or newest <= oldest:
                storage.remove_folder(path)
            elif other == digest:
                found = path
        return cls(storage, found or f"{folder}/{now:{_BEGUN}}-{digest}")

    def put(self, name: str, table: pa.Table, note: Mapping[str, Any]) -> None:
        """Write a table durably. Raises OSError when the file system refuses."""
        table = table.replace_schema_metadata({NOTE: json.dumps(note).encode()})

        def write(file: BinaryIO) -> None:
            options = pa.ipc.IpcWriteOptions(compression=None if self._storage.local else "lz4")
            with pa.ipc.new_file(file, table.schema, options=options) as writer:
                writer.write_table(table)

        self._storage.put(f"{self.folder}/{name}{SUFFIX}", write)

    def load(self, name: str) -> pa.Table:
        """Read a table; of a local one only what is used of it comes into memory, and goes with it.

        Raises PageGone, which only another reading of the same can bring about.
        """
        try:
            with self._open(name) as file:
                return file.read_all().replace_schema_metadata(None)
        except FileNotFoundError:
            raise PageGone(self._storage.address(self.folder), name) from None

    def notes(self) -> dict[str, dict[str, Any]]:
        """The note of each table, by its name; one that cannot be read counts as not there."""
        found = {}
        for listed in self._storage.list(self.folder):
            name = listed.name.removesuffix(SUFFIX)
            with suppress(pa.ArrowException, OSError, ValueError), self._open(name) as file:
                found[name] = json.loads(file.schema.metadata[NOTE])
        return found

    def clear(self) -> None:
        """Remove everything."""
        self._storage.remove_folder(self.folder)

    @contextmanager
    def _open(self, name: str) -> Iterator[pa.ipc.RecordBatchFileReader]:
        path = f"{self.folder}/{name}{SUFFIX}"
        source = pa.memory_map(path) if self._storage.local else self._storage.fs.open(path, "rb")
        with source, pa.ipc.open_file(source) as file:
            yield file
