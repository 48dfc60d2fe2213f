"""completion: what a shell needs to complete our commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from pocketpref.cli.console import note, report

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
