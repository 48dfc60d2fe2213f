"""Build the attribute sentence of a request, and bound what it reveals about the person.

At the level ``attributes`` a sentence goes along that is built from a fixed template, a closed list
of attributes and a closed list of topics:

    Please answer in this way[ when it is about TOPIC]: WORDING; WORDING; WORDING.

It names at most ``MOST`` attributes, in the order of the bank, each by its wording or its opposite.
So the number of different sentences is known, and with it the most that one of them can tell
(``bits``), whoever wrote what is stored and however hostile the program that chose them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pocketpref.egress.request_body import is_unicode
from pocketpref.errors import InputError
from pocketpref.records import Attribute, RedactedRepr

MOST = 3
"""Attributes in a sentence at most: as many as EXACT selects for a pair (arXiv 2602.17695)."""

TOPICS = (
    *("programming", "mathematics", "science", "technology", "cooking", "travel", "work"),
    *("school", "writing", "art and music", "history", "sport", "home"),
)
"""Topics that a sentence may name. Health, religion, politics and family are not among them: that
a person has preferences there is itself something they might not say."""

_OPPOSITE = "not "


@dataclass(frozen=True, slots=True, repr=False)
class Offer(RedactedRepr):
    """What could go with a request, if it is allowed.

    Attributes:
        summary: the preference summary; "" for none.
        attributes: names of attributes, the most important first; ``not NAME`` for the opposite.
            Those outside of the bank are left out.
        sources: ids of the memories that summary and attributes were made of. They are noted in
            the log, so that forgetting one of them removes the text there too.
        topic: one of ``TOPICS``; another is left out.

    Raises:
        InputError: the summary is no valid Unicode.
    """

    summary: str = ""
    attributes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    topic: str = ""
    _open = ("sources",)

    def __post_init__(self) -> None:
        if not is_unicode(self.summary):
            raise InputError(
                "the summary is no valid Unicode text (lone surrogates)",
                hint="write it anew: pocketpref summary edit",
            )


class Vocabulary:
    """The sentences that can be built from a bank.

    Attributes of the category ``values`` (Western, Conspiracy ...) can say what a person would
    not, so they are part of it only where a grant names them.
    """

    def __init__(self, attributes: Sequence[Attribute]) -> None:
        self._attributes = tuple(attributes)

    def values(self, names: Collection[str]) -> tuple[str, ...]:
        """The names of value attributes as the bank writes them, in its order.

        Raises:
            InputError: one of them is no value attribute of the bank.
        """
        wanted = {name.casefold() for name in names}
        found = [a.name for a in self._attributes if a.category == "values"]
        found = [name for name in found if name.casefold() in wanted]
        if len(found) != len(wanted):
            raise InputError(
                "not every name is that of a value attribute",
                hint="see which there are: docs/attributes.md",
            )
        return tuple(found)

    def sentence(self, offer: Offer, values: Collection[str]) -> str:
        """The sentence for what is offered, or "" if nothing of it may be said.

        Args:
            offer: attributes and topic; what is not on the closed lists is left out.
            values: names of value attributes that may be said.
        """
        places = {a.name.casefold(): place for place, a in enumerate(self._attributes)}
        chosen: dict[int, str] = {}
        for name in offer.attributes:
            opposite = name.startswith(_OPPOSITE)
            place = places.get(name.removeprefix(_OPPOSITE).casefold())
            if place is None or place in chosen or len(chosen) == MOST:
                continue
            attribute = self._attributes[place]
            if _may_be_said(attribute, values):
                chosen[place] = attribute.opposite if opposite else attribute.wording
        if not chosen:
            return ""
        # In the order of the bank: another order would say more than was counted.
        wordings = "; ".join(wording for _, wording in sorted(chosen.items()))
        about = f" when it is about {offer.topic}" if offer.topic in TOPICS else ""
        return f"Please answer in this way{about}: {wordings.rstrip('.')}."

    def bits(self, values: Collection[str]) -> float:
        """The most that a sentence can tell about the person, in bits: log2 of how many there are.

        The empty one counts. It is a bound on one request; requests that get different sentences
        can together tell more, at most this much each.
        """
        said = sum(_may_be_said(attribute, values) for attribute in self._attributes)
        # Sets of one to MOST attributes, each with either of two wordings.
        sets = sum(math.comb(said, size) * 2**size for size in range(1, MOST + 1))
        return math.log2(1 + sets * (len(TOPICS) + 1))


def _may_be_said(attribute: Attribute, values: Collection[str]) -> bool:
    return attribute.category != "values" or attribute.name in values
