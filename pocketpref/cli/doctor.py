"""doctor: is everything as it should be? Each check says what it looked at, in words.

What it can do about a damaged vault is in `repair`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from pocketpref.cli.app import App, pass_app
from pocketpref.cli.arguments import MisuseError, json_option, model_option, user_option
from pocketpref.cli.checks import CHECKS, Finding
from pocketpref.cli.console import print_table, report_json, table
from pocketpref.cli.repair import accept_older, repair
from pocketpref.errors import PocketprefError

if TYPE_CHECKING:
    from rich.table import Table

_MARKS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "wrong": ("WRONG", "bold red")}


@click.command()
@click.option(
    "--repair",
    "repaired",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help="Save what is intact in a damaged vault into a new one [default: beside the damaged "
    "one, with .repaired added to its name]; the damaged one is only read.",
)
@click.option(
    "--accept-older",
    "older",
    is_flag=True,
    help="Go on with an older copy of the vault that you put back yourself; the vault logs it.",
)
@json_option
@user_option
@model_option
@pass_app
def doctor(
    app: App,
    *,
    repaired: str | None,
    older: bool,
    as_json: bool,
    user: str | None,
    model: str | None,
) -> None:
    """Check the vault, its key, the models and this machine; exit code 1 if something is wrong.

    With --repair or --accept-older it does that instead.

    Example: pocketpref doctor
    """
    if repaired is not None and older:
        raise MisuseError("choose one of --repair and --accept-older")
    if repaired is not None:
        repair(app, repaired, as_json=as_json)
    elif older:
        accept_older(app, as_json=as_json)
    else:
        _check(app, model, as_json=as_json)


def _check(app: App, model: str | None, *, as_json: bool) -> None:
    findings = [_carry_out(name, check, app, model) for name, check in CHECKS]
    if as_json:
        report_json(
            [
                {"check": f.name, "state": f.state, "words": f.words, "hint": f.hint}
                for f in findings
            ]
        )
    else:
        print_table(_listing(findings))
    if any(f.state == "wrong" for f in findings):
        sys.exit(1)


def _carry_out(
    name: str, check: Callable[[App, str | None], Finding], app: App, model: str | None
) -> Finding:
    try:
        return check(app, model)
    except PocketprefError as error:
        return Finding(name, "wrong", error.message, error.hint)
    except (OSError, ImportError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        return Finding(name, "wrong", f"cannot be looked at: {reason}")


def _listing(findings: list[Finding]) -> Table:
    from rich.text import Text

    listing = table("", "", "")
    listing.show_header = False
    for finding in findings:
        mark, style = _MARKS[finding.state]
        words = finding.words + (f"\n-> {finding.hint}" if finding.hint else "")
        listing.add_row(Text(mark, style=style), finding.name, Text(words))
    return listing
