"""First-order estimates: our arithmetic against llama.cpp's, gradients against differences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from pocketpref.attributes import AttributeBank
from pocketpref.backends.llama import LlamaModel
from pocketpref.backends.llama.estimates import FirstOrder, split
from pocketpref.backends.llama.gguf_tensors import Tensors
from pocketpref.backends.llama.scorer import Scorer
from pocketpref.backends.llama.transformer import Block, KeysValues, Rope, Shape, Sight
from pocketpref.errors import ModelDamagedError
from pocketpref.messages import compose
from pocketpref.records import Matrix32, Pair
from pocketpref.samples import sample_pairs
from pocketpref.scoring import PairScorer

PAIR = Pair(
    "Why do leaves fall in autumn?",
    "Trees drop them to save water in winter. Simple as that!",
    "The abscission of foliage is a consequence of hormonal changes induced by photoperiod.",
)


@pytest.fixture(scope="module")
def first_order(model: LlamaModel, prepared_path: Path) -> Iterator[FirstOrder]:
    shape = Shape.of(model._weights)
    assert shape is not None
    found = FirstOrder(prepared_path, shape, 4096)
    yield found
    found.close()


def contexts_of(model: LlamaModel, bank: AttributeBank, count: int) -> list[list[int]]:
    return model._contexts([compose(PAIR.prompt, bank.block([n])) for n in bank.names[:count]])


# -------------------------------------------------------------------------------- weights


def test_quantized_and_copied_weights_are_the_same_numbers(
    starter_path: Path, prepared_path: Path
) -> None:
    quantized, copy = Tensors(starter_path), Tensors(prepared_path)
    for name in ("blk.3.ffn_gate.weight", "token_embd.weight", "output_norm.weight"):
        assert np.allclose(quantized.matrix(name), copy.matrix(name), rtol=1e-3, atol=1e-4)
    rows = quantized.rows("token_embd.weight", [7, 48_000])
    quantized.close()
    copy_rows = copy.matrix("token_embd.weight")[[7, 48_000]]
    assert np.allclose(rows, copy_rows, rtol=1e-3, atol=1e-4)
    copy.close()


def test_damaged_files_and_missing_weights_are_named(tmp_path: Path, prepared_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"not a model")
    with pytest.raises(ModelDamagedError, match=r"bad\.gguf"):
        Tensors(tmp_path / "bad.gguf")
    tensors = Tensors(prepared_path)
    with pytest.raises(ModelDamagedError, match=r"blk\.99"):
        tensors.matrix("blk.99.ffn_gate.weight")
    tensors.close()
    tensors.close()


# ----------------------------------------------------------------------------- arithmetic


def test_log_likelihoods_equal_those_of_llama_cpp(
    model: LlamaModel, first_order: FirstOrder
) -> None:
    context = model._contexts([compose(PAIR.prompt, "Be brief.")])[0]
    for answer in model._answers([PAIR.chosen, PAIR.rejected]):
        theirs = model._scorer.score([context], [answer]).totals[0, 0]
        assert first_order.log_likelihood(context, answer) == pytest.approx(theirs, abs=0.1)


def test_the_gradient_is_the_slope_of_the_log_likelihood(
    model: LlamaModel, first_order: FirstOrder, bank: AttributeBank
) -> None:
    fan = first_order.lay(contexts_of(model, bank, 5), map)
    answers = model._answers([PAIR.chosen, PAIR.rejected])
    scales = np.full(len(fan.owner), np.log(0.2))
    bias = np.concatenate([np.zeros(fan.begin), scales]).astype(np.float32)

    def value(context: int, step: float) -> float:
        moved = bias.copy()
        moved[fan.begin :][fan.owner == context] += step
        return sum(
            sign * answer_value(first_order, fan, answer, moved)
            for answer, sign in zip(answers, (1.0, -1.0), strict=True)
        )

    each = zip(answers, (1.0, -1.0), strict=True)
    gradient = sum(first_order.gradient(fan, *one, bias) for one in each)[fan.begin :]
    for context in range(5):
        slope = (value(context, 0.1) - value(context, -0.1)) / 0.2
        assert gradient[fan.owner == context].sum() == pytest.approx(slope, rel=0.02, abs=5e-3)


def answer_value(first_order: FirstOrder, fan: Any, answer: list[int], bias: Matrix32) -> float:
    """Log p(answer) with contexts scaled by ``bias``, forwards only, one answer alone."""
    tokens = [*fan.after, *answer[:-1]]
    here = np.arange(len(tokens))
    earlier = np.full_like(here, len(bias))
    sight = Sight(earlier, earlier, earlier + here, bias)
    hidden, _ = first_order._forward(tokens, fan.position + here, fan.earlier, sight)
    return first_order._head.log_likelihood(hidden[len(fan.after) - 1 :], answer)[0]


class RandomTensors:
    """Weights of one small layer, of the kinds that Qwen models have."""

    def __init__(self, *, biases: bool, norms: bool) -> None:
        rng = np.random.default_rng(5)
        sizes = {
            "attn_norm": (1, 12), "attn_q": (16, 12), "attn_k": (8, 12), "attn_v": (8, 12),
            "attn_output": (12, 16), "ffn_norm": (1, 12), "ffn_gate": (20, 12),
            "ffn_up": (20, 12), "ffn_down": (12, 20),
        }  # fmt: skip
        made = {f"blk.0.{name}.weight": size for name, size in sizes.items()}
        if biases:
            made |= {f"blk.0.attn_{x}.bias": (1, 16 if x == "q" else 8) for x in "qkv"}
        if norms:
            made |= {f"blk.0.attn_{x}_norm.weight": (1, 4) for x in "qk"}
        self._made = {n: rng.normal(size=s).astype(np.float32) for n, s in made.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._made

    def matrix(self, name: str) -> Matrix32:
        return self._made[name]

    def vector(self, name: str) -> Matrix32:
        return self._made[name][0]


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("norms", [False, True])
@pytest.mark.parametrize("interleaved", [False, True])
def test_a_layer_goes_back_as_it_went_forwards(
    biases: bool, norms: bool, interleaved: bool
) -> None:
    shape = Shape(1, 4, 2, 4, 1e-5, 10000.0, interleaved)
    tensors = cast(Tensors, RandomTensors(biases=biases, norms=norms))
    block, rng = Block(tensors, shape, 0), np.random.default_rng(3)
    rope = Rope(shape, np.arange(5, 9), None)
    earlier = KeysValues(*rng.normal(size=(2, 3, 2, 4)).astype(np.float32))
    here = np.arange(4)
    bias = np.array([0.0, -0.5, -1.0], np.float32)
    sight = Sight(np.full(4, 3), np.full(4, 3), 3 + here, bias)
    x, weight = rng.normal(size=(2, 4, 12)).astype(np.float32)

    def value(x: Matrix32, bias: Matrix32) -> float:
        seen = Sight(sight.shared, sight.first, sight.last, bias)
        return float((block.forward(x, rope, earlier, seen)[0] * weight).sum(dtype=np.float64))

    _, trace = block.forward(x, rope, earlier, sight)
    into, into_bias = block.backward(trace, weight, rope, earlier, sight)
    step = 1e-2
    for place in [(0, 0), (1, 7), (3, 11)]:
        moved = np.zeros_like(x)
        moved[place] = step
        slope = (value(x + moved, bias) - value(x - moved, bias)) / (2 * step)
        assert into[place] == pytest.approx(slope, rel=0.03, abs=0.03)
    for column in range(3):
        moved = np.zeros_like(bias)
        moved[column] = step
        slope = (value(x, bias + moved) - value(x, bias - moved)) / (2 * step)
        assert into_bias[column] == pytest.approx(slope, rel=0.03, abs=0.03)


def test_rope_turns_back() -> None:
    x = np.random.default_rng(1).normal(size=(3, 2, 8)).astype(np.float32)
    for interleaved in (False, True):
        rope = Rope(Shape(1, 2, 2, 8, 1e-5, 10000.0, interleaved), np.array([0, 5, 90]), None)
        assert np.allclose(rope.turn(rope.turn(x), back=True), x, atol=1e-5)
        assert np.allclose(rope.turn(x)[0], x[0])


# ------------------------------------------------------------------------------ estimates


def test_contexts_are_split_into_what_they_share() -> None:
    assert split([[1, 2, 3, 9, 8], [1, 2, 4, 4, 9, 8]]) == ([1, 2], [[3], [4, 4]], [9, 8])
    assert split([[1, 2, 8], [1, 2, 2, 8]]) == ([1, 2], [[], [2]], [8])


def test_the_best_attribute_is_among_the_first_estimates(
    model: LlamaModel, bank: AttributeBank
) -> None:
    """On a real person's pairs, whole bank: the order of estimates is that of margins, nearly."""
    blocks = [bank.block([name]) for name in bank.names]
    for feedback in sample_pairs("demo")[2:4]:
        scorer = PairScorer(model, feedback.pair)
        estimates, margins = scorer.estimates(blocks), scorer.margins(blocks)
        assert estimates is not None
        assert np.corrcoef(estimates, margins)[0, 1] > 0.6
        assert int((estimates > estimates[np.argmax(margins)]).sum()) < 6


def test_what_was_estimated_before_changes_nothing(
    model: LlamaModel, first_order: FirstOrder, bank: AttributeBank
) -> None:
    contexts = contexts_of(model, bank, 6)
    answers = model._answers([PAIR.chosen, PAIR.rejected])
    before = first_order.estimates(contexts, answers, (1.0, -1.0))
    first_order.estimates([c[:-4] + c[-3:] for c in contexts], answers[::-1], (1.0, -1.0))
    assert np.array_equal(first_order.estimates(contexts, answers, (1.0, -1.0)), before)


def test_a_model_that_computes_otherwise_gives_no_estimates(
    model: LlamaModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variant of the architecture that we do not know is found out by its likelihoods."""
    right = Scorer.score

    def wrong(self: Scorer, contexts: Any, answers: Any) -> Any:
        found = right(self, contexts, answers)
        found.totals[:] -= 20
        return found

    monkeypatch.setattr(Scorer, "score", wrong)
    assert model.open_first_order() is None


def test_unknown_architectures_are_left_alone(
    model: LlamaModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Shape.of(model._weights) is not None
    monkeypatch.setattr(type(model._weights), "metadata", lambda *_: "strange")
    assert Shape.of(model._weights) is None
