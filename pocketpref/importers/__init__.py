"""Reading preference pairs out of files that people have.

    for entry in read("conversations.json"):
        ...                                   # a Feedback, or a BadEntry that says what is wrong

| format | what it is | what is a pair in it |
|---|---|---|
| ``jsonl`` | ``{"prompt", "chosen", "rejected"}`` a line | each line (`jsonl`) |
| ``chatgpt`` | ``conversations.json`` or its zip file | the answer kept over one left (`chatgpt`) |
| ``openwebui`` | exported chats, exported ratings | an answer rated or kept (`openwebui`) |
| ``prism`` | PRISM's ``conversations.jsonl`` | the answer gone on from, of each turn (`prism`) |
| ``tldr`` | TL;DR comparisons | the summary that a worker preferred (`tldr`) |
| ``fspo`` | ELIX, Review, Roleplay | the answer that a simulated reader preferred (`fspo`) |
| ``alignx`` | AlignX | four pairs of a person, and the one asked about (`alignx`) |
| ``lamp`` | LaMP-1, 2 and 3 | the right answer over each possible one (`lamp`) |
| ``prefeval`` | PrefEval's questions | the option that follows a preference (`prefeval`) |

Files are taken as hostile: whatever their bytes, reading ends with entries or a ``FileError``.
"""

from __future__ import annotations

from pocketpref.importers.base import BadEntry, Entry
from pocketpref.importers.detect import FORMATS, Format, read

__all__ = ["FORMATS", "BadEntry", "Entry", "Format", "read"]
