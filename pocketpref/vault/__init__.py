"""Encrypted storage in one file, protected against anyone without the key."""

from pocketpref.vault.store import UserStore
from pocketpref.vault.vault import Vault, VaultInfo

__all__ = ["UserStore", "Vault", "VaultInfo"]
