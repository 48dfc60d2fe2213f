"""What a command needs from outside: the environment, the settings, and a way to a Pocket."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from pocketpref.config import Config, Places

if TYPE_CHECKING:
    from pocketpref.pocket import Pocket

Opener = Callable[..., "Pocket"]
ThrowawayOpener = Callable[..., AbstractContextManager["Pocket"]]


def _real_opener(user: str | None = None, **options: Any) -> Pocket:
    from pocketpref import assemble

    return assemble.open(user, **options)


def _real_throwaway(**options: Any) -> AbstractContextManager[Pocket]:
    from pocketpref import assemble

    return assemble.throwaway(**options)


@dataclass
class App:
    """Handed to every command as click's ``obj``; tests hand in their own.

    Attributes:
        environ: environment variables.
        open_pocket: ``pocketpref.open`` or something that behaves like it.
        open_throwaway: a Pocket in a temporary vault, whose key is nowhere but in memory.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    open_pocket: Opener = _real_opener
    open_throwaway: ThrowawayOpener = _real_throwaway

    @cached_property
    def places(self) -> Places:
        """Where things are kept."""
        return Places.find(self.environ)

    @cached_property
    def config(self) -> Config:
        """The settings in force."""
        return Config.load(self.places, self.environ)

    @cached_property
    def _passphrase(self) -> str:
        # Asked once for each command, however often the vault is opened in it.
        return str(
            click.prompt(
                "Passphrase of the vault",
                hide_input=True,
                confirmation_prompt=not self.places.vault.exists(),
                err=True,
            )
        )

    def ask_passphrase(self) -> str:
        """Ask at the terminal, without echo; the second time it is remembered."""
        return self._passphrase

    def pocket(self, user: str | None = None, model: str | None = None) -> Pocket:
        """Open the vault for a user; use it in a ``with`` statement."""
        return self.open_pocket(
            user, model=model, config=self.config, ask_passphrase=self.ask_passphrase
        )

    def throwaway_pocket(self, model: str | None = None) -> AbstractContextManager[Pocket]:
        """A Pocket in a temporary vault that is deleted at the end of the ``with`` statement."""
        return self.open_throwaway(model=model, config=self.config)


pass_app = click.make_pass_decorator(App)
