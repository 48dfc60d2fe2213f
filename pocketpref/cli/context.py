"""What a command needs from outside: the environment, the settings, and a way to a Pocket."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from pocketpref.cli.output import note
from pocketpref.config import Config, Places
from pocketpref.errors import InputError, KeyMissingError

if TYPE_CHECKING:
    from pocketpref.pocket import Pocket
    from pocketpref.protocols import KeyStore
    from pocketpref.vault import Vault

# Commands that need packages which only an extra of ours brings.


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


# What the program's own process gives up before anything private is in its memory.

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def no_core_dumps() -> None:
    """Have a crash leave no copy of the memory behind, here and in programs started from here.

    On Linux the process also ceases to be dumpable: a limit does not keep the kernel from piping a
    dump to a crash reporter (core(5)). Other programs of the same user can then no longer attach to
    it or read its memory (ptrace(2)). What the system does not permit is left out: the program
    works all the same.
    """
    if sys.platform == "win32":
        import msvcrt

        # No error box and no Windows Error Reporting, which would keep a dump.
        msvcrt.SetErrorMode(msvcrt.SEM_FAILCRITICALERRORS | msvcrt.SEM_NOGPFAULTERRORBOX)
    else:
        import resource

        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


@contextmanager
def without_network(wanted: bool, *, own_process: bool) -> Iterator[None]:
    """Make every attempt to use a network an error, by Python's means and by the kernel's.

    Args:
        wanted: ``--offline``; without it nothing changes.
        own_process: whether this process is the program's own: what the kernel is told cannot be
            taken back.
    """
    from pocketpref.offline import cut_off, silence

    if not wanted:
        yield
        return
    with silence():
        if own_process and cut_off():
            note("offline: the system refuses this program, and all that it starts, every network")
        else:
            note(
                "offline: Python code that tries to use a network fails; native code is not "
                "watched here"
            )
        yield


Opener = Callable[..., "Pocket"]
ThrowawayOpener = Callable[..., AbstractContextManager["Pocket"]]


def open_pocket(user: str | None = None, **options: Any) -> Pocket:
    """Call ``pocketpref.open``, importing it only when a command needs it."""
    from pocketpref.bootstrap import open as opening

    return opening.open(user, **options)


def open_throwaway(**options: Any) -> AbstractContextManager[Pocket]:
    """Call ``pocketpref.bootstrap.open.throwaway``, importing it only when a command needs it."""
    from pocketpref.bootstrap import open as opening

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
    open_pocket: Opener = open_pocket
    open_throwaway: ThrowawayOpener = open_throwaway
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
        from pocketpref.bootstrap import key_source

        return key_source.choose(self.config, self.places.vault, self.ask_passphrase, self.environ)

    def vault(self) -> Vault:
        """The vault itself, made if there is none; use it in a ``with`` statement."""
        from pocketpref.bootstrap import open as opening

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
