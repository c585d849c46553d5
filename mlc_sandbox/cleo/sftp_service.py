"""The SFTP protocol on the mailbox, by asyncssh. Imported when somebody first connects.

Paths are `/`, `/upload`, `/download` (the switches' names) and the files in them. Uploading and renaming
happen in `upload`, getting and deleting in both.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import asyncssh
from asyncssh.constants import FXF_APPEND, FXF_CREAT, FXF_EXCL, FXF_READ, FXF_TRUNC, FXF_WRITE

from mlc_sandbox.cleo.errors import ApiError
from mlc_sandbox.cleo.mailbox import UPLOAD, File
from mlc_sandbox.cleo.routes_files import check_target, delete_file, read_file, shown_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlc_sandbox.cleo.world import World

_FOLDER, _FILE = 0o040755, 0o100644


def make_key() -> str:
    """A new private host key, OpenSSH."""
    return asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()


def public_key(private: str) -> str:
    """Its public part, `ssh-ed25519 AAAA...`."""
    return asyncssh.import_private_key(private).export_public_key().decode().strip()


async def start(world: World, listener: socket.socket, private: str) -> Service:
    """Serve on a bound socket."""
    service = Service(world)
    service.acceptor = await asyncssh.listen(
        sock=listener,
        server_host_keys=[asyncssh.import_private_key(private)],
        server_factory=lambda: _Account(service),
        sftp_factory=lambda channel: _Folders(world, channel),
        login_timeout=30,
    )
    return service


class Service:
    """The running server and who is connected."""

    acceptor: asyncssh.SSHAcceptor

    def __init__(self, world: World) -> None:
        self.world = world
        self.connections: set[asyncssh.SSHServerConnection] = set()

    async def close(self) -> None:
        """Hang up on everybody."""
        self.acceptor.close()
        for connection in list(self.connections):
            connection.abort()
            await connection.wait_closed()


class _Account(asyncssh.SSHServer):
    """User and password, or a key that was made known."""

    def __init__(self, service: Service) -> None:
        self.service, self.world = service, service.world

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connection = conn
        self.service.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.service.connections.discard(self.connection)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return not self._refused() and self.world.login.admits(username, password)

    def public_key_auth_supported(self) -> bool:
        return bool(self.world.login.keys)

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        known = [asyncssh.import_public_key(text) for text in self.world.login.keys]
        return not self._refused() and username == self.world.login.user and key in known

    def _refused(self) -> bool:
        return self.world.fault("sftp_login", "SFTP LOGIN") is not None


class _Handle:
    """An open file: what was read of it, or the file that is being written."""

    def __init__(self, folder: str, name: str, content: bytes, written: File | None) -> None:
        self.folder, self.name, self.content, self.written = folder, name, content, written


class _Folders(asyncssh.SFTPServer):
    """The session of one client."""

    def __init__(self, world: World, channel: asyncssh.SSHServerChannel[bytes]) -> None:
        super().__init__(channel)
        self.world, self.box = world, world.mailbox

    @contextmanager
    def _call(self, method: str, path: str) -> Iterator[str]:
        """One call under the lock, with its faults; gives the line that faults are matched with."""
        line = f"SFTP {method} {path}"
        status = 500
        try:
            with self.world.lock:
                self.world.catch_up()
                drop = self.world.fault("drop_connection", line)
                if drop is not None and drop.get("when", "after") == "before":
                    self._hang_up()
                broken = self.world.fault("server_error", line)
                if broken is not None and broken.get("when", "before") == "before":
                    _fail()
                yield line
                self.world.catch_up()
                if drop is not None:
                    self._hang_up()
                if broken is not None:
                    _fail()
            status = 200
        except ApiError as error:
            status = error.status
            raise _sftp_error(error) from error
        finally:
            self.world.note_call(method, path.lstrip("/"), status)

    def _hang_up(self) -> NoReturn:
        self.connection.abort()
        raise ApiError(500, "The connection was dropped.")

    def _split(self, path: bytes) -> tuple[str, str]:
        """Folder (empty for the root) and file name (empty for the folder) of a path."""
        parts = [part for part in self.realpath(path).decode("utf-8", "surrogateescape").split("/") if part]
        if not parts:
            return "", ""
        if len(parts) > 2:
            raise ApiError(404, "There are no folders in the folders.")
        return self.box.folder(parts[0]), parts[1] if len(parts) > 1 else ""

    def realpath(self, path: bytes) -> bytes:
        """A path from the root on, without dots."""
        kept: list[bytes] = []
        for part in path.split(b"/"):
            if part == b"..":
                kept = kept[:-1]
            elif part not in (b"", b"."):
                kept.append(part)
        return b"/" + b"/".join(kept)

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        """The folders, or a folder's files."""
        for entry in self._entries(path):
            yield entry

    def _entries(self, path: bytes) -> list[asyncssh.SFTPName]:
        with self._call("LIST", path.decode("utf-8", "replace")) as line:
            folder, name = self._split(path)
            if name:
                raise ApiError(404, "That is no folder.")
            if not folder:
                switches = self.world.switches
                names = (switches["upload_folder"], switches["download_folder"])
                return [_name(found, _folder_attributes()) for found in names]
            return [_name(file.name, _attributes(file)) for file in shown_files(self.world, folder, line)]

    def stat(self, path: bytes) -> asyncssh.SFTPAttrs:
        """Of a folder or file."""
        with self._call("STAT", path.decode("utf-8", "replace")):
            folder, name = self._split(path)
            return _attributes(self.box.get(folder, name)) if name else _folder_attributes()

    lstat = stat

    def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:  # noqa: ARG002
        """Times and rights are taken and forgotten, as many servers do."""
        self.stat(path)

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> _Handle:  # noqa: ARG002
        """A file to read, or a new one to write."""
        writes = bool(pflags & FXF_WRITE)
        with self._call("PUT" if writes else "GET", path.decode("utf-8", "replace")):
            folder, name = self._split(path)
            if not writes:
                return _Handle(folder, name, read_file(self.world, folder, name), None)
            check_target(folder, name)
            if pflags & FXF_EXCL and name in self.box.folders[folder]:
                raise ApiError(409, f"There is a file {name!r} already.")
            if pflags & (FXF_APPEND | FXF_READ) or not pflags & (FXF_CREAT | FXF_TRUNC):
                raise ApiError(403, "Files are written as a whole.")
            return _Handle(folder, name, b"", self.box.put(folder, name, b"", writing=True))

    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        """What the file held when it was opened."""
        assert isinstance(file_obj, _Handle)
        return file_obj.content[offset : offset + size]

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        """Some bytes of a file that is being written."""
        assert isinstance(file_obj, _Handle)
        with self.world.lock:
            file = file_obj.written
            if file is None:
                raise asyncssh.SFTPPermissionDenied("The file was opened to be read.")
            content = file.content.ljust(offset, b"\0")
            try:
                self.box.check_size(offset + len(data))
            except ApiError as error:
                raise _sftp_error(error) from error
            file.content = content[:offset] + data + content[offset + len(data) :]
            self.world.catch_up()
            return len(data)

    def fstat(self, file_obj: object) -> asyncssh.SFTPAttrs:
        """Of an open file."""
        assert isinstance(file_obj, _Handle)
        size = len(file_obj.written.content if file_obj.written else file_obj.content)
        return asyncssh.SFTPAttrs(size=size, permissions=_FILE)

    def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> None:
        """Taken and forgotten."""

    def close(self, file_obj: object) -> None:
        """The end of a file; a complete one is taken up."""
        assert isinstance(file_obj, _Handle)
        file = file_obj.written
        if file is None:
            return
        with self._call("CLOSE", f"{file_obj.folder}/{file_obj.name}"):
            file.writing, file.stored = False, self.world.clock.wire()
            self.box.claim(file.name)

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """A file gets the name it is taken up by."""
        with self._call("RENAME", newpath.decode("utf-8", "replace")):
            (folder, old), (target, new) = self._split(oldpath), self._split(newpath)
            if (folder, target) != (UPLOAD, UPLOAD):
                raise ApiError(403, "Files are renamed within the upload folder only.")
            check_target(target, new)
            self.box.rename(folder, old, new)

    posix_rename = rename

    def remove(self, path: bytes) -> None:
        """Take a file away."""
        with self._call("DELETE", path.decode("utf-8", "replace")) as line:
            folder, name = self._split(path)
            delete_file(self.world, folder, name, line)

    def _refused(self, *_: Any, **__: Any) -> Any:
        raise asyncssh.SFTPPermissionDenied("The administrator makes folders; there are no links here.")

    # The base class would work on this machine's disk.
    mkdir = rmdir = symlink = link = readlink = statvfs = fstatvfs = _refused


def _fail() -> NoReturn:
    raise ApiError(500, "The server could not do it.")


def _name(name: str, attributes: asyncssh.SFTPAttrs) -> asyncssh.SFTPName:
    return asyncssh.SFTPName(name.encode("utf-8", "surrogateescape"), attrs=attributes)


def _attributes(file: File) -> asyncssh.SFTPAttrs:
    moment = int(file.modified.timestamp())
    return asyncssh.SFTPAttrs(size=len(file.shown), permissions=_FILE, atime=moment, mtime=moment)


def _folder_attributes() -> asyncssh.SFTPAttrs:
    return asyncssh.SFTPAttrs(size=0, permissions=_FOLDER)


def _sftp_error(error: ApiError) -> asyncssh.SFTPError:
    if error.status == 404:
        return asyncssh.SFTPNoSuchFile(error.message)
    if error.status == 403:
        return asyncssh.SFTPPermissionDenied(error.message)
    return asyncssh.SFTPFailure(error.message)
