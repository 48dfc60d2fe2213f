"""What each kind of evidence counts, and how repeats and age are discounted."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pocketpref.errors import InputError
from pocketpref.personalization.evidence import Evidence, Kind, differences_of
from pocketpref.personalization.posterior import infer
from pocketpref.records import Memory, Origin, Pair

START = datetime(2026, 1, 1, tzinfo=UTC)
SHORT = "Yes, for four minutes."
LONG = "Yes. " + "Put it into boiling water and wait until it is done as you like it. " * 4


def shown(
    better: str | None, worse: str | None, day: int = 0, kind: Kind = "choice", prompt: str = ""
) -> Evidence:
    return Evidence(kind, prompt or f"question {day}", better, worse, START + timedelta(days=day))


def p_short(evidence: list[Evidence]) -> float:
    found = differences_of(evidence)
    return infer(found.features, found.counts).probability(SHORT, LONG)


@pytest.mark.parametrize(
    ("origin", "meta", "kind"),
    [
        ("user", {}, "choice"),
        ("import", {}, "choice"),
        ("chat", {"kind": "regeneration"}, "regeneration"),
        ("edit", {}, "edit"),
    ],
)
def test_memory_becomes_evidence_of_its_kind(origin: Origin, meta: dict[str, str], kind: Kind):
    memory = Memory("abc", Pair("q", SHORT, LONG), START, origin, meta)

    evidence = Evidence.of_memory(memory)

    assert (evidence.kind, evidence.better, evidence.worse) == (kind, SHORT, LONG)
    assert evidence.id == "abc"


def test_repr_shows_no_text():
    assert SHORT not in repr(shown(SHORT, LONG))


def test_missing_texts_are_refused():
    with pytest.raises(InputError):
        shown(SHORT, None)
    with pytest.raises(InputError):
        shown(SHORT, LONG, kind="thumb up")


def test_ten_thousand_equal_choices_count_as_about_ten():
    found = differences_of([shown(SHORT, LONG, prompt="q")] * 10_000, half_life=np.inf)

    assert 9 < found.counts.sum() < 10


def test_ten_thousand_equal_choices_yield_to_twenty_contrary_ones():
    old = [shown(SHORT, LONG, prompt="q")] * 10_000
    new = [shown(LONG, SHORT, day) for day in range(1, 21)]

    assert p_short(old + new) < 0.5


def test_ten_thousand_equal_new_choices_do_not_age_the_old_ones_away():
    old = [shown(LONG, SHORT, day) for day in range(1, 31)]
    new = [shown(SHORT, LONG, 100, prompt="q")] * 10_000

    assert p_short(old + new) < 0.5


def test_an_old_contrary_taste_fades():
    old = [shown(SHORT, LONG, day) for day in range(60)]
    new = [shown(LONG, SHORT, day) for day in range(100, 145)]

    assert p_short(old) > 0.9
    assert p_short(old + new) < 0.5


def test_a_regeneration_counts_less_than_a_choice():
    choice = differences_of([shown(SHORT, LONG)]).counts[0]
    regeneration = differences_of([shown(SHORT, LONG, kind="regeneration")]).counts[0]

    assert 0 < regeneration < choice


def test_thumbs_up_alone_teach_nothing():
    found = differences_of([shown(SHORT, None, day, "thumb up") for day in range(5)])

    assert (found.counts == 0).all()


def test_thumbs_in_both_directions_teach_what_sets_them_apart():
    up = [shown(SHORT + f" {day}", None, day, "thumb up") for day in range(6)]
    down = [shown(None, LONG + f" {day}", day, "thumb down") for day in range(6)]

    assert p_short(up + down) > p_short([]) + 0.1


def test_statements_are_passed_over():
    found = differences_of([shown("Short answers please", None, kind="statement")])

    assert len(found.features) == 0


def test_rows_are_in_order_of_time_and_know_their_place():
    found = differences_of([shown(SHORT, LONG, 5), shown(LONG, SHORT, 1)])

    assert found.places.tolist() == [1, 0]
    assert np.allclose(found.features[0], -found.features[1])


def test_texts_are_measured_once():
    measured = {}
    evidence = [shown(SHORT, LONG), shown(LONG, SHORT, 1)]

    differences_of(evidence, measured=measured)

    assert set(measured) == {SHORT, LONG}
