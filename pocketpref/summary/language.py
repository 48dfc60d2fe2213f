"""In which language texts are, as far as their small words and letters tell.

Enough to notice that a model answered in another language than it was asked to. Where a text is too
short to tell, nothing is claimed.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

ENGLISH = "en"

_SMALL_WORDS = {
    "en": "the and of to is that it in for you with are this be on not or as have what how",
    "de": "der die das und ist nicht ein eine zu mit auf für den von ich sie wie auch es dem",
    "fr": "le la les et est une un des pour que dans qui pas sur avec ce je vous du au",
    "es": "el los las y es una que de en por con para no se como más del al qué su",
    "it": "il che di e è per una non con sono del della si come più anche gli nel al questo",
    "pt": "o os as e é uma que de em para com não se como mais do da um por ao",
    "nl": "de het een en is niet van dat met voor op zijn ik je wat hoe ook aan te er",
}
_SETS = {name: frozenset(words.split()) for name, words in _SMALL_WORDS.items()}
_SCRIPTS = {
    "CYRILLIC": "ru",
    "GREEK": "el",
    "HEBREW": "he",
    "ARABIC": "ar",
    "DEVANAGARI": "hi",
    "THAI": "th",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "CJK": "zh",
}
NAMES = {
    "en": "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "ru": "Russian",
    "el": "Greek",
    "he": "Hebrew",
    "ar": "Arabic",
    "hi": "Hindi",
    "th": "Thai",
    "ko": "Korean",
    "ja": "Japanese",
    "zh": "Chinese",
}
"""What the languages are called in an instruction to a model."""

_LEAST = 2
"""Small words of a language without which it is not recognized."""

_READ = 4000
"""Characters that are looked at of a text."""


def detect(text: str) -> str | None:
    """The language of a text (ISO 639-1), or None if it cannot be told."""
    text = text[:_READ]
    script = _script(text)
    if script is not None:
        return script
    counts = Counter(re.findall(r"[^\W\d_]+", text.casefold()))
    hits = {name: sum(counts[word] for word in words) for name, words in _SETS.items()}
    (best, most), (_, second) = Counter(hits).most_common(2)
    return best if most >= _LEAST and most > second else None


def prevailing(texts: Iterable[str]) -> str:
    """The language that most of the texts are in; English if none can be told."""
    found = Counter(language for text in texts if (language := detect(text)))
    return found.most_common(1)[0][0] if found else ENGLISH


def _script(text: str) -> str | None:
    """The language that most letters belong to, if these are not Latin."""
    letters = [unicodedata.name(c, "").split(" ")[0].split("-")[0] for c in text if c.isalpha()]
    found = Counter(_SCRIPTS.get(name, "") for name in letters)
    if found["ja"]:  # Japanese is written with Chinese characters, too
        found["ja"] += found.pop("zh", 0)
    if not found:
        return None
    language, count = found.most_common(1)[0]
    return language or None if count * 2 > len(letters) else None
