"""Named texts, encrypted and authenticated, with who wrote them and when."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from mlc_dagster.database import insert_missing, reading
from mlc_dagster.database.schema import vault
from mlc_dagster.vault.keys import KeyRing, VaultLocked
from mlc_dagster.vault.trail import Change, Stamp, tell


@dataclass(frozen=True)
class Entry:
    """A text from the vault; neither `repr` nor `str` shows it."""

    text: str = field(repr=False)
    stamp: Stamp


class EntryChanged(Exception):
    """Another process wrote the entry in between; nothing was written."""


class Vault:
    """The entries in the table `vault`. Only the newest version of each is kept.

    A text is sealed inside the transaction that writes it: when the keys change, no process can still write
    with a key that is about to be forgotten.
    """

    def __init__(
        self,
        engine: sa.Engine,
        keys: KeyRing,
        *,
        writer: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`writer` is who the stamps name: a run id, `cli`, or a person."""
        self.writer = writer
        self.keys = keys
        self.engine = engine
        self._now = now

    def read(self, name: str) -> Entry | None:
        """The newest version, or None.

        Raises:
            VaultLocked: the key is missing or another one, or the entry was tampered with.
        """
        row = self._row(name)
        while row is not None and row.sealed is not None:
            try:
                return Entry(_unsealed(self.keys.open(), name, row.sealed), _stamp(row))
            except InvalidToken:
                # The keys may have changed between our look at the entry and at them: then it is another now.
                again = self._row(name)
                if again is not None and again.sealed == row.sealed:
                    raise self._locked(name) from None
                row = again
        return None

    def write(
        self,
        name: str,
        text: str,
        *,
        replaces: int | None = None,
        ends_on: date | None = None,
        change: Change | None = None,
    ) -> Stamp:
        """Keep a text, durably when this returns. `replaces` is the version it is meant to follow.

        `change` is what the audit trail is told of it: nothing of what runs renew by themselves.

        Raises:
            EntryChanged: the newest version is not the one to replace.
            VaultLocked: there are entries, but no key that is safe to use.
        """
        with self.engine.begin() as connection:
            self._make_key(connection)
            known = _lock(connection, name, self._stamp(0))
            if replaces is not None and replaces != known:
                raise EntryChanged(f"{name} is at version {known} by now, not {replaces}. Read it again.")
            stamp = self._stamp(known + 1, ends_on)
            _put(connection, name, sealed=_sealed(self.keys.open(), name, text), **asdict(stamp))
            if change is not None:
                tell(connection, change, name, stamp)
        return stamp

    def remove(self, name: str, change: Change | None = None) -> bool:
        """Forget a text; False when there was none. Its stamp stays, so that versions go on rising."""
        if name not in self.names():
            return False
        with self.engine.begin() as connection:
            stamp = self._stamp(_lock(connection, name, self._stamp(0)) + 1)
            _put(connection, name, sealed=None, **asdict(stamp))
            if change is not None:
                tell(connection, change, name, stamp)
        return True

    def note_end(self, name: str, ends_on: date | None, change: Change) -> None:
        """Note when what a text opens ends. The text may be kept elsewhere, such as the environment."""
        with self.engine.begin() as connection:
            version = _lock(connection, name, self._stamp(0))
            _put(connection, name, ends_on=ends_on)
            tell(connection, change, name, self._stamp(version, ends_on))

    def names(self) -> dict[str, Stamp]:
        """What is kept, by name, in order. Needs no key."""
        query = sa.select(vault).where(vault.c.sealed.is_not(None)).order_by(vault.c.name)
        with reading(self.engine) as connection:
            return {row.name: _stamp(row) for row in connection.execute(query)}

    def ends(self) -> dict[str, date]:
        """The ends that were noted, by name, in order. Needs no key."""
        noted = sa.select(vault.c.name, vault.c.ends_on).where(vault.c.ends_on.is_not(None))
        with reading(self.engine) as connection:
            return {row.name: row.ends_on for row in connection.execute(noted.order_by(vault.c.name))}

    def change_key(self) -> int:
        """Write all entries anew with a new key and forget the old one; how many they are.

        Others read and write all the while: they wait for the moment in which all entries change. Whatever
        was cut off is finished by the next call. Versions and stamps stay.

        Raises:
            NoNewKey: the environment gives a single key.
            VaultLocked: an entry does not open; nothing has changed.
        """
        with self.engine.begin() as connection:
            _lock_all(connection)
            texts = self._texts(connection, self.keys.open())
            self.keys.renew()
            # Who reads an entry first and the keys after it finds the new key: it was there before.
            ring = self.keys.open()
            for name, text in texts.items():
                _put(connection, name, sealed=_sealed(ring, name, text))
            tell(connection, Change.KEY, "vault key", self._stamp(0))
        with self.engine.begin() as connection:
            # Somebody else may have begun another change since, and died of it.
            _lock_all(connection)
            self._texts(connection, self.keys.newest())
            self.keys.settle()
        return len(texts)

    def _texts(self, connection: sa.Connection, keys: Fernet | MultiFernet) -> dict[str, str]:
        query = sa.select(vault.c.name, vault.c.sealed).where(vault.c.sealed.is_not(None))
        texts = {}
        for name, sealed in connection.execute(query):
            try:
                texts[name] = _unsealed(keys, name, sealed)
            except InvalidToken:
                raise self._locked(name) from None
        return texts

    def _row(self, name: str) -> sa.Row[tuple[object, ...]] | None:
        with reading(self.engine) as connection:
            return connection.execute(sa.select(vault).where(vault.c.name == name)).one_or_none()

    def _make_key(self, connection: sa.Connection) -> None:
        """The first entry makes the key; a key that got lost is not replaced behind the others' back."""
        if not _any(connection):
            _lock_all(connection)
            if not _any(connection):
                self.keys.make()

    def _stamp(self, version: int, ends_on: date | None = None) -> Stamp:
        return Stamp(version, self._now(), self.writer, ends_on)

    def _locked(self, name: str) -> VaultLocked:
        return VaultLocked(
            f"The vault's entry {name!r} does not open with the key in {self.keys.place}. Put the key "
            "it was written with into MLC_VAULT_KEY, after the new one and a comma; or make it anew."
        )


def _lock(connection: sa.Connection, name: str, first: Stamp) -> int:
    """The version of an entry that is ours until the transaction ends; 0 when it is new."""
    # The row is there before it is locked, so that two first writers do not overlook each other.
    insert_missing(connection, vault, {"name": name, **asdict(first)})
    query = sa.select(vault.c.version).where(vault.c.name == name).with_for_update()
    version: int = connection.execute(query).scalar_one()
    return version


def _lock_all(connection: sa.Connection) -> None:
    """Nobody else writes until the transaction ends; all may read. SQLite's transactions are so anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE vault IN SHARE ROW EXCLUSIVE MODE"))


def _any(connection: sa.Connection) -> bool:
    return bool(connection.execute(sa.select(sa.exists().where(vault.c.sealed.is_not(None)))).scalar())


def _put(connection: sa.Connection, name: str, **values: object) -> None:
    connection.execute(vault.update().where(vault.c.name == name).values(**values))


def _sealed(keys: MultiFernet, name: str, text: str) -> str:
    # The name goes inside: an entry moved to another name in the database must not decrypt there.
    return keys.encrypt(json.dumps([name, text]).encode()).decode()


def _unsealed(keys: Fernet | MultiFernet, name: str, sealed: str) -> str:
    """The text. Raises InvalidToken: another key, or an entry that was tampered with or moved here."""
    inside, text = json.loads(keys.decrypt(sealed))
    if inside != name:
        raise InvalidToken
    return str(text)


def _stamp(row: sa.Row[tuple[object, ...]]) -> Stamp:
    return Stamp(row.version, row.written_at, row.written_by, row.ends_on)
