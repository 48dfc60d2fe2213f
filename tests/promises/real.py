"""Pockets whose parts are all real but for one thing: they know few attributes.

A real model then answers in seconds what takes minutes with the whole bank.
"""

from __future__ import annotations

from pathlib import Path

from pocketpref.attributes import AttributeBank
from pocketpref.backends.onnx.embedder import open_embedder
from pocketpref.components import Components
from pocketpref.methods.exact import Exact, ExactSettings
from pocketpref.pocket import Pocket
from pocketpref.protocols import LanguageModel
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import KeyFile


def few(*names: str) -> AttributeBank:
    """A bank of a few of the standard attributes."""
    bank = AttributeBank.standard()
    return AttributeBank(bank[name] for name in names)


def vault_in(folder: Path) -> Vault:
    """The vault of a folder with its key and its note, all made if they are not there."""
    path, key, state = folder / "vault.db", folder / "key", folder / "state"
    if Vault.exists(path):
        return Vault.open(path, KeyFile(key), anchor=state)
    found = KeyFile(key) if key.exists() else KeyFile.make(key)
    return Vault.create(path, found, anchor=state)


def real_pocket(
    folder: Path,
    model: LanguageModel,
    bank: AttributeBank,
    settings: ExactSettings,
    *,
    user: str = "ada",
    noise: float = 0.0,
) -> Pocket:
    """A Pocket on the vault of a folder, with the bundled embedder."""
    vault = vault_in(folder)
    method = Exact(bank, settings)
    embedder = open_embedder(None)
    return Pocket(
        Components(
            store=vault.store(user),
            bank=bank,
            method=method,
            recipe=lambda: f"{method.recipe} {model.fingerprint} {embedder.fingerprint}",
            noise=lambda: noise,
            model=lambda: model,
            scorer=lambda: model,
            embedder=lambda: embedder,
            about=dict,
            on_close=vault.close,
        )
    )
