"""Embedders: the bundled one on onnxruntime, others through sentence-transformers.

onnxruntime 1.29 and later send usage data by default and keep a device id under the user's cache
folder. ``ORT_DISABLE_TELEMETRY=1`` turns all of that off, but only if it is set before the library
is first loaded, so nothing here may load it but ``load_onnxruntime``.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pocketpref.backends.scheduling import threads
from pocketpref.errors import ModelDamagedError, ModelError, ModelMissingError
from pocketpref.models.bundled import Manifest, models_folder
from pocketpref.protocols import Embedder
from pocketpref.records import Vector

# What "unrelated" looks like to an embedder of which nothing has been measured.
#
# Cosines of different embedders lie in different ranges, so a threshold of one means nothing to
# another. These prompts were written for this file; they are unrelated to one another in the way in
# which one person's prompts are (some share a kind of task, none a subject).

FALSE_RECALL = 0.05
"""How often a prompt may be taken for related to a memory of unrelated ones."""

_PROMPTS = """\
Explain how DNS turns a name into an address.
Write a function that merges two sorted linked lists.
Write a function that counts the vowels of a string.
Why does my sourdough bread come out so dense?
Plan a weekend in Lisbon for two people who love music.
Draft an e-mail to my landlord about the broken heating.
Draft an e-mail that declines a job offer politely.
What were the causes of the French Revolution?
Compose a haiku about the first snow of the year.
Write a short story about a lighthouse keeper who finds a letter.
Write a short story about a robot learning to paint.
How do I change the battery of a mechanical-looking quartz watch?
Solve 3x + 7 = 22 and show every step.
A train leaves at 9:40 and arrives at 13:05; how long is the ride?
What is the difference between a virus and a bacterium?
Suggest a training plan for my first half marathon.
Summarize the plot of Hamlet in five sentences.
Translate into Spanish: the meeting was moved to Thursday.
How does compound interest work?
Which house plants survive with very little light?
Explain photosynthesis to a ten-year-old.
Explain inflation to a ten-year-old.
My cat scratches the sofa; what can I do?
Give me arguments against a four-day working week.
Give me arguments for banning cars from city centres.
Convert this CSV file to JSON with one shell command.
Why is the sky blue and the sunset red?
What should I wear to an outdoor wedding in October?
Write a cover letter for a junior accountant position.
How do vaccines train the immune system?
Name five board games for three players.
What does the second amendment say?
Fix this SQL query: it returns duplicate rows after the join.
How do I ask my boss for a raise?
Describe the smell of rain for a blind reader.
What are good names for a small bakery?
Compare electric and gas stoves for a small flat.
How long can cooked rice be kept in the fridge?
Write a toast for my sister's fortieth birthday.
Explain the offside rule in football.
What is a monad, in plain words?
List the planets by their size.
How do I remove red wine from a white carpet?
Is it safe to take ibuprofen with alcohol?
Invent a villain for a fantasy role-playing campaign.
Proofread this paragraph of my thesis about coral reefs.
What is the best way to learn touch typing?
Explain the trolley problem and its main criticisms.
How are tides caused by the moon?
Write a product description for a hand-made leather wallet.
Write unit tests for a shopping-cart class.
What happened at the battle of Thermopylae?
How do I set up a static IP address on Ubuntu?
Teach me three chords on the ukulele.
Why do leaves change colour in autumn?
Make a grocery list for a vegan week under forty dollars.
Explain what a mortgage point is.
Write a limerick about a forgetful wizard.
How do noise-cancelling headphones work?
What questions should I ask when I view a used car?
Help me apologize to a friend whose birthday I forgot.
Describe the water cycle.
Classify these reviews as positive, negative or neutral.
What is the etiquette of tipping in Japan?
"""


def offtopic_prompts() -> list[str]:
    """Sixty-four prompts, none related to another by its subject."""
    return _PROMPTS.splitlines()


def measure_relevance(vectors: Vector) -> float:
    """The cosine from which on prompts count as related, for the embedder of these vectors.

    The least threshold at which at most one in twenty prompts would recall another one of the set.

    Args:
        vectors: ``offtopic_prompts()``, embedded; unit length, shape (prompts, dimensions).
    """
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1.0)
    return float(np.quantile(cosines.max(axis=1), 1 - FALSE_RECALL))


BUNDLED: Final = "all-MiniLM-L6-v2"
"""The embedder that comes with pocketpref."""

MAX_TOKENS: Final = 256
"""Tokens of a text that count, the two special ones included (the model's published limit)."""

MAX_CHARACTERS: Final = 20_000
"""Characters of a text that are looked at: far more than 256 tokens hold, far less than 10 MB."""

BATCH: Final = 32
MAX_THREADS: Final = 4
_POOLING: Final = "mean/1"
_INSTALL: Final = "pip install 'pocketpref[cpu]', or 'pocketpref[gpu]' for an NVIDIA GPU"
_telemetry_late = False


def load_onnxruntime() -> ModuleType:
    """Import onnxruntime with its telemetry off; the only place that imports it.

    Raises:
        ModelMissingError: it is not installed.
    """
    global _telemetry_late  # noqa: PLW0603  # a fact about this process, like the library's state
    if os.environ.get("ORT_DISABLE_TELEMETRY") != "1":
        _telemetry_late = "onnxruntime" in sys.modules  # the host program was first
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        if note := telemetry_note():
            warnings.warn(note, RuntimeWarning, stacklevel=2)
    try:
        import onnxruntime
    except ImportError:
        raise ModelMissingError("onnxruntime is not installed", hint=_INSTALL) from None
    if _telemetry_late:
        # Too late for the device id and the first event, but it stops the rest.
        onnxruntime.disable_telemetry_events()
    return onnxruntime  # type: ignore[no-any-return]  # the library is untyped


def telemetry_note() -> str | None:
    """What to tell the user about onnxruntime's telemetry; None if it is off."""
    if not _telemetry_late:
        return None
    return (
        "onnxruntime was loaded before pocketpref with its telemetry on, and may have stored a "
        "device id and sent usage data; set ORT_DISABLE_TELEMETRY=1 before the program starts"
    )


class OnnxEmbedder:
    """An embedder from a folder with ``model.onnx`` and ``tokenizer.json``.

    Mean pooling over tokens, then unit length. A text's vector does not depend on the texts beside
    it: arithmetic is float32 and padding is masked. Safe to call from several threads.
    """

    def __init__(self, folder: Path, *, cuda: bool = True, relevance: float | None = None) -> None:
        """Load the model, after comparing its files with the manifest in the folder above.

        Args:
            folder: a folder that ``MANIFEST.toml`` beside it describes.
            cuda: use a CUDA device if onnxruntime can.
            relevance: in the place of the threshold that the manifest holds.

        Raises:
            ModelMissingError: a file, or onnxruntime, is missing.
            ModelDamagedError: a file is not what the manifest says.
        """
        manifest = Manifest(folder.parent)
        graph = manifest.file(f"{folder.name}/model.onnx")
        words = manifest.file(f"{folder.name}/tokenizer.json")
        self.name = folder.name
        self.fingerprint = _fingerprint(graph.sha256, words.sha256, _POOLING, str(MAX_TOKENS))
        threshold = relevance or manifest.relevance(folder.name)
        if threshold is None:
            raise ModelDamagedError(
                f"the manifest holds no relevance threshold for {folder.name}",
                hint="measure it: python tools/calibrate_relevance.py --help",
            )
        self.relevance = threshold
        self._tokenizer = _tokenizer(words.read(), words.path)
        self._session = session(graph.read(), graph.path, cuda=cuda)

    @property
    def device(self) -> str:
        """``"cuda"`` or ``"cpu"``: where the model runs."""
        return "cuda" if "CUDAExecutionProvider" in self._session.get_providers() else "cpu"

    def __repr__(self) -> str:
        return f"OnnxEmbedder({self.name!r}, device={self.device!r})"

    def embed(self, texts: Sequence[str]) -> Vector:
        """Embeddings of unit length, float32, shape (len(texts), dimensions).

        Only the first 256 tokens of a text count, and its first 20,000 characters are looked at.

        Raises:
            ModelError: onnxruntime failed.
        """
        encoded = [self._tokenizer.encode(_clean(text)).ids for text in texts]
        vectors = np.empty((len(encoded), self._dimensions), dtype=np.float32)
        for batch in batches([len(ids) for ids in encoded]):
            vectors[batch] = self._embed_batch([encoded[i] for i in batch])
        return vectors

    @property
    def _dimensions(self) -> int:
        return int(self._session.get_outputs()[0].shape[-1])

    def _embed_batch(self, ids: Sequence[Sequence[int]]) -> Vector:
        tokens = np.zeros((len(ids), max(map(len, ids))), dtype=np.int64)
        mask = np.zeros_like(tokens)
        for row, text in enumerate(ids):
            tokens[row, : len(text)] = text
            mask[row, : len(text)] = 1
        feed = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": mask * 0}
        try:
            (states,) = self._session.run(None, feed)
        except failures() as error:
            # The library's message names tensors and shapes, never the text itself.
            raise ModelError(f"onnxruntime failed on {self.name}: {error}") from None
        return pool(states, mask)


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of texts in batches of like lengths, so that little is computed for padding.

    Args:
        lengths: tokens of each text.

    Yields:
        At most ``BATCH`` places, of which the longest text has at most half as many tokens again
        as the shortest.
    """
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and (len(batch) == BATCH or lengths[place] > 1.5 * lengths[batch[0]]):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def pool(states: NDArray[np.float32], mask: NDArray[np.int64]) -> Vector:
    """Mean over the tokens that are no padding, scaled to unit length.

    Args:
        states: last hidden states, shape (texts, tokens, dimensions).
        mask: 1 for a token, 0 for padding, shape (texts, tokens).
    """
    weights = mask[:, :, None].astype(np.float32)
    means = (states * weights).sum(axis=1) / weights.sum(axis=1)
    return _unit(means)


def _unit(rows: NDArray[Any]) -> Vector:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)


def _clean(text: str) -> str:
    """The part of a text that is looked at, with what no tokenizer takes (lone surrogates) out."""
    return text[:MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _tokenizer(data: bytes, path: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(data)
    except ValueError as error:
        raise ModelDamagedError(f"{path} is no tokenizer: {error}") from None
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def session(data: bytes, path: Path, *, cuda: bool) -> Any:
    """A graph, loaded: on a CUDA device if that is wanted and onnxruntime can.

    Args:
        data: the graph.
        path: where it came from, for messages.
        cuda: whether a GPU may be used.

    Raises:
        ModelMissingError: onnxruntime is not installed.
        ModelDamagedError: onnxruntime cannot load it.
    """
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: a missing CUDA library is no news to the user
    options.intra_op_num_threads = min(MAX_THREADS, threads())
    # A desktop assistant embeds one prompt now and then: its threads must sleep in between.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            data, options, providers=providers(onnxruntime, cuda=cuda)
        )
    except failures() as error:
        raise ModelDamagedError(f"onnxruntime cannot load {path}: {error}") from None


def failures() -> tuple[type[Exception], ...]:
    """The exceptions of onnxruntime, which have no common base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kinds = (kind for kind in vars(state).values() if isinstance(kind, type))
    return (RuntimeError, *(kind for kind in kinds if issubclass(kind, Exception)))


def providers(onnxruntime: ModuleType, *, cuda: bool) -> list[str | tuple[str, dict[str, str]]]:
    """The devices that a graph is to run on, in order of preference, with their settings."""
    usable = onnxruntime.get_available_providers()
    if not cuda or "CUDAExecutionProvider" not in usable:
        return ["CPUExecutionProvider"]
    # Finds the CUDA libraries that pip installed (nvidia-* packages), which the loader does not.
    onnxruntime.preload_dlls()
    # Full float32, so that vectors made on a GPU and on a CPU may be compared.
    return [("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"]


class SentenceTransformersEmbedder:
    """Any embedding model of sentence-transformers, through its ONNX back end.

    Never uses the network: a model that is not on this machine yet is refused. One that carries
    no ONNX file is converted in memory on each load, which takes some seconds.
    """

    def __init__(self, name_or_path: str) -> None:
        """Load the model.

        Args:
            name_or_path: a folder, or the name of a model in the Hugging Face cache.

        Raises:
            ModelMissingError: the model, or sentence-transformers, is not on this machine.
            ModelDamagedError: sentence-transformers cannot load it.
        """
        folder = _local_folder(name_or_path)
        self.name = name_or_path
        # Each file that may change the vectors, in the order of their names.
        files = (f for f in folder.rglob("*") if f.is_file() and not f.name.startswith("."))
        kept = sorted(f for f in files if f.suffix not in {".md", ".png"})
        digests = [hashlib.sha256(f.read_bytes()).hexdigest() for f in kept]
        self.fingerprint = _fingerprint("sentence-transformers/1", *digests)
        self._lock = threading.Lock()
        self._model = _load_sentence_transformer(folder)
        self._relevance: float | None = None

    def __repr__(self) -> str:
        return f"SentenceTransformersEmbedder({self.name!r})"

    @property
    def relevance(self) -> float:
        """Measured once for this model, on the bundled off-topic prompts (``offtopic``)."""
        if self._relevance is None:
            self._relevance = measure_relevance(self.embed(offtopic_prompts()))
        return self._relevance

    def embed(self, texts: Sequence[str]) -> Vector:
        """Embeddings of unit length, float32, shape (len(texts), dimensions)."""
        # One empty text is added so that even no texts have a shape.
        clean = [*(_clean(text) for text in texts), ""]
        with self._lock:  # its tokenizer changes its own state while it encodes
            rows = self._model.encode(clean, show_progress_bar=False, convert_to_numpy=True)
        return _unit(rows[:-1])


def open_embedder(handle: str | None = None) -> Embedder:
    """The embedder of that name.

    Args:
        handle: None for the bundled one; else a folder, or the name of a model in the Hugging Face
            cache, for sentence-transformers.

    Raises:
        ModelMissingError: it, or the library that runs it, is not on this machine.
        ModelDamagedError: its files are not what they should be.
    """
    if handle is None or handle == BUNDLED:
        return OnnxEmbedder(models_folder() / BUNDLED)
    return SentenceTransformersEmbedder(handle)


def _local_folder(name_or_path: str) -> Path:
    """The folder with a model's files, without asking any server."""
    folder = Path(name_or_path)
    if folder.is_dir():
        return folder
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name_or_path, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        raise ModelMissingError(
            f"the embedder {name_or_path} is not on this machine",
            hint=f"name a folder, or fetch it first: hf download {name_or_path}",
        ) from None


def _load_sentence_transformer(folder: Path) -> Any:
    load_onnxruntime()  # before sentence-transformers does so by itself, with telemetry
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    unsound: tuple[type[Exception], ...] = (*failures(), OSError, ValueError, KeyError)
    try:
        # Looked for by itself: without it sentence-transformers raises a bare Exception.
        import optimum.onnxruntime  # noqa: F401
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(
            str(folder),
            backend="onnx",
            local_files_only=True,
            model_kwargs={"provider": "CPUExecutionProvider"},
        )
    except ImportError:
        raise ModelMissingError(
            "sentence-transformers with its ONNX back end is not installed",
            hint="pip install 'pocketpref[sentence-transformers]'",
        ) from None
    except unsound as error:
        raise ModelDamagedError(
            f"sentence-transformers cannot load {folder}: {type(error).__name__}"
        ) from error
