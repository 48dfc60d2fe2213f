"""PrefEval's multiple-choice questions (Zhao et al., 2025): ``mcq_options/TOPIC.json``.

A row has a stated ``preference``, a ``question``, and four ``classification_task_options``, of
which the first one follows the preference: it is preferred over each of the others. Every row has
another preference, so that nothing is learned from one row for the next; the preference itself is
kept in ``meta``, where it is short.
"""

from __future__ import annotations

from pocketpref.readers.rows import Choices, Row, RowError, choice, text


def convert(_: int, row: Row) -> Choices:
    """Choices of a question."""
    question, preference = text(row, "question"), text(row, "preference")
    options = row.get("classification_task_options")
    if not isinstance(options, list) or len(options) < 2 or not _all_texts(options):
        raise RowError('"classification_task_options" is missing or no list of texts')
    for other in options[1:]:
        yield choice(question, options[0], other, preference=preference)


def _all_texts(values: list[object]) -> bool:
    return all(isinstance(value, str) for value in values)
