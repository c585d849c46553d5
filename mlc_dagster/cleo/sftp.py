"""The mailbox over SFTP: a file is written under another name, then renamed: nobody takes half of it."""

import base64
import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import paramiko
from paramiko.sftp import CMD_CLOSE

from mlc_dagster.cleo.mailbox import Listed
from mlc_dagster.clock import Clock
from mlc_dagster.settings.cleo import Sftp
from mlc_dagster.transport.budget import Budget
from mlc_dagster.transport.errors import Again, CallFailed, Misconfigured, Refused
from mlc_dagster.transport.session import LARGEST_ANSWER, CallCounter

Result = TypeVar("Result")
SECONDS = 30
ATTEMPTS = 3
UNFINISHED = ".part"
# Its threads print what we raise anyway, with addresses and users.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class SftpMailbox:
    """The mailbox of one account. A connection is opened for each piece of work and closed after it."""

    def __init__(
        self,
        settings: Sftp,
        user: str,
        password: str,
        *,
        budget: Budget,
        counter: CallCounter,
        clock: Clock,
    ) -> None:
        self._settings, self._budget, self._counter, self._clock = settings, budget, counter, clock
        self._login = (user, password)

    def put(self, folder: str, name: str, content: bytes) -> None:
        """Write and rename. A broken connection leaves an unfinished file, which is written over."""

        def write(sftp: paramiko.SFTPClient) -> None:
            unfinished = f"{folder}/{name}{UNFINISHED}"
            _write(sftp, unfinished, content)
            _rename(sftp, unfinished, f"{folder}/{name}")

        self._work("PUT", f"{folder}/{name}", write, bytes_out=len(content))

    def list(self, folder: str) -> list[Listed]:
        """The files of a folder, unfinished ones left out."""

        def listed(sftp: paramiko.SFTPClient) -> list[Listed]:
            files = sftp.listdir_attr(folder)
            return [
                Listed(each.filename, each.st_size)
                for each in files
                if not each.filename.endswith(UNFINISHED)
            ]

        return self._work("LIST", folder, listed)

    def get(self, folder: str, name: str) -> bytes | None:
        """A file's content; None when somebody else has taken it."""

        def read(sftp: paramiko.SFTPClient) -> bytes | None:
            held = io.BytesIO()
            try:
                if (sftp.stat(f"{folder}/{name}").st_size or 0) > LARGEST_ANSWER:
                    said = f"the file is larger than {LARGEST_ANSWER >> 20} MiB"
                    raise Refused("Cleo SFTP", "GET", f"{folder}/{name}", excerpt_text=said, remedy=TOO_LARGE)
                sftp.getfo(f"{folder}/{name}", held)
            except FileNotFoundError:
                return None
            return held.getvalue()

        return self._work("GET", f"{folder}/{name}", read)

    def delete(self, folder: str, name: str) -> None:
        """Remove a file."""

        def remove(sftp: paramiko.SFTPClient) -> None:
            try:
                sftp.remove(f"{folder}/{name}")
            except FileNotFoundError:
                return

        self._work("DELETE", f"{folder}/{name}", remove)

    def _work(
        self, verb: str, path: str, work: Callable[[paramiko.SFTPClient], Result], *, bytes_out: int = 0
    ) -> Result:
        """Do it on a connection of its own; everything here may be repeated."""
        for attempt in range(1, ATTEMPTS + 1):
            self._budget.acquire()
            self._counter.add(calls=1, retries=int(attempt > 1), bytes_out=bytes_out)
            try:
                with self._connected() as sftp:
                    return work(sftp)
            except (paramiko.AuthenticationException, paramiko.BadHostKeyException) as refused:
                raise self._failure(Misconfigured, verb, path, refused, REFUSED) from None
            except (PermissionError, FileNotFoundError) as refused:
                raise self._failure(Misconfigured, verb, path, refused, FORBIDDEN) from None
            except (paramiko.SSHException, OSError, EOFError) as failure:
                if attempt == ATTEMPTS:
                    raise self._failure(Again, verb, path, failure, None) from None
                self._clock.sleep(attempt)
        raise AssertionError("unreachable")

    @contextmanager
    def _connected(self) -> Iterator[paramiko.SFTPClient]:
        settings, (user, password) = self._settings, self._login
        with paramiko.SSHClient() as client:
            kind, blob = settings.host_key.split()[:2]
            key = paramiko.PKey.from_type_string(kind, base64.b64decode(blob))
            address = (
                settings.host
                if settings.port == paramiko.config.SSH_PORT
                else f"[{settings.host}]:{settings.port}"
            )
            client.get_host_keys().add(address, kind, key)
            client.connect(
                settings.host,
                settings.port,
                user,
                password,
                timeout=SECONDS,
                banner_timeout=SECONDS,
                auth_timeout=SECONDS,
                allow_agent=False,
                look_for_keys=False,
            )
            with client.open_sftp() as sftp:
                channel = sftp.get_channel()
                if channel is not None:
                    channel.settimeout(4 * SECONDS)
                yield sftp

    def _failure(
        self, kind: type[CallFailed], verb: str, path: str, error: Exception, remedy: str | None
    ) -> CallFailed:
        said = f"{type(error).__name__} at {self._settings.host}:{self._settings.port}"
        return kind("Cleo SFTP", verb, path, excerpt_text=said, remedy=remedy)


def _write(sftp: paramiko.SFTPClient, path: str, content: bytes) -> None:
    """Write a file and hear that it is stored: many servers store it when it is closed, and paramiko's own
    close says nothing of an answer that refuses.
    """
    with sftp.open(path, "wb") as file:
        file.write(content)
        file.flush()
        sftp._request(CMD_CLOSE, file.handle)  # type: ignore[attr-defined]
        file._closed = True  # type: ignore[attr-defined]


def _rename(sftp: paramiko.SFTPClient, old: str, new: str) -> None:
    """The standard's rename does not write over a file, and OpenSSH's own is not everywhere. A file of that
    name is ours, from an upload whose answer was lost: names are never used twice.
    """
    try:
        sftp.rename(old, new)
    except OSError as failure:
        try:
            sftp.stat(new)
        except FileNotFoundError:
            raise failure from None
        sftp.remove(old)


REFUSED = "Check user, password and `host_key` of the Cleo pair: the server refused us, or is another one."
TOO_LARGE = "No document is that large. Look at the file in Cleo and remove it, or ask who put it there."
FORBIDDEN = (
    "The folder is not there, or the account may not do this. Check the folders of mlc.yaml and their "
    "permissions in Cleo."
)
