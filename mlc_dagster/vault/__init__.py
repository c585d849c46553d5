"""Credentials, and what runs receive and must keep, such as refresh tokens: encrypted in our database."""

from mlc_dagster.vault.credentials import Credentials, stored_text
from mlc_dagster.vault.keys import KeyFile, KeyRing, NoNewKey, OsKeyring, VaultLocked
from mlc_dagster.vault.trail import Change, Stamp
from mlc_dagster.vault.vault import Entry, EntryChanged, Vault

__all__ = [
    "Change",
    "Credentials",
    "Entry",
    "EntryChanged",
    "KeyFile",
    "KeyRing",
    "NoNewKey",
    "OsKeyring",
    "Stamp",
    "Vault",
    "VaultLocked",
    "stored_text",
]
