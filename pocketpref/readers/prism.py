"""PRISM: ``conversations.jsonl`` (Kirk et al., 2024; HannahRoseKirk/prism-alignment).

A row is a conversation of one ``user_id``. Its ``conversation_history`` holds messages with
``turn``, ``role`` ("user" or "model"), ``content`` and, for answers, ``if_chosen`` and ``score``.
In each turn the person chose one answer and went on from it: it is preferred over each other one
of the turn. As with chats of one's own, the prompt is the person's message without the turns before
it. ``generated_datetime`` is the time of the choice.
"""

from __future__ import annotations

from collections import defaultdict

from pocketpref.readers.entries import moment_from_iso
from pocketpref.readers.rows import Choices, Row, RowError, choice, owner, rows_in, text


def convert(_: int, row: Row) -> Choices:
    """Choices of a conversation."""
    user, conversation = owner(row, "user_id"), text(row, "conversation_id")
    created = moment_from_iso(row.get("generated_datetime"))
    turns = _turns(rows_in(row, "conversation_history"))
    for number, (turn, messages) in enumerate(turns.items(), start=1):
        prompts = [text(m, "content") for m in messages if m.get("role") == "user"]
        answers = [m for m in messages if m.get("role") == "model"]
        chosen = [text(m, "content") for m in answers if m.get("if_chosen") is True]
        if len(prompts) != 1 or not chosen:
            raise RowError(f"turn {number}: not one prompt, or no answer was chosen")
        for other in answers:
            left = text(other, "content")
            if left.strip() != chosen[0].strip():
                yield choice(
                    *(prompts[0], chosen[0], left),
                    user=user,
                    created=created,
                    ranking=f"{conversation} {turn}",
                    over=other.get("model_name"),
                )


def _turns(messages: list[Row]) -> dict[int, list[Row]]:
    turns: dict[int, list[Row]] = defaultdict(list)
    for message in messages:
        turn = message.get("turn")
        if not isinstance(turn, int) or isinstance(turn, bool):
            raise RowError('"turn" is missing or no number')
        turns[turn].append(message)
    return turns
