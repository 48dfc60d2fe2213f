"""Conversations as tokens, by the model's own chat template.

A person's text is never read as a control token: if a message contains the text of one (such as
``<|im_end|>``), the conversation is tokenized in parts, that message without control tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from pocketpref.backends.llama.bindings import Weights
from pocketpref.errors import ModelUnsupportedError
from pocketpref.records import Message

Fill = Callable[[list[dict[str, str]]], str]

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
        self._weights = weights
        self._bos = weights.special_text("bos")
        self._format = _formatter(
            weights.metadata("tokenizer.chat_template") or _CHATML,
            self._bos,
            weights.special_text("eos"),
        )

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
        if not any(self._holds_control(m["content"]) for m in messages):
            return self._weights.tokenize("".join(texts), special=True, begin=begin)
        tokens: list[int] = []
        for place, text in enumerate(texts):
            first = place == 0 and begin
            tokens += self._weights.tokenize(text, special=place % 2 == 0, begin=first)
        return tokens

    def _fill(self, messages: Sequence[Message]) -> str:
        marked = [{"role": m["role"], "content": _MARK.format(i)} for i, m in enumerate(messages)]
        try:
            return self._format(marked)
        except ValueError:
            # Some templates refuse a system turn: it then opens the first user turn.
            if marked[0]["role"] != "system" or len(marked) == 1:
                raise _unfit("cannot be filled") from None
        head, second, *rest = marked
        joined = {"role": "user", "content": f"{head['content']}\n\n{second['content']}"}
        try:
            return self._format([joined, *rest])
        except ValueError:
            raise _unfit("cannot be filled") from None

    def _holds_control(self, text: str) -> bool:
        """Whether the tokenizer would read a control token in a text."""
        if "<" not in text and "[" not in text and "|" not in text:
            return False
        read = self._weights.tokenize(text, special=True)
        return read != self._weights.tokenize(text, special=False)


def _unfit(problem: str) -> ModelUnsupportedError:
    return ModelUnsupportedError(
        f"the model's chat template {problem}", hint="choose another model: pocketpref models ls"
    )


def _formatter(template: str, bos: str, eos: str) -> Fill:
    """A function from messages to text, by a sandboxed Jinja template."""
    import jinja2
    from llama_cpp.llama_chat_format import Jinja2ChatFormatter

    try:
        formatter = Jinja2ChatFormatter(template=template, eos_token=eos, bos_token=bos)
    except jinja2.TemplateError:
        raise _unfit("is no valid template") from None

    def fill(messages: list[dict[str, str]]) -> str:
        try:
            return str(formatter(messages=messages).prompt)
        except jinja2.TemplateError:
            raise ValueError from None

    return fill
