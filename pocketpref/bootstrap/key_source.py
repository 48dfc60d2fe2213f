"""Who keeps the vault's key: the system's keyring, a passphrase, or a key file.

The choice is the person's (``pocketpref keys set``, the configuration or a variable). Where none
was made, an existing vault says how it is kept, and a new one goes to the system's keyring or,
where there is none, to a passphrase if somebody is there to be asked. It never falls
back to a weaker key store silently.

A passphrase comes from a descriptor, a file or a prompt, in this order; never from an option or a
variable, whose values other programs can list.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO

from pocketpref.backends.keyring import SystemKeyring
from pocketpref.config import Config
from pocketpref.errors import ConfigError, KeyMissingError, KeyringError
from pocketpref.files import open_inherited
from pocketpref.protocols import KeyStore
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import KeyFile, Passphrase
from pocketpref.vault.crypto.secure_memory import Secret

Ask = Callable[[], str]

_DESCRIPTOR = "POCKETPREF_PASSPHRASE_FD"
_LONGEST = 4096  # bytes of a passphrase that is read from somewhere

_WAYS_OUT = (
    "choose one: `pocketpref keys set --key-file PATH`, `pocketpref keys set --passphrase`, "
    "or set POCKETPREF_KEY_FILE or POCKETPREF_PASSPHRASE_FILE"
)


# A pipe can be read once, but one command may open a vault more than once.
_read_already: dict[int, Secret] = {}


def choose(
    config: Config, vault: Path, ask: Ask | None = None, environ: Mapping[str, str] = os.environ
) -> KeyStore:
    """The key store of a vault that is there, or of one that is to be made.

    Args:
        config: the settings, with the environment already applied.
        vault: where the vault is or will be.
        ask: asks a person for the passphrase; None if nobody can be asked.
        environ: where ``POCKETPREF_PASSPHRASE_FD`` is looked up, which comes before a file and a
            person, and has a new vault kept by a passphrase if nothing else was chosen.

    Raises:
        ConfigError: the variable is no number of a descriptor.
        KeyMissingError: there is no way to a key.
        KeyringError: the keyring was chosen and cannot be used.
        VaultError: the vault's header cannot be read.
    """
    exists, descriptor = Vault.exists(vault), _descriptor(environ)
    kind = config.key_custody or (Vault.custody(vault) if exists else None)
    if kind == "keyring":
        return SystemKeyring()
    if kind == "passphrase":
        return Passphrase(descriptor or _asker(config, ask))
    if kind == "key-file":
        if config.key_file is None:
            raise KeyMissingError(
                "this vault is opened by a key file, and it is not said where that is",
                hint="set POCKETPREF_KEY_FILE, or `key_file` in the configuration",
            )
        make = not exists and not config.key_file.exists()
        return KeyFile.make(config.key_file) if make else KeyFile(config.key_file)
    return Passphrase(descriptor) if descriptor else _default(ask)


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


def _asker(config: Config, ask: Ask | None) -> Ask:
    path = config.passphrase_file
    if path is not None:
        where, variable = f"the passphrase file {path.name}", "POCKETPREF_PASSPHRASE_FILE"
        return lambda: _first_line(lambda: path.open("rb"), where, variable)
    if ask is None:
        raise KeyMissingError(
            "the vault's passphrase is needed, and there is no terminal to ask at",
            hint="put it into a file that only you can read and set POCKETPREF_PASSPHRASE_FILE, "
            f"or hand in a descriptor: {_DESCRIPTOR}=3",
        )
    return ask


def _first_line(
    opened: Callable[[], AbstractContextManager[BinaryIO]], where: str, variable: str
) -> str:
    """The first line of a file, without its end.

    Raises:
        KeyMissingError: it is empty, over-long or no UTF-8 text, or cannot be read.
    """
    line = None
    # Raised outside of the handlers: the decoder's error holds the passphrase.
    with suppress(OSError, UnicodeDecodeError), opened() as file:
        content = file.readline(_LONGEST + 1)
        if len(content) <= _LONGEST:
            line = "".join(content.decode("utf-8").splitlines()[:1])
    if not line:
        raise KeyMissingError(
            f"{where} {'cannot be read' if line is None else 'is empty'}",
            hint=f"its first line is the passphrase, in UTF-8; {variable} names it",
        )
    return line


def _descriptor(environ: Mapping[str, str]) -> Ask | None:
    """Reads the passphrase from the descriptor that is named; None if none is."""
    text = environ.get(_DESCRIPTOR)
    if not text:
        return None
    # Closing one of the first three would let the next file that is opened take its number.
    if not re.fullmatch("[0-9]{1,6}", text, re.ASCII) or int(text) < 3:
        raise ConfigError(
            f"{_DESCRIPTOR} must be the number of an open descriptor, 3 or above",
            hint=f"for example: {_DESCRIPTOR}=3 pocketpref status 3< passphrase.txt",
        )
    return lambda: from_descriptor(int(text))


def from_descriptor(number: int) -> str:
    """The passphrase behind an open descriptor, which is read once per process.

    Raises:
        KeyMissingError: there is none.
    """
    if number not in _read_already:
        line = _first_line(lambda: open_inherited(number), f"descriptor {number}", _DESCRIPTOR)
        _read_already[number] = Secret.taking(line.encode())
    return bytes(_read_already[number]).decode()
