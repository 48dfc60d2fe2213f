"""The attribute bank: the named ways of answering that a choice can be explained by.

The bank is data (``attributes.toml``); people may add their own in the same form.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from pocketpref.errors import ConfigError, NotFoundError
from pocketpref.files import TomlError, parse_toml, read_toml
from pocketpref.records import Attribute

Wording = Literal["text", "names"]
Category = Literal["style", "tone", "expertise", "values"]

_PREFIX = "Attributes: <"
_SUFFIX = ">"
# Wordings contain commas themselves, so they are joined by semicolons; bare names are joined as in
# the paper.
_SEPARATOR: dict[Wording, str] = {"text": "; ", "names": ", "}
_BREAKS = ("Cc", "Zl", "Zp")  # control characters, and Unicode's line and paragraph separators
_MAX_LENGTH = 200  # characters of one wording: it is paid for in every evaluation


class AttributeBank:
    """An ordered set of attributes.

    Iterating gives the attributes; ``bank[name]`` finds one, whatever its case.
    """

    def __init__(self, attributes: Iterable[Attribute]) -> None:
        self._attributes = tuple(attributes)
        self._by_name = {a.name.casefold(): a for a in self._attributes}
        if len(self._by_name) != len(self._attributes):
            raise _misformed("two attributes have the same name")

    @classmethod
    def standard(cls, extra: Path | None = None) -> AttributeBank:
        """EXACT's 42 attributes, and those of an own file if there is one.

        Raises:
            ConfigError: the own file is not in the bank's form.
        """
        shipped = resources.files("pocketpref").joinpath("attributes.toml").read_bytes()
        attributes = _attributes(parse_toml(shipped), "attributes.toml")
        if extra is not None and extra.is_file():
            attributes += read_attributes(extra)
        return cls(attributes)

    def without(self, category: str) -> AttributeBank:
        """The bank without the attributes of one category."""
        return AttributeBank(a for a in self._attributes if a.category != category)

    def __iter__(self) -> Iterator[Attribute]:
        return iter(self._attributes)

    def __len__(self) -> int:
        return len(self._attributes)

    def __getitem__(self, name: str) -> Attribute:
        found = self._by_name.get(name.strip().casefold())
        if found is None:  # no KeyError behind the error: it would quote the name
            raise NotFoundError(
                "no attribute of that name",
                hint="`pocketpref score --help` lists the names",
            )
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.strip().casefold() in self._by_name

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the bank's order."""
        return tuple(a.name for a in self._attributes)

    @property
    def fingerprint(self) -> str:
        """Changes with any name or wording: what was learned under another bank is stale."""
        text = "\n".join(f"{a.name}\t{a.wording}" for a in self._attributes)
        return hashlib.sha256(text.encode()).hexdigest()

    def block(self, names: Sequence[str], wording: Wording = "text") -> str:
        """The line that is injected after the prompt, or "" for no attributes.

        ``wording="names"`` gives the paper's form, ``Attributes: <Direct, Concise, Analytic>``.

        Raises:
            NotFoundError: a name is not in the bank.
        """
        if not names:
            return ""
        chosen = [self[name] for name in names]
        words = (a.wording if wording == "text" else a.name for a in chosen)
        return f"{_PREFIX}{_SEPARATOR[wording].join(words)}{_SUFFIX}"

    def strip(self, prompt: str) -> str:
        """The prompt without a block that this bank injected.

        What came out of memory is no new evidence, so it is taken off before a pair is kept. A
        line that only looks like a block stays: it is the person's own.
        """
        head, newline, last = prompt.rpartition("\n")
        if not newline or not last.startswith(_PREFIX) or not last.endswith(_SUFFIX):
            return prompt
        inner = last[len(_PREFIX) : -len(_SUFFIX)]
        wordings = {a.wording for a in self._attributes}
        ours = all(part in wordings for part in inner.split(_SEPARATOR["text"])) or all(
            part in self for part in inner.split(_SEPARATOR["names"])
        )
        return head if ours else prompt


def read_attributes(path: Path) -> list[Attribute]:
    """The attributes of an own file, in its order.

    Raises:
        ConfigError: it is not in the bank's form.
    """
    try:
        tables = read_toml(path)
    except OSError:
        raise _misformed(f"{path.name} cannot be read") from None
    except TomlError as error:
        raise _misformed(f"{path.name} {error}") from None
    return _attributes(tables, path.name)


def _attributes(tables: dict[str, Any], source: str) -> list[Attribute]:
    entries = tables.get("attribute", [])
    if not isinstance(entries, list):
        raise _misformed(f"{source}: `attribute` must be a list of tables, [[attribute]]")
    return [_attribute(entry, f"{source}, attribute {n}") for n, entry in enumerate(entries, 1)]


def _attribute(entry: Any, where: str) -> Attribute:
    wanted = ("name", "wording", "opposite", "category")
    if not isinstance(entry, dict) or set(entry) != set(wanted):
        raise _misformed(f"{where}: needs exactly {', '.join(wanted)}")
    for key in wanted:
        _check_value(entry[key], f"{where}: {key}")
    if entry["category"] not in get_args(Category):
        raise _misformed(f"{where}: category must be one of {', '.join(get_args(Category))}")
    # Looked up without outer spaces, so kept without them.
    return Attribute(**{key: value.strip() for key, value in entry.items()})


def _check_value(value: object, where: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise _misformed(f"{where} must be text and not empty")
    if len(value) > _MAX_LENGTH:
        raise _misformed(f"{where} is longer than {_MAX_LENGTH} characters")
    if any(c in "<>" or unicodedata.category(c) in _BREAKS for c in value):
        raise _misformed(f"{where} must be one line without <, > and control characters")


def _misformed(message: str) -> ConfigError:
    return ConfigError(message, hint="correct the file; docs/attributes.md shows its form")
