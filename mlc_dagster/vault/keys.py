"""Where the vault's keys come from: the environment, a file only its owner can read, or the OS keyring."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from cryptography.fernet import Fernet, MultiFernet

VARIABLE = "MLC_VAULT_KEY"
PRIVATE = stat.S_IRUSR | stat.S_IWUSR
SERVICE = "mlc-dagster vault"


class VaultLocked(Exception):
    """The vault's key is missing, unsafe or another one."""


class NoNewKey(Exception):
    """The keys cannot be changed from here: whoever sets them has to give the new one."""


class KeyStore(Protocol):
    """Keeps the keys, comma separated, where only we can read them."""

    @property
    def place(self) -> str:
        """Where that is, in words."""
        ...

    def read(self) -> str | None:
        """The keys; None when there are none. Raises VaultLocked: others can read them, or we cannot."""
        ...

    def replace(self, keys: str) -> None:
        """Keep these instead, at once for all who read. Raises VaultLocked: they cannot be kept."""
        ...


class KeyRing:
    """The vault's keys: those in MLC_VAULT_KEY, comma separated, else those in the store.

    The first encrypts, all decrypt. They are looked up at each use, so that a change reaches every process.
    `make`, `renew` and `settle` are for whoever keeps others from writing to the vault meanwhile.
    """

    def __init__(self, store: KeyStore) -> None:
        self._store = store

    @property
    def place(self) -> str:
        """Where the keys are looked for, in words."""
        return VARIABLE if os.environ.get(VARIABLE) else self._store.place

    @property
    def given(self) -> bool:
        """Whether the environment gives the keys: then only who sets it can change them."""
        return bool(os.environ.get(VARIABLE))

    def open(self) -> MultiFernet:
        """All keys, ready to use.

        Raises:
            VaultLocked: there is none, one is no key, or others can read them.
        """
        return MultiFernet(self._fernets())

    def newest(self) -> Fernet:
        """The key that encrypts. Raises VaultLocked."""
        return self._fernets()[0]

    def make(self) -> None:
        """Make a key, unless there is one already."""
        if not self.given and self._store.read() is None:
            self._store.replace(_new_key())

    def renew(self) -> None:
        """Put a new key in front; where there are several already, a change of keys was begun and goes on.

        Raises:
            NoNewKey: the environment gives a single key.
        """
        texts = self._texts()
        if len(texts) > 1:
            return
        if self.given:
            raise NoNewKey(
                f"{VARIABLE} holds one key. Make a new one, set {VARIABLE}=NEW,OLD for all processes, and "
                "try again; docs/credentials.md says how to do that without a pause."
            )
        self._store.replace(",".join([_new_key(), *texts]))

    def settle(self) -> None:
        """Forget all keys but the first, as far as they are in the store."""
        if not self.given:
            self._store.replace(self._texts()[0])

    def _texts(self) -> list[str]:
        text = os.environ.get(VARIABLE) or self._store.read()
        if text is None:
            raise VaultLocked(
                f"The vault has entries, but there is no key: {VARIABLE} is not set, and there is none in "
                f"{self._store.place}. Give the key they were written with."
            )
        return [key.strip() for key in text.split(",")]

    def _fernets(self) -> list[Fernet]:
        texts = self._texts()
        which = f"of {len(texts)} in {self.place}"
        return [_fernet(text, f"Key {number} {which}") for number, text in enumerate(texts, start=1)]


class KeyFile:
    """Keys in a file with mode 0600, replaced as a whole."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def place(self) -> str:
        """The file's path."""
        return str(self._file)

    def read(self) -> str | None:
        """The keys; None when there is no file. Raises VaultLocked: others can read it, or we cannot."""
        try:
            with self._file.open() as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                text = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise VaultLocked(
                f"The vault's key file {self._file} cannot be read: {error.strerror}. "
                f"Let this process's user own it, or set {VARIABLE}."
            ) from None
        if mode & ~PRIVATE:
            raise VaultLocked(
                f"The vault's key file {self._file} has mode {mode:04o}: others could read the key. "
                f"Run `chmod 600 {self._file}`; if others may have read it, `mlc credentials rotate`."
            )
        return text

    def replace(self, keys: str) -> None:
        """Write the file anew; a reader sees the old keys or these. Raises VaultLocked: no room or right."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle, draft = tempfile.mkstemp(dir=self._file.parent, prefix=".vault-")  # mode 0600
            with os.fdopen(handle, "w") as file:
                file.write(keys)
                file.flush()
                os.fsync(handle)
            Path(draft).replace(self._file)
            _sync_folder(self._file.parent)
        except OSError as error:
            raise VaultLocked(
                f"The vault's key file {self._file} cannot be written: {error.strerror}. "
                f"Let this process's user write there, or set {VARIABLE}."
            ) from None


class OsKeyring:
    """Keys in the keyring of the operating system, as the `keyring` library finds it."""

    def __init__(self, installation: str) -> None:
        """`installation` tells the keys of several installations apart."""
        self._installation = installation

    @property
    def place(self) -> str:
        """How to find them in the keyring."""
        return f"the OS keyring (service {SERVICE!r}, user {self._installation!r})"

    def read(self) -> str | None:
        """The keys; None when there are none. Raises VaultLocked: there is no keyring, or it is locked."""
        import keyring  # noqa: PLC0415 - only where it is asked for

        with self._explained():
            return keyring.get_password(SERVICE, self._installation)

    def replace(self, keys: str) -> None:
        """Keep these instead. Raises VaultLocked: there is no keyring, it is locked, or keeps nothing."""
        import keyring  # noqa: PLC0415

        with self._explained():
            keyring.set_password(SERVICE, self._installation, keys)
        if self.read() != keys:
            raise VaultLocked(f"{self.place} takes a key and does not keep it. {_OTHER_WAYS}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        import keyring.errors  # noqa: PLC0415

        try:
            yield
        except keyring.errors.NoKeyringError:
            raise VaultLocked(
                "There is no OS keyring for this process. On Linux that takes a Secret Service, such as "
                f"gnome-keyring, in the session of the user who runs it. {_OTHER_WAYS}"
            ) from None
        except keyring.errors.KeyringError as error:
            raise VaultLocked(
                f"{self.place} does not open ({type(error).__name__}). Unlock it in the session of the user "
                f"who runs this process. {_OTHER_WAYS}"
            ) from None


_OTHER_WAYS = f"Or set `vault_key: file` in mlc.yaml, or give the key in {VARIABLE}."


def _sync_folder(folder: Path) -> None:
    """Else a power failure could bring the old file back, after entries were written with the new key."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems refuse it for folders, and need it not.
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def _new_key() -> str:
    return Fernet.generate_key().decode()


def _fernet(text: str, which: str) -> Fernet:
    try:
        return Fernet(text)
    except ValueError:
        # Without the cause: the parser's words may show a part of the key.
        raise VaultLocked(
            f"{which} is no vault key: 32 bytes in URL-safe base64 are needed, 44 characters. "
            "docs/credentials.md says how to make one."
        ) from None
