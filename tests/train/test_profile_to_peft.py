"""A hypernetwork: each row wears its own adapter, and the device computes what torch did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.train

TEXTS = (
    "Rust is what iron becomes when it meets oxygen and water. Salt makes it faster.",
    "A tide is the rise of the sea. The moon pulls the water, and so does the sun.",
    "Yeast eats sugar and gives off gas. The gas makes the dough rise in an hour.",
    "A compass needle is a small magnet. It turns until it points to the north.",
)


def some_people(train: int, test: int, signals: int = 6) -> list[Any]:
    from tools.train.people import Answered, draw_people
    from tools.train.prompts import PARTS, Prompt

    found = [
        Answered(Prompt(f"What is thing {part} {n}?", part, f"{part} {n}"), TEXTS[n % len(TEXTS)])
        for part in PARTS
        for n in range(12)
    ]
    return list(
        draw_people(found, {"train": train, "test": test}, signals=signals, later=2, seed=3)
    )


@pytest.fixture(scope="module")
def steered(starter_path: Path) -> Iterator[Any]:
    """The starter in float32, steered by a hypernetwork whose heads say something."""
    import torch

    from tools.train.base import load_base
    from tools.train.lora import LoraShape
    from tools.train.profile_to_peft.main import Recipe, build

    base = load_base(starter_path)
    module = build(base, Recipe(lora=LoraShape(rank=4, alpha=8.0)))
    torch.manual_seed(1)
    with torch.no_grad():
        for head in module.network.heads.values():
            head.out.weight.normal_(0, 0.2)
            head.out.bias.normal_(0, 0.2)
    yield base, module.eval()
    base.tokens.close()


def rows_of(base: Any) -> Any:
    from tools.train.scoring import Row, batch

    tokens = base.tokens
    rows = [
        Row(tokens.prompt(f"What is number {i}?"), tokens.answer(t)) for i, t in enumerate(TEXTS)
    ]
    return batch(rows)


def test_a_fresh_hypernetwork_changes_nothing(steered: Any) -> None:
    import torch

    from tools.train.profile_to_peft.hypernetwork import Hypernetwork, magnitude

    base, module = steered
    fresh = Hypernetwork(module.network.of, seed=5)
    with torch.inference_mode():
        made = fresh(torch.randn(len(TEXTS), fresh.of.profile))
        plain, _ = module(None, rows_of(base))
        worn = module.worn(made, rows_of(base))
    assert torch.equal(plain, worn)
    assert float(magnitude(made, fresh)) == 0


def test_every_row_of_a_batch_wears_its_own_adapter(steered: Any) -> None:
    import torch

    base, module = steered
    rows = rows_of(base)
    profiles = torch.randn(len(TEXTS), module.network.of.profile) * 0.05
    with torch.inference_mode():
        together, _ = module(profiles, rows)
        alone = [module(profiles[[i]], [part[[i]] for part in rows])[0] for i in range(len(TEXTS))]
        plain, _ = module(None, rows)
    assert torch.allclose(together, torch.cat(alone), atol=2e-3)
    assert (together - plain).abs().min() > 0.01


def test_a_number_that_is_the_same_in_all_profiles_moves_nothing_once_it_is_not() -> None:
    import torch

    from tools.train.profile_to_peft.hypernetwork import Hypernetwork, Sizes

    network = Hypernetwork(Sizes(6, 2, {"q_proj": (4, 4)}), seed=0)
    spread = torch.tensor([0.05, 0.05, 0.05, 0.05, 0.05, 1e-33])
    network.scale(torch.zeros(6), spread)
    assert network.scaled(torch.full((1, 6), 0.01)).abs().max() < 100
    silent = network.scaled(torch.tensor([[0.0, 0.0, 0.0, 0.1, 0.1, 0.0]]))
    assert not silent[0, :3].any(), "a half that is missing is zero, whatever the mean is"
    assert silent[0, 3:5].all()


def test_the_mean_of_adapters_is_that_of_their_products(steered: Any) -> None:
    import torch

    from tools.train.profile_to_peft.controls import mean_adapter

    _, module = steered
    profiles = np.random.default_rng(0).normal(0, 0.05, (3, module.network.of.profile))
    with torch.no_grad():
        made = module.network(torch.from_numpy(np.float32(profiles)))
    mean = mean_adapter(module.network, np.float32(profiles))
    for name, (a, b) in made.items():
        want = (b @ a).mean(dim=0)
        mean_a, mean_b = mean[name]
        assert torch.allclose((mean_b @ mean_a)[0], want, atol=1e-5)


def test_onnx_and_llama_compute_what_torch_does(
    steered: Any, float_path: Path, tmp_path: Path
) -> None:
    """The graph to 1e-4; logits of all tokens through GGUF to what float16 factors leave."""
    import torch

    from pocketpref.backends.onnx.embedder import open_embedder
    from pocketpref.backends.onnx.hypernetwork import OnnxHypernetwork, find_hypernetwork
    from pocketpref.lora import permuted
    from pocketpref.methods.profile_to_peft import adapter
    from tools.train.check import llama_logits, torch_logits
    from tools.train.export import Made
    from tools.train.graphs import rounded
    from tools.train.profile_to_peft.controls import Bench, as_shipped
    from tools.train.profile_to_peft.hypernetwork_export import graph, write
    from tools.train.profile_to_peft.profiles import profile as profile_of

    base, module = steered
    data = graph(module.network, base.shape)
    made = Made("random", "a test", 1, "none")
    reader = open_embedder(None).fingerprint
    for folder, content in ((tmp_path / "whole", data), (tmp_path / "small", rounded(data))):
        write(folder, content, module.network, base, made, embedder=reader, held_out={})
    whole = OnnxHypernetwork(tmp_path / "whole")
    bench = Bench(module, base.tokens, some_people(0, 1))
    reader_of = open_embedder(None)
    shipped, seconds = as_shipped(bench, reader_of, whole, base.shape)
    matched = bench.under(np.stack([profile_of(bench.people[0], reader_of)]))
    np.testing.assert_allclose(shipped.liked, matched.liked, atol=0.3)  # factors in float16
    assert len(seconds) == 1
    profile = np.random.default_rng(2).normal(0, 0.05, module.network.of.profile)
    factors = whole.write(np.float32(profile))
    with torch.no_grad():
        want = module.network(torch.from_numpy(np.float32(profile))[None])
    for name, kind in (("q_proj", "attn_q"), ("v_proj", "attn_v")):
        a, b = (part[0].numpy() for part in want[name])
        if kind == "attn_q":
            b = np.stack([permuted(layer, base.shape.heads) for layer in b])
        np.testing.assert_allclose(factors[f"{kind}.lora_a"], a, atol=1e-4)
        np.testing.assert_allclose(factors[f"{kind}.lora_b"], b, atol=1e-4)
    near = OnnxHypernetwork(tmp_path / "small").write(np.float32(profile))
    apart = np.abs(near["attn_v.lora_b"] - factors["attn_v.lora_b"]).max()
    assert 0 < apart < 0.05 * np.abs(factors["attn_v.lora_b"]).max()
    assert (tmp_path / "small" / "hypernetwork.onnx").stat().st_size < 0.4 * len(data)

    file = tmp_path / "person.gguf"
    file.write_bytes(adapter(factors, whole.manifest, "00").data)
    tokens = [*base.tokens.prompt("Why is the sky blue?"), *base.tokens.answer(TEXTS[0])]
    module.steering.wear({k: tuple(part.half().float() for part in v) for k, v in want.items()})
    ours = torch_logits(base.model, tokens)
    module.steering.wear(None)
    plain = torch_logits(base.model, tokens)
    theirs = llama_logits(float_path, tokens, file)
    effect = np.abs(ours - plain).max()
    assert effect > 0.5
    assert np.abs(ours - theirs).max() < 0.01 * effect
    assert find_hypernetwork([tmp_path / "none", tmp_path / "small"], base.identity.sha256)
    assert find_hypernetwork([tmp_path / "small"], "00" * 32) is None


def test_what_is_liked_is_noticed_in_choices_and_nothing_else() -> None:
    from tools.train.styles import AXES, described, noticed, written

    rng = np.random.default_rng(0)
    for axis, options in AXES.items():
        for name in options:
            pairs = []
            for place in range(8):
                draw = int(rng.integers(1000))
                text = TEXTS[place % len(TEXTS)]
                pairs.append((written(text, {axis: name}, draw), written(text, {}, draw)))
            assert noticed(pairs).get(axis) == name, (axis, name)
            turned = [(second, first) for first, second in pairs]
            assert noticed(turned).get(axis) != name
    assert noticed([(text, text) for text in TEXTS * 3]) == {}
    assert described({}, 0) == ""
    heard = {described({"mood": "lively"}, draw) for draw in range(20)}
    assert described({"mood": "lively"}, 0, unheard=True) not in heard


def test_people_of_different_parts_share_neither_style_nor_prompt() -> None:
    people = some_people(20, 10)
    styles = {
        part: {json.dumps(sorted(p.style.items())) for p in people if p.part == part}
        for part in ("train", "test")
    }
    assert not styles["train"] & styles["test"]
    trained = {s.prompt for p in people if p.part == "train" for s in (*p.signals, *p.later)}
    judged = {s.prompt for p in people if p.part == "test" for s in p.later}
    assert not trained & judged
    for person in people:
        assert not {s.prompt for s in person.signals} & {s.prompt for s in person.later}
        assert all(pair.chosen != pair.rejected for pair in (*person.signals, *person.later))


def test_people_of_published_data_become_people_to_train_on(tmp_path: Path) -> None:
    """PRISM's own form, by the library's reader: two thirds of the past make the profile."""
    from tests.importers.published import PRISM
    from tools.train.people import part_of_name, read_people

    file = tmp_path / "prism.jsonl"
    rows = [PRISM | {"user_id": f"person {n % 3}", "conversation_id": f"c{n}"} for n in range(9)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    people = read_people(file, "prism")
    assert [person.name for person in people] == ["person 0", "person 1", "person 2"]
    for person in people:
        assert person.part == part_of_name(person.name)
        assert person.style == {}
        assert len(person.signals) == 2 * len(person.later) > 0


def test_matrices_that_there_are_not_are_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Peft's names, not GGUF's: said before anything is read."""
    from tools.train.profile_to_peft.main import main

    with pytest.raises(SystemExit):
        main(["train", str(tmp_path), "--people", "none.jsonl", "--targets", "attn_q"])
    said = capsys.readouterr().err
    assert "'attn_q'" in said
    assert "o_proj" in said
    assert not list(tmp_path.iterdir())


def test_the_recipe_runs_through(starter_path: Path, tmp_path: Path) -> None:
    """A minute: people, training, every control, the files, and what the model then says."""
    from tools.train.data import write_lines
    from tools.train.people import lines, read_people
    from tools.train.profile_to_peft import speech as profile_speech
    from tools.train.profile_to_peft.main import main

    file, run, into = tmp_path / "people.jsonl", tmp_path / "run", tmp_path / "network"
    people = some_people(3, 4)
    write_lines(file, lines(people))
    assert read_people(file) == people
    short = ["--rank", "2", "--epochs", "1", "--batch", "3"]
    main(["train", str(run), "--people", str(file), *short])
    assert len((run / "curve.jsonl").read_text("utf-8").splitlines()) == 2
    with pytest.raises(SystemExit, match="nobody to judge on"):
        main(["measure", str(run), "--people", str(file), "--choices", "9"])
    few = ["--oppu", "1", "--choices", "1", "--judged", "2"]
    main(["measure", str(run), "--people", str(file), *few])
    report = json.loads((run / "report.json").read_text("utf-8"))
    assert {"no adapter", "matched", "shuffled 1", "mean of adapters", "random profile"} <= set(
        report["rows"]
    )
    assert report["rows"]["no adapter"]["less_than_none"]["mean"] == 0
    assert report["rows"]["trained alone"]["less_than_none"]["mean"] > 0
    assert len(report["seconds"]["trained alone"]) == 1
    main(["export", str(run), "--into", str(into), "--data", "made up"])
    assert "matched" in json.loads((into / "manifest.json").read_text("utf-8"))["held_out"]
    profile_speech.main(
        [str(run), "--people", str(file), "--network", str(into), "--count", "4", "--prompts", "1",
         "--figure", str(tmp_path / "figure.svg")]
    )  # fmt: skip
    assert (tmp_path / "figure.svg").read_text("utf-8").startswith("<svg")
    spoken = json.loads((run / profile_speech.SPEECH).read_text("utf-8"))
    assert spoken["options"]
    assert "NaN" not in json.dumps(spoken)
