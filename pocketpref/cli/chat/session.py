"""A chat apart from any terminal: what it does with each line."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from pocketpref.cli.chat.remote import Away, Sides
from pocketpref.cli.chat.turns import (
    ANSWERS_TO_OFFER,
    ENDS,
    HELP,
    ChatOptions,
    ChatTurn,
    MemoryOffer,
    View,
)
from pocketpref.cli.egress.rendering import level_name, mark
from pocketpref.errors import EgressError, InputError, PocketprefError

if TYPE_CHECKING:
    from pocketpref.chat_history import ChatRecorder, Exchange
    from pocketpref.pocket import Pocket
    from pocketpref.records import Message, Sampling

_COMMAND = re.compile(r"/[a-z]+\Z")
_SHOWN = 400  # characters of a past text


def shortened(text: str) -> str:
    """A past text, as far as it takes to know it again."""
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


class ChatSession:
    """A chat: hears lines, answers prompts, obeys commands."""

    def __init__(
        self,
        pocket: Pocket,
        view: View,
        options: ChatOptions | None = None,
        notebook: ChatRecorder | None = None,
        *,
        keep: bool = False,
    ) -> None:
        """Begin.

        Args:
            pocket: whose person chats.
            view: where it is seen and heard.
            options: how it is held.
            notebook: what was said before, if a chat is gone on with.
            keep: write this one down in it.
        """
        self._pocket = pocket
        self._earlier = notebook.earlier if notebook is not None else ()
        self._notebook = notebook if keep else None
        self._view = view
        self._options = options or ChatOptions()
        self._turns: list[ChatTurn] = []
        self._multi: tuple[str, list[str]] | None = None
        self._plain_next = False
        self._offer: MemoryOffer | None = None
        self._sides = Sides(pocket, view, self._options, lambda: self.history)
        self._commands: dict[str, Callable[[str], None]] = {
            "/retry": self.retry,
            "/prefer": self.prefer,
            "/edit": self.edit_answer,
            "/why": self.explain,
            "/plain": self.answer_plainly,
            "/forget": self.forget,
            "/summary": self.show_summary,
            **self._sides.commands,
            "/help": lambda _: self._view.note(HELP),
        }

    @property
    def recorded(self) -> int:
        """How many pairs this chat has remembered, and not forgotten again."""
        return sum(len(turn.recorded) for turn in self._turns)

    @property
    def in_multi(self) -> bool:
        """Whether a prompt of several lines is being typed."""
        return self._multi is not None

    @property
    def history(self) -> tuple[Message, ...]:
        """What was said so far, with the answer that stands in each turn."""
        return self._history(len(self._turns))

    def abandon_input(self) -> None:
        """Forget a prompt of several lines that was begun."""
        self._multi = None

    def hear(self, line: str) -> bool:
        """Act on one line.

        Returns:
            False if the chat is to end.

        Raises:
            ModelError, VaultError: what the chat cannot go on without failed.
        """
        if self._multi is not None:
            end, lines = self._multi
            if line.strip() != end:
                lines.append(line)
                return True
            self._multi = None
            if text := "\n".join(lines).strip():
                self.hear_prompt(text)
            return True
        word, _, rest = line.strip().partition(" ")
        if word in ENDS and not rest:
            return False
        offer, self._offer = self._offer, None
        if offer is not None and line.strip().casefold() in ANSWERS_TO_OFFER:
            self._take_up(offer, ANSWERS_TO_OFFER[line.strip().casefold()])
            return True
        try:
            self._act(line.strip(), word, rest.strip())
        except (InputError, EgressError) as error:
            self._complain(error)
        self._keep()
        return True

    def _keep(self) -> None:
        if self._notebook is not None:
            self._notebook.write(self._said(len(self._turns)))

    def _said(self, turns: int) -> list[Exchange]:
        from pocketpref.chat_history import Exchange

        return [
            Exchange(turn.prompt, turn.answers[turn.standing], tuple(turn.recorded))
            for turn in self._turns[:turns]
        ]

    def _complain(self, error: PocketprefError) -> None:
        self._view.note(error.words)

    def _act(self, line: str, word: str, rest: str) -> None:
        if not line:
            return
        if word == "!multi":
            self._multi = (f"!end {rest}".strip(), [])
        elif word == "!edit":
            text = self._view.edit(rest)
            if text and text.strip():
                self.hear_prompt(text.strip())
        elif word in self._commands:
            self._commands[word](rest)
        elif _COMMAND.match(word):
            self._view.note("no such command; /help lists them")
        else:
            self._ask(line)

    def hear_prompt(self, text: str) -> None:
        """Answer a text that is a prompt whatever it looks like."""
        try:
            self._ask(text)
        except (InputError, EgressError) as error:
            self._complain(error)
        self._keep()

    # ------------------------------------------------------------------------------ answering

    def _ask(self, prompt: str) -> None:
        plain, self._plain_next = self._plain_next, False
        turn = ChatTurn(prompt, plain)
        answer = self._answer(turn, self.history)
        if answer:
            turn.answers.append(answer)
            self._turns.append(turn)
            if self._options.record:
                self._offer_to_remember()

    def _offer_to_remember(self) -> None:
        """MemoryOffer to keep what the last prompt said of the answer before it, if it did."""
        from pocketpref.personalization.feedback import detect, statement_of

        if len(self._turns) < 2:
            return
        earlier, turn = self._turns[-2:]
        found = detect(turn.prompt, previous_answer=earlier.answers[earlier.standing])
        if found is None:
            return
        statement = "" if found.scope == "once" else statement_of(found)
        self._offer = MemoryOffer(statement, earlier, turn, found.rework)
        what = f'"{statement}" for all answers' if statement else "that you prefer this answer"
        self._view.note(f"Remember {what}? y or n")

    def _take_up(self, offer: MemoryOffer, agreed: bool) -> None:
        """Keep what was offered, or nothing."""
        if not agreed:
            self._view.note("not remembered")
            return
        if offer.statement:
            self._pocket.state(offer.statement)
            self._view.note("remembered: it counts from the next answer on")
        if offer.reworked:
            earlier, later = offer.earlier, offer.later
            answer, reworked = earlier.answers[earlier.standing], later.answers[later.standing]
            if answer.strip() != reworked.strip():
                earlier.under += later.under
                self._record(earlier, reworked, [answer], edited=False)

    def _answer(self, turn: ChatTurn, history: tuple[Message, ...]) -> str:
        """One more answer, shown as it comes; Ctrl-C keeps what there is of it."""
        away, pieces = self._sides.away, list[str]()
        reply = (
            self._local_reply(turn, history)
            if away is None
            else self._remote_reply(away, turn, history)
        )
        try:
            with closing(reply):  # which stops the model at once
                for piece in reply:
                    pieces.append(piece)
                    if self._options.stream:
                        self._view.piece(piece)
        except KeyboardInterrupt:
            self._view.note("\n(stopped)")
        except EgressError:
            if pieces and self._options.stream:
                self._view.end_answer()
            raise
        if not self._options.stream:
            self._view.piece("".join(pieces))
        self._view.end_answer()
        if turn.left is not None:
            self._view.note(mark(turn.left))
        return "".join(pieces).strip()

    def _local_reply(
        self, turn: ChatTurn, history: tuple[Message, ...]
    ) -> Generator[str, None, None]:
        turn.left = None
        system, method = self._options.system, self._options.method
        if not turn.plain:
            turn.used = self._pocket.personalize(
                turn.prompt, system=system, history=history, method=method
            )
            turn.under += turn.used.attributes
        count = 1 if turn.plain else self._options.best_of
        sampling = self._sampling(count * len(turn.answers))
        if count == 1:
            yield from self._pocket.reply(
                turn.prompt,
                stream=True,
                system=system,
                history=history,
                sampling=sampling,
                plain=turn.plain,
                method=method,
            )
            return
        # In one piece: which answer is the best is known when all are there.
        self._view.note(f"drawing {count} answers, of which the best is shown")
        yield self._pocket.reply(
            turn.prompt,
            system=system,
            history=history,
            sampling=sampling,
            method=method,
            best_of=count,
        )

    def _remote_reply(
        self, away: Away, turn: ChatTurn, history: tuple[Message, ...]
    ) -> Generator[str, None, None]:
        stream = away.reply(
            turn.prompt,
            history=history,
            system=self._options.system,
            sampling=self._sampling(len(turn.answers)),
            plain=turn.plain,
        )
        turn.left = away.shown
        if turn.left is not None and turn.left.text:
            turn.under.append(f"{level_name(turn.left.level)} sent")
        yield from stream

    def _sampling(self, earlier: int) -> Sampling | None:
        """With a fixed seed another answer needs another seed."""
        sampling = self._options.sampling
        if sampling is None or sampling.seed is None or not earlier:
            return sampling
        return replace(sampling, seed=sampling.seed + earlier)

    def _history(self, turns: int) -> tuple[Message, ...]:
        from pocketpref.chat_history import messages

        return messages([*self._earlier, *self._said(turns)])

    def _last(self) -> ChatTurn:
        if not self._turns:
            raise InputError("there is no answer yet", hint="ask something first")
        return self._turns[-1]

    # ------------------------------------------------------------------------------ commands

    def retry(self, _: str = "") -> None:
        """Answer the last prompt once more."""
        turn = self._last()
        answer = self._answer(turn, self._history(len(self._turns) - 1))
        if not answer:
            return
        turn.answers.append(answer)
        turn.standing = len(turn.answers) - 1
        numbers = " or ".join(f"/prefer {n}" for n in range(1, len(turn.answers) + 1))
        self._view.note(f"that was answer {len(turn.answers)}; {numbers} says which is better")

    def prefer(self, rest: str) -> None:
        """Remember that the answer of this number is better than the others."""
        turn = self._last()
        if len(turn.answers) < 2:
            raise InputError("there is one answer only", hint="/retry gives another")
        if not rest.isdecimal() or not 1 <= int(rest) <= len(turn.answers):
            raise InputError(f"/prefer takes a number from 1 to {len(turn.answers)}")
        turn.standing = int(rest) - 1
        chosen = turn.answers[turn.standing]
        others = [a for a in dict.fromkeys(turn.answers) if a != chosen]
        if not others:
            raise InputError("the answers are the same", hint="/retry gives another")
        self._record(turn, chosen, others, edited=False)

    def edit_answer(self, _: str = "") -> None:
        """Let the person edit the last answer, and remember that the edited one is better."""
        turn = self._last()
        original = turn.answers[turn.standing]
        edited = self._view.edit(original)
        if edited is None or not edited.strip() or edited.strip() == original:
            self._view.note("nothing was changed")
            return
        turn.answers.append(edited.strip())
        turn.standing = len(turn.answers) - 1
        self._record(turn, edited.strip(), [original], edited=True)

    def _record(self, turn: ChatTurn, chosen: str, others: list[str], *, edited: bool) -> None:
        if not self._options.record:
            self._view.note("noted for this chat only (--no-learn)")
            return
        from pocketpref.integrations.feedback_session import record_choice

        before = turn.recorded
        turn.recorded = list(
            record_choice(
                *(self._pocket, turn.prompt, chosen, others), edited=edited, under=turn.under
            )
        )
        # A new choice about a turn replaces an earlier one. Forgetting that would take along the
        # chat that names it, so the chat is written first.
        self._keep()
        if before:
            self._pocket.forget(*before)
        self._view.note(f"remembered ({' '.join(turn.recorded)}); /forget takes it back")

    def explain(self, _: str = "") -> None:
        """Show which attributes the last answer was given under, and where they come from."""
        turn = self._last()
        used = turn.used
        if turn.left is not None:
            left = turn.left
            self._view.note(f"sent to {left.destination}, with {left.level.words}: {left.text}")
        elif used is None:
            self._view.note("nothing was added: this turn was plain")
        elif not used.attributes and self._options.method == "auto":
            self._view.note("nothing was added: nothing is sure of you yet")
        elif not used.attributes:
            self._view.note("nothing was added: no past choice is close enough to this prompt")
        elif used.method == "auto":
            self._view.note(f"added: {used.instruction}")
            for found in self._pocket.preferences():
                if found.applied:
                    of = found.supporting + found.contrary
                    self._view.note(f"  {found.likes}: {found.supporting:g} of {of:g} choices")
        else:
            self._view.note(f"added: {', '.join(used.attributes)} ({used.method})")
            for source in used.sources:
                past = shortened(self._pocket.memory(source.id).pair.prompt)
                self._view.note(f"from {source.id}, similarity {source.similarity:.2f}: {past}")

    def answer_plainly(self, rest: str) -> None:
        """Answer this prompt, or the next one, without personalization."""
        self._plain_next = True
        if rest:
            self._ask(rest)
        else:
            self._view.note("the next answer is without personalization")

    def show_summary(self, _: str = "") -> None:
        """Show the preference summary."""
        summary = self._pocket.summary()
        if summary is None:
            raise InputError("there is no summary yet", hint="pocketpref summary refresh")
        self._view.note(summary.text)

    def forget(self, rest: str) -> None:
        """Forget the choices with these ids, or what this chat remembered last."""
        if rest:
            self._pocket.forget(*rest.split())
            for turn in self._turns:
                turn.recorded = [i for i in turn.recorded if i not in rest.split()]
            self._view.note("forgotten")
            return
        for turn in reversed(self._turns):
            if turn.recorded:
                self._pocket.forget(*turn.recorded)
                turn.recorded = []
                also = ", and what was kept of this chat" if self._notebook is not None else ""
                self._view.note(f"forgotten{also}")
                return
        raise InputError("this chat has remembered nothing", hint="/forget ID forgets a choice")
