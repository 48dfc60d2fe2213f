"""The words of a summary: its language, its text, and how it joins a conversation.

Languages are told by small words and letters, which is enough to notice that a model answered in
another language than it was asked to. Where a text is too short to tell, nothing is claimed.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from pocketpref.records import Attribute
from pocketpref.summary.records import Clause

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
LANGUAGE_NAMES = {
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
"""Names of the languages in an instruction to a model."""

_LEAST_WORDS = 2
"""Small words of a language that it takes to recognize it."""

_READ = 4000
"""Characters of a text that are looked at."""

_HEADINGS = {
    "en": ("The user prefers answers that are", "The user dislikes answers that are", "About"),
    "de": ("Bevorzugte Antworten:", "Unbeliebte Antworten:", "Zum Thema"),
    "fr": ("Réponses préférées :", "Réponses à éviter :", "Au sujet de"),
    "es": ("Respuestas preferidas:", "Respuestas no deseadas:", "Sobre"),
    "it": ("Risposte preferite:", "Risposte da evitare:", "Su"),
    "pt": ("Respostas preferidas:", "Respostas a evitar:", "Sobre"),
    "nl": ("Gewenste antwoorden:", "Ongewenste antwoorden:", "Over"),
}
"""Headings of preferences, of dislikes, and of a topic; other languages have the English ones."""

NEUTRAL = (
    "The house of the user stands near a river and has a green door, two windows and a small "
    "garden with apple trees, where a path of grey stones leads down to the water and a wooden "
    "boat lies on the sand beside an old bench under the bridge, while on the other side there "
    "are fields, a barn with a red roof, and a road that goes over the hills to the next village"
)
"""Any text before an answer shifts its likelihood, most for long answers. A summary has to explain
more than these words, which say nothing about answers."""


def detect(text: str) -> str | None:
    """The language of a text (ISO 639-1), or None if it cannot be told."""
    text = text[:_READ]
    letters = [unicodedata.name(c, "").split(" ")[0].split("-")[0] for c in text if c.isalpha()]
    scripts = Counter(_SCRIPTS.get(name, "") for name in letters)
    if scripts["ja"]:  # Japanese is written with Chinese characters as well
        scripts["ja"] += scripts.pop("zh", 0)
    language, count = scripts.most_common(1)[0] if scripts else ("", 0)
    if language and count * 2 > len(letters):
        return language
    counts = Counter(re.findall(r"[^\W\d_]+", text.casefold()))
    hits = {name: sum(counts[word] for word in words) for name, words in _SETS.items()}
    (best, most), (_, second) = Counter(hits).most_common(2)
    return best if most >= _LEAST_WORDS and most > second else None


def prevailing(texts: Iterable[str]) -> str:
    """The language that most of the texts are in; English if none can be told."""
    found = Counter(language for text in texts if (language := detect(text)))
    return found.most_common(1)[0][0] if found else ENGLISH


def headings(language: str) -> tuple[str, str, str]:
    """Return the headings of preferences, of dislikes, and of a topic."""
    return _HEADINGS.get(language, _HEADINGS["en"])


def render(clauses: Sequence[Clause], language: str = "en") -> str:
    """Return a summary in one line: what to do, what to avoid, by topic, own words last.

    Raises:
        ValueError: there is no clause.
    """
    if not clauses:
        raise ValueError("a summary says something")
    _, _, about = headings(language)
    ours = [clause for clause in clauses if not clause.stated]
    said = _preferences([c for c in ours if not c.topic], language)
    for topic in dict.fromkeys(c.topic for c in ours if c.topic):
        here = _preferences([c for c in ours if c.topic == topic], language)
        said.append(f"{about} {topic}: {' '.join(here)}")
    return " ".join([*said, *(ended(c.text) for c in clauses if c.stated)])


def _preferences(clauses: Sequence[Clause], language: str) -> list[str]:
    """A sentence on what to do and one on what to avoid."""
    do, avoid, _ = headings(language)
    parts = {
        do: [clause.text for clause in clauses if not clause.avoid],
        avoid: [clause.text for clause in clauses if clause.avoid],
    }
    return [f"{heading} {'; '.join(texts)}." for heading, texts in parts.items() if texts]


def ended(text: str) -> str:
    """Return a sentence with a full stop, unless it ends in some mark."""
    return text if text.endswith((".", "!", "?", "。")) else f"{text}."


def sentences(text: str) -> list[str]:
    """Split a person's own text into parts that can be compared with clauses."""
    parts = re.split(r"(?<=[.!?。])\s+|\s*[;\n]\s*", text)
    return [part.strip() for part in parts if part.strip()]


def bare(sentence: str) -> str:
    """Strip a summary's sentence of headings and full stop, to compare it with a clause."""
    for do, avoid, about in _HEADINGS.values():
        sentence = re.sub(rf"^{re.escape(about)} [\w ]+: ", "", sentence)
        sentence = sentence.removeprefix(f"{do} ").removeprefix(f"{avoid} ")
    return sentence.strip(" .;")


def attribute_clause(attribute: Attribute, pairs: Sequence[str], *, opposite: bool) -> Clause:
    """Return an attribute's wording, or its opposite's, as a clause."""
    if opposite:
        return Clause(attribute.opposite, "", tuple(pairs), (f"not {attribute.name}",))
    return Clause(attribute.wording, "", tuple(pairs), (attribute.name,))


def block(text: str) -> str:
    """Return what is injected after a prompt for a summary, or "" for no text.

    It comes last in the user's turn, so that everything before it is common to all summaries and is
    computed once. Of the forms that were measured (docs/summary.md) it is one of those that a small
    model understands best.
    """
    return f"\n({text})" if text else ""


def without_block(prompt: str, texts: Iterable[str]) -> str:
    """Return the prompt without the block of one of these summaries.

    A line that only looks like a block stays: it is the person's own.
    """
    for text in filter(None, texts):
        end = f"\n{block(text)}"
        if prompt.endswith(end):
            return prompt.removesuffix(end)
    return prompt
