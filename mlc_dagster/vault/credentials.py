"""What mlc.yaml names as `${NAME}`, kept in the vault; the audit trail tells of each change."""

from datetime import date
from typing import TypeVar

from mlc_dagster.database import connect, migrate
from mlc_dagster.vault.keys import KeyRing
from mlc_dagster.vault.trail import Change, Stamp, told
from mlc_dagster.vault.vault import Vault

FOLDER = "credential/"
Kept = TypeVar("Kept")


class Credentials:
    """The vault's entries below `credential/`, by their names in mlc.yaml."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def text(self, name: str) -> str | None:
        """The value; None when the vault has none. Raises VaultLocked."""
        entry = self._vault.read(FOLDER + name)
        return entry.text if entry else None

    def set(self, name: str, text: str, ends_on: date | None = None) -> Stamp:
        """Keep a value. The end of the one before says nothing of it. Raises VaultLocked."""
        return self._vault.write(FOLDER + name, text, ends_on=ends_on, change=Change.SET)

    def note_end(self, name: str, ends_on: date | None) -> None:
        """Note on which day a credential ends, wherever it is kept; None: it is not known any more."""
        self._vault.note_end(FOLDER + name, ends_on, Change.END)

    def remove(self, name: str) -> bool:
        """Forget a value and its end; False when neither was known."""
        removed = self._vault.remove(FOLDER + name, Change.REMOVED)
        if not removed and name in self.ends():
            self.note_end(name, None)
            return True
        return removed

    def stored(self) -> dict[str, Stamp]:
        """What the vault has, by name, in order. Needs no key."""
        return _below(self._vault.names())

    def ends(self) -> dict[str, date]:
        """The ends that were noted, by name, also of credentials that are kept elsewhere."""
        return _below(self._vault.ends())

    def history(self, name: str) -> list[tuple[Change, Stamp]]:
        """Each change of a credential, in order of time: what was done, by whom, and when it would end."""
        return told(self._vault.engine, FOLDER + name)


def stored_text(database_url: str, keys: KeyRing, name: str) -> str | None:
    """A credential's value for who has no vault open; None when the vault has none. Raises VaultLocked."""
    engine = connect(database_url)
    try:
        migrate(engine)
        return Credentials(Vault(engine, keys, writer="")).text(name)
    finally:
        engine.dispose()


def _below(entries: dict[str, Kept]) -> dict[str, Kept]:
    return {name.removeprefix(FOLDER): kept for name, kept in entries.items() if name.startswith(FOLDER)}
