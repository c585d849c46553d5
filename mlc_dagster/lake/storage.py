"""Files of the lake over fsspec: list, read, replace as a whole, remove."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

# What file systems call the things that change with a file's content; each offers some of them.
VERSION_MARKS = ("mtime", "created", "ETag", "etag", "LastModified", "last_modified", "generation")
TEMPORARY = ".writing"
# What a writer or a reader of a file holds in memory at a time, whatever the file's size.
ROW_GROUP_BYTES = 8 * 2**20
ROW_GROUP_ROWS = 20_000
# Three years of twenty entities are 1,700 files a company, a few hundred bytes each.
FILES_REMEMBERED = 50_000
# Raises when a file that was written shall not take its place after all.
LastLook = Callable[[], None]


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
        self.url = url
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

    def read(self, path: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The whole file, or some columns, from one open handle: a replacement meanwhile is not half seen."""
        with self.fs.open(path, "rb") as handle, pq.ParquetFile(handle) as file:
            return file.read(columns)

    def parts(self, path: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The file, or some columns, in parts of at most ROW_GROUP_ROWS rows, from one open handle."""
        with self.fs.open(path, "rb") as handle, pq.ParquetFile(handle) as file:
            for number in range(file.num_row_groups):
                yield file.read_row_group(number, columns, use_threads=False)

    def find(self, path: str, column: str, values: pa.Array) -> pa.Table:
        """The rows whose column has one of some values. Only the parts that hold any are read."""
        with self.fs.open(path, "rb") as handle, pq.ParquetFile(handle) as file:
            found = [file.schema_arrow.empty_table()]
            for number in range(file.num_row_groups):
                held = file.read_row_group(number, [column], use_threads=False).column(column)
                wanted = pc.is_in(held, values)
                if pc.any(wanted).as_py():
                    found.append(file.read_row_group(number, use_threads=False).filter(wanted))
        return pa.concat_tables(found)

    def schema(self, path: str) -> pa.Schema:
        """The schema and metadata, without reading rows."""
        with self.fs.open(path, "rb") as handle:
            return pq.read_schema(handle)

    def metadata(self, file: File) -> Mapping[bytes, bytes]:
        """What stands in a Parquet file besides rows. Polls ask all the time: each file is opened once."""
        return _metadata(self.url, file)

    def replace(
        self, path: str, schema: pa.Schema, parts: Iterable[pa.Table], last_look: LastLook = lambda: None
    ) -> None:
        """Put the parts in place of the Parquet file, all or nothing. Missing folders are made.

        Raises:
            OSError: the file system refused; the previous file is untouched and no temporary file remains.
            Exception: what `parts` or `last_look` raises; the same holds.
        """

        def write(file: BinaryIO) -> None:
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                for group in _row_groups(parts):
                    writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
                    # Else Arrow keeps the memory of every part for the next one, which may be smaller.
                    pa.default_memory_pool().release_unused()

        self.put(path, write, last_look)

    def put(self, path: str, write: Callable[[BinaryIO], None], last_look: LastLook = lambda: None) -> None:
        """Put a file in its place, all or nothing, unless `last_look` raises. Missing folders are made.

        A local file is written beside its place, synced and moved. Object stores get it from a temporary file
        in one step. `last_look` is taken directly before that.
        """
        self.fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        if self.local:
            _put_local(Path(path), write, last_look)
            return
        with tempfile.NamedTemporaryFile() as file:
            write(file)  # type: ignore[arg-type]
            file.flush()
            last_look()
            self.fs.put_file(file.name, path)

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is fine."""
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(path)

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with all that is in it; one that is gone already is fine."""
        with contextlib.suppress(FileNotFoundError):
            if self.local:
                shutil.rmtree(folder)
            else:
                self.fs.rm(folder, recursive=True)

    def folders(self, folder: str) -> Sequence[str]:
        """The folders in a folder; none when there is no such folder."""
        self.fs.invalidate_cache(folder)
        try:
            entries = self.fs.ls(folder, detail=True)
        except FileNotFoundError:
            return []
        return sorted(str(entry["name"]).rstrip("/") for entry in entries if entry["type"] == "directory")

    def touched(self, folder: str) -> datetime | None:
        """When a file of a folder was written last, by the file system's clock; None when it holds none."""
        times = []
        for file in self.list(folder):
            with contextlib.suppress(FileNotFoundError):
                times.append(self.fs.modified(file.path).astimezone(UTC))
        return max(times, default=None)

    def sweep(self, folder: str, *, before: date) -> None:
        """Remove temporary files that a killed process left before a day."""
        if not self.local or not Path(folder).is_dir():
            return
        for path in Path(folder).glob(f".*{TEMPORARY}"):
            with contextlib.suppress(FileNotFoundError):
                if datetime.fromtimestamp(path.stat().st_mtime, UTC).date() < before:
                    path.unlink()


@lru_cache(FILES_REMEMBERED)
def _metadata(url: str, file: File) -> Mapping[bytes, bytes]:
    found: Mapping[bytes, bytes] = Storage(url).schema(file.path).metadata
    return found


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


def _put_local(path: Path, write: Callable[[BinaryIO], None], last_look: LastLook) -> None:
    temporary = path.with_name(f".{path.name}.{uuid4().hex}{TEMPORARY}")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        last_look()
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _row_groups(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Gather small parts, so that a file has few row groups and a writer little in memory."""
    waiting: list[pa.Table] = []
    rows = size = 0
    for part in parts:
        waiting.append(part)
        rows, size = rows + len(part), size + part.nbytes
        if rows >= ROW_GROUP_ROWS or size >= ROW_GROUP_BYTES:
            yield pa.concat_tables(waiting)
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting)


def _version(entry: dict[str, object]) -> str:
    return json.dumps({mark: str(entry[mark]) for mark in VERSION_MARKS if mark in entry})
