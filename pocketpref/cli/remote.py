"""remote, and the remote side of a chat: answers from elsewhere, with what may go along."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from pocketpref.cli.app import App, pass_app
from pocketpref.cli.arguments import TEXT, json_option, model_option, user_option
from pocketpref.cli.console import note, report, report_json
from pocketpref.cli.leaving import (
    GOES_ALONG,
    level_name,
    offer_of,
    preview_lines,
    somebody_to_ask,
    terminal_ask,
)

if TYPE_CHECKING:
    from pocketpref.egress import Ask, Preview
    from pocketpref.pocket import Pocket
    from pocketpref.records import Message, Sampling


@click.command()
@click.argument("prompt", type=TEXT)
@click.option("--to", required=True, metavar="DEST", help="The model to ask.")
@click.option("-s", "--system", type=TEXT, metavar="TEXT", help="System prompt.")
@json_option
@user_option
@model_option
@pass_app
def remote(
    app: App,
    *,
    prompt: str,
    to: str,
    system: str | None,
    as_json: bool,
    user: str | None,
    model: str | None,
) -> None:
    """Ask a remote model, with what you allowed to go along, and print its answer.

    Without a grant for DEST it shows what would leave and asks; where there is no terminal it
    refuses. PROMPT is text, - or @FILE. DEST is openai:MODEL, anthropic:MODEL, or with its address
    openai:MODEL@https://HOST/v1.

    Example: pocketpref remote "Explain DNS" --to openai:gpt-5
    """
    with app.pocket(user, model) as pocket:
        ask = terminal_ask() if somebody_to_ask() else None
        shown = pocket.preview(prompt, to=to, system=system)
        reply = pocket.reply_remotely(prompt, to=to, system=system, ask=ask)
    if as_json:
        shape = {"reply": reply, "destination": str(shown.destination)}
        report_json({**shape, "level": level_name(shown.level), "text": shown.text})
        return
    report(reply)
    note(f"{mark(shown)}; `pocketpref egress log` shows what left")


def mark(shown: Preview) -> str:
    """The quiet sign of a remote answer: where the request went, and what went along."""
    return f"[sent to {shown.destination.host} with {GOES_ALONG[level_name(shown.level)]}]"


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
        from pocketpref.disclosure import Level

        level = Level.NONE if plain else Level.SUMMARY
        shown = self._pocket.preview(
            prompt,
            to=self.to,
            history=history,
            system=system,
            sampling=sampling,
            level=level,
        )
        self._tell(shown)
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
        summary = offer_of(self._pocket).summary
        lines = preview_lines(shown, summary)
        if shown is self.shown:
            lines = [f"the last prompt left for {shown.destination}, as exactly these bytes:"]
        elif not shown.allowed and self._ask is not None:
            lines.append("you would be asked; exactly these bytes would leave:")
        else:
            lines.append("exactly these bytes would leave:")
        self._say("\n".join([*lines, shown.body.decode()]))

    def _tell(self, shown: Preview) -> None:
        """Say what leaves, the first time and whenever that has changed."""
        # Who is asked is shown it then; what is refused says why.
        if not shown.allowed or self._told == shown.text:
            return
        self._told = shown.text
        words = GOES_ALONG[level_name(shown.level)]
        text = f":\n  {shown.text}" if shown.text else ""
        self._say(f"This conversation leaves for {shown.destination}, and with it {words}{text}")
