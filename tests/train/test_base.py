"""What is trained is what runs: torch, llama.cpp and the library agree on the same file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.train

EVERY = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@pytest.fixture(scope="module")
def worn(base: Any) -> Any:
    """A model with an adapter that has effect, both factors random; and the adapter's shape."""
    from tools.train.lora import LoraShape, attach, factors, put_factors

    lora = LoraShape(rank=4, alpha=8.0, targets=EVERY)
    model = attach(base, lora, seed=1)
    random = np.random.default_rng(2)
    filled = {
        key: random.normal(0, 0.03, value.shape).astype(np.float32)
        for key, value in factors(model).items()
    }
    put_factors(model, filled)
    return model, lora


def test_an_exported_adapter_computes_in_llama_cpp_what_it_does_in_torch(
    base: Any, worn: Any, float_path: Path, tmp_path: Path
) -> None:
    """On all seven matrices; and the check notices if rows of q and k are not reordered."""
    from dataclasses import replace

    from tools.train.check import compare
    from tools.train.export import gguf_bytes
    from tools.train.lora import factors

    model, lora = worn
    path = tmp_path / "adapter.gguf"
    path.write_bytes(gguf_bytes(factors(model), lora, base.shape, "made"))
    found = compare(base, model, path, float_path)
    assert found.effect > 2
    assert found.apart < 0.1  # llama.cpp keeps keys and values in 16 bits
    unmoved = replace(base.shape, heads=base.shape.heads * 32, key_heads=base.shape.key_heads * 32)
    path.write_bytes(gguf_bytes(factors(model), lora, unmoved, "made"))
    assert compare(base, model, path, float_path).apart > 0.5


def test_the_manifest_is_one_that_the_library_accepts(base: Any, worn: Any) -> None:
    """And what it read back are the factors that were written."""
    from pocketpref.errors import AdapterError
    from pocketpref.lora import AdapterManifest
    from tools.train.export import Made, gguf_bytes, manifest, read_gguf
    from tools.train.lora import factors

    model, lora = worn
    data = gguf_bytes(factors(model), lora, base.shape, "made", half=False)
    made = Made("none", "pytest", 1, "none")
    written = manifest("made", data, base.identity, lora, made, held_out={"figure": 0.5})
    read = AdapterManifest.load(written.dump())
    assert read.check(data, base.identity.sha256).targets == tuple(sorted(read.targets))
    assert len(read.targets) == 7
    assert read.held_out == {"figure": 0.5}
    with pytest.raises(AdapterError, match="another model"):
        read.check(data, "0" * 64)
    again, shape = read_gguf(data, base.shape)
    assert (shape.rank, shape.alpha) == (lora.rank, lora.alpha)
    assert sorted(shape.targets) == sorted(lora.targets)
    assert all(np.array_equal(again[key], value) for key, value in factors(model).items())


def test_log_likelihoods_are_those_of_the_library(base: Any, worn: Any, float_path: Path) -> None:
    """In a padded batch of answers of several lengths, with the adapter off again at the end."""
    from pocketpref.backends.llama import LlamaModel
    from pocketpref.records import Message
    from tools.train.lora import without_adapter
    from tools.train.scoring import Row, Scorer, log_likelihoods

    questions = ["Why is the sky blue?", "What is rust? Say it in one short sentence, please."]
    answers = ["Air scatters blue light most of all, so it comes from everywhere.", "Old iron."]
    library = LlamaModel(float_path, sha256="f32")
    theirs = [
        library.likelihoods([[Message(role="user", content=q)]], [a]).totals[0, 0]
        for q, a in zip(questions, answers, strict=True)
    ]
    library.close()
    rows = [
        Row(base.tokens.prompt(q), base.tokens.answer(a, ended=False))
        for q, a in zip(questions, answers, strict=True)
    ]
    model, _ = worn
    changed = log_likelihoods(Scorer(model), rows).tolist()
    with without_adapter(model):
        ours = log_likelihoods(Scorer(model), rows).tolist()
    assert ours == pytest.approx(theirs, abs=0.05)
    assert changed != pytest.approx(theirs, abs=0.3)


def test_answers_end_where_the_model_ends_them_and_repeat_under_a_seed(starter_path: Path) -> None:
    """More answers than seats: everybody is served, in order."""
    from tools.train.base import Tokens
    from tools.train.sampling import Drawing, draw

    tokens = Tokens(starter_path)
    asked = [tokens.prompt(f"Say the word {word}.") for word in ("sun", "moon", "sea", "tree")]
    how = Drawing(tokens=12, side_by_side=3, seed=4)
    first, second = draw(starter_path, asked, how), draw(starter_path, asked, how)
    assert first == second
    assert len(first) == 4
    for drawn in first:
        assert drawn.ended == (len(drawn.tokens) < 12)
        assert tokens.end not in drawn.tokens
    tokens.close()
