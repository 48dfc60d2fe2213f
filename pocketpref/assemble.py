"""Picking the real parts and putting them together: ``pocketpref.open``.

The one place that knows every room. Nothing heavy is loaded before it is needed.
"""

from __future__ import annotations

import atexit
import hashlib
import math
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from pocketpref import custody
from pocketpref.attributes import AttributeBank
from pocketpref.config import Config, Places
from pocketpref.egress.api_keys import ApiKeys
from pocketpref.errors import InputError
from pocketpref.measurements import Measurements
from pocketpref.methods.exact.selection import Exact, ExactSettings
from pocketpref.models import Catalogue, ModelEntry
from pocketpref.parts import Judge, Parts
from pocketpref.pocket import Pocket
from pocketpref.protocols import Embedder, KeyStore, LanguageModel, RemoteGenerator
from pocketpref.results import Personalized
from pocketpref.scoring import noise_floor
from pocketpref.trained import Trained
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import EphemeralKey

T = TypeVar("T")

_NOISE_CONDITIONS = 6
"""Conditions on which a model's noise is measured; two seconds on the starter model."""


def open(  # noqa: A001 - pocketpref.open is its name
    user: str | None = None,
    *,
    path: Path | str | None = None,
    key: KeyStore | None = None,
    model: str | Path | LanguageModel | None = None,
    embedder: str | Embedder | None = None,
    exhaustive: bool = False,
    config: Config | None = None,
    ask_passphrase: custody.Ask | None = None,
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
    key = key or custody.choose(config, file, ask_passphrase)
    vault = open_vault(file, key, places)
    settings = ExactSettings(wording=config.wording, exhaustive=exhaustive)
    method = Exact(_bank(places, config), settings)
    models = _models(places, config.model if model is None else model, exhaustive=exhaustive)
    embed = _embedder(config.embedder if embedder is None else embedder)
    parts = _parts(vault, user or config.user, method, models, embed)
    trained = Trained(places.models, models.fingerprint)
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


def _bank(places: Places, config: Config) -> AttributeBank:
    bank = AttributeBank.standard(places.attributes)
    return bank if config.learn_values == "yes" else bank.without("values")


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
    """A Pocket whose vault lies in a temporary folder and whose key lies nowhere but in memory.

    The folder is deleted at the end; what a crash leaves behind
    cannot be opened by anybody.
    """
    with tempfile.TemporaryDirectory(prefix="pocketpref-") as folder:
        vault = Path(folder) / "vault.db"
        key = EphemeralKey()
        with open(path=vault, key=key, model=model, embedder=embedder, config=config) as pocket:
            yield pocket


def _parts(
    vault: Vault, user: str, method: Exact, models: _Models, embedder: Lazy[Embedder]
) -> Parts:
    def close() -> None:
        if models.ours and models.model.made is not None:
            models.model.made.close()
        if models.ours and models.scorer.made is not None:
            models.scorer.made.close()
        vault.close()

    def recipe() -> str:
        text = f"{method.recipe} {models.fingerprint()} {embedder().fingerprint}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    return Parts(
        store=vault.store(user),
        bank=method.bank,
        method=method,
        recipe=Lazy(recipe),
        noise=Lazy(lambda: _noise(models, models.scorer(), method.bank)),
        model=models.model,
        scorer=lambda: models.scorer().model,
        judge=lambda: _judge(models, method.bank),
        names=vault.users,
        remote=_remote,
        embedder=embedder,
        about=lambda: _about(vault, models),
        on_close=close,
    )


def _remote(keys: ApiKeys) -> RemoteGenerator:
    from pocketpref.backends.http import HttpGenerator

    return HttpGenerator(keys)


def _about(vault: Vault, models: _Models) -> dict[str, Any]:
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


# ---------------------------------------------------------------------------------- models


class Lazy(Generic[T]):
    """Makes a value when it is first asked for: once, whichever thread asks.

    Attributes:
        made: the value, or None if nobody has asked yet.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self.made: T | None = None

    def __call__(self) -> T:
        """The value."""
        with self._lock:
            if self.made is None:
                self.made = self._make()
            return self.made


@dataclass(frozen=True, slots=True)
class _Models:
    """The model that replies and the one that scores: the same weights.

    Attributes:
        name: for people.
        fingerprint: of the weights they share, known without loading them.
        scoring: how it scores, for ``status``.
        measured: what was measured of them on this machine.
        ours: whether we loaded them, and so have to free them.
    """

    name: Callable[[], str]
    fingerprint: Callable[[], str]
    model: Lazy[LanguageModel]
    scorer: Lazy[_Scorer]
    scoring: Callable[[], dict[str, Any]]
    measured: Measurements
    ours: bool


def _models(
    places: Places, wanted: str | Path | LanguageModel | None, *, exhaustive: bool
) -> _Models:
    measured = Measurements(places.cache / "measured.json")
    if wanted is not None and not isinstance(wanted, (str, Path)):
        own = wanted
        return _Models(
            name=lambda: own.name,
            fingerprint=lambda: own.fingerprint,
            model=Lazy(lambda: own),
            scorer=Lazy(lambda: _Scorer(own, "its own")),
            scoring=lambda: _scoring("its own", None, own.fingerprint, measured),
            measured=measured,
            ours=False,
        )
    catalogue = Catalogue(places.models)
    entry = Lazy(lambda: catalogue.find(None if wanted is None else str(wanted)))
    digest = Lazy(lambda: catalogue.digest(entry()))
    return _Models(
        name=lambda: entry().handle,
        fingerprint=digest,
        model=Lazy(lambda: _load(entry(), entry().path, digest())),
        scorer=Lazy(
            lambda: _load_scorer(
                entry(), digest(), places.prepared, measured, exhaustive=exhaustive
            )
        ),
        scoring=lambda: _expected_scoring(
            entry(), digest(), places.prepared, measured, exhaustive=exhaustive
        ),
        measured=measured,
        ours=True,
    )


def _load(entry: ModelEntry, path: Path, fingerprint: str) -> LanguageModel:
    from pocketpref.backends.llama import LlamaModel

    return LlamaModel(path, name=entry.handle, sha256=fingerprint)


@dataclass(frozen=True, slots=True)
class _Scorer:
    """The model that scores, and which form of the weights it has.

    Attributes:
        judge: a more faithful form that decides where this one cannot; None if there is none.
    """

    model: LanguageModel
    weights: str
    judge: Lazy[_Scorer] | None = None

    def close(self) -> None:
        """Free the weights."""
        self.model.close()
        if self.judge is not None and self.judge.made is not None:
            self.judge.made.close()


def _load_scorer(
    entry: ModelEntry, fingerprint: str, copies: Path, measured: Measurements, *, exhaustive: bool
) -> _Scorer:
    """The copy that scores best here: BF16 where it is worth it, F16, or the file as it is.

    Beside BF16 stands F16 to decide what BF16 cannot. An exhaustive search compares attributes by
    tenths of a nat all the time, so it never has BF16.
    """
    from pocketpref.backends.llama import WORTH, gpu_available, prepare, speedup

    gain = _gain(fingerprint)
    faithful = prepare(entry.path, copies, fingerprint)
    if exhaustive or gpu_available() or measured.known(gain, WORTH) < WORTH:
        return _open_scorer(entry, faithful, fingerprint)
    fast = prepare(entry.path, copies, fingerprint, "bf16")
    if entry.path in (faithful, fast):  # there is no room for copies, or no need of them
        return _open_scorer(entry, faithful, fingerprint)
    judge = Lazy(lambda: _open_scorer(entry, faithful, fingerprint))
    found = replace(_open_scorer(entry, fast, fingerprint), judge=judge)
    if measured.known(gain, 0) >= WORTH:
        return found
    if measured.get(gain, lambda: speedup(judge().model, found.model)) >= WORTH:
        return found
    found.model.close()
    fast.unlink(missing_ok=True)
    return judge()


def _open_scorer(entry: ModelEntry, path: Path, fingerprint: str) -> _Scorer:
    weights = "as shipped" if path == entry.path else path.stem.rpartition("-")[2]
    return _Scorer(_load(entry, path, fingerprint), weights)


def _expected_scoring(
    entry: ModelEntry, fingerprint: str, copies: Path, measured: Measurements, *, exhaustive: bool
) -> dict[str, Any]:
    """Which form of the weights scores, or would; nothing is loaded or made for it."""
    from pocketpref.backends.llama import NOT_QUANTIZED, WORTH, prepared_path, unfit_reason

    if not prepared_path(copies, fingerprint).is_file():
        reason = unfit_reason(entry.path, copies)
        if reason is not None:
            why = None if reason == NOT_QUANTIZED else reason
            return _scoring("as shipped", why, fingerprint, measured)
    fast = not exhaustive and measured.known(_gain(fingerprint), 0) >= WORTH
    return _scoring("bf16" if fast else "f16", None, fingerprint, measured)


def _scoring(
    weights: str, reason: str | None, fingerprint: str, measured: Measurements
) -> dict[str, Any]:
    """The ``scoring`` part of ``status``: noise is None until the first learn measures it."""
    noise = measured.known(_noise_name(fingerprint, weights), math.nan)
    return {
        "weights": weights,
        "quantized_because": reason,
        "noise": None if math.isnan(noise) else noise,
    }


def _gain(fingerprint: str) -> str:
    return f"{fingerprint} bf16 speed"


def _noise_name(fingerprint: str, weights: str) -> str:
    return f"{fingerprint} {weights} noise"


def _embedder(wanted: str | Embedder | None) -> Lazy[Embedder]:
    if wanted is not None and not isinstance(wanted, str):
        own = wanted
        return Lazy(lambda: own)

    def load() -> Embedder:
        from pocketpref.backends.onnx.embedder import open_embedder

        return open_embedder(wanted)

    return Lazy(load)


def _judge(models: _Models, bank: AttributeBank) -> Judge | None:
    judge = models.scorer().judge
    return None if judge is None else Judge(judge().model, _noise(models, judge(), bank))


def _noise(models: _Models, scorer: _Scorer, bank: AttributeBank) -> float:
    """A scoring model's noise floor, measured once for each model on this machine."""
    blocks = [bank.block([name]) for name in bank.names[:_NOISE_CONDITIONS]]
    name = _noise_name(models.fingerprint(), scorer.weights)
    return models.measured.get(name, lambda: noise_floor(scorer.model, blocks))
