"""Answers rewritten by rule: the same content in another manner, without any model.

Each rule either changes a text in the way its name says or leaves it as it is. English only.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[\"'(A-Z0-9])|\n+")
_WHOLE = re.compile(r"(?<!\d)[.!?][\"')*]*$")  # "1." begins an item
_MARKER = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
_SUBORDINATE = re.compile(
    r"(?:;\s+|,\s+(?:and|but|so)\s+)(?=(?:it|they|you|we|he|she|this|that|the)\s\w+\s\w+)"
)

# Long words and their everyday counterparts; rules go both ways where a second list says so.
_PLAINER = {
    "utilize": "use", "utilizes": "uses", "utilizing": "using", "numerous": "many",
    "additional": "more", "additionally": "also", "furthermore": "also", "moreover": "also",
    "approximately": "about", "assist": "help", "assistance": "help", "attempt": "try",
    "commence": "begin", "consequently": "so", "therefore": "so", "thus": "so",
    "demonstrate": "show", "demonstrates": "shows", "determine": "find out", "difficult": "hard",
    "essential": "needed", "facilitate": "help", "however": "but",
    "individual": "person", "individuals": "people", "initially": "at first", "maintain": "keep",
    "maintaining": "keeping", "obtain": "get", "obtaining": "getting", "obtained": "got",
    "participate": "take part", "particularly": "mostly", "possess": "have",
    "provide": "give", "provides": "gives", "providing": "giving", "purchase": "buy",
    "regarding": "about", "require": "need", "requires": "needs",
    "required": "needed", "significant": "big", "significantly": "much",
    "subsequently": "then", "sufficient": "enough", "various": "many", "typically": "mostly",
    "primarily": "mostly", "component": "part",
    "create": "make", "creates": "makes",
    "creating": "making", "ensure": "make sure", "ensures": "makes sure", "ensuring": "making sure",
    "involves": "means", "occurs": "happens", "occur": "happen", "contains": "has",
    "allows": "lets", "enables": "lets", "beneficial": "good", "effective": "good",
    "effectively": "well", "reduce": "cut", "reducing": "cutting",
     "consider": "think about",
    "potential": "possible", "appropriate": "right", "develop": "build",
}  # fmt: skip
_FORMAL_WORDS = {
    "use": "utilize", "uses": "utilizes", "many": "numerous", "also": "furthermore",
    "help": "assist", "helps": "assists",
    "show": "demonstrate", "shows": "demonstrates", "hard": "difficult", "but": "however",
    "people": "individuals", "keep": "maintain",
    "give": "provide", "gives": "provides", "buy": "purchase", "need": "require",
    "needs": "requires", "choose": "select", "big": "significant", "enough": "sufficient",
    "make": "create", "makes": "creates", "happens": "occurs", "lets": "permits",
    "good": "beneficial", "really": "particularly", "a lot of": "a considerable number of",
    "okay": "acceptable",
}  # fmt: skip
_CONTRACTIONS = {
    "do not": "don't", "does not": "doesn't", "did not": "didn't", "is not": "isn't",
    "are not": "aren't", "was not": "wasn't", "cannot": "can't", "can not": "can't",
    "will not": "won't", "would not": "wouldn't", "should not": "shouldn't",
    "could not": "couldn't", "have not": "haven't", "has not": "hasn't", "it is": "it's",
    "that is": "that's", "there is": "there's", "you are": "you're", "they are": "they're",
    "we are": "we're", "i am": "i'm", "you will": "you'll", "it will": "it'll", "let us": "let's",
    "you have": "you've", "i have": "i've", "what is": "what's", "here is": "here's",
}  # fmt: skip
_CASUAL_WORDS = _PLAINER | {
    "children": "kids", "very": "really", "such as": "like", "yes": "yeah",
    "people": "folks", "many": "lots of", "good": "great", "difficult": "tough",
    "a little": "a bit",
}  # fmt: skip


def sentences(text: str) -> list[str]:
    """The sentences of a text; headings, list items and paragraphs end one too."""
    parts = (_MARKER.sub("", part).strip() for part in _SENTENCE.split(text))
    return [part for part in parts if len(part.split()) > 1]


def shorter(text: str) -> str:
    """Its first two sentences, or the first one if there are no more than three.

    A text that does not end a sentence there ("Here are some tips:") stays as it is.
    """
    found = sentences(text)
    first = " ".join(found[: 2 if len(found) > 3 else 1])
    return first if _WHOLE.search(first) else text


def listed(text: str) -> str:
    """Its first sentence, the others as items below it."""
    first, *rest = sentences(text) or [text]
    return "\n".join([first, *(f"- {sentence}" for sentence in rest)])


def flowing(text: str) -> str:
    """One paragraph, without lists, headings and bold print."""
    return " ".join(sentences(text.replace("**", "").replace("#", ""))) or text


def plain(text: str) -> str:
    """Everyday words in short sentences."""
    parts = (part.strip(" ,;.") for part in _SUBORDINATE.split(_exchanged(text, _PLAINER)))
    return " ".join(f"{part[:1].upper()}{part[1:]}." for part in parts if part)


def formal(text: str) -> str:
    """Written language: no contractions, no exclamations, longer words."""
    spelled = {short: long for long, short in _CONTRACTIONS.items() if long != "can not"}
    straight = text.replace("\u2019", "'").replace("!", ".")
    return _exchanged(_exchanged(straight, spelled), _FORMAL_WORDS)


def casual(text: str) -> str:
    """Spoken language: contractions and short words."""
    return _exchanged(_exchanged(text, _CASUAL_WORDS), _CONTRACTIONS)


RULES: dict[str, Callable[[str], str]] = {
    "shorter": shorter,
    "listed": listed,
    "flowing": flowing,
    "plain": plain,
    "formal": formal,
    "casual": casual,
}
"""Every rule by its name."""


def _exchanged(text: str, words: dict[str, str]) -> str:
    """Whole words exchanged, longest first, capitals kept."""
    longest = sorted(words, key=len, reverse=True)
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, longest))})\b", re.IGNORECASE)

    def exchange(match: re.Match[str]) -> str:
        word = match.group()
        other = words[word.lower()]
        return other[0].upper() + other[1:] if word[0].isupper() else other

    return pattern.sub(exchange, text)
