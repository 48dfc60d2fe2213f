"""What would leave, in words: previews, findings, and the question whether it may."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from pocketpref.cli.output import note, report
from pocketpref.cli.params import MisuseError
from pocketpref.formatting import plural

if TYPE_CHECKING:
    from pocketpref.egress import Ask, Decision, Finding, Preview
    from pocketpref.egress.disclosure import Level

_SPAN = re.compile(r"([0-9]{1,5})([hdw])")
_SHOWN = 6000  # bytes of a request that a question shows; /preview and `egress preview` show all
_CONTEXT = 12  # characters around a finding


def level_name(level: Level) -> str:
    """As options and ``--json`` spell it."""
    return level.name.lower()


def time_span(text: str) -> timedelta:
    """``12h``, ``30d`` or ``4w``.

    Raises:
        MisuseError: it is in another form.
    """
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None:
        raise MisuseError("--expires takes a number and h, d or w: 12h, 30d, 4w")
    unit = {"h": "hours", "d": "days", "w": "weeks"}[found[2]]
    return timedelta(**{unit: int(found[1])})


def preview_as_dict(preview: Preview) -> dict[str, Any]:
    """The ``--json`` shape of ``pocketpref egress preview``."""
    return {
        "destination": str(preview.destination),
        "endpoint": preview.destination.endpoint,
        "allowed": preview.allowed,
        "reason": preview.reason,
        "level": level_name(preview.level),
        "text": preview.text,
        "bits": preview.bits,
        "findings": [
            {"check": f.check, "start": f.start, "end": f.end, "reason": f.reason}
            for f in preview.findings
        ],
        "diff": list(preview.diff),
        "body": preview.body.decode(),
        "bytes": len(preview.body),
    }


def preview_lines(preview: Preview, summary: str) -> list[str]:
    """What would leave and whether it may, for people, without the bytes themselves.

    Args:
        preview: what the gate worked out.
        summary: the person's summary, in which findings are shown.
    """
    return [
        f"to:      {preview.destination}",
        f"allowed: {'yes' if preview.allowed else 'no'} ({preview.reason})",
        f"adds:    {_added(preview)}",
        *finding_lines(preview.findings, summary),
        *_difference(preview),
    ]


def _added(preview: Preview) -> str:
    words = preview.level.words
    if not preview.text:
        return words
    tells = "" if preview.bits is None else f" (tells at most {preview.bits:.1f} bits about you)"
    return f"{words}{tells}:\n         {preview.text}"


def _difference(preview: Preview) -> list[str]:
    if not preview.diff:
        return []
    return [
        "the summary has changed since it was allowed:",
        *(f"  {line}" for line in preview.diff),
    ]


def mark(shown: Preview) -> str:
    """The quiet sign of a remote answer: where the request went, and what went along."""
    from pocketpref.egress.disclosure import Level

    along = f" with {shown.level.words}" if shown.text else f", {Level.NONE.words}"
    return f"[sent to {shown.destination.host}{along}]"


def finding_lines(findings: Sequence[Finding], summary: str) -> list[str]:
    """What the checks found in a summary, each with its place."""
    if not findings:
        return []
    lines = ["the summary stays here, for the checks found in it:"]
    for finding in findings:
        place = f"characters {finding.start + 1} to {finding.end}"
        shown = summary[max(0, finding.start - _CONTEXT) : finding.end + _CONTEXT]
        quoted = f' "{shown}"' if shown else ""
        lines.append(f"  {finding.check}, {place}:{quoted} {finding.reason}")
    return lines


def report_body(preview: Preview) -> None:
    """Print exactly the bytes, and nothing else on those lines."""
    where, how = preview.destination.endpoint, preview.destination.posted
    went = "posted" if how else "handed"
    report(f"exactly these {len(preview.body):,} bytes would be {went} to {where}:")
    report(preview.body.decode())


def somebody_to_ask() -> bool:
    """Whether a person sits at a terminal who can be shown something and asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def terminal_ask(*, for_this_chat: bool = False) -> Ask:
    """Asks at the terminal about what no grant allows.

    Args:
        for_this_chat: offer to go on allowing what is shown, until the program ends.
    """
    return TerminalAsk(for_this_chat=for_this_chat)


def question(preview: Preview) -> str:
    """Say what would leave, to where and in full, for whoever is asked about it."""
    body = preview.body.decode()
    if len(body) > _SHOWN:
        body = f"{body[:_SHOWN]}... ({len(body) - _SHOWN:,} more characters)"
    lines = [
        f"This would leave your machine ({preview.reason}):",
        f"to:      {preview.destination}",
        f"adds:    {_added(preview)}",
        *_difference(preview),
        f"in full: {plural(len(preview.body), 'byte')}",
        body,
    ]
    return "\n".join(lines)


class TerminalAsk:
    """Remembers what was allowed for this chat: one destination, and exactly one added text."""

    def __init__(self, *, for_this_chat: bool) -> None:
        self._for_this_chat = for_this_chat
        self._said: set[tuple[str, str]] = set()

    def __call__(self, preview: Preview) -> Decision:
        """Show what would leave and return what the person decides."""
        from pocketpref.egress import Decision

        said = (str(preview.destination), preview.text)
        if said in self._said:
            return Decision.ONCE
        note(question(preview))
        letter = self._letter()
        if letter == "c":
            self._said.add(said)
        return {"n": Decision.NO, "k": Decision.KEEP}.get(letter, Decision.ONCE)

    def _letter(self) -> str:
        ways = {"n": "no", "o": "once"}
        if self._for_this_chat:
            ways["c"] = "for this chat"
        ways["k"] = "keep allowing it for 30 days"
        words = ", ".join(f"[{letter}] {way}" for letter, way in ways.items())
        try:
            letter = click.prompt(
                f"Send it? {words}",
                type=click.Choice(list(ways), case_sensitive=False),
                default="n",
                show_choices=False,
                err=True,
            )
        except click.Abort:
            if not self._for_this_chat:
                raise
            note("")  # Ctrl-C drops the prompt, not the chat
            return "n"
        return str(letter).lower()
