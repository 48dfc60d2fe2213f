"""Record choices: a program shows answers, and reports which one the person preferred.

    answers = Answers(pocket, prompt, program="notes")
    answers.shown(text)            # what the program showed
    answers.shown(another)         # the person had it made again
    answers.went_on()              # and went on with that: preferred to what was thrown away

or ``answers.chose(0)`` of several side by side, or ``answers.edited(text)`` where they rewrote it.
``answers.said("Shorter, please")`` reads what they wrote next: where it is about how they were
answered, it returns a statement to offer them, and nothing is kept before they agree.

No call waits for a model; a choice is durable when the call returns, and learned later. A chat
and the MCP server, which keep their own answers, call `record_choice`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pocketpref.errors import InputError
from pocketpref.personalization.feedback import Scope, detect, statement_of
from pocketpref.pocket import Pocket
from pocketpref.records import Origin, RedactedRepr
from pocketpref.summary.evidence import ANSWERED_UNDER

PROGRAM: Final = "program"
"""Key in the ``meta`` of a memory: the name of the program that reported it.

Not the key by which assistants find their own choices: an assistant with the same name has no right
to these.
"""


STATEMENT: Final = "a statement"
"""What is kept beside a choice for a statement that its answers were written under."""


def record_choice(
    pocket: Pocket,
    prompt: str,
    chosen: str,
    others: Sequence[str],
    *,
    edited: bool = False,
    under: Sequence[str] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """Remember that the person preferred one answer to each of others.

    Args:
        pocket: the person's Pocket.
        prompt: what they asked, word for word.
        chosen: the answer they preferred.
        others: the answers they did not.
        edited: whether they wrote the preferred one themselves.
        under: what any of the answers was written under, such as ``Personalized.attributes`` or the
            id of a summary; () if nothing, None if unknown. It is kept beside the choice, so that
            an answer under a summary is never evidence for that summary. Of a statement only that
            there was one is kept.
        meta: what else to keep beside the choice.

    Returns:
        Ids of the new memories, one for each of the others.

    Raises:
        PairError: a pair cannot be kept.
        VaultError: the vault cannot be changed.
    """
    kept = dict(meta or {})
    if under is not None:
        # A statement comes as a quotation. Its words must go when it is taken back, and no summary
        # that says it could leave if they were stored with a choice (see egress/dlp).
        names = [STATEMENT if name.startswith('"') else name for name in under]
        kept[ANSWERED_UNDER] = list(dict.fromkeys(names))
    origin: Origin = "edit" if edited else "chat"
    return tuple(pocket.add(prompt, chosen, other, origin=origin, meta=kept) for other in others)


@dataclass(frozen=True, slots=True, repr=False)
class StatementOffer(RedactedRepr):
    """What a message says about how the person wants to be answered, to be offered to them.

    Attributes:
        statement: the sentence that would be remembered, in the language of the message.
        scope: "always" if the wish sounds lasting, "once" if it is for this answer only, else
            "unsaid".
        rework: whether the last answer is asked for again, in the wished form.
        rest: the part of the message that is no feedback, such as a new question; may be empty.
        choices: ids of what is remembered of the reworked answer.
    """

    statement: str
    scope: Scope
    rework: bool
    rest: str = ""
    choices: tuple[str, ...] = ()
    _open = ("scope", "rework", "choices")


@dataclass(frozen=True, slots=True, repr=False)
class _Shown:
    text: str
    under: tuple[str, ...]


class Answers:
    """The answers to one prompt, and the person's choice among them.

    The last choice counts: choosing again, or rewriting the chosen answer, forgets what was
    remembered of this prompt before.
    """

    def __init__(self, pocket: Pocket, prompt: str, *, program: str = "") -> None:
        """Begin with a prompt.

        Args:
            pocket: the person's Pocket.
            prompt: what they asked, word for word.
            program: name of the program, kept beside each choice; "" for none.
        """
        self._pocket = pocket
        self._prompt = prompt
        self._program = program
        self._shown: list[_Shown] = []
        self._recorded: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Answers(<{len(self._shown)} shown>, <{len(self._recorded)} remembered>)"

    def __len__(self) -> int:
        return len(self._shown)

    def shown(self, text: str, *, under: Sequence[str] = ()) -> int:
        """Report a shown answer, the first one or another. Return its number, from 0.

        Args:
            text: the whole answer.
            under: what it was written under: ``Personalized.attributes``, the id of a summary; ()
                for a plain one. A choice among such answers is no evidence for a summary.
        """
        self._shown.append(_Shown(text, tuple(under)))
        return len(self._shown) - 1

    def went_on(self) -> tuple[str, ...]:
        """Report that the person regenerated until the last answer, and continued with that one.

        Returns:
            Ids of what is remembered: the last answer, preferred to the one before it. () if there
            was one answer only: accepting the first says little.
        """
        if len(self._shown) < 2:
            return ()
        return self._keep(self._shown[-1].text, [self._shown[-2].text])

    def chose(self, number: int) -> tuple[str, ...]:
        """Report that the person chose one of several answers: it is preferred to each other one.

        Args:
            number: its number, as ``shown`` returned it.

        Returns:
            Ids of what is remembered.

        Raises:
            InputError: no answer has this number, or there is no other one.
        """
        if not 0 <= number < len(self._shown):
            raise InputError(f"there is no answer {number}", hint="`shown` returns its number")
        others = [each.text for place, each in enumerate(self._shown) if place != number]
        kept = self._keep(self._shown[number].text, others)
        if not kept:
            raise InputError(
                "there is no other answer to prefer it to", hint="report each one: `shown`"
            )
        return kept

    def edited(self, text: str) -> tuple[str, ...]:
        """Report that the person rewrote the last answer. Return ids: theirs is preferred to it.

        Raises:
            InputError: no answer was shown yet.
        """
        if not self._shown:
            raise InputError("no answer was shown yet", hint="report it first: `shown`")
        return self._keep(text, [self._shown[-1].text], edited=True)

    def said(
        self, message: str, reworked: str | None = None, *, under: Sequence[str] = ()
    ) -> StatementOffer | None:
        """Read what the person wrote after the last answer.

        Nothing is kept of the message: show the statement, and call `keep_statement` if they agree.

        Args:
            message: their whole message.
            reworked: the answer that was given again as they wished, if it was. It is preferred to
                the last one, unless the wish was for this answer only.
            under: what the reworked answer was written under; see ``shown``.

        Returns:
            What was understood; None if the message is not about how they were answered, and then
            nothing is remembered.

        Raises:
            InputError: no answer was shown yet.
        """
        if not self._shown:
            raise InputError("no answer was shown yet", hint="report it first: `shown`")
        before = self._shown[-1].text
        found = detect(message, previous_answer=before)
        if found is None:
            return None
        choices: tuple[str, ...] = ()
        if reworked is not None:
            self.shown(reworked, under=under)
            # "Shorter, just this once" says nothing of the next answer.
            choices = () if found.scope == "once" else self._keep(reworked, [before])
        return StatementOffer(statement_of(found), found.scope, found.rework, found.rest, choices)

    def keep_statement(self, offered: StatementOffer) -> str:
        """Remember a statement that the person was shown and agreed to. Return its id.

        Raises:
            InputError: the wish was for one answer only.
            VaultError: it cannot be kept.
        """
        if offered.scope == "once":
            raise InputError(
                "that was wished for one answer only", hint="ask the person to state it"
            )
        return self._pocket.state(offered.statement)

    def take_back(self) -> None:
        """Forget what was remembered of this prompt."""
        if self._recorded:
            self._pocket.forget(*self._recorded)
            self._recorded = ()

    def _keep(self, chosen: str, others: Sequence[str], *, edited: bool = False) -> tuple[str, ...]:
        different = [o for o in dict.fromkeys(others) if o.strip() not in ("", chosen.strip())]
        if not different or not chosen.strip():
            return ()
        self.take_back()
        self._recorded = record_choice(
            self._pocket,
            *(self._prompt, chosen, different),
            edited=edited,
            under=[name for each in self._shown for name in each.under] or None,
            meta={PROGRAM: self._program} if self._program else None,
        )
        return self._recorded
