"""pocketpref learns, on your own machine, how you like to be answered.

    import pocketpref

    with pocketpref.open(user="ada") as pocket:
        pocket.add(prompt, chosen, rejected)
        pocket.learn()
        print(pocket.personalize("Explain DNS"))

Importing it loads no model library; the parts are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pocketpref.bootstrap.open import open, personalize  # noqa: A004 - pocketpref.open is its name
    from pocketpref.errors import EgressError, InputError, ModelError, PocketprefError, VaultError
    from pocketpref.pocket import Pocket
    from pocketpref.records import Memory, Message, Pair, Sampling
    from pocketpref.results import LearnReport, Personalized, Profile, Progress
    from pocketpref.summary.records import Summary

__version__ = "0.1.0"

_HOMES = {
    "EgressError": "errors",
    "InputError": "errors",
    "Summary": "summary.records",
    "LearnReport": "results",
    "Memory": "records",
    "Message": "records",
    "ModelError": "errors",
    "Pair": "records",
    "Personalized": "results",
    "Pocket": "pocket",
    "PocketprefError": "errors",
    "Profile": "results",
    "Progress": "results",
    "Sampling": "records",
    "VaultError": "errors",
    "open": "bootstrap.open",
    "personalize": "bootstrap.open",
}

__all__ = [  # noqa: RUF022 - sorted without regard to case, as people look names up
    "EgressError",
    "InputError",
    "LearnReport",
    "Memory",
    "Message",
    "ModelError",
    "open",
    "Pair",
    "personalize",
    "Personalized",
    "Pocket",
    "PocketprefError",
    "Profile",
    "Progress",
    "Sampling",
    "Summary",
    "VaultError",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pocketpref' has no attribute {name!r}")
    return getattr(import_module(f"pocketpref.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
