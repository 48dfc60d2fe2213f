"""What the checks may ask about: everything stored, everybody's name, what may be said."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from pocketpref.egress.checks.memory import MemoryIndex
from pocketpref.egress.checks.reading import fold, folded_words
from pocketpref.egress.checks.vocabulary import common
from pocketpref.records import Attribute


def _never_changes() -> int:
    return 0


@dataclass(frozen=True, slots=True, repr=False)
class Known:
    """What a summary is compared with.

    The texts are read when a check first asks for them, and again when ``version`` has changed;
    between that only hashes are kept (memory.py).

    Attributes:
        texts: gives everything stored: prompts, answers, statements, stated reasons.
        names: of all users of the vault.
        attributes: the bank; its words belong to the vocabulary of summaries.
        values: names of the attributes of category ``values`` that may be said.
        words: further words that may be said although they are foreign to summaries: the person's
            own decision. They may be names.
        version: changes whenever ``texts`` does, such as ``MemoryStore.version``.
    """

    texts: Callable[[], Iterable[str]]
    names: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    values: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    version: Callable[[], int] = _never_changes
    _read: list[tuple[int, MemoryIndex]] = field(default_factory=list, init=False, compare=False)

    def __repr__(self) -> str:
        sizes = (f"<{len(self.names)} names>", f"<{len(self.attributes)} attributes>")
        return f"Known({', '.join(sizes)})"

    @property
    def memory(self) -> MemoryIndex:
        """Recognizes what is stored."""
        version = self.version()  # before reading: what changes meanwhile is read the next time
        for read, index in self._read:
            if read == version:
                return index
        index = MemoryIndex(self.texts(), self.speaks)
        self._read[:] = [(version, index)]
        return index

    @property
    def said(self) -> frozenset[str]:
        """Folded words that may be said besides those of the vocabulary."""
        bank = (f"{a.name} {a.wording} {a.opposite}" for a in self.attributes)
        return frozenset(folded_words(fold(" ".join((*bank, *self.words)))))

    @property
    def speaks(self) -> Callable[[str], bool]:
        """Tells whether a folded word is one that a summary may use."""
        return partial(common, more=self.said)
