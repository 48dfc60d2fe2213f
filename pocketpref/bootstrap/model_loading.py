"""Select and load models: the one that replies, the one that scores, the arbiter, the embedder.

Nothing heavy is loaded before it is needed.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from pocketpref.attributes import AttributeBank
from pocketpref.calibration import Measurements
from pocketpref.config import Places
from pocketpref.errors import ModelError
from pocketpref.models import Catalogue, ModelEntry
from pocketpref.personalization.frame_probe import (
    KNOWN_FRAMES,
    PROBE_VERSION,
    frame_for,
    probe_frames,
)
from pocketpref.personalization.frames import FRAMES, QUESTION_ORDER, Frame, frame_named
from pocketpref.protocols import Embedder, LanguageModel
from pocketpref.scoring import Arbiter, noise_floor

T = TypeVar("T")

_NOISE_CONDITIONS = 6
"""Conditions on which a model's noise is measured; two seconds on the starter model."""


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
class ModelLoaders:
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
    scorer: Lazy[LoadedScorer]
    scoring: Callable[[], dict[str, Any]]
    measured: Measurements
    ours: bool


def model_loaders(
    places: Places, wanted: str | Path | LanguageModel | None, *, exhaustive: bool
) -> ModelLoaders:
    """Return loaders for the wanted model: a handle or path, a model of the caller's, or None.

    Args:
        places: folders of the program.
        wanted: None for the default model.
        exhaustive: score with the most faithful weights.
    """
    measured = Measurements(places.cache / "measured.json")
    if wanted is not None and not isinstance(wanted, (str, Path)):
        own = wanted
        return ModelLoaders(
            name=lambda: own.name,
            fingerprint=lambda: own.fingerprint,
            model=Lazy(lambda: own),
            scorer=Lazy(lambda: LoadedScorer(own, "its own")),
            scoring=lambda: _scoring("its own", None, own.fingerprint, measured),
            measured=measured,
            ours=False,
        )
    catalogue = Catalogue(places.models)
    entry = Lazy(lambda: catalogue.find(None if wanted is None else str(wanted)))
    digest = Lazy(lambda: catalogue.digest(entry()))
    return ModelLoaders(
        name=lambda: entry().handle,
        fingerprint=digest,
        model=Lazy(lambda: load_model(entry(), entry().path, digest())),
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


def load_model(entry: ModelEntry, path: Path, fingerprint: str) -> LanguageModel:
    """Open a GGUF file with llama.cpp.

    Raises:
        ModelError: the file cannot be loaded.
    """
    from pocketpref.backends.llama import LlamaModel

    return LlamaModel(path, name=entry.handle, sha256=fingerprint)


@dataclass(frozen=True, slots=True)
class LoadedScorer:
    """The model that scores, and which form of the weights it has.

    Attributes:
        judge: a more faithful form that decides where this one cannot; None if there is none.
    """

    model: LanguageModel
    weights: str
    judge: Lazy[LoadedScorer] | None = None

    def close(self) -> None:
        """Free the weights."""
        self.model.close()
        if self.judge is not None and self.judge.made is not None:
            self.judge.made.close()


def _load_scorer(
    entry: ModelEntry, fingerprint: str, copies: Path, measured: Measurements, *, exhaustive: bool
) -> LoadedScorer:
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


def _open_scorer(entry: ModelEntry, path: Path, fingerprint: str) -> LoadedScorer:
    weights = "as shipped" if path == entry.path else path.stem.rpartition("-")[2]
    return LoadedScorer(load_model(entry, path, fingerprint), weights)


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


def embedder_loader(wanted: str | Embedder | None) -> Lazy[Embedder]:
    """Return a loader for the wanted embedder; None for the bundled one."""
    if wanted is not None and not isinstance(wanted, str):
        own = wanted
        return Lazy(lambda: own)

    def load() -> Embedder:
        from pocketpref.backends.onnx.embedder import open_embedder

        return open_embedder(wanted)

    return Lazy(load)


def frame_of(models: ModelLoaders) -> Frame:
    """Return the frame for the model that replies: known, probed on this machine, or the default.

    A model that is missing is asked nothing, so any frame will do for it.
    """
    with suppress(ModelError):
        place = models.measured.known(_frame_name(models.fingerprint()), -1.0)
        probed = FRAMES[int(place)].name if 0 <= place < len(FRAMES) else ""
        return frame_for(models.fingerprint(), probed)
    return QUESTION_ORDER


def probe_frame(models: ModelLoaders, embedder: Lazy[Embedder]) -> None:
    """Find out once which frame moves the model that replies, unless that is known.

    Raises:
        ModelError: a model is missing or failed.
    """
    if not models.ours or models.fingerprint() in KNOWN_FRAMES:
        return

    def measure() -> float:
        found = probe_frames(models.model(), embedder())
        return float(FRAMES.index(frame_named(found.frame)))

    models.measured.get(_frame_name(models.fingerprint()), measure)


def _frame_name(fingerprint: str) -> str:
    return f"frame {PROBE_VERSION} {fingerprint}"


def load_arbiter(models: ModelLoaders, bank: AttributeBank) -> Arbiter | None:
    """Return the more faithful weights that decide close margins, or None."""
    judge = models.scorer().judge
    return None if judge is None else Arbiter(judge().model, measured_noise(models, judge(), bank))


def measured_noise(models: ModelLoaders, scorer: LoadedScorer, bank: AttributeBank) -> float:
    """A scoring model's noise floor, measured once for each model on this machine."""
    blocks = [bank.block([name]) for name in bank.names[:_NOISE_CONDITIONS]]
    name = _noise_name(models.fingerprint(), scorer.weights)
    return models.measured.get(name, lambda: noise_floor(scorer.model, blocks))
