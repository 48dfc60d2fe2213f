"""The whole way: choices in the vault, weights, a policy, and the real model wearing it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from pocketpref import Pocket
from pocketpref import open as open_pocket
from pocketpref.backends.llama import LlamaModel
from pocketpref.cli.context import App
from pocketpref.cli.main import cli
from pocketpref.errors import AdapterError
from pocketpref.lora import Adapter, Blend
from pocketpref.methods.palm.portfolio import Portfolio
from pocketpref.models.bundled import models_folder
from pocketpref.records import Message, Pair, Sampling
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault.crypto.key_stores import KeyFile

GREEDY = Sampling(temperature=0.0, max_tokens=5, seed=1)
SHORT = "Well, why don't you just try it now!"
LONG = " ".join(["The use of a timer at the beginning of a period of work is of value."] * 12)


def write_portfolio(home: Path, brief: Adapter, wordy: Adapter) -> Path:
    folder = home / "models" / "palm"
    folder.mkdir(parents=True)
    for name, adapter in (("brief", brief), ("formal", wordy)):
        (folder / f"{name}.gguf").write_bytes(adapter.data)
        (folder / f"{name}.json").write_bytes(adapter.manifest.dump())
    base = brief.manifest.base
    content = {
        "schema": 1,
        **base.said(),
        "traits": ["brevity", "formality"],
        "pool": [[0.8, 0.4], [0.4, 0.8]],
        "policies": [
            {"name": name, "file": f"{name}.gguf", "sha256": sha, "weights": w, "rewards": r}
            for name, sha, w, r in (
                ("brief", brief.manifest.sha256, [1, 0], [0.8, 0.4]),
                ("formal", wordy.manifest.sha256, [0, 1], [0.4, 0.8]),
            )
        ],
        "bare": [0.3, 0.3],
        "epsilon": 0.0,
        "delta": 0.0,
    }
    (folder / "manifest.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def portfolio(home: Path, adapter: Adapter, other: Adapter) -> Path:
    return write_portfolio(home, adapter, other)


@pytest.fixture
def pocket(home: Path, portfolio: Path, starter: LlamaModel) -> Iterator[Pocket]:
    key = KeyFile.make(home / "key")
    with open_pocket(
        "ada", path=home / "vault.db", key=key, model=starter, embedder=HashEmbedder()
    ) as pocket:
        yield pocket


def prefer_short(pocket: Pocket, count: int = 12) -> list[str]:
    return [pocket.add(f"How do I focus, try {i}?", SHORT, LONG + str(i)) for i in range(count)]


def test_choices_put_the_policy_on_that_they_ask_for(
    pocket: Pocket, starter: LlamaModel, adapter: Adapter
) -> None:
    assert pocket.policies.choice().policy is None
    plain = pocket.reply("Why is the sky blue?", plain=True, sampling=GREEDY)
    assert pocket.reply("Why is the sky blue?", method="palm", sampling=GREEDY) == plain
    prefer_short(pocket)
    choice = pocket.policies.choice()
    assert choice.policy is not None
    assert choice.policy.name == "brief"
    assert pocket.policies.model().fingerprint == Blend(((adapter, 1.0),)).fingerprint(
        starter.fingerprint
    )
    worn = pocket.reply("Why is the sky blue?", method="palm", sampling=GREEDY)
    view = starter.adapted(Blend(((adapter, 1.0),)))
    asked = [Message(role="user", content="Why is the sky blue?")]
    assert worn == "".join(view.generate(asked, sampling=GREEDY))
    assert pocket.reply("Why is the sky blue?", plain=True, sampling=GREEDY) == plain


def test_forgetting_takes_the_policy_back(pocket: Pocket) -> None:
    """And what was kept of it, which the forgotten choices decided."""
    ids = prefer_short(pocket)
    assert pocket.policies.choice().policy is not None
    pocket.forget(*ids[:-1])
    with pocket._components.store.documents() as documents:
        assert not documents.all("policy")
    pocket.forget(ids[-1])
    assert pocket.policies.choice().policy is None


def test_the_profile_tells_weights_in_words(pocket: Pocket) -> None:
    prefer_short(pocket)
    lines = pocket.profile().policy
    assert lines[0] == "the policy brief suits you best, by 12 choices"
    assert lines[1].startswith("short answers (brevity): weight ")
    with pocket._components.store.documents() as documents:
        assert not documents.all("policy")  # looking changes nothing


def test_the_most_telling_question_is_asked_once(pocket: Pocket) -> None:
    telling = Pair("What helps?", "Tea.", LONG)
    same = Pair("What else helps?", "Some tea, I think.", "Some rest, I think.")
    assert pocket.policies.question([same, telling]) == telling
    pocket.add(telling.prompt, telling.chosen, telling.rejected)
    assert pocket.policies.question([same, telling]) == same
    assert pocket.policies.question([]) is None


def test_without_a_portfolio_for_the_model_palm_says_so(
    home: Path, portfolio: Path, tmp_path: Path
) -> None:
    """One for another base is none."""
    key = KeyFile.make(tmp_path / "key")
    options = {"path": tmp_path / "v.db", "key": key, "embedder": HashEmbedder()}
    with open_pocket("ada", model=ScriptedModel(), **options) as pocket:  # type: ignore[arg-type]
        assert pocket.profile().policy == ()
        with pytest.raises(AdapterError, match="no portfolio"):
            pocket.reply("Hello?", method="palm")


def test_a_changed_adapter_of_the_portfolio_is_refused(pocket: Pocket, portfolio: Path) -> None:
    prefer_short(pocket)
    data = bytearray((portfolio / "brief.gguf").read_bytes())
    data[-1] ^= 1
    (portfolio / "brief.gguf").write_bytes(data)
    with pytest.raises(AdapterError, match="not the file its manifest means"):
        pocket.reply("Hello?", method="palm")


def test_an_adapter_that_the_portfolio_does_not_mean_is_refused(
    pocket: Pocket, portfolio: Path
) -> None:
    """Exchanged together with its manifest, which alone would find nothing wrong with it."""
    prefer_short(pocket)
    for kind in (".gguf", ".json"):
        (portfolio / f"brief{kind}").write_bytes((portfolio / f"formal{kind}").read_bytes())
    with pytest.raises(AdapterError, match="speak of different files"):
        pocket.reply("Hello?", method="palm")


def test_the_portfolio_that_comes_along_can_be_worn(starter: LlamaModel) -> None:
    """Every policy of it, blends too, by the model it names; and each is another model."""
    folder = models_folder() / "palm"
    if not folder.is_dir():
        pytest.skip("this version brings no portfolio")
    portfolio = Portfolio.load(folder)
    assert portfolio.base.sha256 == starter.fingerprint
    views = [starter.adapted(portfolio.blend(policy)) for policy in portfolio.policies]
    assert len({view.fingerprint for view in views}) == len(portfolio.policies)


# ------------------------------------------------------------------------------- commands


def run(*arguments: str, pocket: Pocket | None = None, text: str | None = None) -> tuple[int, str]:
    app = App(environ={}, open_pocket=lambda *_, **__: pocket) if pocket else App()  # type: ignore
    done = CliRunner().invoke(cli, list(arguments), obj=app, input=text)
    return done.exit_code, done.output


def test_adapters_list_marks_the_policy_for_the_person(pocket: Pocket) -> None:
    prefer_short(pocket)
    code, out = run("adapters", "list", "--json", pocket=pocket)
    assert code == 0
    shape = json.loads(out)
    assert shape["chosen"] == "brief"
    assert [policy["name"] for policy in shape["policies"]] == ["brief", "formal"]


def test_adapters_check_tries_a_file_on(tmp_path: Path, adapter: Adapter) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(adapter.data)
    file.with_suffix(".json").write_bytes(adapter.manifest.dump())
    code, out = run("adapters", "check", str(file))
    assert code == 0, out
    assert "rank 4, alpha 8, on attn_q, attn_v" in out
    assert "leaves no trace" in out
    file.write_bytes(adapter.data[:-64])
    done = CliRunner().invoke(cli, ["adapters", "check", str(file)], obj=App())
    assert isinstance(done.exception, AdapterError)


def test_chat_answers_with_the_policy_on_and_nothing_before_the_prompt(pocket: Pocket) -> None:
    prefer_short(pocket)
    asked = [Message(role="user", content="Why is the sky blue?")]
    worn = "".join(pocket.policies.model().generate(asked, sampling=GREEDY)).strip()
    plain = "".join(pocket._components.model().generate(asked, sampling=GREEDY)).strip()
    assert worn != plain
    options = ("-o", "temperature", "0", "-o", "max_tokens", "5", "-o", "seed", "1", "--no-learn")
    lines = "Why is the sky blue?\nexit\n"
    code, out = run("chat", "--policy", *options, pocket=pocket, text=lines)
    assert code == 0, out
    assert worn in out
    assert plain not in out


def test_asking_remembers_what_was_preferred(pocket: Pocket) -> None:
    code, out = run("adapters", "ask", "-n", "3", pocket=pocket, text="a\ns\nb\n")
    assert code == 0, out
    # The Pocket was closed by the command; what was remembered is in its output and the vault.
    assert out.count("Which do you prefer?") == 3
    assert "choices" in out
