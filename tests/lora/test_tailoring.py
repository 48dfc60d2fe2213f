"""An adapter written for one person: of their profile, sealed, worn, gone with what it knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketpref import Pocket
from pocketpref import open as open_pocket
from pocketpref.backends.llama import LlamaModel
from pocketpref.backends.onnx.hypernetwork import OnnxHypernetwork
from pocketpref.errors import AdapterError, ModelError
from pocketpref.evaluation.runner import LEAST_PAIRS, READINGS
from pocketpref.lora import Base, HypernetworkManifest
from pocketpref.lora.manifest import FILE_NAME
from pocketpref.lora.store import keep, kept
from pocketpref.methods import profile_to_peft
from pocketpref.methods.profile_to_peft import KEPT
from pocketpref.models.bundled import models_folder
from pocketpref.records import Feedback, Message, Pair, Sampling, Vector
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault.crypto.key_stores import KeyFile
from tests.lora.conftest import Shapes

GREEDY = Sampling(temperature=0.0, max_tokens=5, seed=1)
LAYERS, RANK = 30, 4


def manifest(base_sha256: str, **changed: object) -> HypernetworkManifest:
    found = HypernetworkManifest(
        base=Base("starter", base_sha256, "llama"),
        file="hypernetwork.onnx",
        sha256="ab" * 32,
        size=1,
        embedder=HashEmbedder().fingerprint,
        rank=RANK,
        alpha=8.0,
        targets=("attn_q", "attn_v"),
        layers=LAYERS,
        licence="Apache-2.0",
        recipe="random numbers that depend on the profile",
    )
    return replace(found, **changed)  # type: ignore[arg-type]  # names of fields, by the caller


@dataclass
class RandomHypernetwork:
    """Random matrices of the right shapes, the same for the same profile. The real one: below."""

    manifest: HypernetworkManifest
    shapes: Shapes
    size: float = 0.02
    written: int = 0

    def write(self, profile: Vector) -> dict[str, NDArray[np.float32]]:
        self.written += 1
        rng = np.random.default_rng(abs(int(profile.sum() * 1e6)))
        found = {}
        for kind in self.manifest.targets:
            rows, columns = self.shapes[f"blk.0.{kind}.weight"]
            a = rng.normal(0, columns**-0.5, (LAYERS, RANK, columns))
            found[f"{kind}.lora_a"] = a.astype(np.float32)
            b = rng.normal(0, self.size, (LAYERS, rows, RANK))
            found[f"{kind}.lora_b"] = b.astype(np.float32)
        return found


@pytest.fixture
def network(base_sha256: str, shapes: Shapes) -> RandomHypernetwork:
    return RandomHypernetwork(manifest(base_sha256), shapes)


@pytest.fixture
def pocket(home: Path, network: RandomHypernetwork, starter: LlamaModel) -> Iterator[Pocket]:
    key = KeyFile.make(home / "key")
    with open_pocket(
        "ada", path=home / "vault.db", key=key, model=starter, embedder=HashEmbedder()
    ) as pocket:
        yield with_network(pocket, network)


def with_network(pocket: Pocket, network: RandomHypernetwork | None) -> Pocket:
    """The same Pocket with another hypernetwork."""
    return Pocket(replace(pocket._components, hypernetwork=lambda: network))


@pytest.fixture
def told(pocket: Pocket) -> Pocket:
    """With a summary."""
    pocket.edit_summary("The user prefers answers that are formal and polite.")
    return pocket


def choose(pocket: Pocket, number: int) -> str:
    return pocket.add(f"What is number {number}?", f"Nice, {number}!", f"It is {number} indeed.")


def test_nothing_is_written_for_somebody_who_has_no_summary(
    pocket: Pocket, network: RandomHypernetwork
) -> None:
    choose(pocket, 1)
    plain = pocket.reply("Why is the sky blue?", plain=True, sampling=GREEDY)
    assert pocket.reply("Why is the sky blue?", method="profile-to-peft", sampling=GREEDY) == plain
    assert pocket.tailoring.adapter() is None
    assert network.written == 0


def test_the_model_wears_what_was_written_and_nothing_is_put_before_the_prompt(
    told: Pocket, starter: LlamaModel, network: RandomHypernetwork
) -> None:
    network.size = 0.1  # large enough to be seen in five tokens
    choose(told, 1)
    asked = told.personalize("Why is the sky blue?", method="profile-to-peft")
    assert [message["content"] for message in asked.messages] == ["Why is the sky blue?"]
    assert asked.method == "profile-to-peft"
    model = told.tailoring.model()
    assert model.fingerprint != starter.fingerprint
    assert told.tailoring.model() is model
    plain = told.reply("Why is the sky blue?", plain=True, sampling=GREEDY)
    worn = told.reply("Why is the sky blue?", method="profile-to-peft", sampling=GREEDY)
    assert worn != plain
    assert told.reply("Why is the sky blue?", plain=True, sampling=GREEDY) == plain


def test_it_is_written_once_for_a_profile_and_again_when_that_changes(
    told: Pocket, network: RandomHypernetwork
) -> None:
    choose(told, 1)
    first = told.tailoring.adapter()
    assert told.tailoring.adapter() == first
    assert network.written == 1
    choose(told, 2)
    assert told.tailoring.adapter() != first
    assert network.written == 2
    told.edit_summary("The user prefers answers that are brief.")
    told.tailoring.adapter()
    assert network.written == 3


def test_another_process_finds_what_was_kept(told: Pocket, network: RandomHypernetwork) -> None:
    choose(told, 1)
    made = told.tailoring.adapter()
    assert with_network(told, network).tailoring.adapter() == made
    assert network.written == 1


def test_only_the_last_few_are_kept_and_others_of_the_person_stay(
    told: Pocket, adapter: object
) -> None:
    trained = keep(told._components.store, adapter, ())  # type: ignore[arg-type]  # a fixture's
    for number in range(KEPT + 2):
        choose(told, number)
        newest = told.tailoring.adapter()
    found = kept(told._components.store)
    assert len(found) == KEPT + 1
    assert trained in found
    assert newest in found.values()


def test_what_was_made_of_a_memory_goes_with_it(told: Pocket) -> None:
    old = choose(told, 1)
    for number in (2, 3):
        choose(told, number)
    told.tailoring.adapter()
    assert len(kept(told._components.store)) == 1
    told.forget(old)  # it had no part: two newer ones had
    assert len(kept(told._components.store)) == 1
    newest = next(told.memories()).id
    told.forget(newest)
    assert kept(told._components.store) == {}


def test_an_answer_given_under_a_summary_is_no_part_of_a_profile(told: Pocket) -> None:
    first = choose(told, 1)
    told.add("Why?", "Because.", "No idea.", meta={"answered_under": "some summary"})
    found = told.tailoring.profile()
    assert found is not None
    assert found.sources == (first,)


def test_the_profile_reads_the_summary_and_the_differences_of_two_choices() -> None:
    embedder = HashEmbedder()
    pairs = [Pair(f"Question {i}?", f"yes {i}", f"no {i}") for i in range(3)]
    vector = profile_to_peft.encode("The user likes tea.", pairs, embedder)
    said = embedder.embed(["The user likes tea."])[0]
    shown = [embedder.embed([p.chosen])[0] - embedder.embed([p.rejected])[0] for p in pairs[:2]]
    np.testing.assert_allclose(vector, np.concatenate([said, np.mean(shown, axis=0)]), atol=1e-6)
    assert not profile_to_peft.encode("", pairs, embedder)[: len(said)].any()
    assert not profile_to_peft.encode("Tea.", [], embedder)[len(said) :].any()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("attn_q.lora_a", lambda a: a[:1], "another shape"),
        ("attn_v.lora_b", lambda b: b[..., :2], "another shape"),
        ("attn_v.lora_b", lambda b: b[0], "writes no"),
        ("attn_q.lora_b", lambda b: b * np.nan, "no number"),
        ("attn_q.lora_b", lambda b: b * 1e9, "no number"),
    ],
)
def test_what_is_no_adapter_is_refused_by_name(
    network: RandomHypernetwork, name: str, change: object, message: str
) -> None:
    factors = network.write(np.ones(4, np.float32))
    factors[name] = change(factors[name])  # type: ignore[operator]  # one of the above
    with pytest.raises(AdapterError, match=message) as caught:
        profile_to_peft.adapter(factors, network.manifest, "00")
    assert name in caught.value.message


def test_another_embedder_and_a_model_without_adapters_are_refused(
    told: Pocket, network: RandomHypernetwork
) -> None:
    choose(told, 1)
    strange = replace(network, manifest=replace(network.manifest, embedder="cd" * 32))
    with pytest.raises(AdapterError, match="another embedder"):
        with_network(told, strange).tailoring.adapter()
    parts = replace(told._components, hypernetwork=lambda: network, model=lambda: ScriptedModel({}))
    with pytest.raises(AdapterError, match="takes no adapters"):
        Pocket(parts).tailoring.model()
    with pytest.raises(AdapterError, match="no hypernetwork"):
        with_network(told, None).tailoring.model()


def test_reprs_show_nothing_of_the_person(told: Pocket) -> None:
    choose(told, 4711)
    profile, adapter = told.tailoring.profile(), told.tailoring.adapter()
    assert "4711" not in repr(profile)
    assert adapter is not None
    assert adapter.personal
    assert "profile" not in repr(adapter)


def test_a_manifest_reads_what_it_wrote_and_refuses_what_it_does_not_mean(
    tmp_path: Path, base_sha256: str
) -> None:
    found = manifest(base_sha256, size=3)
    (tmp_path / FILE_NAME).write_bytes(found.dump())
    assert HypernetworkManifest.load(tmp_path) == found
    with pytest.raises(AdapterError, match="cannot be read"):
        found.read_graph(tmp_path)
    (tmp_path / found.file).write_bytes(b"abc")
    with pytest.raises(AdapterError, match="not the file"):
        found.read_graph(tmp_path)
    for key, value in (
        ("schema", 2), ("file", "../x.onnx"), ("rank", 0), ("layers", 10**6), ("alpha", "1"),
        ("targets", []), ("embedder", "x"), ("base_sha256", None),
    ):  # fmt: skip
        (tmp_path / FILE_NAME).write_text(json.dumps(json.loads(found.dump()) | {key: value}))
        with pytest.raises(AdapterError):
            HypernetworkManifest.load(tmp_path)


def test_a_summary_alone_is_enough(told: Pocket, network: RandomHypernetwork) -> None:
    assert told.tailoring.adapter() is not None
    assert network.written == 1


def test_a_hypernetwork_that_fails_keeps_nothing(
    told: Pocket, network: RandomHypernetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(profile: Vector) -> dict[str, NDArray[np.float32]]:
        raise ModelError("onnxruntime failed on the hypernetwork")

    choose(told, 1)
    monkeypatch.setattr(network, "write", fail)
    with pytest.raises(ModelError):
        told.tailoring.adapter()
    assert kept(told._components.store) == {}


def test_it_can_be_compared_with_other_methods(
    pocket: Pocket, network: RandomHypernetwork, starter: LlamaModel
) -> None:
    """Under no adapter a score is the bare model's; under one it moves by what is anchored."""
    answers = [("Yes, gladly.", "No."), ("Of course!", "Rather not, I am afraid.")]
    entries = [
        Feedback(Pair(f"Is {n} a number?", *answers[n % 2]), "ada") for n in range(LEAST_PAIRS + 1)
    ]
    found = pocket.evaluate(entries, methods=["none", "profile-to-peft"], seeds=1)
    plain, worn = (found[name].scores for name in ("none", "profile-to-peft"))
    absolute, anchored = READINGS.index("absolute"), READINGS.index("anchored")
    assert network.written > 0
    assert (worn[:, anchored] != 0).all()
    np.testing.assert_allclose(worn[:, absolute] - plain[:, absolute], worn[:, anchored], atol=1e-9)
    with pytest.raises(AdapterError, match="no hypernetwork"):
        with_network(pocket, None).evaluate(entries, methods=["profile-to-peft"], seeds=1)


@pytest.fixture
def real(home: Path, starter: LlamaModel) -> Iterator[Pocket]:
    """With the embedder and the hypernetwork that come along."""
    key = KeyFile.make(home / "key")
    with open_pocket("ada", path=home / "vault.db", key=key, model=starter) as pocket:
        yield pocket


def test_the_real_hypernetwork_writes_what_the_summary_says(real: Pocket) -> None:
    """Who likes sayings gets a model that finds a saying likelier than who likes questions does."""
    asked = Message(role="user", content="What is a lighthouse?")
    text = "A lighthouse is a tower that shows ships the way."
    ends = ("As the old saying goes, knowledge is power.", "Would you like to know more?")
    leans = []
    for likes in ("with proverbs, sayings and quotations", "closed with a question to the reader"):
        real.edit_summary(f"The user prefers answers that are {likes}.")
        model = real.tailoring.model()
        totals = model.likelihoods([[asked]], [f"{text} {end}" for end in ends]).totals[0]
        leans.append(float(totals[0] - totals[1]))
    assert leans[0] > leans[1] + 1.0  # nats
    assert len(kept(real._components.store)) == 2


def test_the_hypernetwork_that_comes_along_is_for_the_starter_and_its_embedder(
    base_sha256: str, real: Pocket
) -> None:
    found = real.tailoring.network()
    assert found is not None
    assert found.base.sha256 == base_sha256
    assert found.embedder == real._components.embedder().fingerprint
    network = OnnxHypernetwork(models_folder() / "profile-to-peft")
    with pytest.raises(ModelError, match="onnxruntime failed"):
        network.write(np.ones(5, np.float32))
    dimensions = 2 * real.embed(["one"]).shape[1]
    first, again = (network.write(np.full(dimensions, 0.01, np.float32)) for _ in range(2))
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])
