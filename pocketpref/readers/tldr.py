"""TL;DR comparisons: ``comparisons/batchN.json`` (Stiennon et al., 2020; one object a line).

A row has the post in ``info`` (``title``, ``post`` and ``subreddit``; for news ``article``), two
``summaries`` with their ``text``, which one was preferred in ``choice`` (0 or 1), and by whom in
``worker``. Summaries of one post stay together in an evaluation.
"""

from __future__ import annotations

from pocketpref.readers.rows import Choices, Row, RowError, choice, owner, rows_in, text

_ASKED = "Summarize this in one or two sentences."


def convert(_: int, row: Row) -> Choices:
    """The choice of a row."""
    info = row.get("info")
    if not isinstance(info, dict):
        raise RowError('"info" is missing or no object')
    summaries = [text(summary, "text").strip() for summary in rows_in(row, "summaries")]
    label = row.get("choice")
    if len(summaries) != 2 or isinstance(label, bool) or label not in (0, 1):
        raise RowError('two "summaries" and a "choice" of 0 or 1 are needed')
    preferred = int(label)
    yield choice(
        *(_prompt(info), summaries[preferred], summaries[1 - preferred]),
        user=owner(row, "worker"),
        ranking=info.get("id"),
        batch=row.get("batch"),
        split=row.get("split"),
    )


def _prompt(info: Row) -> str:
    body = text(info, "post" if isinstance(info.get("post"), str) else "article")
    title = info.get("title")
    heading = f"\nTitle: {title}" if isinstance(title, str) and title.strip() else ""
    return f"{_ASKED}{heading}\n\n{body.strip()}"
