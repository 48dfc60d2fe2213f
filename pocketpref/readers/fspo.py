"""FSPO's three data sets (Singh et al., 2025), as JSON lines or a JSON list.

* ELIX (Asap7772/elix_generations_gpt4omini_pref) and Review
  (Asap7772/steered_reviews_full_autolabel_gpt4o_pref): ``prompt``, ``response_x``, ``response_y``,
  ``label`` (0: x is preferred, 1: y) and ``scorer_level``, the simulated reader who preferred it.
* Roleplay (sher222/persona-iterative-responses): ``x``, ``yw`` over ``yl``, and in
  ``score_persona`` the persona with its ``persona_uuid``; where that is a text, ``level`` names it.
"""

from __future__ import annotations

from pocketpref.readers.rows import Choices, Row, RowError, choice, owner, text


def convert(_: int, row: Row) -> Choices:
    """The choice of a row."""
    if "yw" in row:
        persona = row.get("score_persona")
        user = owner(persona, "persona_uuid") if isinstance(persona, dict) else owner(row, "level")
        yield choice(text(row, "x"), text(row, "yw"), text(row, "yl"), user=user)
        return
    answers = text(row, "response_x"), text(row, "response_y")
    label = row.get("label")
    if isinstance(label, bool) or label not in (0, 1):
        raise RowError('"label" is neither 0 nor 1')
    preferred = int(label)
    yield choice(
        *(text(row, "prompt"), answers[preferred], answers[1 - preferred]),
        user=owner(row, "scorer_level"),
    )
