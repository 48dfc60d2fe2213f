"""What a command needs from outside: the environment, the settings, and a way to a Pocket."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from pocketpref.config import Config, Places
from pocketpref.errors import KeyMissingError

if TYPE_CHECKING:
    from pocketpref.pocket import Pocket
    from pocketpref.protocols import KeyStore
    from pocketpref.vault import Vault

Opener = Callable[..., "Pocket"]
ThrowawayOpener = Callable[..., AbstractContextManager["Pocket"]]


def _real_opener(user: str | None = None, **options: Any) -> Pocket:
    from pocketpref import assemble as opening

    return opening.open(user, **options)


def _real_throwaway(**options: Any) -> AbstractContextManager[Pocket]:
    from pocketpref import assemble as opening

    return opening.throwaway(**options)


@dataclass(repr=False)  # the environment may hold secrets
class App:
    """Handed to every command as click's ``obj``; tests hand in their own.

    Attributes:
        environ: environment variables.
        open_pocket: ``pocketpref.open`` or something that behaves like it.
        open_throwaway: a Pocket in a temporary vault, whose key is nowhere but in memory.
        own_process: whether the process is the program's own, to be changed for good.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    open_pocket: Opener = _real_opener
    open_throwaway: ThrowawayOpener = _real_throwaway
    own_process: bool = False

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
        new = not self.places.vault.exists()
        return _ask("Passphrase for the new vault" if new else "Passphrase", twice=new)

    @property
    def ask_passphrase(self) -> Callable[[], str] | None:
        """Asks at the terminal, without echo, and once only; None if nobody can be asked."""
        return (lambda: self._passphrase) if _somebody_there() else None

    def ask_new_passphrase(self) -> str:
        """Ask for a passphrase that is to be used from now on, twice.

        Raises:
            KeyMissingError: there is no terminal and no ``POCKETPREF_PASSPHRASE_FILE``.
        """
        return self._asked("New passphrase", twice=True)

    def ask_archive_passphrase(self) -> str:
        """Ask for the passphrase of a file that was exported.

        Raises:
            KeyMissingError: there is no terminal.
        """
        return self._asked("Passphrase of the file", twice=False)

    def _asked(self, question: str, *, twice: bool) -> str:
        if not _somebody_there():
            raise KeyMissingError(
                "a passphrase is needed, and there is no terminal to ask at",
                hint="call it at a terminal, or see --help for a file to read it from",
            )
        return _ask(question, twice=twice)

    def pocket(
        self, user: str | None = None, model: str | None = None, *, exhaustive: bool = False
    ) -> Pocket:
        """Open the vault for a user; use it in a ``with`` statement."""
        return self.open_pocket(
            user,
            model=model,
            exhaustive=exhaustive,
            config=self.config,
            ask_passphrase=self.ask_passphrase,
        )

    def key_store(self) -> KeyStore:
        """Who keeps the vault's key, by the settings or by the vault's own header."""
        from pocketpref import custody

        return custody.choose(self.config, self.places.vault, self.ask_passphrase, self.environ)

    def vault(self) -> Vault:
        """The vault itself, made if there is none; use it in a ``with`` statement."""
        from pocketpref import assemble as opening

        return opening.open_vault(self.places.vault, self.key_store(), self.places)

    def throwaway_pocket(self, model: str | None = None) -> AbstractContextManager[Pocket]:
        """A Pocket in a temporary vault that is deleted at the end of the ``with`` statement."""
        return self.open_throwaway(model=model, config=self.config)


def _somebody_there() -> bool:
    # With text on standard input the passphrase is still asked for at the terminal itself.
    return sys.stdin.isatty() or sys.stderr.isatty()


def _ask(question: str, *, twice: bool) -> str:
    return str(click.prompt(question, hide_input=True, confirmation_prompt=twice, err=True))


pass_app = click.make_pass_decorator(App)
