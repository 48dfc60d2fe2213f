"""Choose the real components and put them together: ``pocketpref.open``.

Nothing heavy is loaded before it is needed.
"""

from __future__ import annotations

import atexit
import hashlib
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pocketpref.attributes import AttributeBank
from pocketpref.bootstrap import key_source
from pocketpref.bootstrap.model_loading import (
    Lazy,
    ModelLoaders,
    embedder_loader,
    frame_of,
    load_arbiter,
    measured_noise,
    model_loaders,
    probe_frame,
)
from pocketpref.bootstrap.trained_artifacts import TrainedArtifacts
from pocketpref.components import Components
from pocketpref.config import Config, Places
from pocketpref.egress.api_keys import ApiKeys
from pocketpref.egress.disclosure import RemoteGenerator
from pocketpref.errors import InputError
from pocketpref.methods.exact import Exact, ExactSettings
from pocketpref.pocket import Pocket
from pocketpref.protocols import Embedder, KeyStore, LanguageModel
from pocketpref.results import Personalized
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import EphemeralKey


def open(  # noqa: A001 - pocketpref.open is its name
    user: str | None = None,
    *,
    path: Path | str | None = None,
    key: KeyStore | None = None,
    model: str | Path | LanguageModel | None = None,
    embedder: str | Embedder | None = None,
    exhaustive: bool = False,
    config: Config | None = None,
    ask_passphrase: key_source.Ask | None = None,
) -> Pocket:
    """Open one person's pocket. Use it in a ``with`` statement.

    Args:
        user: whose memories; people are never mixed. None for the configured name.
        path: the vault's file; None for the platform's data folder. Made if it is not there.
        key: who keeps the key; None for what was configured (docs/keys.md).
        model: a handle, a GGUF file or a model of your own; None for the configured one, or the
            starter model.
        embedder: a handle or an embedder of your own; None for the configured or bundled one.
        exhaustive: learn by evaluating every attribute in every round, as the paper does: several
            times as long, for a little more (docs/performance.md).
        config: settings; None reads them from their file and the environment.
        ask_passphrase: asks a person, if the vault is kept by a passphrase.

    Raises:
        ConfigError: the settings cannot be used.
        VaultError: there is no key, or the vault cannot be opened.
    """
    places = Places.find()
    config = config or Config.load(places)
    file = Path(path) if path is not None else places.vault
    key = key or key_source.choose(config, file, ask_passphrase)
    vault = open_vault(file, key, places)
    settings = ExactSettings(wording=config.wording, exhaustive=exhaustive)
    bank = AttributeBank.standard(places.attributes)
    method = Exact(bank if config.learn_values == "yes" else bank.without("values"), settings)
    models = model_loaders(places, config.model if model is None else model, exhaustive=exhaustive)
    embed = embedder_loader(config.embedder if embedder is None else embedder)
    parts = _components(vault, user or config.user, method, models, embed)
    trained = TrainedArtifacts(places.models, models.fingerprint)
    portfolio = Lazy(lambda: (trained.portfolio(),))
    writer = Lazy(lambda: (trained.hypernetwork(),))
    return Pocket(
        replace(
            parts,
            portfolio=lambda: portfolio()[0],
            hypernetwork=lambda: writer()[0],
            summarizer=trained.summarizer,
        )
    )


def open_vault(file: Path, key: KeyStore, places: Places, *, accept_older: bool = False) -> Vault:
    """Open a vault, or make it if it is not there; see ``Vault.open``."""
    # What nobody can open again need not be watched.
    anchor = None if key.kind == EphemeralKey.kind else places.state
    if not Vault.exists(file):
        with suppress(InputError):  # another process has just made it
            return Vault.create(file, key, anchor=anchor)
    return Vault.open(file, key, anchor=anchor, accept_older=accept_older)


_default_lock = threading.Lock()
_default_pockets: list[Pocket] = []


def personalize(prompt: str) -> Personalized:
    """Add what was learned about the configured user to a prompt, if anything relevant was.

    The vault is opened at the first call and stays open until the program ends.

    Raises:
        InputError: the prompt is empty.
        VaultError: there is no key, or the vault cannot be opened.
        ModelError: the embedder is missing or failed.
    """
    with _default_lock:
        if not _default_pockets:
            _default_pockets.append(open())
            atexit.register(_default_pockets[0].close)
    return _default_pockets[0].personalize(prompt)


@contextmanager
def throwaway(
    *,
    model: str | Path | LanguageModel | None = None,
    embedder: str | Embedder | None = None,
    config: Config | None = None,
) -> Iterator[Pocket]:
    """Open a Pocket whose vault is in a temporary folder and whose key is in memory only.

    The folder is deleted at the end; nobody can open what a crash leaves behind.
    """
    with tempfile.TemporaryDirectory(prefix="pocketpref-") as folder:
        vault = Path(folder) / "vault.db"
        key = EphemeralKey()
        with open(path=vault, key=key, model=model, embedder=embedder, config=config) as pocket:
            yield pocket


def _components(
    vault: Vault, user: str, method: Exact, models: ModelLoaders, embedder: Lazy[Embedder]
) -> Components:
    def close() -> None:
        if models.ours and models.model.made is not None:
            models.model.made.close()
        if models.ours and models.scorer.made is not None:
            models.scorer.made.close()
        vault.close()

    def recipe() -> str:
        text = f"{method.recipe} {models.fingerprint()} {embedder().fingerprint}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    return Components(
        store=vault.store(user),
        bank=method.bank,
        method=method,
        recipe=Lazy(recipe),
        noise=Lazy(lambda: measured_noise(models, models.scorer(), method.bank)),
        model=models.model,
        scorer=lambda: models.scorer().model,
        arbiter=lambda: load_arbiter(models, method.bank),
        names=vault.users,
        remote=_remote,
        embedder=embedder,
        frame=lambda: frame_of(models),
        probe_frame=lambda: probe_frame(models, embedder),
        about=lambda: _about(vault, models),
        on_close=close,
    )


def _remote(keys: ApiKeys) -> RemoteGenerator:
    from pocketpref.backends.http import HttpGenerator

    return HttpGenerator(keys)


def _about(vault: Vault, models: ModelLoaders) -> dict[str, Any]:
    from pocketpref.backends.llama import device

    info = vault.info()
    return {
        "model": models.name(),
        "device": device() if models.ours else "as its owner decides",
        "scoring": models.scoring(),
        "vault": {
            "path": str(info.path),
            "encryption": info.encryption,
            "key_custody": info.key_custody,
        },
    }
