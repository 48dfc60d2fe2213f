"""Whether an adapter computes in llama.cpp what it computes in torch, logit by logit.

    python -m tools.train.check ADAPTER.gguf [--base FILE.gguf]

llama.cpp runs the base's float32 copy, so that what is left is the export's own error: a matrix
that was transposed, permuted or scaled wrongly shows at once, and so does an adapter without
effect.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketpref.backends.llama.bindings import Context, Slot, Weights, quantize

from .base import Base, load_base, starter_path
from .export import read_gguf
from .lora import attach, put_factors, without_adapter
from .sampling import activate

_F32 = 0  # LLAMA_FTYPE_ALL_F32
_PROBE = "Why is the sky blue at noon and red in the evening? Answer in two sentences."

Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How torch and llama.cpp agree on one text.

    Attributes:
        apart: largest difference of a logit.
        effect: largest change of a logit by the adapter, in torch.
    """

    apart: float
    effect: float


def torch_logits(model: Any, tokens: Sequence[int]) -> Logits:
    """Logits of every token of a text, shape (tokens, vocabulary)."""
    import torch

    with torch.inference_mode():
        found = model(input_ids=torch.tensor([list(tokens)])).logits[0]
    return np.asarray(found.float().numpy())


def llama_logits(path: Path, tokens: Sequence[int], adapter: Path | None = None) -> Logits:
    """The same by llama.cpp, with an adapter at scale 1 or none.

    Raises:
        ValueError: llama.cpp does not load the adapter.
    """
    count = len(tokens)
    with closing(Weights(path)) as weights:
        context = Context(weights, cells=512, batch=count, sequences=1, outputs=count)
        with closing(context):
            activate(weights, context, [(adapter, 1.0)] if adapter else [])
            context.decode([Slot(t, i, (0,), output=True) for i, t in enumerate(tokens)])
            return context.logits(count).copy()


def compare(base: Base, model: Any, adapter: Path, copy: Path) -> Agreement:
    """Compare a torch model that has its adapter with the exported file.

    Args:
        base: in float32.
        model: the same base with the adapter.
        adapter: the exported file.
        copy: the base in float32 as GGUF.
    """
    tokens = [*base.tokens.prompt(_PROBE), *base.tokens.answer("Because air scatters light.")]
    ours = torch_logits(model, tokens)
    with without_adapter(model):
        plain = torch_logits(model, tokens)
    theirs = llama_logits(copy, tokens, adapter)
    return Agreement(float(np.abs(ours - theirs).max()), float(np.abs(ours - plain).max()))


def float_copy(base: Path, folder: Path) -> Path:
    """The base's float32 copy, made if it is not there."""
    path = folder / f"{base.stem}-f32.gguf"
    if not path.is_file():
        quantize(base, path, _F32)
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Compare one adapter file, print how far the logits are apart."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("adapter", type=Path)
    parser.add_argument("--base", type=Path, help="its GGUF base [default: the starter]")
    given = parser.parse_args(argv)
    base = load_base(given.base or starter_path())
    values, lora = read_gguf(given.adapter.read_bytes(), base.shape)
    model = attach(base, lora, seed=0)
    put_factors(model, values)
    with tempfile.TemporaryDirectory() as folder:
        copy = float_copy(base.path, Path(folder))
        found = compare(base, model, given.adapter, copy)
    print(
        f"logits apart by {found.apart:.5f} at most; the adapter moves them by {found.effect:.3f}"
    )
    return 0 if found.apart < 0.01 * max(found.effect, 1.0) else 1


if __name__ == "__main__":
    sys.exit(main())
