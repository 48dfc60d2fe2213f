"""Data at rest: one file, sealed, whose promises hold against anyone without the key."""

from pocketpref.vault.store import UserStore
from pocketpref.vault.vault import Vault, VaultInfo

__all__ = ["UserStore", "Vault", "VaultInfo"]
