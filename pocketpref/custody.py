"""Who keeps the vault's key: the system's keyring, a passphrase, or a key file.

The choice is the person's (``pocketpref keys set``, the configuration or a variable). Where none
was made, an existing vault says how it is kept, and a new one goes to the system's keyring or,
where there is none, to a passphrase if somebody is there to be asked. Never is anything weaker
chosen in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pocketpref.backends.keyring import SystemKeyring
from pocketpref.config import Config
from pocketpref.errors import KeyMissingError, KeyringError
from pocketpref.protocols import KeyStore
from pocketpref.vault import Vault
from pocketpref.vault.keys import KeyFile, Passphrase

Ask = Callable[[], str]

_WAYS_OUT = (
    "choose one: `pocketpref keys set --key-file PATH`, `pocketpref keys set --passphrase`, "
    "or set POCKETPREF_KEY_FILE or POCKETPREF_PASSPHRASE_FILE"
)


def choose(config: Config, vault: Path, ask: Ask | None = None) -> KeyStore:
    """The key store of a vault that is there, or of one that is to be made.

    Args:
        config: the settings, with the environment already applied.
        vault: where the vault is or will be.
        ask: asks a person for the passphrase; None if nobody can be asked.

    Raises:
        KeyMissingError: there is no way to a key.
        KeyringError: the keyring was chosen and cannot be used.
        VaultError: the vault's header cannot be read.
    """
    exists = Vault.exists(vault)
    kind = config.key_custody or (Vault.custody(vault) if exists else None)
    if kind == "keyring":
        return SystemKeyring()
    if kind == "passphrase":
        return Passphrase(_asker(config, ask))
    if kind == "key-file":
        return _key_file(config, make=not exists)
    return _default(ask)


def _default(ask: Ask | None) -> KeyStore:
    try:
        return SystemKeyring()
    except KeyringError as error:
        if ask is None:
            raise KeyMissingError(
                f"no key for a new vault: {error.message}, and there is no terminal to ask at",
                hint=_WAYS_OUT,
            ) from None
    return Passphrase(ask)


def _key_file(config: Config, *, make: bool) -> KeyFile:
    if config.key_file is None:
        raise KeyMissingError(
            "this vault is opened by a key file, and it is not said where that is",
            hint="set POCKETPREF_KEY_FILE, or `key_file` in the configuration",
        )
    if make and not config.key_file.exists():
        return KeyFile.make(config.key_file)
    return KeyFile(config.key_file)


def _asker(config: Config, ask: Ask | None) -> Ask:
    path = config.passphrase_file
    if path is not None:
        return lambda: _from_file(path)
    if ask is None:
        raise KeyMissingError(
            "the vault's passphrase is needed, and there is no terminal to ask at",
            hint="put it into a file that only you can read and set POCKETPREF_PASSPHRASE_FILE",
        )
    return ask


def _from_file(path: Path) -> str:
    lines = None
    # Raised outside of the handler: the decoder's error holds the passphrase.
    with suppress(OSError, UnicodeDecodeError):
        lines = path.read_text("utf-8").splitlines()
    if not lines or not lines[0]:
        raise KeyMissingError(
            f"the passphrase file {path.name} {'cannot be read' if lines is None else 'is empty'}",
            hint="its first line is the passphrase, in UTF-8; POCKETPREF_PASSPHRASE_FILE names it",
        )
    return lines[0]
