"""The vault's keys change while processes read and write, and whatever is cut off is finished later."""

import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import keyring
import keyring.errors
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from keyring.backend import KeyringBackend
from keyring.backends import fail, null

from mlc_dagster.database import connect
from mlc_dagster.database.schema import vault as table
from mlc_dagster.vault import KeyFile, KeyRing, NoNewKey, OsKeyring, Vault, VaultLocked
from tests.support.kill import count, die, method_points

SECRET = "rt-0123456789-grønn"


def sealed(engine: sa.Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return {row.name: row.sealed for row in connection.execute(sa.select(table))}


def test_all_entries_are_written_anew_and_the_old_key_opens_none(
    vault: Vault, engine: sa.Engine, key_file: Path
) -> None:
    stamps = {name: vault.write(name, SECRET) for name in ("anaplan", "tableau")}
    vault.write("gone", SECRET)
    vault.remove("gone")
    old = Fernet(key_file.read_text())
    assert vault.change_key() == 2
    assert {name: vault.read(name).text for name in stamps} == dict.fromkeys(stamps, SECRET)  # type: ignore[union-attr]
    assert vault.names() == stamps
    assert len(key_file.read_text().split(",")) == 1
    assert key_file.stat().st_mode & 0o777 == 0o600
    for name in stamps:
        with pytest.raises(InvalidToken):
            old.decrypt(sealed(engine)[name])


def test_an_empty_vault_gets_no_key(vault: Vault, key_file: Path) -> None:
    with pytest.raises(VaultLocked, match="there is no key"):
        vault.change_key()
    assert not key_file.exists()


def test_an_entry_that_does_not_open_keeps_everything_as_it_was(
    vault: Vault, engine: sa.Engine, key_file: Path
) -> None:
    vault.write("anaplan", SECRET)
    vault.write("tableau", SECRET)
    moved = sealed(engine)["anaplan"]
    with engine.begin() as connection:
        connection.execute(table.update().where(table.c.name == "tableau").values(sealed=moved))
    before = sealed(engine), key_file.read_text()
    with pytest.raises(VaultLocked, match="'tableau' does not open"):
        vault.change_key()
    assert (sealed(engine), key_file.read_text()) == before


def test_the_environments_keys_change_in_its_owners_hands(
    vault: Vault, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (Fernet.generate_key().decode() for _ in "ab")
    monkeypatch.setenv("MLC_VAULT_KEY", old)
    vault.write("anaplan", SECRET)
    with pytest.raises(NoNewKey, match="MLC_VAULT_KEY=NEW,OLD"):
        vault.change_key()
    monkeypatch.setenv("MLC_VAULT_KEY", f"{new},{old}")
    assert vault.change_key() == 1
    monkeypatch.setenv("MLC_VAULT_KEY", new)
    assert vault.read("anaplan").text == SECRET  # type: ignore[union-attr]


def work_all_the_while(url: str, file: Path, began: Event, stop: Event, told: Connection) -> None:
    """Read one entry and write another, as runs do, until told to stop; then tell what came of it."""
    try:
        own = Vault(connect(url), KeyRing(KeyFile(file)), writer=f"run {os.getpid()}")
        rounds = 0
        while not stop.is_set():
            entry = own.read("anaplan")
            assert entry is not None
            assert entry.text == SECRET
            own.write(f"of {os.getpid()}", f"round {rounds}")
            kept = own.read(f"of {os.getpid()}")
            assert kept is not None
            assert kept.text == f"round {rounds}"
            rounds += 1
            began.set()
        told.send(rounds)
    except BaseException:  # noqa: BLE001 - whatever it is, the parent shows it
        began.set()
        told.send(traceback.format_exc())


def test_others_read_and_write_while_the_keys_change_again_and_again(
    vault: Vault, database_url: str, key_file: Path, engine: sa.Engine
) -> None:
    vault.write("anaplan", SECRET)
    engine.dispose()
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    workers = []
    for _ in range(2):
        (ours, theirs), began = context.Pipe(), context.Event()
        arguments = (database_url, key_file, began, stop, theirs)
        process = context.Process(target=work_all_the_while, args=arguments)
        process.start()
        workers.append((process, ours, began))
    for _, _, began in workers:
        assert began.wait(60)
    for _ in range(25):
        vault.change_key()
    stop.set()
    said = [ours.recv() if ours.poll(60) else "nothing" for _, ours, _ in workers]
    for process, _, _ in workers:
        process.join(60)
    assert all(isinstance(rounds, int) and rounds > 0 for rounds in said), said


def test_a_change_that_was_killed_anywhere_loses_nothing_and_is_finished_by_the_next(
    engine: sa.Engine, database_url: str, key_file: Path
) -> None:
    Vault(engine, KeyRing(KeyFile(key_file)), writer="cli").write("anaplan", SECRET)
    engine.dispose()

    def change() -> None:
        Vault(connect(database_url), KeyRing(KeyFile(key_file)), writer="cli").change_key()

    instruments = [method_points(KeyFile, "replace"), method_points(sa.Connection, "_commit_impl")]
    points = count(change, instruments)
    assert {name.rpartition(".")[2] for name in points} == {"replace", "_commit_impl"}
    for number in range(1, len(points) + 1):
        die(change, instruments, at=number)
        own = Vault(connect(database_url), KeyRing(KeyFile(key_file)), writer="cli")
        assert own.read("anaplan").text == SECRET, number  # type: ignore[union-attr]
        own.change_key()
        assert own.read("anaplan").text == SECRET, number  # type: ignore[union-attr]
        assert "," not in key_file.read_text()


class MemoryKeyring(KeyringBackend):
    """What an operating system's keyring does, without one."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class LockedKeyring(MemoryKeyring):
    def get_password(self, service: str, username: str) -> str | None:
        raise keyring.errors.KeyringLocked("at /org/freedesktop/secrets/collection/login")


@pytest.fixture
def use_keyring() -> Iterator[Callable[[KeyringBackend], None]]:
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


def test_the_key_may_lie_in_the_keyring_of_the_operating_system(
    engine: sa.Engine, use_keyring: Callable[[KeyringBackend], None]
) -> None:
    backend = MemoryKeyring()
    use_keyring(backend)
    vault = Vault(engine, KeyRing(OsKeyring("/srv/mlc/.mlc")), writer="cli")
    vault.write("anaplan", SECRET)
    [(place, key)] = backend.kept.items()
    assert place == ("mlc-dagster vault", "/srv/mlc/.mlc")
    vault.change_key()
    assert backend.kept[place] != key
    assert vault.read("anaplan").text == SECRET  # type: ignore[union-attr]
    assert key not in repr(vault.keys)


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        (fail.Keyring(), "There is no OS keyring for this process"),
        (LockedKeyring(), r"does not open \(KeyringLocked\). Unlock it"),
        (null.Keyring(), "takes a key and does not keep it"),
    ],
)
def test_a_keyring_that_cannot_keep_a_key_is_explained(
    engine: sa.Engine, use_keyring: Callable[[KeyringBackend], None], backend: KeyringBackend, words: str
) -> None:
    use_keyring(backend)
    vault = Vault(engine, KeyRing(OsKeyring("/srv/mlc/.mlc")), writer="cli")
    with pytest.raises(VaultLocked, match=words) as caught:
        vault.write("anaplan", SECRET)
    assert "`vault_key: file`" in str(caught.value)
    assert vault.names() == {}
