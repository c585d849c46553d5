"""Credentials that a run receives and must keep, such as refresh tokens: encrypted in our database."""

from mlc_dagster.vault.keys import KeyRing, VaultLocked
from mlc_dagster.vault.vault import Entry, EntryChanged, Stamp, Vault

__all__ = ["Entry", "EntryChanged", "KeyRing", "Stamp", "Vault", "VaultLocked"]
