"""The remote side of a chat: which model answers, and what is said of what leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pocketpref.cli.chat.turns import ChatOptions, View
from pocketpref.cli.egress.rendering import preview_lines
from pocketpref.errors import InputError

if TYPE_CHECKING:
    from pocketpref.egress import Ask, Preview
    from pocketpref.pocket import Pocket
    from pocketpref.records import Message, Sampling


class Away:
    """The remote side of a chat: says once what leaves, then only that something did.

    Attributes:
        to: the destination.
        shown: what left with the last prompt, or None.
    """

    def __init__(
        self, pocket: Pocket, to: str, say: Callable[[str], None], ask: Ask | None
    ) -> None:
        self._pocket = pocket
        self._say = say
        self._ask = ask
        self._told: str | None = None
        self.to = to
        self.shown: Preview | None = None

    def reply(
        self,
        prompt: str,
        *,
        history: Sequence[Message],
        system: str | None,
        sampling: Sampling | None = None,
        plain: bool = False,
    ) -> Iterator[str]:
        """The remote model's answer, in pieces.

        Raises:
            EgressError: it may not leave, or came to no good end.
        """
        from pocketpref.egress.disclosure import Level

        level = Level.NONE if plain else Level.SUMMARY
        shown = self._pocket.preview(
            prompt,
            to=self.to,
            history=history,
            system=system,
            sampling=sampling,
            level=level,
        )
        self._announce(shown)
        pieces = self._pocket.reply_remotely(
            prompt,
            to=self.to,
            stream=True,
            history=history,
            system=system,
            sampling=sampling,
            level=level,
            ask=self._ask,
        )
        self.shown = shown
        return pieces

    def preview(
        self,
        prompt: str,
        *,
        history: Sequence[Message],
        system: str | None,
        sampling: Sampling | None = None,
    ) -> Preview:
        """What would leave with a prompt."""
        return self._pocket.preview(
            prompt, to=self.to, history=history, system=system, sampling=sampling
        )

    def describe(self, shown: Preview) -> None:
        """Say what left with the last prompt, or would leave with another one, to the byte."""
        summary = self._pocket.offer().summary
        lines = preview_lines(shown, summary)
        if shown is self.shown:
            lines = [f"the last prompt left for {shown.destination}, as exactly these bytes:"]
        elif not shown.allowed and self._ask is not None:
            lines.append("you would be asked; exactly these bytes would leave:")
        else:
            lines.append("exactly these bytes would leave:")
        self._say("\n".join([*lines, shown.body.decode()]))

    def _announce(self, shown: Preview) -> None:
        """Say what leaves, the first time and whenever that has changed."""
        # The question shows it to whoever is asked; a refusal names its reason.
        if not shown.allowed or self._told == shown.text:
            return
        self._told = shown.text
        along = ", and nothing else"
        if shown.text:
            along = f", and with it {shown.level.words}:\n  {shown.text}"
        self._say(f"This conversation leaves for {shown.destination}{along}")


class Sides:
    """Which side answers: the model on this machine, or one elsewhere.

    Attributes:
        away: the side elsewhere, while it answers; None for this machine.
    """

    def __init__(
        self,
        pocket: Pocket,
        view: View,
        options: ChatOptions,
        history: Callable[[], Sequence[Message]],
    ) -> None:
        self._pocket = pocket
        self._view = view
        self._options = options
        self._history = history
        self._last_to = options.to
        self.away: Away | None = None
        if options.to is not None:
            self._go(options.to)

    @property
    def commands(self) -> dict[str, Callable[[str], None]]:
        """What a person can say about it in a chat."""
        return {"/remote": self.remote, "/local": self.local, "/preview": self.preview}

    def remote(self, rest: str) -> None:
        """Have a remote model answer: the one that is named, or the last one."""
        to = rest or self._last_to
        if to is None:
            raise InputError("name a destination", hint="for example /remote openai:gpt-5")
        self._go(to)
        self._view.note(f"{self._last_to} answers now; /local brings answers back to this machine")
        if self._history():
            self._view.note("what was said so far leaves with the next prompt")

    def _go(self, to: str) -> None:
        from pocketpref.egress.destination import Destination

        if self._options.offline:
            raise InputError("this chat is offline", hint="start one without --offline")
        self._last_to = str(Destination.parse(to))
        self.away = Away(self._pocket, self._last_to, self._view.note, self._options.ask)

    def local(self, _: str = "") -> None:
        """Have the model on this machine answer."""
        self.away = None
        self._view.note("the model on this machine answers now; nothing leaves")

    def preview(self, rest: str) -> None:
        """Show what would leave for a prompt, or without one what left with the last."""
        if self.away is None:
            raise InputError(
                "nothing would leave: the model on this machine answers",
                hint="/remote DESTINATION has another one answer",
            )
        shown = self.away.shown
        if rest:
            options = self._options
            shown = self.away.preview(
                rest, history=self._history(), system=options.system, sampling=options.sampling
            )
        if shown is None:
            raise InputError("nothing has left yet", hint="/preview PROMPT shows what would")
        self.away.describe(shown)
