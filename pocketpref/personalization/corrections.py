"""Corrections: what a person said of a belief ("not that", "only for cooking"), kept sealed."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pocketpref.errors import InputError, NotFoundError, TamperedError
from pocketpref.personalization.dimensions import Dimensions, PoleName
from pocketpref.protocols import DocumentStore
from pocketpref.records import Document, RedactedRepr

KIND: Final = "correction"
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
        return [_load(document) for document in documents.all(KIND)]


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
        for document in documents.all(KIND):
            earlier = _load(document)
            if (earlier.dimension, earlier.pole) == (name, pole):
                documents.delete(KIND, document.id)
        return documents.insert(KIND, content.encode())


def take_back(store: DocumentStore, name: str) -> None:
    """Take a correction back.

    Raises:
        NotFoundError: no correction has this id.
    """
    with store.changing() as documents:
        if documents.get(KIND, name) is None:
            raise NotFoundError("no correction of this id", hint="`pocketpref profile` lists them")
        documents.delete(KIND, name)


def _load(document: Document) -> Correction:
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
