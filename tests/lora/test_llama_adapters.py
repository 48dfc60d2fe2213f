"""Adapters on the real starter model: right, without a trace, and never mixed up."""

from __future__ import annotations

import gc
import mmap
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from pocketpref.backends.llama import LlamaModel, adapters
from pocketpref.backends.llama.bindings import quantize
from pocketpref.backends.llama.gguf_tensors import Tensors
from pocketpref.errors import AdapterError, ModelError
from pocketpref.evaluation.likelihood_cache import CachedModel
from pocketpref.lora import Adapter, Blend, permuted, read_lora
from pocketpref.records import Message, Sampling
from tests.lora.conftest import Shapes
from tests.lora.making import ALL, adapter_of, random_pairs

CHAT = [
    Message(role="user", content="Why is the sky blue?"),
    Message(role="assistant", content="Because air scatters blue light."),
    Message(role="user", content="And red?"),
]
ANSWERS = ("It comes far.", "No idea!")
GREEDY = Sampling(temperature=0.0, max_tokens=4)


def scores(model: Any) -> NDArray[np.float64]:
    found: NDArray[np.float64] = model.likelihoods([CHAT, CHAT[:1]], ANSWERS).totals
    return found


def last_logits(base: LlamaModel, view: Any, messages: list[Message]) -> NDArray[np.float32]:
    """Logits behind the last token of a reply, without a seed: what is cached is reused."""
    assert "".join(view.generate(messages, sampling=GREEDY))
    context = base._generator._context
    assert context is not None
    return context.logits(1).copy()


# --------------------------------------------------------------------------------- right


@pytest.fixture(scope="module")
def float32(
    starter_path: Path, tmp_path_factory: pytest.TempPathFactory, base_sha256: str
) -> Iterator[Path]:
    """The starter in float32, where two ways of computing agree to the last digits."""
    path = tmp_path_factory.mktemp("float32") / "base.gguf"
    quantize(starter_path, path, 0)
    yield path
    path.unlink()


def with_products_added(path: Path, parts: list[tuple[Adapter, float]]) -> NDArray[np.float64]:
    """Scores of a copy of a float32 model to whose matrices scale alpha / rank B A was added."""
    merged = path.with_name("merged.gguf")
    merged.write_bytes(path.read_bytes())
    with closing(Tensors(merged)) as tensors:
        start, places = tensors._start, dict(tensors._places)
    with merged.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        for part, scale in parts:
            lora = read_lora(part.data)
            for name, (a, b) in lora.pairs.items():
                kind, offset, (rows, columns) = places[name]
                assert kind == 0
                weights = np.frombuffer(data, np.float32, rows * columns, start + offset)
                product = b.values(part.data).astype(float) @ a.values(part.data).astype(float)
                product *= scale * lora.alpha / lora.rank
                changed = (weights + product.ravel()).astype(np.float32).tobytes()
                del weights
                data[start + offset : start + offset + len(changed)] = changed
    with closing(LlamaModel(merged, sha256="0" * 64)) as model:
        found = scores(model)
    merged.unlink()
    return found


def test_an_adapter_does_what_adding_its_product_to_the_weights_does(
    float32: Path, shapes: Shapes, base_sha256: str
) -> None:
    """Every kind of matrix, by two ways that share no code. The cache of keys has 16 bits."""
    pairs = random_pairs(shapes, 7, targets=ALL, size=0.04, dtype=np.float32)
    worn = adapter_of(pairs, base_sha256, alpha=8.0)
    with closing(LlamaModel(float32, sha256=base_sha256)) as base:
        plain = scores(base)
        by_adapter = scores(base.adapted(Blend(((worn, 0.75),))))
    by_weights = with_products_added(float32, [(worn, 0.75)])
    assert np.abs(by_adapter - plain).max() > 0.5
    assert np.abs(by_adapter - by_weights).max() < 0.08 * np.abs(by_adapter - plain).max()


def test_rows_are_permuted_as_the_rotation_of_the_architecture_wants() -> None:
    """The attention of queries and keys is the same in both conventions of rotating them."""
    rng = np.random.default_rng(0)
    heads, width, rank = 3, 8, 2
    angles = rng.normal(size=width // 2)
    b = rng.normal(size=(heads * width, rank))
    x = rng.normal(size=rank)

    def halves(head: NDArray[np.float64]) -> NDArray[np.complex128]:
        return (head[: width // 2] + 1j * head[width // 2 :]) * np.exp(1j * angles)

    def neighbours(head: NDArray[np.float64]) -> NDArray[np.complex128]:
        return (head[0::2] + 1j * head[1::2]) * np.exp(1j * angles)

    theirs = (b @ x).reshape(heads, width)
    ours = (permuted(b, heads) @ x).reshape(heads, width)
    for one, two in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(halves(one), neighbours(two))


def test_a_blend_adds_the_products_by_their_scales(
    float32: Path, base_sha256: str, adapter: Adapter, other: Adapter
) -> None:
    """Of different ranks, alphas and matrices; bit for bit the same however they are named."""
    parts = ((adapter, 0.6), (other, 1.8))
    with closing(LlamaModel(float32, sha256=base_sha256)) as base:
        plain = scores(base)
        blended = scores(base.adapted(Blend(parts)))
        turned = scores(base.adapted(Blend(parts[::-1])))
    by_weights = with_products_added(float32, list(parts))
    assert np.array_equal(blended, turned)
    assert np.abs(blended - plain).max() > 0.5
    assert np.abs(blended - by_weights).max() < 0.08 * np.abs(blended - plain).max()


# --------------------------------------------------------------------------------- no trace


def test_scores_under_none_are_restored_bit_for_bit(starter: LlamaModel, adapter: Adapter) -> None:
    view = starter.adapted(Blend(((adapter, 1.0),)))
    before = scores(starter)
    worn = scores(view)
    assert not np.array_equal(worn, before)
    assert np.array_equal(scores(starter), before)
    assert np.array_equal(scores(view), worn)
    view.close()
    assert np.array_equal(scores(starter), before)
    assert Blend(((adapter, 1.0),)).key not in starter._rack


def test_a_swap_in_the_middle_of_a_chat_equals_a_fresh_model(
    prepared_path: Path, base_sha256: str, starter: LlamaModel, adapter: Adapter, other: Adapter
) -> None:
    """Bit for bit: nothing that was cached under another state is used, there and back."""
    one, two = Blend(((adapter, 1.0),)), Blend(((adapter, 0.5), (other, 0.5)))
    fresh = {}
    for blend in (Blend(), one, two):
        with closing(LlamaModel(prepared_path, sha256=base_sha256)) as model:
            fresh[blend.key] = last_logits(model, model.adapted(blend), CHAT)
    assert not np.array_equal(fresh[()], fresh[one.key])
    for blend in (one, Blend(), two, one):
        view = starter.adapted(blend)
        # The first turn leaves a cache that the second one could go on from.
        last_logits(starter, starter.adapted(one if blend.key == () else Blend()), CHAT[:1])
        assert np.array_equal(last_logits(starter, view, CHAT), fresh[blend.key])


def test_the_same_state_goes_on_from_its_cache(starter: LlamaModel, adapter: Adapter) -> None:
    """Only a change empties it: a chat under one policy pays for new turns alone."""
    view = starter.adapted(Blend(((adapter, 1.0),)))
    last_logits(starter, view, CHAT[:1])
    kept = list(starter._generator._cached)
    decoded: list[int] = []
    context = starter._generator._context
    assert context is not None
    original = context.decode
    context.decode = lambda slots: decoded.append(len(slots)) or original(slots)  # type: ignore
    try:
        last_logits(starter, view, CHAT)
    finally:
        del context.decode
    assert decoded[0] < len(kept)
    assert sum(decoded) < len(starter._template.tokens(CHAT))


def test_another_scale_is_another_state(starter: LlamaModel, adapter: Adapter) -> None:
    half, whole = Blend(((adapter, 0.5),)), Blend(((adapter, 1.0),))
    first = scores(starter.adapted(half))
    assert not np.array_equal(scores(starter.adapted(whole)), first)
    assert np.array_equal(scores(starter.adapted(half)), first)


def test_what_is_kept_of_likelihoods_names_the_state(
    starter: LlamaModel, adapter: Adapter, other: Adapter
) -> None:
    """Caches and measurements go by the fingerprint; each state has its own."""
    blends = [
        Blend(),
        Blend(((adapter, 1.0),)),
        Blend(((adapter, 0.5),)),
        Blend(((other, 1.0),)),
        Blend(((adapter, 1.0), (other, 1.0))),
    ]
    views = [starter.adapted(blend) for blend in blends]
    assert len({view.fingerprint for view in views}) == len(blends)
    assert views[0].fingerprint == starter.fingerprint
    turned = starter.adapted(Blend(((other, 1.0), (adapter, 1.0))))
    assert turned.fingerprint == views[-1].fingerprint
    cached = CachedModel(views[1])
    assert cached.fingerprint == views[1].fingerprint
    assert np.array_equal(scores(cached), scores(views[1]))


# --------------------------------------------------------------------------------- side by side


def test_replies_and_scores_in_threads_keep_their_own_state(
    starter: LlamaModel, adapter: Adapter, other: Adapter
) -> None:
    blends = [Blend(), Blend(((adapter, 1.0),)), Blend(((other, 0.5),))]
    views = [starter.adapted(blend) for blend in blends]
    expected = [scores(view) for view in views]
    texts = [list(view.generate(CHAT, sampling=replace(GREEDY, seed=1))) for view in views]
    wrong: list[int] = []

    def work(place: int) -> None:
        for _ in range(2):
            if not np.array_equal(scores(views[place]), expected[place]):
                wrong.append(place)
            found = list(views[place].generate(CHAT, sampling=replace(GREEDY, seed=1)))
            if found != texts[place]:
                wrong.append(place)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_closing_a_view_while_its_reply_is_written_waits_for_nobody(
    starter: LlamaModel, adapter: Adapter
) -> None:
    """The reply goes on; the next one takes the adapter off."""
    blend = Blend(((adapter, 1.25),))
    view = starter.adapted(blend)
    reply = view.generate(CHAT, sampling=GREEDY)
    next(reply)
    view.close()
    assert "".join(reply)
    assert blend.key in starter._rack
    list(starter.generate(CHAT, sampling=GREEDY))
    assert blend.key not in starter._rack


def test_a_model_that_taking_off_does_not_restore_is_named(
    starter: LlamaModel, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one bit of one logit; the adapter is freed, and the next one is tried on as ever."""
    blend = Blend(((adapter, 0.77),))
    plain = starter._rack._bare
    touched = plain.copy()
    touched[0, 7] = np.nextafter(touched[0, 7], np.float32(np.inf))
    monkeypatch.setattr(starter._rack, "_bare", touched)
    with pytest.raises(ModelError, match="did not restore"):
        starter.adapted(blend)
    assert blend.key not in starter._rack
    monkeypatch.setattr(starter._rack, "_bare", plain)
    starter.adapted(blend).close()


def test_a_closed_model_takes_no_adapter(prepared_path: Path, adapter: Adapter) -> None:
    """By name, where llama.cpp would end the process."""
    model = LlamaModel(prepared_path, sha256=adapter.manifest.base.sha256)
    view = model.adapted(Blend(((adapter, 1.0),)))
    model.close()
    view.close()
    with pytest.raises(ModelError):
        model.adapted(Blend(((adapter, 0.5),)))
    for closed in (model, view):
        with pytest.raises(ModelError, match="closed"):
            list(closed.generate([Message(role="user", content="Hello?")]))
        with pytest.raises(ModelError, match="closed"):
            closed.likelihoods([[Message(role="user", content="Hello?")]], ["Hi."])


def test_what_an_adapter_shows_of_itself_is_not_what_it_holds(adapter: Adapter) -> None:
    shown = repr(replace(adapter, manifest=replace(adapter.manifest, name="Ada Lovelace")))
    assert "Lovelace" not in shown
    assert "random numbers" not in shown
    assert f"<{len(adapter.data)} bytes>" in shown


def test_loading_and_freeing_leaves_no_memory_behind(starter: LlamaModel, adapter: Adapter) -> None:
    """The long form is ``tools/bench/adapters.py --cycles 10000``."""
    blend = Blend(((adapter, 1.0),))
    message = CHAT[:1]

    def cycle() -> None:
        view = starter.adapted(blend)
        list(view.generate(message, sampling=replace(GREEDY, max_tokens=1)))
        view.close()

    for _ in range(10):
        cycle()
    gc.collect()
    before = psutil.Process().memory_info().rss
    for _ in range(25):
        cycle()
    gc.collect()
    grown = psutil.Process().memory_info().rss - before
    assert grown < 7 * len(adapter.data)  # a quarter of what would be there if nothing were freed


# --------------------------------------------------------------------------------- in memory


def test_loading_writes_no_file(
    starter: LlamaModel, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On systems with files in memory: no temporary file is made, by Python or by C."""
    if adapters.memory_files() is None:
        pytest.skip("this system has no files in memory")
    monkeypatch.setattr(adapters.tempfile, "TemporaryDirectory", None)
    opened = {file.path for file in psutil.Process().open_files()}
    starter.adapted(Blend(((replace(adapter, personal=True), 0.9),)))
    assert {file.path for file in psutil.Process().open_files()} == opened


def test_without_files_in_memory_a_personal_adapter_is_refused_and_others_work(
    starter: LlamaModel, adapter: Adapter, other: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows; in a blend, too."""
    expected = scores(starter.adapted(Blend(((adapter, 0.8),))))
    scores(starter)
    monkeypatch.setattr(adapters, "memory_files", lambda: None)
    assert np.array_equal(scores(starter.adapted(Blend(((adapter, 0.8),)))), expected)
    scores(starter)
    personal = replace(adapter, personal=True)
    for parts in (((personal, 0.8),), ((other, 0.5), (personal, 0.5))):
        with pytest.raises(AdapterError, match="made for a person"):
            starter.adapted(Blend(parts))


# --------------------------------------------------------------------------------- blends


@pytest.mark.parametrize("scale", [0.0, -1.0, 2.5, float("nan"), float("inf")])
def test_scales_out_of_range_are_refused(adapter: Adapter, scale: float) -> None:
    with pytest.raises(AdapterError, match="scale"):
        Blend(((adapter, scale),))


def test_the_same_adapter_twice_is_refused(adapter: Adapter) -> None:
    with pytest.raises(AdapterError, match="twice"):
        Blend(((adapter, 0.5), (adapter, 0.6)))
