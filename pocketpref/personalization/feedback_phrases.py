"""The phrase grammars that feedback in words is read with.

The phrases of a language (``feedback_phrases.toml``, whose head describes the form) become a trie
whose edges are words or lists of alternatives. Matching never backtracks over more than the words
of one clause, so no message makes it slow; nothing here is a regular expression made from data.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final, Literal

from pocketpref.files import parse_toml

NUMBER: Final = "#"
"""What stands for any number in a phrase."""

_WORD = re.compile(r"[㐀-鿿]|(?:(?![㐀-鿿_])\w)+|#")
# Quotation marks, dashes and the full-width marks of Chinese, as escapes: they look like others.
_MARKS: Final = (
    r"!?()\"\n\u00a1\u00ab\u00bb\u00bf\u2013\u2014\u201c\u201d\u201e\u2026"
    r"\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f"
)
# A semicolon inside of a word is "tl;dr", a dot or comma between digits is part of a number.
_BOUNDARY = re.compile(rf"[{_MARKS}]+|[.,;:]+(?=\s|$)|\s-+\s|(?<=\D)[.,:](?=\D)")
_APOSTROPHES = str.maketrans(dict.fromkeys("'`-\u00b4\u2018\u2019", " "))
_STRETCHED = re.compile(r"([^\W\d])\1{2,}")
_GROUP = re.compile(r"\(([^()]*)\)")
_MAX_WORDS: Final = 60  # of a clause; a wish has fewer, and Chinese characters count as words
_MIN_TYPO: Final = 5  # letters; shorter words are too close to one another
# Of two readings with as many phrases, the stronger one counts.
_WEIGHTS: Final = {"complaint": 2, "comparison": 2, "wish": 1, "adjective": 1}
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


@dataclass(frozen=True, slots=True, repr=False)
class MessageClause:
    """A piece of a message between punctuation marks, and its words in their bare form."""

    text: str
    tokens: tuple[str, ...]
    question: bool


@dataclass(frozen=True, slots=True)
class Cue:
    """What a phrase wishes for, as (dimension, pole), and how surely it means the last answer.

    A "complaint" ("too long") or "comparison" ("shorter") can only be about an earlier answer, a
    "wish" ("no bullet points") could also belong to a new task, and an "adjective" ("short") could
    also be praise.
    """

    preference: tuple[str, str]
    strength: Literal["complaint", "comparison", "wish", "adjective"]


@dataclass(frozen=True, slots=True, repr=False)
class Reading:
    """How a grammar reads a clause: with a cue, neutral, or not at all ("rest")."""

    clause: MessageClause
    kind: Literal["cue", "neutral", "rest"]
    cues: tuple[Cue, ...]
    uncovered: tuple[str, ...]


def clauses_of(message: str) -> list[MessageClause]:
    """Split a message at its punctuation; emoji and other signs are no words."""
    clauses = []
    start = 0
    marks = [(m.start(), m.end()) for m in _BOUNDARY.finditer(message)]
    for here, after in [*marks, (len(message), len(message))]:
        tokens = tuple(tokens_of(message[start:here]))
        if tokens:
            mark = message[here:after]
            question = "?" in unicodedata.normalize("NFKC", mark)
            clauses.append(MessageClause((message[start:here] + mark).strip(), tokens, question))
        start = after
    return clauses


def tokens_of(text: str) -> list[str]:
    """Return the words of a text without case, accents, apostrophes and stretched letters."""
    plain = text.translate(_APOSTROPHES).casefold()
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", plain)
        plain = "".join(c for c in plain if not unicodedata.combining(c))
    return [_STRETCHED.sub(r"\1", word) for word in _WORD.findall(plain)]


class _Node:
    __slots__ = ("cues", "end", "first", "lists", "words")

    def __init__(self) -> None:
        self.words: dict[str, _Node] = {}
        self.lists: dict[str, _Node] = {}
        # For a word: the lists among `lists` that can begin with it. Set once all is compiled.
        self.first: dict[str, tuple[tuple[str, _Node], ...]] = {}
        self.end = False
        self.cues: tuple[Cue, ...] = ()


class _Lists:
    """The lists of alternatives of one language, named or written inside of a phrase.

    A list is a trie of its own, so that "{no} {bullets}" is two edges, not thousands of phrases.
    No list is empty: `_spellings` writes phrases out with and without their optional words.
    """

    def __init__(self, named: Mapping[str, Sequence[str]]) -> None:
        self.tries: dict[str, _Node] = {}
        self.words: set[str] = set()
        self._named = named
        self._firsts: dict[int, frozenset[str]] = {}

    def add(self, root: _Node, phrase: str, cues: tuple[Cue, ...] = ()) -> None:
        """Add a phrase to a trie; of two that are spelled the same, the first one counts."""
        for spelling in _spellings(phrase):
            node = root
            for element in spelling:
                if element[0] in "{(":
                    self._compile(element)
                    node = node.lists.setdefault(element, _Node())
                else:
                    self.words.add(element)
                    node = node.words.setdefault(element, _Node())
            if not node.end:
                node.end, node.cues = True, cues

    def _compile(self, element: str) -> None:
        if element in self.tries:
            return
        trie = self.tries[element] = _Node()
        inner = element[1:-1]
        for phrase in self._named[inner] if element[0] == "{" else inner.split("|"):
            self.add(trie, phrase)

    def index(self, node: _Node) -> None:
        """Index the lists of a finished trie by the words they can begin with."""
        by_word: dict[str, list[tuple[str, _Node]]] = {}
        for name, after in node.lists.items():
            for word in self._first(self.tries[name]):
                by_word.setdefault(word, []).append((name, after))
            self.index(after)
        node.first = {word: tuple(edges) for word, edges in by_word.items()}
        for after in node.words.values():
            self.index(after)

    def _first(self, node: _Node) -> frozenset[str]:
        if id(node) not in self._firsts:
            words = set(node.words)
            for name in node.lists:
                words |= self._first(self.tries[name])
            self._firsts[id(node)] = frozenset(words)
        return self._firsts[id(node)]


class PhraseSet:
    """Phrases to look for in the words of a clause."""

    def __init__(self, phrases: Iterable[str], lists: _Lists, numbers: frozenset[str]) -> None:
        self._root = _Node()
        self._lists, self._numbers = lists, numbers
        for phrase in phrases:
            lists.add(self._root, phrase)

    def index(self) -> None:
        """Build the index, once all lists are known."""
        self._lists.index(self._root)

    def found(self, tokens: Sequence[str]) -> bool:
        """Whether any of the phrases occurs."""
        match = _Matcher(self._lists.tries, tokens, self._numbers)
        return any(True for i in range(len(tokens)) for _ in match.ends(self._root, i))

    def starts(self, tokens: Sequence[str]) -> bool:
        """Whether the words begin with one of the phrases."""
        match = _Matcher(self._lists.tries, tokens, self._numbers)
        return any(True for _ in match.ends(self._root, 0))


class _Matcher:
    """Matches tries against the words of one clause, each list at each place once."""

    def __init__(
        self, tries: Mapping[str, _Node], tokens: Sequence[str], numbers: frozenset[str]
    ) -> None:
        self._tries, self._tokens = tries, tokens
        self._number = [t in numbers or t.isdigit() for t in tokens]
        self._ends: dict[tuple[str, int], tuple[int, ...]] = {}

    def ends(self, node: _Node, at: int) -> Iterator[tuple[int, tuple[Cue, ...]]]:
        """Yield where phrases of the trie that begin at a place end, and their cues."""
        if node.end:
            yield at, node.cues
        if at >= len(self._tokens):
            return
        keys = [self._tokens[at]]
        if self._number[at]:
            keys.append(NUMBER)
        for key in keys:
            after = node.words.get(key)
            if after is not None:
                yield from self.ends(after, at + 1)
            for name, then in node.first.get(key, ()):
                for end in self._list(name, at):
                    yield from self.ends(then, end)

    def _list(self, name: str, at: int) -> tuple[int, ...]:
        found = self._ends.get((name, at))
        if found is None:
            found = tuple(dict.fromkeys(end for end, _ in self.ends(self._tries[name], at)))
            self._ends[name, at] = found
        return found


class Grammar:
    """The phrases of one language.

    Attributes:
        language: its ISO 639-1 code.
        always, once, anchors, again, reasons, asks, documents, conditions, please, praise,
            inquiries, assertions, negators: phrases by what they tell, as the head of
            ``feedback_phrases.toml`` describes.
    """

    def __init__(
        self, language: str, table: Mapping[str, Any], poles: Mapping[str, tuple[str, str]]
    ) -> None:
        self.language = language
        sentences: dict[str, str] = dict(table["statements"])
        self._answer_in = sentences.pop("language")
        self._statements = {poles[key]: sentence for key, sentence in sentences.items()}
        names: Mapping[str, str] = table["languages"]
        self._names = {code: name.strip("()").split("|")[0] for code, name in names.items()}
        numbers = frozenset(w for n in table["numbers"] for w in tokens_of(n))
        named: dict[str, Sequence[str]] = dict(table["lists"])
        named["language"] = list(names.values())
        named |= {f"language {code}": [name] for code, name in names.items()}
        self._lists = _Lists(named)
        self._root = _Node()
        self._numbers = numbers
        for phrase, cues in _phrases(table, poles):
            self._lists.add(self._root, phrase, cues)

        def phrases(*keys: str) -> PhraseSet:
            found = itertools.chain.from_iterable(table[key] for key in keys)
            return PhraseSet(found, self._lists, numbers)

        self.always, self.once = phrases("always", "lasting"), phrases("once")
        self.anchors, self.again = phrases("anchors"), phrases("again")
        self.reasons, self.asks = phrases("reasons"), phrases("asks")
        self.documents, self.conditions = phrases("documents"), phrases("conditions")
        self.please, self.praise = phrases("please"), phrases("praise")
        self.inquiries, self.assertions = phrases("inquiries"), phrases("assertions")
        self.negators = phrases("negators")
        for value in vars(self).values():
            if isinstance(value, PhraseSet):
                value.index()
        for trie in (self._root, *self._lists.tries.values()):
            self._lists.index(trie)
        familiar = {word for text in table["familiar"] for word in tokens_of(text)}
        self._vocabulary = frozenset(self._lists.words | numbers | familiar)
        self._shortened = _shortened(self._lists.words, self._vocabulary)

    def statement(self, preference: tuple[str, str]) -> str:
        """Return the sentence that states a preference."""
        dimension, pole = preference
        if dimension == "language":
            return self._answer_in.format(language=self._names.get(pole, pole))
        return self._statements[preference]

    def read(self, clause: MessageClause) -> Reading:
        """Cover a clause with phrases, leaving as few words as possible uncovered."""
        if len(clause.tokens) > _MAX_WORDS:
            return Reading(clause, "rest", (), clause.tokens)
        tokens = tuple(map(self._corrected, clause.tokens))
        match = _Matcher(self._lists.tries, tokens, self._numbers)
        # best[i]: for the words from i on, (uncovered, phrases, -cues) and the way there.
        best: list[tuple[tuple[int, int, int], int, tuple[Cue, ...]]]
        best = [((0, 0, 0), -1, ())] * (len(tokens) + 1)
        for i in reversed(range(len(tokens))):
            uncovered, phrases, cues = best[i + 1][0]
            best[i] = ((uncovered + 1, phrases, cues), -1, ())
            for end, found in match.ends(self._root, i):
                uncovered, phrases, cues = best[end][0]
                cost = (uncovered, phrases + 1, cues - sum(_WEIGHTS[c.strength] for c in found))
                if cost < best[i][0]:
                    best[i] = (cost, end, found)
        at = 0
        said: list[Cue] = []
        unknown: list[str] = []
        neutral: list[str] = []
        while at < len(tokens):
            _, end, found = best[at]
            if end < 0:
                unknown.append(tokens[at])
                end = at + 1
            elif not found:
                neutral.extend(tokens[at:end])
            said.extend(found)
            at = end
        if self.negators.found(neutral):
            said, doubtful = _negated(said)
            unknown.extend(doubtful)
        read = MessageClause(clause.text, tokens, clause.question)
        if self._asks_or_asserts(read, said):
            return Reading(read, "rest", (), tokens)
        kind: Literal["cue", "neutral", "rest"] = "cue" if said else "neutral"
        return Reading(read, "rest" if unknown else kind, tuple(said), tuple(unknown))

    def _asks_or_asserts(self, clause: MessageClause, cues: Sequence[Cue]) -> bool:
        """Whether a clause only asks or asserts: "is it too long?", "it is shorter"."""
        if clause.question and self.inquiries.starts(clause.tokens):
            return True
        compares = {cue.strength for cue in cues} == {"comparison"}
        return compares and self.assertions.starts(clause.tokens)

    def _corrected(self, word: str) -> str:
        """Undo the commonest typos of a word: a letter missing, doubled, or two swapped.

        Replaced letters are not undone: "sample" would become "simple".
        """
        if len(word) < _MIN_TYPO - 1 or word in self._vocabulary or not word.isalpha():
            return word
        if word in self._shortened:
            return self._shortened[word]
        for i in range(1, len(word)):
            swapped = word[: i - 1] + word[i] + word[i - 1] + word[i + 1 :]
            if len(word) >= _MIN_TYPO and swapped in self._vocabulary:
                return swapped
            undoubled = word[:i] + word[i + 1 :]
            doubled = word[i] == word[i - 1]
            if doubled and len(undoubled) >= _MIN_TYPO and undoubled in self._vocabulary:
                return undoubled
        return word


@cache
def grammars() -> Mapping[str, Grammar]:
    """Return the grammars by language, in the order of the file; read once."""
    tables = _tables()
    return {
        language: Grammar(language, table, poles())
        for language, table in tables.items()
        if language != "poles"
    }


@cache
def poles() -> Mapping[str, tuple[str, str]]:
    """Return the (dimension, pole) that each key of the phrase file means."""
    return {key: (dimension, pole) for key, (dimension, pole) in _tables()["poles"].items()}


@cache
def _tables() -> Mapping[str, Any]:
    content = resources.files("pocketpref.personalization").joinpath("feedback_phrases.toml")
    return parse_toml(content.read_bytes())


def _phrases(
    table: Mapping[str, Any], poles: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, tuple[Cue, ...]]]:
    """Yield all phrases that cover words, with their cues; cues first, which decides ties."""
    languages: Mapping[str, str] = table["languages"]
    kinds: dict[str, Literal["complaint", "wish"]] = {"complaints": "complaint", "wishes": "wish"}
    for kind, strength in kinds.items():
        for key, phrases in table[kind].items():
            if key != "language/{language}":
                for phrase in phrases:
                    yield phrase, (Cue(poles[key], strength),)
                continue
            for code in languages:
                cue = Cue(("language", code), strength)
                for phrase in phrases:
                    yield phrase.replace("{language}", f"{{language {code}}}"), (cue,)
    yield from _coordinated(table["wishes"], poles)
    frames: Mapping[str, Sequence[str]] = table["frames"]
    for adjective in table["adjectives"]:
        wished, contrary = poles[adjective["is"]], poles[adjective["not"]]
        words: str = adjective["words"]
        for frame in frames["too"]:
            yield frame.replace("X", words), (Cue(contrary, "complaint"),)
        for frame in frames["enough"]:
            yield frame.replace("X", words), (Cue(wished, "complaint"),)
        comparatives = [frame.replace("X", words) for frame in frames["more"]]
        for phrase in [*comparatives, *adjective.get("comparatives", ())]:
            yield phrase, (Cue(wished, "comparison"),)
        yield words, (Cue(wished, "adjective"),)
    for key in ("neutral", "always", "once", "anchors", "again"):
        for phrase in table[key]:
            yield phrase, ()


def _coordinated(
    wishes: Mapping[str, Sequence[str]], poles: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, tuple[Cue, ...]]]:
    """Yield "no emojis or bullet points" for the wishes "no emojis" and "no bullet points"."""
    for beginning in ("{no}", "{with}"):
        things = {
            match.group(1): Cue(poles[key], "wish")
            for key, phrases in wishes.items()
            for phrase in phrases
            if (match := re.fullmatch(re.escape(beginning) + r" ?(\{\w+\})", phrase))
        }
        for one, other in itertools.product(things, repeat=2):
            cues = tuple(dict.fromkeys((things[one], things[other])))
            yield f"{beginning} {one} {{or}} {other}", cues


def _spellings(phrase: str) -> Iterator[tuple[str, ...]]:
    """Yield the ways to write a phrase, each as words and lists of alternatives.

    Alternatives inside of a word are written out; groups of whole words stay lists.
    """
    parts = re.findall(r"\{[^}]*\}|(?:\([^()]*\)|[^\s(){}])+", phrase)
    ways: list[list[tuple[str, ...]]] = []
    for part in parts:
        if part[0] == "{":
            ways.append([(part,)])
        elif part[0] == "(" and part.find(")") == len(part) - 1:
            choices = [choice for choice in part[1:-1].split("|") if choice.strip()]
            ways.append([(f"({'|'.join(choices)})",)])
            if "|)" in part or "(|" in part:
                ways[-1].append(())
        else:
            ways.append([w for text in _written_out(part) for w in _folded(text)])
    for way in itertools.product(*ways):
        if spelling := tuple(itertools.chain.from_iterable(way)):
            yield spelling


def _written_out(part: str) -> list[str]:
    group = _GROUP.search(part)
    if group is None:
        return [part]
    before, after = part[: group.start()], part[group.end() :]
    return [
        text
        for choice in group.group(1).split("|")
        for text in _written_out(f"{before}{choice}{after}")
    ]


@cache
def _folded(text: str) -> tuple[tuple[str, ...], ...]:
    """The bare forms of a word of the file: also without its apostrophe, also with "ue" for "ü"."""
    forms = {tuple(tokens_of(text)): None}
    if "'" in text or "-" in text:
        forms[tuple(tokens_of(text.replace("'", "").replace("-", "")))] = None
    if not text.isascii():
        forms[tuple(tokens_of(text.translate(_UMLAUTS)))] = None
    return tuple(forms)


def _negated(cues: Iterable[Cue]) -> tuple[list[Cue], list[str]]:
    """Turn adjectives into their contrary; return what cannot be turned as doubtful dimensions.

    "No need to be formal" wishes for casual, but "no need to make it shorter" for nothing.
    Complaints ("stop being so formal") mean the same with and without a negator.
    """
    kept: list[Cue] = []
    doubtful: list[str] = []
    for cue in cues:
        dimension, pole = cue.preference
        if cue.strength == "adjective":
            contrary = (dimension, "low" if pole == "high" else "high")
            kept.append(Cue(contrary, "complaint"))
        elif cue.strength == "complaint":
            kept.append(cue)
        else:
            doubtful.append(dimension)
    return kept, doubtful


def _shortened(words: Iterable[str], known: frozenset[str]) -> dict[str, str]:
    """Map each word with one letter missing, not the first, to the word."""
    shortened: dict[str, str] = {}
    for word in sorted(words):
        if len(word) > _MIN_TYPO:
            for i in range(1, len(word)):
                shortened.setdefault(word[:i] + word[i + 1 :], word)
    return {short: word for short, word in shortened.items() if short not in known}
