"""Text measures: how an answer is written, in numbers, without a model.

Two answers to one prompt are compared by the difference of their measures. Layout, punctuation and
length are measured in every language. Register, hedges and other word counts need a word list
(``lexicon.toml``); in a language without one they are NaN, never 0.

Length counts words where a script separates them by blanks, and half the characters in Chinese,
Japanese, Thai and their like.

One text of 150 words takes about 60 microseconds, so there is one pass for words, one for
sentences and one over the lines. Frequencies are square roots, since the first few say most.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from importlib import resources
from operator import itemgetter
from typing import Final

import numpy as np

from pocketpref.records import Matrix64, Pair

_GENERAL: Final = (
    "length",  # log1p(words)
    "word length",  # log1p(letters for each word)
    "sentence length",  # log1p(words for each sentence)
    "variety",  # log1p(distinct words) / log1p(words)
    "lines",  # log1p(line breaks)
    "bullets",  # log1p(bulleted lines); the next four likewise
    "steps",
    "headings",
    "tables",
    "code",
    "bold",  # log1p(bold spans)
    "emoji",  # root of occurrences for each word, as all that follow unless they say otherwise
    "exclamations",
    "questions",
    "asks back",  # 1 if the last sentence is a question
    "commas",
    "digits",
    "capitals",  # share of letters
    "small beginnings",  # share of sentences that begin with a small letter
    "quotes and links",
    "metric units",
    "imperial units",
)
_WORD_LISTS: Final = (
    "formal",
    "casual",
    "hedges",
    "examples",
    "warmth",
    "connectives",
    "first",
    "second",
    "plain",
)
MEASURES: Final[tuple[str, ...]] = _GENERAL + _WORD_LISTS
"""Name of each measure, in the order of the vector that `measures` returns."""

_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_CURLY: Final = {"\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"}
_CJK_ENDS: Final = {"。": ". ", "！": "! ", "？": "? ", "，": ", ", "、": ", "}  # noqa: RUF001
# Bytes that separate words become blanks, capitals small letters: ASCII text needs no pattern.
_FOLD: Final = bytes(
    ord(chr(i).lower()) if chr(i).isalnum() or chr(i) == "'" else ord(" ") for i in range(128)
) + bytes(range(128, 256))
_CAPITALS: Final = bytes(range(ord("A"), ord("Z") + 1))
_MARK: Final = re.compile(
    r">?\s*(?:(?P<bullets>[-*+•‣◦–]\s)|(?P<steps>(?:\*\*)?(?:\d{1,3}[.)]|[Ss]tep \d+[:.])\s?)"  # noqa: RUF001
    r"|(?P<headings>\#{1,6}\s|\*\*[^*]+:?\*\*:?$)|(?P<tables>\|))"
)
_CODE: Final = ("def ", "class ", "import ", "#include", "function ", "const ", "public ")
_FENCED: Final = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_UNSPACED: Final = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uff66-\uff9d"
    r"\U00020000-\U0003134f]"
)
_EMOJI: Final = re.compile(r"[\U0001f300-\U0001faff\u2600-\u27bf\u2b50\u2b55]")
_SCRIPTS: Final = {
    "ja": re.compile(r"[\u3040-\u30ff]"),
    "zh": re.compile(r"[\u3400-\u9fff]"),
    "ko": re.compile(r"[\uac00-\ud7af]"),
    "ru": re.compile(r"[\u0400-\u04ff]"),
    "ar": re.compile(r"[\u0600-\u06ff]"),
    "th": re.compile(r"[\u0e00-\u0e7f]"),
    "el": re.compile(r"[\u0370-\u03ff]"),
    "he": re.compile(r"[\u0590-\u05ff]"),
    "hi": re.compile(r"[\u0900-\u097f]"),
}
"""A script's commonest language; Japanese before Chinese, whose characters it shares."""


def _load_lexicon() -> tuple[
    dict[str, int], list[tuple[tuple[str, str], ...]], dict[str, set[str]]
]:
    """Read the word lists into one map, so that a text's words are looked up once.

    Returns:
        the code of each word; for each code the (language, list) pairs that hold the word; the
        lists of each language.
    """
    data = tomllib.loads(resources.files(__package__).joinpath("lexicon.toml").read_text("utf-8"))
    holders: dict[str, set[tuple[str, str]]] = {}
    for language, lists in data.items():
        for name, words in lists.items():
            for word in words.split():
                holders.setdefault(word, set()).add((language, name))
    codes: dict[tuple[tuple[str, str], ...], int] = {}
    lexicon = {
        word: codes.setdefault(tuple(sorted(held)), len(codes)) for word, held in holders.items()
    }
    return lexicon, list(codes), {language: set(lists) for language, lists in data.items()}


_LEXICON, _HOLDERS, _LISTS = _load_lexicon()
LANGUAGES: Final[tuple[str, ...]] = tuple(name for name in _LISTS if name != "units")
"""Languages with word lists, as ISO 639-1 codes."""

_FUNCTION_WORDS: Final = [(name, "function") for name in LANGUAGES]

# Under this many words, a text without a single function word may be in any language ("Yes, 42.").
_TELLING_WORDS = 12


def measured(language: str | None) -> tuple[str, ...]:
    """Return the names of the measures that exist for texts in a language.

    Args:
        language: ISO 639-1 code; None for an unknown language.
    """
    lists = _LISTS.get(language or "", set())
    return _GENERAL + tuple(name for name in _WORD_LISTS if name in lists)


def language(text: str) -> str | None:
    """Return the language of a text as an ISO 639-1 code, or None where it cannot be told."""
    text = _straighten(text)
    return _language(text, _held(_words(text)))


def _straighten(text: str) -> str:
    """Replace typographic marks by plain ones, which are counted faster."""
    if not text.isascii():
        for mark, plain in (_CURLY | _CJK_ENDS).items():
            text = text.replace(mark, plain)
    return text


def _words(text: str) -> list[str]:
    """Return the words in small letters."""
    if text.isascii():
        return text.encode().translate(_FOLD).decode().split()
    return _WORD.findall(text.casefold())


def _held(words: Iterable[str]) -> dict[tuple[str, str], int]:
    """Count a text's words by the (language, list) pairs that hold them."""
    counts: dict[tuple[str, str], int] = {}
    for code, count in Counter(map(_LEXICON.get, words)).items():
        if code is not None:
            for holder in _HOLDERS[code]:
                counts[holder] = counts.get(holder, 0) + count
    return counts


def _language(text: str, held: dict[tuple[str, str], int]) -> str | None:
    if not text.isascii():
        # A third of the letters, so that a quoted word of another script decides nothing.
        for name, letters in _SCRIPTS.items():
            if 3 * len(letters.findall(text[:2000])) > len(text[:2000].strip()):
                return name
    # English comes first, so it wins ties.
    hits, best = max([(held.get(key, 0), key) for key in _FUNCTION_WORDS], key=itemgetter(0))
    return best[0] if hits else None


def _lines(text: str) -> tuple[dict[str, int], int]:
    """Count lines by what they begin with, and line breaks; text in code fences is code only."""
    counts = {"bullets": 0, "steps": 0, "headings": 0, "tables": 0, "code": 0}
    lines = text.strip().split("\n")
    fenced = False
    for line in map(str.strip, lines):
        if line.startswith("```"):
            fenced = not fenced
        elif not line:
            continue
        elif fenced or line[-1] in ";{}" or (line.startswith(_CODE) and line[-1] not in ".!?"):
            counts["code"] += 1
        elif (not line[0].isalpha() or line[0] in "Ss") and (mark := _MARK.match(line)):
            counts[str(mark.lastgroup)] += 1
    return counts, len(lines) - 1


def _sentences(text: str) -> list[str]:
    for end in ("! ", "? ", "\n"):
        text = text.replace(end, ". ")
    return [part for part in map(str.strip, text.split(". ")) if part]


def _count_emoji(text: str) -> int:
    smileys = text.count(":)") + text.count(":-)") + text.count(";)") + text.count(":D")
    return smileys if text.isascii() else smileys + len(_EMOJI.findall(text))


def measures(text: str) -> Matrix64:
    """Return every measure of a text, shape (len(MEASURES),).

    NaN marks a measure that the text cannot have: of words in a language without a list, or of
    sentences in nothing but code. An empty text is 0 everywhere.
    """
    text = _straighten(text)
    marks, breaks = _lines(text)
    unspaced, spaced = 0, text
    if not text.isascii():
        spaced, unspaced = _UNSPACED.subn(" ", text)
    words = _words(spaced)
    total = len(words) + (unspaced + 1) // 2
    each = max(total, 1)
    # Of all words: code alone would otherwise have no variety, as if one word were repeated.
    variety = math.log1p(len(set(words))) / math.log1p(len(words) or 1)
    if "```" in text:  # code has no register, and its names are no long words
        text, spaced = _FENCED.sub(" ", text), _FENCED.sub(" ", spaced)
        words = _words(spaced)
    letters = len("".join(words))
    sentences = _sentences(text)
    no_prose = marks["code"] > 0 and len(words) < _TELLING_WORDS
    held = _held(words)
    tongue = _language(text, held)
    raw = text.encode("utf-8", "replace")

    def count_bytes(marks: bytes) -> int:
        return len(raw) - len(raw.translate(None, marks))

    def rate(count: int) -> float:
        return math.sqrt(count / each)

    values = [
        math.log1p(total),
        math.nan if no_prose else math.log1p(letters / max(len(words), 1)),
        math.nan if no_prose else math.log1p((len(words) + unspaced / 2) / max(len(sentences), 1)),
        variety,
        math.log1p(breaks),
        *map(math.log1p, marks.values()),
        math.log1p(text.count("**") // 2),
        rate(_count_emoji(text)),
        rate(text.count("!")),
        rate(text.count("?")),
        float(text.rstrip().endswith("?")),
        rate(count_bytes(b",;:")),
        rate(count_bytes(b"0123456789")),
        count_bytes(_CAPITALS) / max(letters, 1),
        sum(s[0].islower() for s in sentences) / max(len(sentences), 1),
        rate(text.count('"') + text.count("http")),
        rate(held.get(("units", "metric"), 0)),
        rate(held.get(("units", "imperial"), 0)),
    ]
    if tongue is None and len(words) < _TELLING_WORDS and text.isascii():
        tongue = LANGUAGES[0]  # too short to tell, so nothing is missing
    lists = _LISTS.get(tongue or "", set()) if not no_prose else set()
    values += [
        rate(held.get((str(tongue), name), 0)) if name in lists else math.nan
        for name in _WORD_LISTS
    ]
    return np.array(values)


def differences(pairs: Iterable[Pair]) -> Matrix64:
    """Return the measures of chosen minus rejected answers, shape (pairs, len(MEASURES)).

    NaN where a measure exists for one answer or none: it says nothing about that choice.
    """
    rows = [measures(pair.chosen) - measures(pair.rejected) for pair in pairs]
    return np.array(rows).reshape(-1, len(MEASURES))
