"""What was scored is scored once, survives a crash, and tells no text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketpref.errors import FileError, ModelMissingError
from pocketpref.evaluation.likelihood_cache import CachedModel, LikelihoodFile
from pocketpref.messages import compose
from pocketpref.testing import ScriptedModel

CONTEXTS = [compose("a private question"), compose("a private question", "warm wording")]
ANSWERS = ("sun and sun", "a private answer")


def fresh_model() -> ScriptedModel:
    return ScriptedModel({"warm wording": {"sun": 0.5}})


def cached(
    folder: Path, identity: str = "model", model: ScriptedModel | None = None
) -> CachedModel:
    return CachedModel(model, LikelihoodFile(folder / "x.likelihoods", identity))


def test_gives_what_the_model_gives_and_asks_it_once() -> None:
    model = fresh_model()
    asked = CachedModel(model)
    expected = fresh_model().likelihoods(CONTEXTS, ANSWERS)
    for _ in range(2):
        found = asked.likelihoods(CONTEXTS, ANSWERS)
        np.testing.assert_array_equal(found.totals, expected.totals)
        np.testing.assert_array_equal(found.tokens, expected.tokens)
    assert model.scored == asked.computed == 4


def test_only_what_is_missing_is_computed() -> None:
    model = fresh_model()
    asked = CachedModel(model)
    asked.likelihoods(CONTEXTS[:1], ANSWERS)
    asked.likelihoods(CONTEXTS, ANSWERS[:1])
    assert model.scored == 3


def test_what_was_computed_is_there_in_the_next_process(tmp_path: Path) -> None:
    first = cached(tmp_path, model=fresh_model()).likelihoods(CONTEXTS, ANSWERS)
    without_model = cached(tmp_path)
    again = without_model.likelihoods(CONTEXTS, ANSWERS)
    np.testing.assert_array_equal(first.totals, again.totals)
    with pytest.raises(ModelMissingError):
        without_model.likelihoods(CONTEXTS, ["never scored"])


@settings(deadline=None)  # a busy machine is slow, not wrong
@given(st.integers(40, 40 + 4 * 32 - 1), st.binary(min_size=1, max_size=40))
def test_a_damaged_file_loses_records_and_never_gives_wrong_ones(
    tmp_path_factory: pytest.TempPathFactory, place: int, junk: bytes
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    expected = cached(folder, model=fresh_model()).likelihoods(CONTEXTS, ANSWERS)
    path = folder / "x.likelihoods"
    content = path.read_bytes()
    path.write_bytes(content[:place] + junk + content[place + len(junk) :])
    found = cached(folder, model=fresh_model())
    np.testing.assert_array_equal(found.likelihoods(CONTEXTS, ANSWERS).totals, expected.totals)


@pytest.mark.parametrize("left", range(40, 40 + 128, 9))
def test_a_file_that_was_cut_short_is_completed(tmp_path: Path, left: int) -> None:
    expected = cached(tmp_path, model=fresh_model()).likelihoods(CONTEXTS, ANSWERS)
    path = tmp_path / "x.likelihoods"
    path.write_bytes(path.read_bytes()[:left])
    cached(tmp_path, model=fresh_model()).likelihoods(CONTEXTS, ANSWERS)
    complete = cached(tmp_path).likelihoods(CONTEXTS, ANSWERS)  # without a model
    np.testing.assert_array_equal(complete.totals, expected.totals)


def test_another_models_numbers_are_never_taken(tmp_path: Path) -> None:
    cached(tmp_path, "one", fresh_model()).likelihoods(CONTEXTS, ANSWERS)
    with pytest.raises(FileError, match="another model"):
        cached(tmp_path, "two", fresh_model())
    (tmp_path / "x.likelihoods").write_bytes(b"something else entirely, long enough to be a header")
    with pytest.raises(FileError, match="no file of likelihoods"):
        cached(tmp_path, "one")


def test_the_file_holds_no_text(tmp_path: Path) -> None:
    cached(tmp_path, model=fresh_model()).likelihoods(CONTEXTS, ANSWERS)
    content = (tmp_path / "x.likelihoods").read_bytes()
    for word in (b"private", b"question", b"answer", b"warm", b"sun"):
        assert word not in content
