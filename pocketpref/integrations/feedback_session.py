"""Choices where they are made: a program shows answers, and reports what became of them.

    answers = Answers(pocket, prompt, program="notes")
    answers.shown(text)            # what the program showed
    answers.shown(another)         # the person had it made again
    answers.went_on()              # and went on with that: preferred to what was thrown away

or ``answers.chose(0)`` of several side by side, or ``answers.edited(text)`` where they rewrote it.
Nothing waits for a model; what is reported is durable when a call returns, and learned later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pocketpref.errors import InputError
from pocketpref.pocket import Pocket
from pocketpref.records import Origin
from pocketpref.summary.evidence import ANSWERED_UNDER

PROGRAM: Final = "program"
"""Key in the ``meta`` of a memory: the name of the program that reported it.

Not the key by which assistants know their own choices: an assistant of the same name has no right
to these.
"""


@dataclass(frozen=True, slots=True, repr=False)
class _Shown:
    text: str
    under: tuple[str, ...]


class Answers:
    """The answers to one prompt, and what the person did about them.

    The last word counts: who chooses again, or rewrites what they chose, takes back what was
    remembered of this prompt before.
    """

    def __init__(self, pocket: Pocket, prompt: str, *, program: str = "") -> None:
        """Begin with a prompt.

        Args:
            pocket: whose person is answered.
            prompt: what they asked, word for word.
            program: name of the program, kept beside each choice; "" for none.
        """
        self._pocket = pocket
        self._prompt = prompt
        self._program = program
        self._shown: list[_Shown] = []
        self._recorded: list[str] = []

    def __repr__(self) -> str:
        return f"Answers(<{len(self._shown)} shown>, <{len(self._recorded)} remembered>)"

    def __len__(self) -> int:
        return len(self._shown)

    def shown(self, text: str, *, under: Sequence[str] = ()) -> int:
        """An answer was shown, the first one or another. Returns its number, from 0.

        Args:
            text: the whole answer.
            under: what it was written under: ``Personalized.attributes``, the id of a summary; ()
                for a plain one. A choice among such answers is no evidence for a summary.
        """
        self._shown.append(_Shown(text, tuple(under)))
        return len(self._shown) - 1

    def went_on(self) -> tuple[str, ...]:
        """The person had it made again until the last one, and went on with that.

        Returns:
            Ids of what is remembered: the last answer, preferred to the one before it. Nothing,
            if there was one answer only: taking the first says little.
        """
        if len(self._shown) < 2:
            return ()
        return self._keep(self._shown[-1].text, [self._shown[-2].text], "chat")

    def chose(self, number: int) -> tuple[str, ...]:
        """Of several answers the person chose one. Returns ids: it is preferred to each other.

        Args:
            number: which, as ``shown`` returned it.

        Raises:
            InputError: there is none of this number, or no other one.
        """
        if not 0 <= number < len(self._shown):
            raise InputError(f"there is no answer {number}", hint="`shown` returns its number")
        others = [each.text for place, each in enumerate(self._shown) if place != number]
        kept = self._keep(self._shown[number].text, others, "chat")
        if not kept:
            raise InputError(
                "there is no other answer to prefer it to", hint="report each one: `shown`"
            )
        return kept

    def edited(self, text: str) -> tuple[str, ...]:
        """The person rewrote the answer shown last. Returns ids: theirs is preferred to it.

        Raises:
            InputError: no answer was shown yet.
        """
        if not self._shown:
            raise InputError("no answer was shown yet", hint="report it first: `shown`")
        return self._keep(text, [self._shown[-1].text], "edit")

    def take_back(self) -> None:
        """Forget what was remembered of this prompt."""
        if self._recorded:
            self._pocket.forget(*self._recorded)
            self._recorded = []

    def _keep(self, chosen: str, others: Sequence[str], origin: Origin) -> tuple[str, ...]:
        different = [o for o in dict.fromkeys(others) if o.strip() not in ("", chosen.strip())]
        if not different or not chosen.strip():
            return ()
        self.take_back()
        under = list(dict.fromkeys(name for each in self._shown for name in each.under))
        meta: dict[str, Any] = {PROGRAM: self._program} if self._program else {}
        if under:
            meta[ANSWERED_UNDER] = under
        self._recorded = [
            self._pocket.add(self._prompt, chosen, other, origin=origin, meta=meta)
            for other in different
        ]
        return tuple(self._recorded)
