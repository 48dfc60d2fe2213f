"""The public fakes keep to the rules they state."""

import numpy as np
import pytest

from pocketpref.errors import ModelError
from pocketpref.protocols import Embedder, LanguageModel
from pocketpref.records import Sampling
from pocketpref.testing import HashEmbedder, ScriptedModel


def turn(text):
    return [{"role": "user", "content": text}]


def test_they_are_what_the_protocols_ask_for():
    assert isinstance(ScriptedModel(), LanguageModel)
    assert isinstance(HashEmbedder(), Embedder)


def test_likelihoods_follow_the_stated_rule():
    model = ScriptedModel({"short": {"Yes.": 3.0}, "sure": {"Yes.": 1.0, "no": -2.0}})
    found = model.likelihoods(
        [turn("be Short"), turn("short and sure"), turn("hm")], ["Yes. no", "no way ever"]
    )
    assert found.totals.tolist() == [[1.0, -3.0], [0.0, -5.0], [-2.0, -3.0]]
    assert found.tokens.tolist() == [2, 3]
    assert model.scored == 6


def test_estimates_are_what_they_estimate():
    model = ScriptedModel({"short": {"Yes.": 3.0}})
    found = model.estimates([turn("short"), turn("long")], ["Yes.", "no way"], (1.0, -1.0))
    assert found.tolist() == [2.0 + 2.0, -1.0 + 2.0]


def test_only_the_last_turn_counts():
    model = ScriptedModel({"short": {"Yes.": 3.0}})
    assert model.likelihoods([[*turn("short"), *turn("x")]], ["Yes."]).totals.item() == -1.0


def test_replies_repeat_the_prompt_and_favoured_words():
    model = ScriptedModel({"short": {"Yes.": 3.0, "No.": -1.0}})
    asked = turn("hello\nbe short")
    assert "".join(model.generate(asked)) == "You said: hello Yes. (draw 1)"
    assert "".join(model.generate(asked)) == "You said: hello Yes. (draw 2)"
    seeded = Sampling(seed=9)
    assert {"".join(model.generate(asked, sampling=seeded)) for _ in range(2)} == {
        "You said: hello Yes. (draw 9)"
    }
    assert model.conversations[0] == tuple(asked)


def test_replies_can_follow_another_rule_and_stop():
    model = ScriptedModel(replies=lambda messages, draw: f"{messages[-1]['content']} {draw}\nend\n")
    assert list(model.generate(turn("a  b"))) == ["a", "  b", " 1", "\nend", "\n"]
    assert "".join(model.generate(turn("a b"), stop=["end"])) == "a b 2\n"
    assert "".join(model.generate(turn("a b"), sampling=Sampling(max_tokens=1))) == "a"


def test_a_closed_model_fails():
    model = ScriptedModel()
    model.close()
    assert model.closed
    with pytest.raises(ModelError):
        model.likelihoods([turn("x")], ["y"])
    with pytest.raises(ModelError):
        next(model.generate(turn("x")))


def test_a_grammar_is_refused():
    with pytest.raises(ModelError):
        next(ScriptedModel().generate(turn("x"), grammar='root ::= "a"'))


def test_fingerprints_tell_models_and_embedders_apart():
    assert ScriptedModel().fingerprint == ScriptedModel().fingerprint
    assert ScriptedModel({"a": {"b": 1.0}}).fingerprint != ScriptedModel().fingerprint
    assert HashEmbedder(8).fingerprint != HashEmbedder(9).fingerprint


def test_embeddings_are_unit_vectors_by_words():
    vectors = HashEmbedder().embed(["Tea or coffee?", "coffee or TEA", "explain dns", "", "¿?"])
    assert vectors.dtype == np.float32
    assert vectors.shape == (5, 256)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert vectors[0] @ vectors[1] == pytest.approx(1)
    assert vectors[0] @ vectors[2] < 0.5
    assert HashEmbedder().embed([]).shape == (0, 256)
    with pytest.raises(ValueError, match="dimension"):
        HashEmbedder(0)
