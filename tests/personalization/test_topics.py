"""Two topics with two tastes are told apart; one taste is left alone."""

import numpy as np
from numpy.typing import NDArray

from pocketpref.personalization.measures import measures
from pocketpref.personalization.posterior import infer
from pocketpref.personalization.prior import FEATURES, shipped_prior
from pocketpref.personalization.topics import Topics, find_topics
from pocketpref.records import Matrix64

SHORT = "It takes four minutes."
LONG = "It takes four minutes, counted from the moment that the water boils. " * 5


def prompts(topic: int, count: int, seed: int = 0) -> NDArray[np.float32]:
    """Unit vectors with a cosine of about 0.25 within a topic and 0 across."""
    noise = np.random.default_rng((seed, topic)).normal(size=(count, 60))
    vectors = 0.577 * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    vectors[:, 50 + topic] += 0.34
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32)


def chosen(signs: list[int]) -> Matrix64:
    """Differences of choices for the short (1) or the long answer (-1), a little different each."""
    prior = shipped_prior()
    short, long = prior.features(measures(SHORT)), prior.features(measures(LONG))
    jitter = np.random.default_rng(0).normal(0, 0.2, size=(len(signs), len(FEATURES)))
    return np.nan_to_num(short - long) * np.array(signs)[:, None] + jitter


def learned(signs: list[int]) -> tuple[Topics, NDArray[np.float32], Matrix64]:
    half = len(signs) // 2
    vectors = np.concatenate([prompts(0, half), prompts(1, len(signs) - half)])
    rows = chosen(signs)
    return find_topics(vectors, rows, np.ones(len(rows))), vectors, rows


def test_two_topics_with_two_tastes_each_win_in_their_place() -> None:
    topics, vectors, rows = learned([1] * 6 + [-1] * 6)

    likes_short = []
    for topic in (0, 1):
        counts = topics.weights(vectors @ prompts(topic, 1, seed=9)[0])
        likes_short.append(infer(rows, counts).probability(SHORT, LONG))

    assert topics.by_topic > 0.7
    assert likes_short[0] > 0.7
    assert likes_short[1] < 0.3


def test_one_taste_everywhere_is_hardly_weakened() -> None:
    topics, vectors, rows = learned([1] * 12)
    counts = topics.weights(vectors @ prompts(0, 1, seed=9)[0])

    local = infer(rows, counts).probability(SHORT, LONG)

    assert topics.by_topic < 0.3
    assert local > infer(rows).probability(SHORT, LONG) - 0.02


def test_a_prompt_about_something_else_counts_all_choices() -> None:
    topics, vectors, _ = learned([1] * 6 + [-1] * 6)

    assert (topics.weights(vectors @ prompts(2, 1)[0]) == 1).all()


def test_few_choices_have_no_topics() -> None:
    rows = chosen([1, -1])

    topics = find_topics(prompts(0, 2), rows, np.ones(2))

    assert topics.by_topic == 0
    assert (topics.weights(np.array([1.0, 0.0])) == 1).all()


def test_no_choices_have_no_topics() -> None:
    topics = find_topics(np.zeros((0, 60), np.float32), np.zeros((0, len(FEATURES))), np.zeros(0))

    assert topics.by_topic == 0
    assert topics.weights(np.zeros(0)).shape == (0,)


def test_many_prompts_keep_their_order_in_labels() -> None:
    vectors = np.concatenate([prompts(0, 150), prompts(1, 150)])

    topics = find_topics(vectors, chosen([1] * 150 + [-1] * 150), np.ones(300))

    assert np.mean(topics.labels[:150] == np.bincount(topics.labels[:150]).argmax()) > 0.8
    assert topics.of(vectors @ vectors[10]) == topics.labels[10]
