"""The posterior agrees with a slow reference, is symmetric, and predicts known tastes."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketpref.errors import InputError
from pocketpref.personalization.measures import MEASURES, measures
from pocketpref.personalization.posterior import fit, infer
from pocketpref.personalization.prior import FAMILIES, FEATURES, Prior, log_shares, shipped_prior

SHORT = "Boil it for four minutes."
LONG = (
    "Take a large pot, fill it with water and bring it to the boil. Then put the egg in with "
    "a spoon, wait for four minutes, take it out, and rinse it under cold water so that it stops "
    "cooking. Peel it when it has cooled down a little, and serve it with salt and some bread."
)


def apart(better: str, worse: str) -> NDArray[np.float64]:
    prior = shipped_prior()
    return np.nan_to_num(prior.features(measures(better)) - prior.features(measures(worse)))


def quadrature(differences: NDArray[np.float64], spread: float) -> tuple[float, float]:
    """Evidence and posterior mean of one weight, by summing over a grid."""
    grid = np.linspace(-12 * spread, 12 * spread, 20_001)
    log = -0.5 * (grid / spread) ** 2 - np.log(spread * np.sqrt(2 * np.pi))
    log -= np.logaddexp(0.0, -np.outer(grid, differences)).sum(axis=1)
    step = grid[1] - grid[0]
    weights = np.exp(log)
    return float(np.log(weights.sum() * step)), float((grid * weights).sum() / weights.sum())


@pytest.mark.parametrize("spread", [0.1, 0.5, 1.5])
def test_evidence_agrees_with_quadrature_in_one_dimension(spread: float) -> None:
    differences = np.random.default_rng(0).normal(0.4, 1.0, 12)
    found = fit((differences * spread)[None, :, None], np.zeros((1, 12)), np.ones(12))

    evidence, mean = quadrature(differences, spread)

    assert found.evidences[0] == pytest.approx(evidence, abs=0.05)
    assert spread * found.modes[0, 0] == pytest.approx(mean, abs=0.1 * spread)


def test_mode_has_no_slope() -> None:
    random = np.random.default_rng(1)
    design, offset = random.normal(size=(1, 30, 4)), random.normal(size=(1, 30))

    mode = fit(design, offset, np.ones(30)).modes[0]

    def objective(z: NDArray[np.float64]) -> float:
        return float(-np.logaddexp(0, -(offset[0] + design[0] @ z)).sum() - 0.5 * z @ z)

    for axis in np.eye(4):
        slope = (objective(mode + 1e-5 * axis) - objective(mode - 1e-5 * axis)) / 2e-5
        assert slope == pytest.approx(0.0, abs=1e-5)


def test_a_count_of_two_equals_the_choice_twice() -> None:
    design = np.random.default_rng(2).normal(size=(1, 6, 3))
    twice = np.concatenate([design, design[:, :1]], axis=1)

    counted = fit(design, np.zeros((1, 6)), np.array([2.0, 1, 1, 1, 1, 1]))
    repeated = fit(twice, np.zeros((1, 7)), np.ones(7))

    assert np.allclose(counted.modes, repeated.modes)
    assert np.allclose(counted.evidences, repeated.evidences)


def test_mixture_probabilities_agree_with_sampling() -> None:
    """Importance sampling from the prior: no Laplace, no probit approximation."""
    differences = np.array([apart(SHORT, LONG), apart(SHORT, LONG), apart(LONG, SHORT)])
    posterior = infer(differences)
    random = np.random.default_rng(3)
    shares = np.exp(log_shares(posterior.hypotheses))
    total = right = 0.0
    for share, h in zip(shares, posterior.hypotheses, strict=True):
        weights = h.mean + random.standard_normal((4000, h.root.shape[1])) @ h.root.T
        likelihood = np.exp(-np.logaddexp(0, -weights @ differences.T).sum(axis=1))
        odds = weights @ differences[0]
        total += share * likelihood.mean()
        right += share * (likelihood / (1 + np.exp(-odds))).mean()

    found = float(posterior.log_odds(differences[:1])[0])

    assert 1 / (1 + np.exp(-found)) == pytest.approx(right / total, abs=0.03)
    assert posterior.log_evidence == pytest.approx(np.log(total), abs=0.1)


def test_exchanged_answers_negate_the_log_odds_exactly() -> None:
    posterior = infer(np.random.default_rng(4).normal(size=(7, len(FEATURES))))
    differences = np.random.default_rng(5).normal(size=(50, len(FEATURES)))

    assert (posterior.log_odds(differences) == -posterior.log_odds(-differences)).all()


def test_the_same_choices_give_the_same_posterior_bit_for_bit() -> None:
    differences = np.random.default_rng(6).normal(size=(9, len(FEATURES)))

    first, second = infer(differences), infer(differences.copy())

    assert (first.weights == second.weights).all()
    assert (first.log_probabilities == second.log_probabilities).all()


@pytest.mark.parametrize(("better", "worse"), [(SHORT, LONG), (LONG, SHORT)])
def test_six_equal_choices_by_length_are_followed(better: str, worse: str) -> None:
    posterior = infer(np.tile(apart(better, worse), (6, 1)))

    assert posterior.probability(better, worse) > 0.85


def test_without_choices_each_family_has_its_share() -> None:
    posterior = infer(np.zeros((0, len(FEATURES))))

    shares = posterior.families()

    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["no taste"] == pytest.approx(FAMILIES["no taste"] / sum(FAMILIES.values()))


def test_contrary_choices_cost_certainty() -> None:
    six = np.tile(apart(SHORT, LONG), (6, 1))
    mixed = np.concatenate([six[:5], -six[:1]])

    assert 0.5 < infer(mixed).probability(SHORT, LONG) < infer(six).probability(SHORT, LONG)


def test_choices_by_coin_leave_log_odds_small() -> None:
    random = np.random.default_rng(7)
    differences = random.normal(size=(200, len(FEATURES)))
    later = random.normal(size=(200, len(FEATURES)))

    assert np.mean(np.abs(infer(differences).log_odds(later)) < 1) > 0.9


def test_rank_of_two_is_the_pairwise_probability() -> None:
    posterior = infer(np.tile(apart(SHORT, LONG), (3, 1)))
    odds = float(posterior.log_odds(apart(SHORT, LONG)[None])[0])

    assert posterior.rank([SHORT, LONG])[0] == pytest.approx(1 / (1 + np.exp(-odds)))


def test_rank_does_not_depend_on_the_order_of_answers() -> None:
    posterior = infer(np.tile(apart(SHORT, LONG), (3, 1)))
    answers = [SHORT, LONG, "- Boil\n- Rinse\n- Peel"]
    by_answer = dict(zip(answers, posterior.rank(answers), strict=True))

    assert sum(by_answer.values()) == pytest.approx(1.0)
    for order in itertools.permutations(answers):
        assert np.allclose(posterior.rank(order), [by_answer[answer] for answer in order])


def test_rank_of_equal_answers_is_even() -> None:
    assert np.allclose(infer(np.zeros((0, len(FEATURES)))).rank([LONG] * 4), 0.25)


def test_rank_without_answers_is_an_input_error() -> None:
    with pytest.raises(InputError):
        infer(np.zeros((0, len(FEATURES)))).rank([])


def test_rank_of_answers_in_several_languages_is_finite() -> None:
    answers = ["你好,这是一个简短的回答。", "Kurz und gut.", "```python\nx = 1\n```", SHORT]

    ranked = infer(np.tile(apart(SHORT, LONG), (3, 1))).rank(answers)

    assert np.isfinite(ranked).all()


def test_prior_survives_its_dictionary() -> None:
    prior = shipped_prior()
    again = Prior.from_dict(prior.to_dict())

    assert np.allclose(prior.covariance, again.covariance)
    assert np.allclose(prior.crowd, again.crowd)


def test_a_measure_unknown_to_the_prior_has_no_weight_in_the_crowd() -> None:
    values = shipped_prior().to_dict()
    values["measures"] = ["renamed" if n == "length" else n for n in values["measures"]]

    prior = Prior.from_dict(values)

    place = MEASURES.index("length")
    assert prior.crowd[place] == 0
    assert (prior.covariance[place] == 0).all()


def test_separable_choices_stay_finite() -> None:
    differences = 50 * np.tile(apart(SHORT, LONG), (500, 1))

    assert np.isfinite(infer(differences).log_odds(differences[:1])).all()
