"""Read preference pairs from files.

    for entry in read("conversations.json"):
        ...                                   # a Feedback, or a BadEntry that says what is wrong

| format | file | pair |
|---|---|---|
| ``jsonl`` | ``{"prompt", "chosen", "rejected"}`` a line | each line (`jsonl`) |
| ``chatgpt`` | ``conversations.json`` or its zip file | the answer kept over one left (`chatgpt`) |
| ``openwebui`` | exported chats, exported ratings | an answer rated or kept (`openwebui`) |
| ``prism`` | PRISM's ``conversations.jsonl`` | the answer chosen in each turn (`datasets`) |
| ``tldr`` | TL;DR comparisons | the summary that a worker preferred (`datasets`) |
| ``fspo`` | ELIX, Review, Roleplay | the answer that a simulated reader preferred (`datasets`) |
| ``alignx`` | AlignX | four pairs of a person, and the one asked about (`datasets`) |
| ``lamp`` | LaMP-1, 2 and 3 | the right answer over each possible one (`datasets`) |
| ``prefeval`` | PrefEval's questions | the option that follows a preference (`datasets`) |

Files are untrusted: whatever their bytes, reading ends with entries or a ``FileError``.
"""

from __future__ import annotations

from pocketpref.importers.base import BadEntry, Entry
from pocketpref.importers.detect import FORMATS, Format, read

__all__ = ["FORMATS", "BadEntry", "Entry", "Format", "read"]
