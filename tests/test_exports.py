"""The public names: exactly those that are listed, each of them documented."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import pytest

import pocketpref
from pocketpref import errors

ROOT = Path(__file__).resolve().parents[1]


def test_what_is_listed_is_what_resolves() -> None:
    """``__all__``, ``dir`` and the names that resolve are one and the same list, sorted."""
    assert set(pocketpref.__all__) == set(pocketpref._HOMES)
    assert pocketpref.__all__ == sorted(pocketpref.__all__, key=str.casefold)
    assert {*pocketpref.__all__, "__version__"} == set(dir(pocketpref))
    public = {name: getattr(pocketpref, name) for name in pocketpref.__all__}
    for name, thing in public.items():
        assert thing.__module__ == f"pocketpref.{pocketpref._HOMES[name]}"
        assert thing is getattr(pocketpref, name)


def test_a_star_import_gives_the_public_names_alone() -> None:
    """``from pocketpref import *`` brings exactly the list."""
    names: dict[str, object] = {}
    exec("from pocketpref import *", names)
    assert set(names) - {"__builtins__"} == set(pocketpref.__all__)


@pytest.mark.parametrize("name", pocketpref.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    """Each has a docstring of its own, and so has each public method."""
    thing = getattr(pocketpref, name)
    assert inspect.getdoc(thing)
    if inspect.isclass(thing):
        for method, function in vars(thing).items():
            if inspect.isfunction(function) and not method.startswith("_"):
                assert function.__doc__, f"{name}.{method}"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """As with any module, so that ``hasattr`` works."""
    assert not hasattr(pocketpref, "manager")
    with pytest.raises(AttributeError, match="manager"):
        pocketpref.manager  # noqa: B018 - the access is the test


def test_the_version_is_the_packages() -> None:
    """One number, in the package and in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert pocketpref.__version__ == project["version"]


def test_the_tree_in_the_docstring_is_the_tree_of_errors() -> None:
    """Every error class is drawn under its parent, and nothing is drawn that is not there."""
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"^    ([│├└─ ]*)(\w+Error)\b", line):
            depth = len(found[1]) // 4
            path = [*path[:depth], found[2]]
            drawn[found[2]] = path[-2] if depth else "Exception"
    defined = {
        name: kind.__bases__[0].__name__
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, Exception)
    }
    assert drawn == defined
    assert len(defined) > 15


def test_every_error_carries_a_message_and_a_hint() -> None:
    """All are made the same way, and print their message alone."""
    for kind in vars(errors).values():
        if inspect.isclass(kind) and issubclass(kind, Exception):
            error = kind("it is broken", hint="mend it")
            assert (str(error), error.message, error.hint) == (*["it is broken"] * 2, "mend it")
