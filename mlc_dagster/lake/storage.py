"""Files of the lake over fsspec: list, read, replace as a whole, remove."""

import contextlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

# What file systems call the things that change with a file's content; each offers some of them.
VERSION_MARKS = ("mtime", "created", "ETag", "etag", "LastModified", "last_modified", "generation")
TEMPORARY = ".writing"
ROW_GROUP_ROWS = 20_000


@dataclass(frozen=True, slots=True, order=True)
class File:
    """One file as listed: `version` differs whenever its content may differ."""

    path: str
    size: int
    version: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]


class Storage:
    """A folder on any fsspec file system, such as `/data/lake`, `file:///data/lake` or `memory://lake`."""

    def __init__(self, url: str) -> None:
        self.fs, root = fsspec.core.url_to_fs(url)
        self.root = root.rstrip("/")
        self.local = isinstance(self.fs, LocalFileSystem)

    def path(self, *parts: str) -> str:
        """The path below the root."""
        return "/".join([self.root, *parts])

    def address(self, path: str) -> str:
        """The path as DuckDB and people name it: with the protocol unless it is local."""
        return path if self.local else str(self.fs.unstrip_protocol(path))

    def list(self, folder: str) -> list[File]:
        """The files in a folder, sorted by path; none when there is no such folder."""
        if self.local:
            return _list_local(folder)
        self.fs.invalidate_cache(folder)
        try:
            entries = self.fs.ls(folder, detail=True)
        except FileNotFoundError:
            return []
        return sorted(
            File(entry["name"], entry["size"] or 0, _version(entry))
            for entry in entries
            if entry["type"] == "file"
        )

    def read(self, path: str) -> pa.Table:
        """The whole file, from one open handle: a replacement meanwhile cannot be half seen."""
        with self.fs.open(path, "rb") as handle, pq.ParquetFile(handle) as file:
            return file.read()

    def schema(self, path: str) -> pa.Schema:
        """The schema and metadata, without reading rows."""
        with self.fs.open(path, "rb") as handle:
            return pq.read_schema(handle)

    def replace(self, path: str, table: pa.Table) -> None:
        """Put the table in place of the file, all or nothing. Missing folders are made.

        A local file is written beside its place, synced and moved. Object stores replace in one step.

        Raises:
            OSError: the file system refused; the previous file is untouched and no temporary file remains.
        """
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", row_group_size=ROW_GROUP_ROWS)
        data = memoryview(sink.getvalue())
        self.fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        if self.local:
            _replace_local(Path(path), data)
        else:
            self.fs.pipe_file(path, bytes(data))

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is fine."""
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(path)

    def sweep(self, folder: str, *, before: date) -> None:
        """Remove temporary files that a killed process left before a day."""
        if not self.local or not Path(folder).is_dir():
            return
        for path in Path(folder).glob(f".*{TEMPORARY}"):
            with contextlib.suppress(FileNotFoundError):
                if datetime.fromtimestamp(path.stat().st_mtime, UTC).date() < before:
                    path.unlink()


def _list_local(folder: str) -> list[File]:
    # fsspec's own listing fails as a whole when one file vanishes between being listed and being looked at.
    found: list[File] = []
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    for entry in entries:
        with contextlib.suppress(FileNotFoundError):
            status = entry.stat()
            if entry.is_file():
                version = f"{status.st_ino} {status.st_mtime_ns}"
                found.append(File(f"{folder}/{entry.name}", status.st_size, version))
    return sorted(found)


def _replace_local(path: Path, data: memoryview) -> None:
    temporary = path.with_name(f".{path.name}.{uuid4().hex}{TEMPORARY}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _version(entry: dict[str, object]) -> str:
    return json.dumps({mark: str(entry[mark]) for mark in VERSION_MARKS if mark in entry})
