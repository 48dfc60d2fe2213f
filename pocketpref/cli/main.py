"""The command tree, and the one place that turns errors into messages and exit codes."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import get_completion_class

import pocketpref
from pocketpref.cli.adapters import adapters
from pocketpref.cli.background import service
from pocketpref.cli.chat.command import chat
from pocketpref.cli.context import App, no_core_dumps
from pocketpref.cli.demo import demo
from pocketpref.cli.doctor import doctor
from pocketpref.cli.egress.commands import egress
from pocketpref.cli.egress.log import remote
from pocketpref.cli.evaluate import evaluate
from pocketpref.cli.keys import keys
from pocketpref.cli.learn import learn
from pocketpref.cli.memory import add, forget, memory
from pocketpref.cli.models import models
from pocketpref.cli.output import note, printable, report
from pocketpref.cli.params import MisuseError
from pocketpref.cli.personalize import personalize, score
from pocketpref.cli.preferences import ask, correct, rank, state
from pocketpref.cli.profile import profile, status
from pocketpref.cli.serve import mcp, open_page, serve
from pocketpref.cli.summary import summary
from pocketpref.cli.transfer import export, import_file, restore
from pocketpref.cli.uninstall import uninstall
from pocketpref.errors import PocketprefError

# completion

_SHELLS = ("bash", "fish", "zsh")
_WHERE = {
    "bash": "~/.local/share/bash-completion/completions/pocketpref",
    "fish": "~/.config/fish/completions/pocketpref.fish",
    "zsh": "a file _pocketpref in a folder of your fpath",
}


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print the script by which a shell completes commands and options.

    Keep it where the shell looks for such: the place is named on standard error.

    Example: pocketpref completion bash
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows these three"
    root = context.find_root().command
    report(kind(root, {}, "pocketpref", "_POCKETPREF_COMPLETE").source())
    note(f"for {shell}, keep it as {_WHERE[shell]}")


FAILURE, USAGE, INTERRUPTED = 1, 2, 130


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every text argument takes - (standard input) or @FILE. Start with: pocketpref demo",
)
@click.version_option(pocketpref.__version__, message="pocketpref %(version)s")
def cli() -> None:
    """Learn on this machine how you like to be answered, and be answered that way.

    What is learned stays here, encrypted. Nothing leaves that you have not allowed.

    Example: pocketpref chat
    """


for _command in (
    demo,
    chat,
    personalize,
    add,
    import_file,
    learn,
    profile,
    state,
    ask,
    rank,
    correct,
    summary,
    evaluate,
    memory,
    forget,
    score,
    egress,
    remote,
    mcp,
    serve,
    open_page,
    models,
    adapters,
    keys,
    export,
    restore,
    status,
    doctor,
    service,
    completion,
    uninstall,
):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None, app: App | None = None) -> int:
    """Run a command line.

    Args:
        arguments: without the program's name; None for the process's own.
        app: another environment or Pocket, for tests.

    Returns:
        The exit code: 0, 1 for an error, 2 for a wrong command line, 130 after Ctrl-C.
    """
    if arguments is None:  # else the process belongs to the program that calls this
        no_core_dumps()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a question mark where the terminal lacks a character
            reconfigure(errors="replace")
    try:
        code = _run(arguments, app or App(own_process=arguments is None))
    except PocketprefError as error:
        code = _fail(error.message, error.hint)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help(), err=True)
        code = USAGE
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "pocketpref"
        words = error.message if isinstance(error, MisuseError) else misuse_in_words(error)
        _fail(words, f"`{path} --help` shows what it takes")
        code = USAGE
    except (click.Abort, KeyboardInterrupt):
        with suppress(OSError):
            click.echo("pocketpref: stopped", err=True)
        code = INTERRUPTED
    except OSError as error:
        code = _system_failure(error)
    except Exception as error:  # noqa: BLE001 - the last net: no traceback, it may quote texts
        words = f"unexpected {fault_and_place(error)}"
        code = _fail(words, "this is a fault of pocketpref: please report")
    _flush_or_forget()
    return code


def _run(arguments: Sequence[str] | None, app: App) -> int:
    try:
        code = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="pocketpref",
            standalone_mode=False,
            # On Windows click would replace a * in a text by file names.
            windows_expand_args=False,
            obj=app,
        )
        sys.stdout.flush()
    except SystemExit as end:
        # A command that ends with a code of its own, or click leaving quietly at a closed pipe.
        code = end.code
        _flush_or_forget()
    return code if isinstance(code, int) else 0


def _fail(message: str, hint: str | None) -> int:
    # A closed stderr must not turn one failure into another.
    with suppress(OSError):
        click.echo(printable(f"pocketpref: error: {message}"), err=True)
        if hint:
            click.echo(printable(f"pocketpref: hint: {hint}"), err=True)
    return FAILURE


def _system_failure(error: OSError) -> int:
    if error.errno == errno.EPIPE:
        _forget_stdout()
        return FAILURE
    # Not the file's name: it may have been given as a private text.
    return _fail(f"the system refused: {error.strerror or type(error).__name__}", None)


def _flush_or_forget() -> None:
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _forget_stdout()


def _forget_stdout() -> None:
    """Behind a closed pipe the interpreter's last flush must go nowhere (signal module, note)."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fault_and_place(error: BaseException) -> str:
    """Return the kind of an error and its place in our own code; never its message."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "pocketpref" in Path(f.filename).parts] or frames
    place = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return f"{type(error).__name__}{place}"


def misuse_in_words(error: click.ClickException) -> str:
    """Say what is wrong with a command line; click's own messages quote what was typed."""
    if isinstance(error, click.BadParameter):
        missing = isinstance(error, click.MissingParameter)
        name = "an argument" if error.param is None else error.param.human_readable_name.upper()
        if isinstance(error.param, click.Option):
            name = max(error.param.opts, key=len)
        return f"{name} {'is missing' if missing else expectation(error.param)}"
    if isinstance(error, click.BadOptionUsage):
        return f"{error.option_name} was given the wrong number of values"
    if isinstance(error, click.NoSuchOption):
        return "no such option" + _meant(error)
    if hasattr(error, "command_name") or "No such command" in error.message:
        return "no such command" + _meant(error)
    if "unexpected extra argument" in error.message:
        return "more arguments than the command takes (quote a text of several words)"
    return "the command line cannot be understood"


def expectation(param: click.Parameter | None) -> str:
    """Say what values a parameter takes."""
    kind = param.type if param is not None else None
    if isinstance(kind, click.Choice):
        return f"must be one of {', '.join(map(str, kind.choices))}"
    if isinstance(kind, click.types.IntParamType):
        return "must be a whole number" + _bounds(kind)
    if isinstance(kind, click.types.FloatParamType):
        return "must be a number" + _bounds(kind)
    if isinstance(kind, click.Path):
        return "must be a file that exists and can be used"
    return "has a value that cannot be used"


def _bounds(kind: object) -> str:
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    return (f" of at least {low}" if low is not None else "") + (
        f" and at most {high}" if high is not None else ""
    )


def _meant(error: click.ClickException) -> str:
    possible = getattr(error, "possibilities", None)
    return f"; did you mean {' or '.join(possible)}?" if possible else ""
