"""The bundled embedder: what its vectors are, and what it refuses to load."""

from __future__ import annotations

import hashlib
import shutil
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tomli_w

from pocketpref.backends.onnx.embedder import (
    BATCH,
    BUNDLED,
    OnnxEmbedder,
    batches,
    measure_relevance,
    offtopic_prompts,
    open_embedder,
    providers,
)
from pocketpref.errors import ModelDamagedError, ModelMissingError
from pocketpref.models.bundled import Manifest, models_folder
from pocketpref.protocols import Embedder

# Cosines of the published float weights, computed with torch and transformers.
PUBLISHED = (
    ("Explain DNS", "What is the domain name system, and how does it work?", 0.6293),
    ("Explain DNS", "Explain how to bake sourdough bread", 0.1847),
    ("Explain DNS", "Wie funktioniert DNS?", 0.6395),
    ("Wie funktioniert DNS?", "Explain how to bake sourdough bread", 0.0755),
)


@pytest.fixture(scope="module")
def embedder() -> OnnxEmbedder:
    return OnnxEmbedder(models_folder() / BUNDLED)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A copy of the models folder, to be damaged."""
    return Path(shutil.copytree(models_folder(), tmp_path / "models"))


def test_it_is_an_embedder_with_unit_vectors(embedder: OnnxEmbedder) -> None:
    vectors = embedder.embed(["Explain DNS", "", "für dich: 日本 🙂"])
    assert isinstance(embedder, Embedder)
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-6)


def test_no_texts_give_no_vectors(embedder: OnnxEmbedder) -> None:
    assert embedder.embed([]).shape == (0, 384)


@pytest.mark.parametrize(("first", "second", "cosine"), PUBLISHED)
def test_cosines_are_those_of_the_published_weights(
    embedder: OnnxEmbedder, first: str, second: str, cosine: float
) -> None:
    one, other = embedder.embed([first, second])
    assert float(one @ other) == pytest.approx(cosine, abs=0.01)


def test_the_texts_beside_it_do_not_change_a_vector(embedder: OnnxEmbedder) -> None:
    texts = [("word " * length).strip() + "?" for length in range(1, 75, 2)]
    texts += ["Explain DNS", "x" * 500, ""]
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    together = embedder.embed(texts)
    shuffled = embedder.embed(texts[::-1])[::-1]
    assert np.abs(alone - together).max() < 1e-6
    assert np.abs(alone - shuffled).max() < 1e-6


def test_batches_hold_every_text_once_and_little_padding() -> None:
    lengths = [*range(1, 120), *[200] * 40]
    found = list(batches(lengths))
    assert sorted(place for batch in found for place in batch) == list(range(len(lengths)))
    for batch in found:
        theirs = [lengths[place] for place in batch]
        assert len(batch) <= BATCH
        assert max(theirs) <= 1.5 * min(theirs)
    assert list(batches([])) == []


def test_only_the_first_256_tokens_count(embedder: OnnxEmbedder) -> None:
    beginning = "snow " * 254  # and the two special tokens
    one, other = embedder.embed([beginning, beginning + "completely different ending"])
    assert np.array_equal(one, other)
    shorter = embedder.embed(["snow " * 253 + "fire"])[0]
    assert np.abs(one - shorter).max() > 1e-4


def test_ten_megabytes_take_no_longer_than_a_page(embedder: OnnxEmbedder) -> None:
    start = time.perf_counter()
    embedder.embed(["a b " * 2_500_000])
    assert time.perf_counter() - start < 2.0


def test_text_that_is_no_valid_unicode_is_embedded_all_the_same(embedder: OnnxEmbedder) -> None:
    assert np.isfinite(embedder.embed(["half a character: \ud83d"])).all()


def test_threads_get_the_vectors_of_one_thread(embedder: OnnxEmbedder) -> None:
    texts = [f"Question number {n} about {'trains ' * n}" for n in range(24)]
    alone = embedder.embed(texts)
    with ThreadPoolExecutor(8) as pool:
        apart = list(pool.map(lambda text: embedder.embed([text])[0], texts))
    assert np.abs(alone - np.stack(apart)).max() < 1e-6


def test_its_threshold_is_the_measured_one(embedder: OnnxEmbedder) -> None:
    measured = tomllib.loads((models_folder() / "MANIFEST.toml").read_text("utf-8"))
    entry = measured["relevance"][BUNDLED]
    assert embedder.relevance == entry["threshold"]
    assert max(entry["recalled_unrelated"].values()) <= 0.05


def test_the_bundled_off_topic_prompts_give_a_threshold_near_the_measured_one(
    embedder: OnnxEmbedder,
) -> None:
    prompts = offtopic_prompts()
    assert len(set(prompts)) == 64
    estimate = measure_relevance(embedder.embed(prompts))
    assert estimate == pytest.approx(embedder.relevance, abs=0.1)


def test_the_off_topic_threshold_recalls_one_in_twenty() -> None:
    rows = np.random.default_rng(1).normal(size=(200, 24)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    threshold = measure_relevance(rows)
    tops = [max(float(a @ b) for j, b in enumerate(rows) if i != j) for i, a in enumerate(rows)]
    assert 0.03 <= np.mean([top >= threshold for top in tops]) <= 0.05


def test_repr_names_the_model_and_the_device(embedder: OnnxEmbedder) -> None:
    assert repr(embedder) == f"OnnxEmbedder('{BUNDLED}', device='{embedder.device}')"


def test_the_manifest_describes_every_file_of_the_folder() -> None:
    folder = models_folder()
    listed = {entry.path for entry in Manifest(folder).files}
    present = {p for p in folder.rglob("*") if p.is_file() and p.name != "MANIFEST.toml"}
    assert listed == present
    for entry in Manifest(folder).files:
        assert hashlib.sha256(entry.path.read_bytes()).hexdigest() == entry.sha256
        assert entry.role
        assert entry.licence
        assert entry.source.startswith("https://")


def test_the_graph_names_no_file_of_the_machine_it_was_made_on() -> None:
    graph = (models_folder() / BUNDLED / "model.onnx").read_bytes()
    for trace in (b".py", b"site-packages", b"stack_trace", b"/home/", b"/tmp/"):
        assert trace not in graph


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json"])
def test_one_changed_byte_is_noticed(models: Path, file: str) -> None:
    path = models / BUNDLED / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelDamagedError, match=file):
        OnnxEmbedder(models / BUNDLED)


def test_a_truncated_file_is_noticed(models: Path) -> None:
    path = models / BUNDLED / "model.onnx"
    path.write_bytes(path.read_bytes()[:1_000_000])
    with pytest.raises(ModelDamagedError, match="not the file"):
        OnnxEmbedder(models / BUNDLED)


@pytest.mark.parametrize("file", ["all-MiniLM-L6-v2/model.onnx", "MANIFEST.toml"])
def test_a_missing_file_is_named(models: Path, file: str) -> None:
    (models / file).unlink()
    with pytest.raises(ModelMissingError, match=Path(file).name) as caught:
        OnnxEmbedder(models / BUNDLED)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "file = 3", "file = [{role = 'x'}]", "\x00", "[[["])
def test_a_manifest_that_is_none_is_refused(models: Path, text: str) -> None:
    (models / "MANIFEST.toml").write_text(text, "utf-8")
    with pytest.raises(ModelDamagedError, match="manifest"):
        OnnxEmbedder(models / BUNDLED)


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json"])
def test_a_listed_file_that_is_no_model_is_refused(models: Path, file: str) -> None:
    _replace(models, f"{BUNDLED}/{file}", b"this is no model")
    with pytest.raises(ModelDamagedError, match=file):
        OnnxEmbedder(models / BUNDLED)


def test_another_tokenizer_gives_another_fingerprint(models: Path, embedder: OnnxEmbedder) -> None:
    same = OnnxEmbedder(models / BUNDLED).fingerprint
    text = (models / BUNDLED / "tokenizer.json").read_bytes()
    _replace(models, f"{BUNDLED}/tokenizer.json", text + b"\n")
    assert same == embedder.fingerprint
    assert OnnxEmbedder(models / BUNDLED).fingerprint != same


def test_without_a_measured_threshold_it_says_how_to_measure_one(models: Path) -> None:
    manifest = tomllib.loads((models / "MANIFEST.toml").read_text("utf-8"))
    manifest["relevance"] = {}
    (models / "MANIFEST.toml").write_text(tomli_w.dumps(manifest), "utf-8")
    with pytest.raises(ModelDamagedError) as caught:
        OnnxEmbedder(models / BUNDLED)
    assert "calibrate_relevance" in str(caught.value.hint)


def test_cuda_is_used_only_where_onnxruntime_has_it() -> None:
    found: list[str] = []
    with_cuda = SimpleNamespace(
        get_available_providers=lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
        preload_dlls=lambda: found.append("libraries"),
    )
    without = SimpleNamespace(get_available_providers=lambda: ["CPUExecutionProvider"])
    both = [("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"]
    assert providers(with_cuda, cuda=True) == both  # type: ignore[arg-type]  # a stand-in
    assert found == ["libraries"]
    assert providers(with_cuda, cuda=False) == both[1:]  # type: ignore[arg-type]
    assert providers(without, cuda=True) == both[1:]  # type: ignore[arg-type]


def test_the_default_embedder_is_the_bundled_one() -> None:
    assert open_embedder().name == open_embedder(BUNDLED).name == BUNDLED


def test_an_embedder_that_is_not_here_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(ModelMissingError, match="nobody/nothing") as caught:
        open_embedder("nobody/nothing")
    assert "hf download nobody/nothing" in str(caught.value.hint)


def _replace(models: Path, file: str, data: bytes) -> None:
    """Put other content in a file, and its digest in the manifest."""
    (models / file).write_bytes(data)
    manifest = tomllib.loads((models / "MANIFEST.toml").read_text("utf-8"))
    entry = next(e for e in manifest["file"] if e["file"] == file)
    entry |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (models / "MANIFEST.toml").write_text(tomli_w.dumps(manifest), "utf-8")
