"""Findings of a check, and the stored text it compares a summary with."""

from __future__ import annotations

import functools
import re
import secrets
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pocketpref.egress.dlp.text import NAMES_THAT_ARE_WORDS, SMALL_WORDS, common, fold, folded_words
from pocketpref.records import Attribute

# MemoryIndex: everything stored as hashes, enough to recognize it and not enough to read it.
#
# The texts are read once. What is kept of them are salted 64-bit hashes (the salt lives and dies
# with the index): of runs of words, of words, and of words that only ever appear as names. Somebody
# who reads the memory of this process could still test guesses against it; a vault that is open
# shows them more.

Hashes = NDArray[np.uint64]

RUN: Final = 5
"""Words in a row that count as copied.

Of 359 harmless summaries none shared five words in a row with 10,000 texts made of real ones
(1.4 million words), and 13 shared four (``tools/attack/summaries.py`` counts them again).
"""

SHAPES: Final = ((0, 1, 2, 3, 4), (0, 1, 2, 4, 5), (0, 1, 3, 4, 5))
"""Places of the words of a run: in a row, or with one word exchanged or put in between."""

ECHO: Final = 4
"""Words in a row that count as copied when small words are left out."""

# A capital letter within a sentence: a name, or a noun that is used as one. The words before and
# after keep headlines out, in which every word has one.
_NAME: Final = re.compile(
    r"(?<=[a-z,;:] )[A-Z][a-z'\u2019]+(?:[ -][A-Z][a-z'\u2019]+){0,2}(?! [A-Z])"
)
_CAPITAL: Final = re.compile(r"\b[A-Z][a-z]+\b")
_MASK: Final = 2**64 - 1
_PLAIN: Final = re.compile(r"\b[a-z]+\b")


class MemoryIndex:
    """Recognizes words and runs of words of stored texts.

    Building it over 10,000 texts of 170 words takes seconds, a question microseconds.
    """

    def __init__(self, texts: Iterable[str], common: Callable[[str], bool]) -> None:
        """Read all texts, once.

        Args:
            texts: everything stored.
            common: whether a word is one of a summary's vocabulary.
        """
        self._salt = secrets.token_hex(8)
        reader = _IndexReader(self._hash)
        self._sum = 0
        for text in texts:
            reader.read(text)
            self._sum = self._added(self._sum, text)
        self._runs = reader.runs()
        self._echoes = reader.echoes()
        self._words = reader.known()
        self._names = reader.names(common)
        self._uncommon = reader.uncommon(common)

    def __repr__(self) -> str:
        return f"MemoryIndex(<{len(self._words)} words>)"

    def covers(self, texts: Iterable[str]) -> bool:
        """Whether these are the texts that it was made of, in any order."""
        return self._sum == functools.reduce(self._added, texts, 0)

    def _added(self, total: int, text: str) -> int:
        return (total + self._hash(text)) & _MASK

    def _hash(self, word: str) -> int:
        # Python's own hash is SipHash under a key drawn for this process; the salt is for those
        # who fix that key. Nothing better is needed, for nothing of it is ever stored.
        return hash(self._salt + word) & _MASK

    def copied(self, sequence: Sequence[str]) -> list[tuple[int, int]]:
        """Where in a sequence of words runs begin and end that stand so in a stored text.

        In either of them one word may stand between that the other one does not have.
        """
        hashes = self._hashes(sequence)
        return [
            (place, place + shape[-1] + 1)
            for shape in SHAPES
            for place in _places(_within(_rolled(hashes, shape), self._runs))
        ]

    def echoed(self, sequence: Sequence[str]) -> list[int]:
        """The same for ``ECHO`` words of a sequence from which small words were left out."""
        return _places(_within(_rolled(self._hashes(sequence), range(ECHO)), self._echoes))

    def words(self, candidates: Sequence[str]) -> list[int]:
        """Places of the candidates that stand in a stored text."""
        return _places(_within(self._hashes(candidates), self._words))

    def names(self, candidates: Sequence[str]) -> list[int]:
        """Places of the candidates that stand there as names, and never as plain words."""
        return _places(_within(self._hashes(candidates), self._names))

    def uncommon(self, candidates: Sequence[str]) -> list[int]:
        """Places of the candidates that stand there and are not of a summary's vocabulary."""
        return _places(_within(self._hashes(candidates), self._uncommon))

    def _hashes(self, words: Sequence[str]) -> Hashes:
        return np.array([self._hash(word) for word in words], dtype=np.uint64)


class _IndexReader:
    """Collects hashes of texts; holds their distinct words for as long as it reads."""

    def __init__(self, hash_word: Callable[[str], int]) -> None:
        self._hash_word = hash_word
        self._hashes: dict[str, int] = {}
        self._tokens: list[Hashes] = []
        self._plain: set[str] = set()
        self._capital: set[str] = set()
        self._runs_of_capitals: set[tuple[str, ...]] = set()

    def read(self, text: str) -> None:
        words = folded_words(fold(text))
        for word in words:
            if word not in self._hashes:
                self._hashes[word] = self._hash_word(word)
        hashes = [self._hashes[word] for word in words]
        self._tokens.append(np.array(hashes, dtype=np.uint64))
        self._plain.update(_PLAIN.findall(text))
        self._capital.update(map(str.lower, _CAPITAL.findall(text)))
        runs = (folded_words(fold(run)) for run in _NAME.findall(text))
        self._runs_of_capitals.update(map(tuple, runs))

    def runs(self) -> Hashes:
        return _distinct(_rolled(tokens, shape) for tokens in self._tokens for shape in SHAPES)

    def echoes(self) -> Hashes:
        small = _sorted([self._hash_word(word) for word in SMALL_WORDS])
        large = (tokens[~_within(tokens, small)] for tokens in self._tokens)
        return _distinct(_rolled(tokens, range(ECHO)) for tokens in large)

    def known(self) -> Hashes:
        return _sorted(list(self._hashes.values()))

    def names(self, common: Callable[[str], bool]) -> Hashes:
        """Words with a capital letter and never without, if nothing else explains it."""
        within = {word for run in self._runs_of_capitals for word in _names(run, common)}
        heads = {word for word in self._capital if not common(word)}
        names = (within | heads) - self._plain - SMALL_WORDS
        # "markcosta": two plain words may make a name that no plain text has.
        whole = {
            "".join(run) for run in self._runs_of_capitals if len(set(_names(run, common))) > 1
        }
        return _sorted([self._hash_word(word) for word in names | whole])

    def uncommon(self, common: Callable[[str], bool]) -> Hashes:
        return _sorted([hashed for word, hashed in self._hashes.items() if not common(word)])


def _names(run: tuple[str, ...], common: Callable[[str], bool]) -> Iterator[str]:
    """Which words of a run of capitals are names: all of it, if one can be nothing else.

    "Anna Short" is a name, "Frank" may be one; "Computer Science" is none.
    """
    certain = any(not common(word) for word in run)
    yield from (word for word in run if certain or word in NAMES_THAT_ARE_WORDS)


def _rolled(hashes: Hashes, shape: Sequence[int]) -> Hashes:
    """One hash of each run of a shape: the sum of its words', each multiplied by its own number."""
    count = max(0, len(hashes) - shape[-1])
    rolled = np.zeros(count, dtype=np.uint64)
    for factor, place in zip(_FACTORS[: len(shape)], shape, strict=True):
        rolled += hashes[place : place + count] * factor  # wraps around, as it should
    return rolled


_FACTORS: Final = np.array(
    [pow(0x9E3779B97F4A7C15, n + 1, 2**64) for n in range(max(RUN, ECHO))], dtype=np.uint64
)


def _places(found: NDArray[np.bool_]) -> list[int]:
    return [int(place) for place in np.flatnonzero(found)]


def _distinct(parts: Iterator[Hashes]) -> Hashes:
    found = list(parts)
    return np.unique(np.concatenate(found)) if found else np.array([], dtype=np.uint64)


def _sorted(hashes: list[int]) -> Hashes:
    return np.unique(np.array(hashes, dtype=np.uint64))


def _within(hashes: Hashes, among: Hashes) -> NDArray[np.bool_]:
    if not len(among):
        return np.zeros(len(hashes), dtype=np.bool_)
    places = np.minimum(np.searchsorted(among, hashes), len(among) - 1)
    found: NDArray[np.bool_] = among[places] == hashes
    return found


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A place in a text that keeps it from leaving.

    Attributes:
        start: of the place, in characters from the beginning of the text.
        end: one past its last character.
        check: name of the check that found it.
        reason: what is wrong there, in words that quote nothing.
    """

    start: int
    end: int
    check: str
    reason: str


@lru_cache(maxsize=8)
def _said(attributes: tuple[Attribute, ...], words: frozenset[str]) -> frozenset[str]:
    bank = (f"{a.name} {a.wording} {a.opposite}" for a in attributes)
    return frozenset(folded_words(fold(" ".join((*bank, *words)))))


@dataclass(frozen=True, slots=True)
class _Read:
    """An index, and what it depends on."""

    texts: Callable[[], Iterable[str]]
    version: Hashable
    said: frozenset[str]
    index: MemoryIndex


@dataclass(frozen=True, slots=True, repr=False)
class Known:
    """What a summary is compared with.

    The texts are read when a check first asks for them, and again when ``version`` has changed; of
    what was read only hashes are kept. A copy by ``dataclasses.replace`` shares them.

    Attributes:
        texts: gives everything stored: prompts, answers, statements, stated reasons.
        names: of all users of the vault.
        attributes: the bank; its words belong to the vocabulary of summaries.
        values: names of the attributes of category ``values`` that may be said.
        words: further words that may be said although they are foreign to summaries: the person's
            own decision. They may be names.
        version: changes whenever ``texts`` does; asked before every check.
    """

    texts: Callable[[], Iterable[str]]
    names: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    values: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    version: Callable[[], Hashable] = lambda: None
    _read: list[_Read] = field(default_factory=list, compare=False, kw_only=True)

    def __repr__(self) -> str:
        sizes = (f"<{len(self.names)} names>", f"<{len(self.attributes)} attributes>")
        return f"Known({', '.join(sizes)})"

    @property
    def memory(self) -> MemoryIndex:
        """Recognizes what is stored."""
        version = self.version()  # before reading: what changes meanwhile is read the next time
        said = self.said
        index = None
        for read in self._read:
            if (read.texts, read.said) == (self.texts, said):
                # A version may change by what has nothing to do with texts: reading is quick then.
                unchanged = read.version == version or read.index.covers(self.texts())
                index = read.index if unchanged else None
        index = index or MemoryIndex(self.texts(), partial(common, more=said))
        self._read[:] = [_Read(self.texts, version, said, index)]
        return index

    @property
    def said(self) -> frozenset[str]:
        """Folded words that may be said besides those of the vocabulary."""
        return _said(self.attributes, self.words)

    @property
    def speaks(self) -> Callable[[str], bool]:
        """Tells whether a folded word is one that a summary may use."""
        return partial(common, more=self.said)
