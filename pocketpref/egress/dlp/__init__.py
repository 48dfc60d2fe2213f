"""Data loss prevention: detectors that keep a summary from leaving, each a pure function.

    findings("Prefers short, direct answers.", known)    # (): it may go
    findings("Prefers what Miller says.", known)         # Finding(13, 19, "capitals", ...)

A check takes a text and what is `Known`, and yields a `Finding` for each place that must not leave.
One finding is enough: the summary stays, and attributes go in its place. `CHECKS` is all of them.
They overlap on purpose: a name is foreign to the vocabulary, and has a capital letter, and stands
in the memory; whoever gets around one check meets the next.

What they are for: a summarizer that copies, by mistake or on purpose, what it has read. What they
cannot stop: a summarizer and a receiver who agreed on a code of harmless words. What such a code
can carry is bounded by a summary's length and vocabulary: ``tools/attack/summaries.py`` says how
much it is.
Only English summaries pass, unless the words of another language are allowed (`Known.words`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pocketpref.egress.dlp.content import orders, values
from pocketpref.egress.dlp.context import Finding, Known
from pocketpref.egress.dlp.form import (
    MAX_CHARACTERS,
    blanks,
    capitals,
    foreign_letters,
    invisible,
    length,
    plain_sentences,
    punctuation,
    repetition,
    signs,
    subject,
)
from pocketpref.egress.dlp.identifiers import (
    digits,
    number_words,
    organisations,
    people,
    told_secret,
    url,
    users,
    whereabouts,
)
from pocketpref.egress.dlp.overlap import across, acrostic, copied, echoed, foreign, named, shifted
from pocketpref.egress.dlp.text import forget_text

__all__ = ["CHECKS", "MAX_CHARACTERS", "Check", "Finding", "Known", "findings"]

Check = Callable[[str, Known], Iterator[Finding]]

CHECKS: Final[tuple[Check, ...]] = (
    # what a summary looks like
    length,
    plain_sentences,
    subject,
    blanks,
    repetition,
    invisible,
    foreign_letters,
    signs,
    punctuation,
    capitals,
    # what identifies somebody
    digits,
    number_words,
    url,
    whereabouts,
    told_secret,
    people,
    organisations,
    # what is told by comparing
    users,
    copied,
    echoed,
    foreign,
    named,
    across,
    shifted,
    acrostic,
    # what it would do or disclose
    orders,
    values,
)
"""All checks, those that need no memory first."""

_FAR_TOO_LONG: Final = 4 * MAX_CHARACTERS


def findings(text: str, known: Known) -> tuple[Finding, ...]:
    """Everything that keeps a text from leaving, by its place; nothing means that it may go.

    A text that is far too long is looked at for its length only.
    """
    checks = CHECKS if len(text) <= _FAR_TOO_LONG else (length,)
    try:
        return tuple(sorted({found for check in checks for found in check(text, known)}))
    finally:
        forget_text()
