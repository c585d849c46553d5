"""The vault keeps texts encrypted, tells who wrote them, and opens with the right key only."""

import logging
import os
import stat
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from mlc_dagster.database.schema import vault as table
from mlc_dagster.vault import Entry, EntryChanged, KeyFile, KeyRing, Stamp, Vault, VaultLocked
from tests.transport.clocks import ManualClock

SECRET = "rt-0123456789-grønn"


def test_a_text_comes_back_as_it_was_with_who_wrote_it_and_when(vault: Vault, clock: ManualClock) -> None:
    stamp = vault.write("anaplan", SECRET)
    assert vault.read("anaplan") == Entry(SECRET, stamp)
    assert stamp == Stamp(1, clock.now(), "run 1")


def test_an_unknown_name_is_none_and_needs_no_key(vault: Vault, key_file: Path) -> None:
    assert vault.read("nothing") is None
    assert vault.names() == {}
    assert not key_file.exists()


def test_a_new_version_takes_the_place_of_the_old_one(
    vault: Vault, engine: sa.Engine, clock: ManualClock
) -> None:
    vault.write("anaplan", "old")
    clock.advance(60)
    stamp = vault.write("anaplan", "new")
    assert vault.read("anaplan") == Entry("new", stamp)
    assert vault.names() == {"anaplan": stamp}
    assert stamp == Stamp(2, clock.now(), "run 1")


def test_a_version_that_somebody_else_replaced_is_not_overwritten(vault: Vault) -> None:
    seen = vault.write("anaplan", "old")
    vault.write("anaplan", "of another process")
    with pytest.raises(EntryChanged):
        vault.write("anaplan", "mine", replaces=seen.version)
    assert vault.read("anaplan").text == "of another process"  # type: ignore[union-attr]


def test_of_many_who_replace_one_version_one_succeeds(engine: sa.Engine, key_file: Path) -> None:
    ends: list[str] = []
    barrier = threading.Barrier(4)

    def write(number: int) -> None:
        own = Vault(engine, KeyRing(KeyFile(key_file)), writer=f"run {number}")
        barrier.wait()
        try:
            own.write("anaplan", f"text {number}", replaces=0)
        except EntryChanged:
            ends.append("changed")
        else:
            ends.append(f"text {number}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [kept] = [end for end in ends if end != "changed"]
    assert len(ends) == 4
    assert Vault(engine, KeyRing(KeyFile(key_file)), writer="cli").read("anaplan").text == kept  # type: ignore[union-attr]


def test_a_removed_text_is_gone_but_its_versions_go_on_rising(vault: Vault) -> None:
    old = vault.write("anaplan", SECRET)
    assert vault.remove("anaplan")
    assert not vault.remove("anaplan")
    assert vault.read("anaplan") is None
    assert vault.names() == {}
    with pytest.raises(EntryChanged):
        vault.write("anaplan", "of a run that had seen the old one", replaces=old.version)


def test_no_secret_is_in_the_database_a_repr_or_the_log(
    vault: Vault, engine: sa.Engine, key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        vault.write("anaplan", SECRET)
        entry = vault.read("anaplan")
    with engine.connect() as connection:
        stored = str(connection.execute(sa.select(table)).all())
    key = key_file.read_text()
    for place in (
        stored,
        repr(entry),
        str(entry),
        repr(vault),
        repr(KeyRing(KeyFile(key_file))),
        caplog.text,
    ):
        assert SECRET not in place
        assert "rt-0123" not in place
        assert key not in place


def test_an_entry_moved_to_another_name_does_not_open(vault: Vault, engine: sa.Engine) -> None:
    vault.write("anaplan", SECRET)
    with engine.begin() as connection:
        connection.execute(table.update().values(name="tableau"))
    with pytest.raises(VaultLocked, match="'tableau' does not open"):
        vault.read("tableau")


def test_an_entry_that_was_changed_does_not_open(vault: Vault, engine: sa.Engine) -> None:
    vault.write("anaplan", SECRET)
    with engine.begin() as connection:
        connection.execute(table.update().values(sealed=sa.func.replace(table.c.sealed, "A", "B")))
    with pytest.raises(VaultLocked, match="does not open"):
        vault.read("anaplan")


def test_several_keys_open_and_the_first_encrypts(
    vault: Vault, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (Fernet.generate_key().decode() for _ in "ab")
    monkeypatch.setenv("MLC_VAULT_KEY", old)
    vault.write("anaplan", SECRET)
    monkeypatch.setenv("MLC_VAULT_KEY", f"{new}, {old}")
    entry = vault.read("anaplan")
    assert entry is not None
    vault.write("anaplan", entry.text)
    monkeypatch.setenv("MLC_VAULT_KEY", new)
    assert vault.read("anaplan").text == SECRET  # type: ignore[union-attr]


def test_another_key_is_named_as_the_reason(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.write("anaplan", SECRET)
    monkeypatch.setenv("MLC_VAULT_KEY", Fernet.generate_key().decode())
    with pytest.raises(VaultLocked, match="does not open with the key in MLC_VAULT_KEY"):
        vault.read("anaplan")


def test_a_text_that_is_no_key_is_explained_and_not_shown(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLC_VAULT_KEY", f"{Fernet.generate_key().decode()},my-password")
    with pytest.raises(VaultLocked, match="Key 2 of 2 in MLC_VAULT_KEY is no vault key") as caught:
        vault.write("anaplan", SECRET)
    assert "my-password" not in str(caught.value)


def test_the_key_file_is_made_for_its_owner_only(vault: Vault, key_file: Path) -> None:
    vault.write("anaplan", SECRET)
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert [path.name for path in key_file.parent.iterdir()] == ["vault.key"]


def test_a_key_file_outlives_a_power_failure_with_its_name(
    key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[bool, str]] = []
    sync = os.fsync

    def watched(handle: int) -> None:
        there = key_file.read_text() if key_file.exists() else ""
        synced.append((stat.S_ISDIR(os.fstat(handle).st_mode), there))
        sync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    KeyFile(key_file).replace("new,old")
    assert synced == [(False, ""), (True, "new,old")], "first what is in it, then that it is there"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_file_that_others_can_read_is_refused(vault: Vault, key_file: Path, mode: int) -> None:
    vault.write("anaplan", SECRET)
    key_file.chmod(mode)
    with pytest.raises(VaultLocked, match="chmod 600"):
        vault.read("anaplan")


def test_a_lost_key_is_not_replaced_by_a_new_one(vault: Vault, key_file: Path) -> None:
    vault.write("anaplan", SECRET)
    key_file.unlink()
    for attempt in (lambda: vault.read("anaplan"), lambda: vault.write("tableau", "other")):
        with pytest.raises(VaultLocked, match="there is no key"):
            attempt()
    assert not key_file.exists()


def test_processes_that_write_first_at_once_share_one_key(engine: sa.Engine, key_file: Path) -> None:
    barrier = threading.Barrier(4)

    def write(number: int) -> None:
        barrier.wait()
        Vault(engine, KeyRing(KeyFile(key_file)), writer="cli").write(f"name {number}", f"text {number}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    own = Vault(engine, KeyRing(KeyFile(key_file)), writer="cli")
    assert [own.read(f"name {number}").text for number in range(4)] == [f"text {n}" for n in range(4)]  # type: ignore[union-attr]
