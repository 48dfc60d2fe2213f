"""Whether what is known of a person is put before the model: on, unless they switched it off.

The switch is a sealed document. It names no choice, since it says nothing of one: it stays when a
single choice is forgotten, and goes when everything of the person is.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Final

from pocketpref.errors import TamperedError
from pocketpref.protocols import DocumentStore

KIND: Final = "verdict"
"""The kind of document that the switch is kept as."""

_OFF: Final = {"auto": "off"}


def is_off(store: DocumentStore) -> bool:
    """Return whether the person switched personalization off.

    Raises:
        TamperedError: the document is malformed.
        VaultError: it cannot be read.
    """
    with store.documents() as documents:
        return any(_load(document.content) for document in documents.all(KIND))


def switch(store: DocumentStore, *, on: bool) -> None:
    """Switch personalization on or off; nothing that was learned is lost.

    Raises:
        VaultError: it cannot be kept.
    """
    with store.changing() as documents:
        for before in documents.all(KIND):
            documents.delete(KIND, before.id)
        if not on:
            documents.insert(KIND, json.dumps(_OFF).encode())


def _load(content: bytes) -> bool:
    with suppress(ValueError, RecursionError):
        values = json.loads(content)
        if isinstance(values, dict) and ("auto" in values or "accuracies" in values):
            # Earlier versions kept figures of a test here ("accuracies"), which decide nothing now.
            return values.get("auto") == "off"
    raise TamperedError(
        "a document in the vault is malformed", hint="run `pocketpref eval --switch on`"
    )
