"""Commands that need packages which only an extra of ours brings."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pocketpref.errors import InputError


def load(module: str, extra: str) -> Any:
    """A module of ours that imports such packages.

    Raises:
        InputError: one of them is not installed; it is named, and so is the extra.
    """
    missing = None
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name
    raise InputError(
        f"this command needs the package {missing}", hint=f"pip install 'pocketpref[{extra}]'"
    )
