"""Named texts, encrypted and authenticated, with who wrote them and when."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime

import sqlalchemy as sa
from cryptography.fernet import InvalidToken

from mlc_dagster.database import insert_missing, reading
from mlc_dagster.database.schema import vault
from mlc_dagster.vault.keys import KeyRing, VaultLocked


@dataclass(frozen=True)
class Stamp:
    """When (UTC) and by whom, a run id or `cli`, a version was written. Versions of a name only rise.

    ends_on: the day on which what the text opens comes to its end, as its writer noted it.
    """

    version: int
    written_at: datetime
    written_by: str
    ends_on: date | None = None


@dataclass(frozen=True)
class Entry:
    """A text from the vault; neither `repr` nor `str` shows it."""

    text: str = field(repr=False)
    stamp: Stamp


class EntryChanged(Exception):
    """Another process wrote the entry in between; nothing was written."""


class Vault:
    """The entries in the table `vault`. Only the newest version of each is kept."""

    def __init__(
        self,
        engine: sa.Engine,
        keys: KeyRing,
        *,
        writer: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`writer` is who the stamps name: a run id, or `cli`."""
        self.writer = writer
        self._engine, self._keys, self._now = engine, keys, now

    def read(self, name: str) -> Entry | None:
        """The newest version, or None.

        Raises:
            VaultLocked: the key is missing or another one, or the entry was tampered with.
        """
        with reading(self._engine) as connection:
            row = connection.execute(sa.select(vault).where(vault.c.name == name)).one_or_none()
        if row is None or row.sealed is None:
            return None
        return Entry(self._unseal(name, row.sealed), _stamp(row))

    def write(
        self, name: str, text: str, *, replaces: int | None = None, ends_on: date | None = None
    ) -> Stamp:
        """Keep a text, durably when this returns. `replaces` is the version it is meant to follow.

        Raises:
            EntryChanged: the newest version is not the one to replace.
            VaultLocked: there are entries, but no key that is safe to use.
        """
        self._make_key()
        return self._put(name, self._seal(name, text), replaces, ends_on)

    def remove(self, name: str) -> bool:
        """Forget a text; False when there was none. Its stamp stays, so that versions go on rising."""
        if name not in self.names():
            return False
        self._put(name, None, None, None)
        return True

    def note_end(self, name: str, ends_on: date | None) -> None:
        """Note when what a text opens ends. The text may be kept elsewhere, such as the environment."""
        with self._engine.begin() as connection:
            self._lock(connection, name)
            connection.execute(vault.update().where(vault.c.name == name).values(ends_on=ends_on))

    def names(self) -> dict[str, Stamp]:
        """What is kept, by name, in order. Needs no key."""
        query = sa.select(vault).where(vault.c.sealed.is_not(None)).order_by(vault.c.name)
        with reading(self._engine) as connection:
            return {row.name: _stamp(row) for row in connection.execute(query)}

    def ends(self) -> dict[str, date]:
        """The ends that were noted, by name, in order. Needs no key."""
        noted = sa.select(vault.c.name, vault.c.ends_on).where(vault.c.ends_on.is_not(None))
        with reading(self._engine) as connection:
            return {row.name: row.ends_on for row in connection.execute(noted.order_by(vault.c.name))}

    def _put(self, name: str, sealed: str | None, replaces: int | None, ends_on: date | None) -> Stamp:
        with self._engine.begin() as connection:
            known = self._lock(connection, name)
            if replaces is not None and replaces != known:
                raise EntryChanged(f"{name} is at version {known} by now, not {replaces}. Read it again.")
            stamp = Stamp(known + 1, self._now(), self.writer, ends_on)
            connection.execute(
                vault.update().where(vault.c.name == name).values(sealed=sealed, **asdict(stamp))
            )
        return stamp

    def _lock(self, connection: sa.Connection, name: str) -> int:
        """The version of an entry that is ours until the transaction ends; 0 when it is new."""
        # The row is there before it is locked, so that two first writers do not overlook each other.
        insert_missing(connection, vault, {"name": name, **asdict(Stamp(0, self._now(), self.writer))})
        query = sa.select(vault.c.version).where(vault.c.name == name).with_for_update()
        version: int = connection.execute(query).scalar_one()
        return version

    def _make_key(self) -> None:
        """The first entry makes the key; a key that got lost is not replaced behind the others' back."""
        if not self.names():
            self._keys.make()

    def _seal(self, name: str, text: str) -> str:
        # The name goes inside: an entry moved to another name in the database must not decrypt there.
        return self._keys.open().encrypt(json.dumps([name, text]).encode()).decode()

    def _unseal(self, name: str, sealed: str) -> str:
        try:
            inside, text = json.loads(self._keys.open().decrypt(sealed))
        except InvalidToken:
            inside, text = None, ""
        if inside != name:
            raise VaultLocked(
                f"The vault's entry {name!r} does not open with the key in {self._keys.place}. Put the key "
                "it was written with into MLC_VAULT_KEY, after the new one and a comma; or make it anew."
            )
        return str(text)


def _stamp(row: sa.Row[tuple[object, ...]]) -> Stamp:
    return Stamp(row.version, row.written_at, row.written_by, row.ends_on)
