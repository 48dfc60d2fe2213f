"""Reading preference pairs out of files that people have.

    for entry in read("conversations.json"):
        ...                                   # a Feedback, or a BadEntry that says what is wrong

| format | what it is | what is a pair in it |
|---|---|---|
| ``jsonl`` | ``{"prompt", "chosen", "rejected"}`` a line | each line (`jsonl`) |
| ``chatgpt`` | ``conversations.json`` or its zip file | the answer kept over one left (`chatgpt`) |
| ``openwebui`` | exported chats, exported ratings | an answer rated or kept (`openwebui`) |

Files are taken as hostile: whatever their bytes, reading ends with entries or a ``FileError``.
"""

from __future__ import annotations

from pocketpref.readers.entries import BadEntry, Entry
from pocketpref.readers.sources import FORMATS, Format, read

__all__ = ["FORMATS", "BadEntry", "Entry", "Format", "read"]
