"""The Partner Mailbox: two folders of files, whatever protocol they came by (vendors/cleo.md section 6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mlc_sandbox.cleo.errors import ApiError
from mlc_sandbox.cleo.switches import Switches
from mlc_sandbox.core import SandboxClock

UPLOAD, DOWNLOAD = "upload", "download"
# The folder names of the VersaLex commands (DOC) and what they are here.
VERSALEX_FOLDERS = {"inbox": UPLOAD, "outbox/payload": DOWNLOAD}


@dataclass(slots=True)
class File:
    """One file. While `unread_looks` is above 0 its writer has not ended: half of it is there."""

    name: str
    content: bytes
    modified: datetime
    stored: datetime  # by the time that waits are measured in
    writing: bool = False
    unread_looks: int = 0
    picked_up: bool = False

    @property
    def shown(self) -> bytes:
        """What a reader gets now."""
        return self.content[: len(self.content) // 2] if self.unread_looks > 0 else self.content


@dataclass(slots=True)
class Removed:
    """A file that has left a folder, and who took it: client, flow or portal."""

    folder: str
    name: str
    by: str
    at: datetime


@dataclass
class Mailbox:
    """Files by folder in the order they came. Names that were ever uploaded are remembered."""

    clock: SandboxClock
    switches: Switches
    folders: dict[str, dict[str, File]] = field(default_factory=lambda: {UPLOAD: {}, DOWNLOAD: {}})
    uploaded: set[str] = field(default_factory=set)
    removed: list[Removed] = field(default_factory=list)

    def folder(self, name: str) -> str:
        """`upload` or `download` by the name the switches give it, or VersaLex's. Raises ApiError 404."""
        name = name.strip("/")
        named = {
            self.switches["upload_folder"].strip("/"): UPLOAD,
            self.switches["download_folder"].strip("/"): DOWNLOAD,
        }
        found = named.get(name) or VERSALEX_FOLDERS.get(name)
        if found is None:
            raise ApiError(404, f"There is no folder {name!r}.")
        return found

    def files(self, folder: str) -> list[File]:
        """The files of a folder, oldest first."""
        return list(self.folders[folder].values())

    def get(self, folder: str, name: str) -> File:
        """One file. Raises ApiError 404."""
        found = self.folders[folder].get(name)
        if found is None:
            raise ApiError(404, f"There is no file {name!r} in {folder}.")
        return found

    def put(self, folder: str, name: str, content: bytes, *, writing: bool = False) -> File:
        """Store a file. Raises ApiError: 409 for a name that was used, 413 for a file that is too large."""
        self.check_size(len(content))
        if folder == UPLOAD and not writing:
            self.claim(name)
        file = File(name, content, self.clock.now(), self.clock.wire(), writing)
        self.folders[folder].pop(name, None)
        self.folders[folder][name] = file
        return file

    def check_size(self, size: int) -> None:
        """Raises ApiError 413."""
        most = self.switches["upload_bytes"]
        if most and size > most:
            raise ApiError(413, f"A file may have {most} bytes.")

    def claim(self, name: str) -> None:
        """Note the name of a complete file. Raises ApiError 409 for one that was used, if that is refused."""
        suffix = self.switches["unfinished_suffix"]
        if suffix and name.endswith(suffix):
            return
        if self.switches["same_name"] == "refused" and name in self.uploaded:
            raise ApiError(409, f"A file {name!r} was uploaded before.")
        self.uploaded.add(name)

    def rename(self, folder: str, old: str, new: str) -> None:
        """Give a file another name. Raises ApiError 404 and 409 (the new name is taken, or was used)."""
        file = self.get(folder, old)
        if new in self.folders[folder]:
            raise ApiError(409, f"There is a file {new!r} already.")
        if folder == UPLOAD:
            self.claim(new)
        del self.folders[folder][old]
        file.name, file.modified, file.stored = new, self.clock.now(), self.clock.wire()
        self.folders[folder][new] = file

    def remove(self, folder: str, name: str, by: str) -> File:
        """Take a file away. Raises ApiError 404."""
        file = self.get(folder, name)
        del self.folders[folder][name]
        self.removed.append(Removed(folder, name, by, self.clock.now()))
        return file

    def due(self) -> list[File]:
        """Uploads that the flow takes up now: complete ones, old enough, not taken up before."""
        age = timedelta(seconds=self.switches["pickup_seconds"])
        suffix, now = self.switches["unfinished_suffix"], self.clock.wire()
        early = self.switches["pickup_on"] == "write"
        return [
            file
            for file in self.folders[UPLOAD].values()
            if not file.picked_up
            and (not file.writing or (early and file.content))
            and not (suffix and file.name.endswith(suffix))
            and file.stored + age <= now
        ]
