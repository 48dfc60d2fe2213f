"""What a person decided, kept sealed: corrections of beliefs, and the switch for all of it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pocketpref.errors import InputError, NotFoundError, TamperedError
from pocketpref.personalization.dimensions import Dimensions, PoleName
from pocketpref.protocols import DocumentStore
from pocketpref.records import Document, RedactedRepr

# Whether what is known of a person is put before the model: on, unless they switched it off.
#
# The switch is a sealed document. It names no choice, since it says nothing of one: it stays when a
# single choice is forgotten, and goes when everything of the person is.

SWITCH: Final = "verdict"
"""The kind of document that the switch is kept as."""

_OFF: Final = {"auto": "off"}


def is_off(store: DocumentStore) -> bool:
    """Return whether the person switched personalization off.

    Raises:
        TamperedError: the document is malformed.
        VaultError: it cannot be read.
    """
    with store.documents() as documents:
        return any(_load_switch(document.content) for document in documents.all(SWITCH))


def switch(store: DocumentStore, *, on: bool) -> None:
    """Switch personalization on or off; nothing that was learned is lost.

    Raises:
        VaultError: it cannot be kept.
    """
    with store.changing() as documents:
        for before in documents.all(SWITCH):
            documents.delete(SWITCH, before.id)
        if not on:
            documents.insert(SWITCH, json.dumps(_OFF).encode())


def _load_switch(content: bytes) -> bool:
    with suppress(ValueError, RecursionError):
        values = json.loads(content)
        if isinstance(values, dict) and ("auto" in values or "accuracies" in values):
            # Earlier versions kept figures of a test here ("accuracies"), which decide nothing now.
            return values.get("auto") == "off"
    raise TamperedError(
        "a document in the vault is malformed", hint="run `pocketpref eval --switch on`"
    )


CORRECTION: Final = "correction"
"""The kind of document that a correction is kept as."""

MOST_CHARACTERS: Final = 200
"""Longest name of a topic."""


@dataclass(frozen=True, slots=True, repr=False)
class Correction(RedactedRepr):
    """What a person said of one belief.

    Attributes:
        id: of its document.
        dimension: name of the dimension.
        pole: which end of it.
        only: the topic that the belief is limited to; "" if it is wrong altogether.
    """

    id: str
    dimension: str
    pole: PoleName
    only: str = ""
    _open = ("id", "dimension", "pole")


def corrections(store: DocumentStore) -> list[Correction]:
    """Return a person's corrections, the oldest first.

    Raises:
        VaultError: they cannot be read.
    """
    with store.documents() as documents:
        return [_load_correction(document) for document in documents.all(CORRECTION)]


def correct(
    store: DocumentStore, dimensions: Dimensions, dimension: str, pole: str, only: str = ""
) -> str:
    """Keep a correction in place of an earlier one of the same belief. Returns its id.

    Args:
        store: whose.
        dimensions: what can be believed.
        dimension: name of a dimension.
        pole: "high" or "low".
        only: a topic in the person's words; "" if the belief is wrong altogether.

    Raises:
        InputError: the dimension or the pole is unknown, or the topic is too long.
    """
    if dimension not in dimensions or pole not in {"high", "low"}:
        raise InputError("no such preference", hint="`pocketpref profile` names them")
    topic = " ".join(only.split())
    if len(topic) > MOST_CHARACTERS or not topic.isprintable():
        raise InputError(f"a topic has at most {MOST_CHARACTERS} printable characters")
    name = dimensions[dimension].name
    content = json.dumps({"dimension": name, "pole": pole, "only": topic}, ensure_ascii=False)
    with store.changing() as documents:
        for document in documents.all(CORRECTION):
            earlier = _load_correction(document)
            if (earlier.dimension, earlier.pole) == (name, pole):
                documents.delete(CORRECTION, document.id)
        return documents.insert(CORRECTION, content.encode())


def take_back(store: DocumentStore, name: str) -> None:
    """Take a correction back.

    Raises:
        NotFoundError: no correction has this id.
    """
    with store.changing() as documents:
        if documents.get(CORRECTION, name) is None:
            raise NotFoundError("no correction of this id", hint="`pocketpref profile` lists them")
        documents.delete(CORRECTION, name)


def _load_correction(document: Document) -> Correction:
    # Raised outside of the handler: the decoder's error holds the text.
    with suppress(KeyError, TypeError, ValueError, RecursionError):
        content = json.loads(document.content.decode())
        dimension, pole, only = content["dimension"], content["pole"], content["only"]
        if isinstance(dimension, str) and pole in {"high", "low"} and isinstance(only, str):
            return Correction(document.id, dimension, pole, only)
    raise TamperedError(
        "a correction in the vault is not in a form that this version can read",
        hint="it may come from a later version of pocketpref",
    )
