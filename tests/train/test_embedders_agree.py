"""The bundled embedder and sentence-transformers give the same vectors from the same ONNX file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pocketpref.backends.onnx.embedder import BUNDLED, SentenceTransformersEmbedder, open_embedder
from pocketpref.errors import ModelDamagedError
from pocketpref.models.bundled import models_folder
from pocketpref.protocols import Embedder

pytestmark = pytest.mark.train
pytest.importorskip("sentence_transformers", reason="needs pocketpref[sentence-transformers]")

TEXTS = (
    "Explain DNS",
    "What is the domain name system, and how does it work?",
    "für dich: 日本 🙂",
    "Write a poem about snow. " * 200,
    "x",
)

# The published model's own settings, as far as sentence-transformers asks for them.
SETTINGS: dict[str, object] = {
    "config.json": {
        "architectures": ["BertModel"],
        "hidden_size": 384,
        "intermediate_size": 1536,
        "max_position_embeddings": 512,
        "model_type": "bert",
        "num_attention_heads": 12,
        "num_hidden_layers": 6,
        "pad_token_id": 0,
        "type_vocab_size": 2,
        "vocab_size": 30522,
    },
    "tokenizer_config.json": {
        "do_lower_case": True,
        "model_max_length": 512,
        "tokenizer_class": "BertTokenizer",
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
    },
    "sentence_bert_config.json": {"max_seq_length": 256, "do_lower_case": False},
    "1_Pooling/config.json": {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True},
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {
            "idx": 1,
            "name": "1",
            "path": "1_Pooling",
            "type": "sentence_transformers.models.Pooling",
        },
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model in the layout of sentence-transformers."""
    folder = tmp_path_factory.mktemp("embedder")
    (folder / "1_Pooling").mkdir()
    for name, content in SETTINGS.items():
        (folder / name).write_text(json.dumps(content), "utf-8")
    for name in ("model.onnx", "tokenizer.json"):
        shutil.copy(models_folder() / BUNDLED / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def other(folder: Path) -> Embedder:
    return open_embedder(str(folder))


def test_both_paths_give_the_same_vectors(other: Embedder) -> None:
    ours, theirs = open_embedder().embed(TEXTS), other.embed(TEXTS)
    assert isinstance(other, SentenceTransformersEmbedder)
    assert theirs.dtype == np.float32
    assert np.abs(ours - theirs).max() < 1e-5


def test_no_texts_give_no_vectors(other: Embedder) -> None:
    assert other.embed([]).shape == (0, 384)


def test_a_threshold_is_measured_for_it(other: Embedder) -> None:
    assert 0.35 < other.relevance < 0.65


def test_its_fingerprint_follows_its_files(other: Embedder, folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert open_embedder(str(copy)).fingerprint == other.fingerprint
    (copy / "sentence_bert_config.json").write_text('{"max_seq_length": 128}', "utf-8")
    assert open_embedder(str(copy)).fingerprint != other.fingerprint


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelDamagedError):
        open_embedder(str(tmp_path))
