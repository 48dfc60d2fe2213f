"""Finding and Known: what a check finds, and what it compares a summary with."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache, partial

from pocketpref.egress.dlp.memory_index import MemoryIndex
from pocketpref.egress.dlp.text import common, fold, folded_words
from pocketpref.records import Attribute


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
