"""Where the vault's keys come from: the environment, or a file that only its owner can read."""

import os
import stat
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet, MultiFernet

VARIABLE = "MLC_VAULT_KEY"
PRIVATE = stat.S_IRUSR | stat.S_IWUSR


class VaultLocked(Exception):
    """The vault's key is missing, unsafe or another one."""


class KeyRing:
    """The vault's keys: those in MLC_VAULT_KEY, comma separated, else the one in the key file.

    The first encrypts, all decrypt: put a new key in front, and take the old one away once every entry has
    been written again.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def place(self) -> str:
        """Where the keys are looked for, in words."""
        return VARIABLE if os.environ.get(VARIABLE) else str(self._file)

    def open(self) -> MultiFernet:
        """The keys, ready to use.

        Raises:
            VaultLocked: there is none, one is no key, or others can read the key file.
        """
        if given := os.environ.get(VARIABLE):
            return _fernet(given.split(","), VARIABLE)
        return _fernet([self._read()], str(self._file))

    def make(self) -> None:
        """Make a key file, unless there are keys already. Many processes may call it at once."""
        if os.environ.get(VARIABLE) or self._file.exists():
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=self._file.parent, prefix=".vault-")  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(Fernet.generate_key())
                os.fsync(handle)
            # A link appears with its content or not at all, and never in place of another process's key.
            Path(self._file).hardlink_to(draft)
        except FileExistsError:
            return
        finally:
            Path(draft).unlink()

    def _read(self) -> str:
        try:
            with self._file.open() as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                text = file.read()
        except FileNotFoundError:
            raise VaultLocked(
                f"The vault has entries, but there is no key: {VARIABLE} is not set and {self._file} "
                "does not exist. Give the key they were written with."
            ) from None
        except OSError as error:
            raise VaultLocked(
                f"The vault's key file {self._file} cannot be read: {error.strerror}. "
                f"Let this process's user own it, or set {VARIABLE}."
            ) from None
        if mode & ~PRIVATE:
            raise VaultLocked(
                f"The vault's key file {self._file} has mode {mode:04o}: others could read the key. "
                f"Run `chmod 600 {self._file}`; if others may have read it, replace the key."
            )
        return text


def _fernet(texts: list[str], place: str) -> MultiFernet:
    fernets = []
    for number, text in enumerate(texts, start=1):
        try:
            fernets.append(Fernet(text.strip()))
        except ValueError:
            # Without the cause: the parser's words may show a part of the key.
            raise VaultLocked(
                f"Key {number} of {len(texts)} in {place} is no vault key: 32 bytes in URL-safe base64 are "
                "needed, 44 characters. docs/deploy.md says how to make one."
            ) from None
    return MultiFernet(fernets)
