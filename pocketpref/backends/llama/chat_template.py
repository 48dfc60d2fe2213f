"""Turn conversations into tokens with the model's chat template.

A person's text is never read as a control token: if a message contains the text of one (such as
``<|im_end|>``), the conversation is tokenized in parts, that message without control tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

from pocketpref.backends.llama.bindings import Weights
from pocketpref.backends.llama.scorer import shorten
from pocketpref.errors import ModelUnsupportedError
from pocketpref.records import Message

# What a file without a template is spoken to with: ChatML, the most common form.
_CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}<|im_start|>assistant\n"
)
# Stands for the n-th message while the template is filled; private-use characters, so that no
# template treats it as anything but text.
_MARK = "\ue000{}\ue001"
_MARK_PATTERN = re.compile("\ue000(\\d+)\ue001")


class ChatTemplate:
    """Turns messages into token ids."""

    def __init__(self, weights: Weights) -> None:
        """Compile the model's template.

        Raises:
            ModelUnsupportedError: it is no valid template.
        """
        import jinja2
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        self._weights = weights
        self._bos = weights.special_text("bos")
        try:
            self._format = Jinja2ChatFormatter(  # sandboxed
                template=weights.metadata("tokenizer.chat_template") or _CHATML,
                eos_token=weights.special_text("eos"),
                bos_token=self._bos,
            )
        except jinja2.TemplateError:
            raise _unfit("is no valid template") from None

    def tokens(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation, up to where the assistant's answer begins.

        Raises:
            ModelUnsupportedError: the model's template cannot be filled.
        """
        pieces = _MARK_PATTERN.split(self._fill(messages))
        texts = [
            messages[int(piece)]["content"] if place % 2 else piece
            for place, piece in enumerate(pieces)
        ]
        # The template's own begin-of-sequence token counts; it must not be there twice.
        begin = not (self._bos and texts[0].startswith(self._bos))
        if not any(self._weights.has_control_text(m["content"]) for m in messages):
            return self._weights.tokenize("".join(texts), special=True, begin=begin)
        tokens: list[int] = []
        for place, text in enumerate(texts):
            first = place == 0 and begin
            tokens += self._weights.tokenize(text, special=place % 2 == 0, begin=first)
        return tokens

    def fit(self, messages: Sequence[Message], room: int) -> list[int]:
        """Tokens of a conversation, the oldest turns dropped until it fits.

        The system prompt and the last turn stay; if these alone are too long, their middle goes.
        """
        kept = list(messages)
        tokens = self.tokens(kept)
        while len(tokens) > room:
            oldest = 1 if kept[0]["role"] == "system" else 0
            if oldest >= len(kept) - 1:
                return shorten(tokens, room)
            # A question goes together with its answer: many templates want turns to alternate.
            del kept[oldest : oldest + (2 if len(kept) - oldest > 2 else 1)]
            tokens = self.tokens(kept)
        return tokens

    def _fill(self, messages: Sequence[Message]) -> str:
        """The conversation as text, with a mark in the place of each message."""
        import jinja2

        marked = [{"role": m["role"], "content": _MARK.format(i)} for i, m in enumerate(messages)]
        attempts = [marked]
        if marked[0]["role"] == "system" and len(marked) > 1:
            # Some templates refuse a system turn: it then opens the first user turn.
            head, second, *rest = marked
            joined = {"role": "user", "content": f"{head['content']}\n\n{second['content']}"}
            attempts.append([joined, *rest])
        for attempt in attempts:
            # ValueError: what a template raises by itself (``raise_exception``).
            with suppress(jinja2.TemplateError, ValueError):
                return str(self._format(messages=attempt).prompt)
        raise _unfit("cannot be filled")


def _unfit(problem: str) -> ModelUnsupportedError:
    return ModelUnsupportedError(
        f"the model's chat template {problem}", hint="choose another model: pocketpref models ls"
    )
