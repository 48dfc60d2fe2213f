"""Build the messages of a chat."""

from __future__ import annotations

from collections.abc import Sequence

from pocketpref.errors import InputError
from pocketpref.records import Message


def compose(prompt: str, block: str = "", history: Sequence[Message] = ()) -> tuple[Message, ...]:
    """Chat messages for a prompt with an injected block.

    The block stands on a line of its own at the end of the user's turn (EXACT, section 4.1), so
    that everything before it is common to all conditions.
    """
    content = f"{prompt}\n{block}" if block else prompt
    return (*history, Message(role="user", content=content))


def checked(prompt: str) -> str:
    """A prompt that asks for something.

    Raises:
        InputError: it is empty.
    """
    if not prompt.strip():
        raise InputError("the prompt is empty", hint="ask for something")
    return prompt


def with_system(system: str | None, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Messages with a system prompt before them, if there is one."""
    return (Message(role="system", content=system), *messages) if system else messages
